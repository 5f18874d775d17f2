/** Numbers for tables: short, and a dash for what cannot be known. */

/** `0`, `999`, `12.3k`, `4.5M`; null is `-`. */
export const countText = (value: number | null): string => scaled(value, 1000, ["", "k", "M", "G", "T"]);

/** `512B`, `1.2KiB`, `3.4GiB`; null is `-`. */
export const bytesText = (value: number | null): string => scaled(value, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);

function scaled(value: number | null, base: number, units: readonly string[]): string {
  if (value === null) return "-";
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= base && unit < units.length - 1) {
    size /= base;
    unit++;
  }
  const text = unit === 0 ? String(Math.round(size)) : size >= 100 ? size.toFixed(0) : size.toFixed(1);
  return `${text}${units[unit]}`;
}

/** `33.3%`. */
export const percentText = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** How long something has lasted, by its largest unit: `12s`, `5m`, `3h`, `9d`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
