import { configProblem, type Problem } from "../core/problem.ts";
import type { Geography, Service } from "../core/service.ts";

/** What keeps a service with `nearest` from being served by place. Paths are relative to the service. */
export function judgeNearest({ nearest, backends }: Service, geography: Geography): Problem[] {
  if (!nearest) return [];
  const path = ["nearest"];
  const known = Object.keys(geography.places);
  if (known.length === 0)
    return [configProblem("SLUICE_CONFIG_MISSING", path, "nearest needs places: write them under the top-level key.")];
  if (backends.some(({ tags }) => tags.some((tag) => known.includes(tag)))) return [];
  const message = `No backend has a place as its tag: ${known.join(", ")}. All clients would get all backends.`;
  return [configProblem("SLUICE_CONFIG_VALUE", path, message, { severity: "warning" })];
}

/** Places by country need a database. Paths are absolute. */
export function judgeGeography({ places, geo }: Geography): Problem[] {
  if (geo !== undefined) return [];
  return Object.entries(places).flatMap(([name, place]) =>
    (["countries", "continents"] as const).flatMap((key) =>
      place[key].length === 0
        ? []
        : [
            configProblem("SLUICE_CONFIG_MISSING", ["places", name, key], "Places by country need a database.", {
              hint: "Write the path of a MaxMind file under the top-level key geo.",
            }),
          ],
    ),
  );
}
