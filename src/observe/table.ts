/**
 * Tables as text: every column as wide as its widest cell, two spaces between columns, none at a line's end.
 * `right` are the columns (from 0) that stand right, as numbers do.
 */
type Rows = readonly (readonly string[])[];

/** Enough for most gaps: of very many cells few need a longer one made. */
const SPACES = " ".repeat(64);

const spaces = (count: number): string => (count > SPACES.length ? " ".repeat(count) : SPACES.slice(0, count));

/** The cells with the spaces that their columns need; for cells that are painted before they become lines. */
export function padded(rows: Rows, right: ReadonlySet<number> = new Set()): string[][] {
  const columns = (rows[0] ?? []).map((_, column) => ({
    width: rows.reduce((most, row) => Math.max(most, row[column]!.length), 0),
    right: right.has(column),
  }));
  return rows.map((row) =>
    row.map((text, i) => {
      const { width, right: standsRight } = columns[i]!;
      if (text.length === width) return text;
      const gap = spaces(width - text.length);
      return standsRight ? gap + text : text + gap;
    }),
  );
}

/**
 * The columns that stay where the table must fit into `width` characters: those of `spare` go, one after the other, until
 * it does, and none where it cannot. Of cells as `padded` makes them.
 */
export function fitting(cells: Rows, width: number, spare: readonly number[]): ReadonlySet<number> {
  const first = cells[0] ?? [];
  const kept = new Set(first.keys());
  const needed = (): number => [...kept].reduce((sum, column) => sum + first[column]!.length + 2, -2);
  for (const column of spare) {
    if (needed() <= width) break;
    kept.delete(column);
  }
  return kept;
}

/** One line of a table, of all columns or some. */
export const joined = (cells: readonly string[], kept?: ReadonlySet<number>): string =>
  (kept ? cells.filter((_, column) => kept.has(column)) : cells).join("  ").trimEnd();

/** The table's lines. */
export const aligned = (rows: Rows, right?: ReadonlySet<number>): string[] =>
  padded(rows, right).map((cells) => joined(cells));
