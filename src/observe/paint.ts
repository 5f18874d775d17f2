/** Wraps text in a colour (an SGR code) where colour is wanted, and leaves it as it is where not. */
export const painter =
  (color: boolean) =>
  (code: number, text: string): string =>
    color ? `\u001b[${code}m${text}\u001b[0m` : text;

/** Cuts a line to the width that a terminal shows, not counting escape sequences; they are kept whole. */
export function cut(line: string, width: number): string {
  if (line.length <= width) return line;
  let shown = 0;
  let result = "";
  for (const part of line.split(/(\u001b\[\d+m)/)) {
    if (part.startsWith("\u001b[")) {
      result += part;
      continue;
    }
    const room = width - shown;
    result += part.length <= room ? part : room > 0 ? `${part.slice(0, room - 1)}…` : "";
    shown += part.length;
  }
  return result;
}
