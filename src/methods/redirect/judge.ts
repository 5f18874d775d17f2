import { configProblem, type Problem } from "../../core/problem.ts";
import type { Service } from "../../core/service.ts";
import { judgeHttp } from "../../relay/judge.ts";
import { urlFault } from "./location.ts";
import type { RedirectOptions } from "./options.ts";

/** What of a service cannot be served by redirects. */
export function judge(service: Service<RedirectOptions>): Problem[] {
  const problems = judgeHttp(service);
  for (const [i, { url }] of service.backends.entries()) {
    const fault = url === undefined ? null : urlFault(url);
    if (fault === null) continue;
    problems.push(
      configProblem("SLUICE_CONFIG_VALUE", ["backends", i, "url"], `A redirect cannot name this url: ${fault}.`, {
        hint: "Write scheme, host, and a path if need be: https://mirror.example.com/pub.",
      }),
    );
  }
  const { status } = service.options;
  if (status === 301 || status === 308)
    problems.push({
      ...configProblem(
        "SLUICE_CONFIG_VALUE",
        ["redirect", "status"],
        `Clients remember a ${status} and do not ask again: they stay on a backend after its death.`,
        { hint: "Use 302, or 307 to keep the method." },
      ),
      severity: "warning",
    });
  return problems;
}
