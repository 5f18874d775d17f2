import { configProblem, type Problem } from "../../core/problem.ts";
import type { Geography, Service } from "../../core/service.ts";
import { closestWord } from "../../core/words.ts";
import { freestReading } from "../../relay/plain-path.ts";
import { placesOfRoute, type RouteOptions, tagsOf } from "../../relay/route-options.ts";
import type { ProxyOptions } from "./options.ts";

type Place = readonly (string | number)[];

const impossible = (path: Place, message: string, hint: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });

/** A word that is none of those that are known. */
function unknown(path: Place, message: string, word: string, valid: readonly string[]): Problem {
  const closest = closestWord(word, valid);
  return configProblem("SLUICE_CONFIG_VALUE", path, message, { valid, ...(closest === undefined ? {} : { closest }) });
}

/** Routes lead to tags that some backend bears, and may be reached. */
export function judgeRoutes({ backends, options: { routes, mode, paths } }: Service<ProxyOptions>): Problem[] {
  const problems: Problem[] = [];
  const tags = [...new Set(backends.flatMap((backend) => backend.tags))].sort();
  if (mode === "tcp" && routes.length > 0)
    problems.push(impossible(["proxy", "routes"], "In tcp mode no request is read.", "Remove them, or use mode http."));
  for (const [i, route] of routes.entries()) {
    const place = ["proxy", "routes", i];
    problems.push(...judgePaths(route, place));
    if (paths === "plain") problems.push(...judgePlain(route, place));
    const split = tagsOf(route);
    for (const [k, { tag }] of split.entries())
      if (!tags.includes(tag)) {
        const path = typeof route.to === "string" ? [...place, "to"] : [...place, "to", k, "tag"];
        problems.push(unknown(path, `No backend has the tag "${tag}".`, tag, tags));
      }
    if (split.length > 0 && split.every(({ weight }) => weight === 0))
      problems.push(configProblem("SLUICE_CONFIG_VALUE", [...place, "to"], "All weights are 0: it leads nowhere."));
  }
  return problems;
}

/** One way to say which paths, and one to say what becomes of them. */
function judgePaths(route: RouteOptions, place: Place): Problem[] {
  const problems: Problem[] = [];
  const [first, second] = (["path", "prefix", "regex"] as const).filter((key) => route[key] !== undefined);
  if (first !== undefined && second !== undefined)
    problems.push(impossible([...place, second], `A route has a ${first} or a ${second}.`, "Remove one of the two."));
  const { path, prefix } = route.request;
  const where = [...place, "request", "prefix"];
  if (prefix !== undefined && path !== undefined)
    problems.push(impossible(where, "The whole path is replaced already.", "Remove one of the two."));
  else if (prefix !== undefined && route.prefix === undefined)
    problems.push(impossible(where, "The route has no prefix that could be replaced.", "Give the route a prefix."));
  return problems;
}

/** A path that is not plain would be refused whenever it is asked for. */
function judgePlain(route: RouteOptions, place: Place): Problem[] {
  return (["path", "prefix"] as const).flatMap((key) => {
    const text = route[key];
    const freest = text === undefined ? undefined : freestReading(text);
    if (text === freest) return [];
    const hint = freest === null ? "Write where it leads." : `Write ${freest}, or paths: as-sent beside routes.`;
    return [impossible([...place, key], `Backends differ in how they read ${text}: such requests are refused.`, hint)];
  });
}

/** Routes by place name places that there are. Paths begin with the service's name. */
export function judgeRoutePlaces(
  { name, options: { routes } }: Service<ProxyOptions>,
  geography: Geography,
): Problem[] {
  const known = Object.keys(geography.places);
  return routes.flatMap((route, i) =>
    placesOfRoute(route).flatMap((place, k) => {
      if (known.includes(place)) return [];
      const path = [name, "proxy", "routes", i, "place", ...(typeof route.place === "string" ? [] : [k])];
      return [unknown(path, `There is no place "${place}".`, place, known)];
    }),
  );
}
