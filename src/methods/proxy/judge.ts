import type { HttpCheckOptions } from "../../checks/http.ts";
import { configProblem, type Problem } from "../../core/problem.ts";
import { type Geography, listenerName, type Service } from "../../core/service.ts";
import { judgeHttpTogether } from "../../relay/judge.ts";
import { judgeRoutePlaces, judgeRoutes } from "./judge-routes.ts";
import type { ProxyOptions } from "./options.ts";

const impossible = (path: readonly (string | number)[], message: string, hint: string): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint });

/** What a proxy service cannot do of what it asks. */
export function judge(service: Service<ProxyOptions>): Problem[] {
  const problems = [...judgeUdp(service), ...judgeCheck(service), ...judgeRoutes(service)];
  const { mode, accessLog, retryOn, sticky } = service.options;
  if (mode !== "tcp") return problems;
  if (service.names.length > 0)
    problems.push(impossible(["names"], "In tcp mode no name is read.", "Remove the names, or use mode http."));
  if (accessLog !== undefined)
    problems.push(
      impossible(["proxy", "accessLog"], "In tcp mode there are no requests to log.", "Remove it, or use mode http."),
    );
  if (sticky !== undefined)
    problems.push(impossible(["proxy", "sticky"], "In tcp mode no request is read.", "Remove it, or use source-hash."));
  if (retryOn.length > 0)
    problems.push(impossible(["proxy", "retryOn"], "In tcp mode no status is read.", "Remove it, or use mode http."));
  return problems;
}

/** Where datagrams arrive, and what they cannot have. */
function judgeUdp({ listen, options }: Service<ProxyOptions>): Problem[] {
  const problems: Problem[] = [];
  for (const [i, { address, protocol }] of listen.entries())
    if (protocol === "udp" && (address === "0.0.0.0" || address === "::"))
      problems.push(
        impossible(
          ["listen", i],
          "At every address UDP could not be answered from the address that was asked.",
          "Name each address.",
        ),
      );
  if (options.sendProxy !== undefined && listen.some(({ protocol }) => protocol === "udp"))
    problems.push({
      ...impossible(["proxy", "sendProxy"], "Datagrams go on without a PROXY header.", "It is for TCP listeners."),
      severity: "warning",
    });
  return problems;
}

/** A backend that insists on a PROXY header does so of checks too. */
function judgeCheck({ check, options: { sendProxy } }: Service<ProxyOptions>): Problem[] {
  if (sendProxy === undefined || check?.kind !== "http") return [];
  const { sendProxy: own, tls } = check.options as HttpCheckOptions;
  if (own !== undefined || tls !== false) return [];
  const hint = `Write sendProxy: ${sendProxy} under check: http too, if backends insist on it.`;
  const message = "The check begins without a PROXY header, which requests have.";
  return [{ ...impossible(["check"], message, hint), severity: "warning" }];
}

/** Services on one listener are told apart by the request's host, which tcp mode does not read. */
export function judgeTogether(
  services: readonly Service<ProxyOptions>[],
  _settings?: unknown,
  geography?: Geography,
): Problem[] {
  const problems = judgeHttpTogether(services);
  if (geography) problems.push(...services.flatMap((service) => judgeRoutePlaces(service, geography)));
  for (const service of services.filter(({ options }) => options.mode === "tcp"))
    for (const [i, listener] of service.listen.entries()) {
      if (listener.protocol !== "tcp") continue;
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
