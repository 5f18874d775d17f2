import { expect, test } from "bun:test";
import fc from "fast-check";
import { fileName, linkFields, metalink } from "./metalink.ts";

const version = { size: 7, modified: null, digest: null };
const nameIn = (path: string): string =>
  /<file name="([^"]*)">/.exec(metalink(path, version, [{ url: "http://m.example/x", country: "" }]))![1]!;

test("no way out of a folder: what a document calls the file is one name, whatever the path hides", () => {
  expect(nameIn("/pub/a%20b.iso")).toBe("a b.iso");
  for (const last of ["", ".", "..", "%2e%2e", "%2E."]) expect(nameIn(`/pub/${last}`)).toBe("file");
  for (const last of ["%00", "..%00", "%00..", ".%01.", "..%ff", "%2e%2e%2fetc", "..%5cetc", "c%3a%5cx"]) {
    const name = nameIn(`/pub/${last}`);
    expect([".", "..", "", "file"]).not.toContain(name);
    expect(name).not.toMatch(/[/\\:]/);
  }
  // A name that is turned round, or goes on in the next line, would show another one than it is.
  expect(nameIn("/a%e2%80%aegpj.exe")).toBe("a_u202egpj.exe");
  expect(nameIn("/a%0d%0ab")).toBe("a_r_nb");
});

test("any path: no octet of it ends an attribute, an element or a field", () => {
  const octet = fc.nat(255).map((n) => `%${n.toString(16).padStart(2, "0")}`);
  const piece = fc.oneof(octet, fc.constantFrom("/", ".", "&", "'", "<", ">", '"', ";", "\u00e9", "%", "]]>", "a"));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = `/${pieces.join("")}`;
      const name = fileName(path);
      expect(name).toMatch(/^[^\u0000-\u001f\u007f-\u009f/\\:]+$/);
      expect([".", ".."]).not.toContain(name);
      const mirrors = [{ url: `http://m.example${path}`, country: "DE" }];
      const text = metalink(path, version, mirrors);
      expect(text.match(/<[a-z/?][^<>]*>/g)!.map((tag) => /^<[/?]?[a-z]+/.exec(tag)![0])).toEqual(
        ["<?xml", "<metalink", "<generator", "</generator", "<file", "<size", "</size", "<url", "</url"].concat([
          "</file",
          "</metalink",
        ]),
      );
      const fields = linkFields(mirrors, path).split("\r\n").slice(0, -1);
      expect(fields[0]).toMatch(/^Link: <http:\/\/m\.example\/[^<>"\s]*>; rel=duplicate; pri=1; geo=de$/);
      for (const field of fields.slice(1))
        expect(field).toMatch(
          /^Link: <\/(?!\/)[^<>"\s]*\.meta4>; rel=describedby; type="application\/metalink4\+xml"$/,
        );
    }),
    { numRuns: 2000 },
  );
});
