/**
 * Tables as text: every column as wide as its widest cell, two spaces between columns, none at a line's end.
 * `right` are the columns (from 0) that stand right, as numbers do.
 */
type Rows = readonly (readonly string[])[];

/** The cells with the spaces that their columns need; for cells that are painted before they become lines. */
export function padded(rows: Rows, right: ReadonlySet<number> = new Set()): string[][] {
  const widths = (rows[0] ?? []).map((_, column) => rows.reduce((most, row) => Math.max(most, row[column]!.length), 0));
  const cell = (text: string, column: number): string =>
    right.has(column) ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
  return rows.map((row) => row.map(cell));
}

/** One line of a table. */
export const joined = (cells: readonly string[]): string => cells.join("  ").trimEnd();

/** The table's lines. */
export const aligned = (rows: Rows, right?: ReadonlySet<number>): string[] => padded(rows, right).map(joined);
