import { expect, test } from "bun:test";
import { copyFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { judgeGeography } from "./judge.ts";
import { withMmdb } from "./mmdb-testing.ts";
import { geo, places } from "./schema.ts";

const faults = (given: object): string[] => (places.safeParse(given).error?.issues ?? []).map(({ message }) => message);

test("places that cannot be", () => {
  expect(faults({ a: { next: ["b"] } })).toEqual(['There is no place "b".']);
  expect(faults({ a: { networks: ["10.0.0.0/8"] }, b: { networks: ["10.0.0.0/8"] } })).toEqual([
    '10.0.0.0/8 stands in "a" already: it is in one place.',
  ]);
  expect(faults({ a: { countries: ["de"] }, b: { countries: ["DE"] } })).toHaveLength(1);
  expect(faults({ a: { networks: ["10.0.0.1/8"] } })).toHaveLength(1);
});

test("a country and a continent of the same letters are two things", () => {
  expect(faults({ namibia: { countries: ["NA"] }, america: { continents: ["NA"] } })).toEqual([]);
});

test("countries need a database, which is opened when the file is read", () => {
  const given = places.parse({ de: { countries: ["de"] }, office: { networks: ["10.0.0.0/8"] } });
  expect(judgeGeography({ places: given })).toMatchObject([{ path: ["places", "de", "countries"] }]);
  withMmdb([{ prefix: "198.51.0.0/16", country: "DE", continent: "EU" }], (file) => {
    const opened = geo.parse(file);
    expect(judgeGeography({ places: given, geo: opened })).toEqual([]);
    expect(z.encode(geo, opened)).toBe(file);
    writeFileSync(file, "nothing of the kind");
    expect(geo.safeParse(file).error!.issues[0]!.message).toContain("no database");
    expect(geo.safeParse(join(file, "..", "none")).error!.issues[0]!.message).toContain("no such file");
  });
});

test("a file that takes another's place is seen, though it has its size and its time", () => {
  withMmdb([{ prefix: "198.51.0.0/16", country: "DE", continent: "EU" }], (file) => {
    const { state } = geo.parse(file);
    expect(geo.parse(file).state).toBe(state);
    const { atime, mtime } = statSync(file);
    copyFileSync(file, `${file}.new`);
    for (const each of [file, `${file}.new`]) utimesSync(each, atime, mtime);
    const before = geo.parse(file).state;
    renameSync(`${file}.new`, file);
    expect(geo.parse(file).state).not.toBe(before);
  });
});
