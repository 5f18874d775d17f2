import { configProblem, type Problem } from "../core/problem.ts";
import { listenerName, type Service } from "../core/service.ts";

/** What every service over HTTP must keep to: TCP listeners. Paths are relative to the service. */
export function judgeHttp(service: Service): Problem[] {
  return service.listen.flatMap((listener, i) =>
    listener.protocol === "tcp"
      ? []
      : [
          configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["listen", i], `${service.method} serves HTTP over TCP, not UDP.`, {
            hint: "Remove /udp from the address.",
          }),
        ],
  );
}

/** Services on one listener are told apart by the request's host: at most one may do without names, none may share one. */
export function judgeHttpTogether(services: readonly Service[]): Problem[] {
  const problems: Problem[] = [];
  const taken = new Map<string, string>();
  for (const service of services)
    for (const [i, listener] of service.listen.entries()) {
      const where = listenerName(listener);
      const names = service.names.length === 0 ? [""] : service.names;
      for (const [k, name] of names.entries()) {
        const key = `${where} ${name}`;
        const other = taken.get(key);
        if (other === undefined) taken.set(key, service.name);
        else if (other !== service.name) problems.push(clash(service.name, other, where, name, i, k));
      }
    }
  return problems;
}

function clash(service: string, other: string, where: string, name: string, i: number, k: number): Problem {
  return name === ""
    ? configProblem(
        "SLUICE_CONFIG_CONFLICT",
        [service, "listen", i],
        `${service} and ${other} both serve every name at ${where}.`,
        { hint: "Give them names, or another address." },
      )
    : configProblem(
        "SLUICE_CONFIG_CONFLICT",
        [service, "names", k],
        `${service} and ${other} both serve ${name} at ${where}.`,
        { hint: "Remove the name from one of the two." },
      );
}
