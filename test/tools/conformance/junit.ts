import type { Carried } from "./match.ts";

const entities: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const plain = (text: string): string => text.replace(/&(\w+);/g, (all, name: string) => entities[name] ?? all);

/** The tests of a JUnit report: name (with its groups before it), file, result. */
export function readJunit(xml: string): Carried[] {
  const found: Carried[] = [];
  for (const [, attributes, inner = ""] of xml.matchAll(
    /<testcase\b((?:[^>"]|"[^"]*")*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g,
  )) {
    const attribute = (name: string): string => plain(new RegExp(`\\b${name}="([^"]*)"`).exec(attributes!)?.[1] ?? "");
    const group = attribute("classname");
    found.push({
      name: group === "" ? attribute("name") : `${group} > ${attribute("name")}`,
      file: attribute("file"),
      result: /<failure\b|<error\b/.test(inner) ? "failed" : /<skipped\b/.test(inner) ? "skipped" : "passed",
    });
  }
  return found;
}
