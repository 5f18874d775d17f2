import type { Finding, Version } from "./agree.ts";
import { escaped, fileName, type Mirror } from "./metalink.ts";

/** One backend on the page: where the file would be, and what is known of it there. */
export interface Listed extends Mirror {
  /** Of the backend, as status says it. */
  state: string;
  /** Its tags: places among them. */
  tags: readonly string[];
  /** Undefined: it was not asked. */
  finding: Finding | undefined;
  /** Does it have the file as it should be? */
  holds: boolean;
}

const dateText = (modified: number | null): string =>
  modified === null ? "" : new Date(modified * 1000).toISOString().replace("T", " ").slice(0, 19);

function word({ finding, holds, state }: Listed): string {
  if (finding === undefined) return state === "up" || state === "unchecked" ? "not asked" : state;
  if (finding === "missing") return "does not have it";
  if (finding === "silent") return "says nothing";
  if (holds) return state === "up" || state === "unchecked" ? "has it" : `has it, but is ${state}`;
  return `has another version: ${finding.size} bytes${finding.modified === null ? "" : `, ${dateText(finding.modified)}`}`;
}

/** For programs: a URL a line, the best first; those alone that have the file. */
export const mirrorLines = (mirrors: readonly Mirror[]): string => mirrors.map(({ url }) => `${url}\n`).join("");

/** For people: every backend, the best first, and what is known of the file there. */
export function mirrorPage(path: string, version: Version | null, all: readonly Listed[]): string {
  const name = escaped(fileName(path));
  const facts =
    version === null
      ? "No mirror has it."
      : `${version.size} bytes${version.modified === null ? "" : `, ${dateText(version.modified)}`}`;
  const rows = all.map((one) => {
    const url = escaped(one.url);
    const link = one.holds ? `<a href="${url}">${url}</a>` : url;
    const cells = [link, escaped(one.country), escaped(one.tags.join(", ")), escaped(word(one))];
    return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>\n`;
  });
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Mirrors of ${name}</title></head>
<body><h1>Mirrors of ${name}</h1>
<p>${facts}</p>
<table><tr><th>Mirror</th><th>Country</th><th>Places</th><th>File</th></tr>
${rows.join("")}</table></body></html>
`;
}
