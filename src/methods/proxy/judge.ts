import { configProblem, type Problem } from "../../core/problem.ts";
import { listenerName, type Service } from "../../core/service.ts";
import { closestWord } from "../../core/words.ts";
import { judgeHttp, judgeHttpTogether } from "../../relay/judge.ts";
import { tagsOf } from "../../relay/route-options.ts";
import type { ProxyOptions } from "./options.ts";

const impossible = (path: readonly (string | number)[], message: string, hint: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });

/** What a proxy service cannot do of what it asks. */
export function judge(service: Service<ProxyOptions>): Problem[] {
  const problems = [...judgeHttp(service), ...judgeRoutes(service)];
  const { mode, accessLog, retryOn, sticky } = service.options;
  if (mode !== "tcp") return problems;
  if (service.names.length > 0)
    problems.push(impossible(["names"], "In tcp mode no name is read.", "Remove the names, or use mode http."));
  if (accessLog !== undefined)
    problems.push(
      impossible(["proxy", "accessLog"], "In tcp mode there are no requests to log.", "Remove it, or use mode http."),
    );
  if (sticky !== undefined)
    problems.push(impossible(["proxy", "sticky"], "In tcp mode no cookie is read.", "Remove it, or use source-hash."));
  if (retryOn.length > 0)
    problems.push(impossible(["proxy", "retryOn"], "In tcp mode no status is read.", "Remove it, or use mode http."));
  return problems;
}

/** Routes lead to tags that some backend bears, and may be reached. */
function judgeRoutes({ backends, options: { routes, mode } }: Service<ProxyOptions>): Problem[] {
  const problems: Problem[] = [];
  const tags = [...new Set(backends.flatMap((backend) => backend.tags))].sort();
  if (mode === "tcp" && routes.length > 0)
    problems.push(impossible(["proxy", "routes"], "In tcp mode no request is read.", "Remove them, or use mode http."));
  for (const [i, route] of routes.entries()) {
    const place = ["proxy", "routes", i];
    if (route.path !== undefined && route.prefix !== undefined)
      problems.push(impossible([...place, "prefix"], "A route has a path or a prefix.", "Remove one of the two."));
    const split = tagsOf(route);
    for (const [k, { tag }] of split.entries())
      if (!tags.includes(tag)) {
        const path = typeof route.to === "string" ? [...place, "to"] : [...place, "to", k, "tag"];
        const closest = closestWord(tag, tags);
        const more = { valid: tags, ...(closest === undefined ? {} : { closest }) };
        problems.push(configProblem("SLUICE_CONFIG_VALUE", path, `No backend has the tag "${tag}".`, more));
      }
    if (split.length > 0 && split.every(({ weight }) => weight === 0))
      problems.push(configProblem("SLUICE_CONFIG_VALUE", [...place, "to"], "All weights are 0: it leads nowhere."));
  }
  return problems;
}

/** Services on one listener are told apart by the request's host, which tcp mode does not read. */
export function judgeTogether(services: readonly Service<ProxyOptions>[]): Problem[] {
  const problems = judgeHttpTogether(services);
  for (const service of services.filter(({ options }) => options.mode === "tcp"))
    for (const [i, listener] of service.listen.entries()) {
      const where = listenerName(listener);
      const other = services.find((s) => s !== service && s.listen.some((l) => listenerName(l) === where));
      if (other === undefined || problems.some(({ path }) => path[0] === service.name && path[1] === "listen"))
        continue;
      const message = `${service.name} takes every connection at ${where}, so that ${other.name} would get none.`;
      problems.push(
        configProblem("SLUICE_CONFIG_CONFLICT", [service.name, "listen", i], message, {
          hint: "Give it its own address.",
        }),
      );
    }
  return problems;
}
