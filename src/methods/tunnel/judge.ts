import { isIPv6 } from "../../core/address.ts";
import { configProblem, type Problem } from "../../core/problem.ts";
import type { Service } from "../../core/service.ts";
import type { Options } from "./options.ts";

/** What `tunnel` cannot do of what this service asks. */
export function judge(service: Service<Options>): Problem[] {
  const problems: Problem[] = [];
  const impossible = (path: (string | number)[], message: string, hint: string): void => {
    problems.push(configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint }));
  };
  service.listen.forEach(({ address }, i) => {
    if (isIPv6(address))
      impossible(["listen", i], "tunnel does not forward IPv6 yet.", "Use an IPv4 VIP, or the method proxy.");
    else if (address === "0.0.0.0")
      impossible(["listen", i], "tunnel needs a VIP of its own, not every address.", "Name the VIP.");
  });
  const ports = new Set(service.listen.map(({ port }) => port));
  service.backends.forEach(({ address, port }, i) => {
    if (isIPv6(address))
      impossible(["backends", i, "address"], "tunnel does not forward IPv6 yet.", "Use the backend's IPv4 address.");
    if (port !== null && (ports.size !== 1 || !ports.has(port)))
      impossible(
        ["backends", i, "port"],
        `tunnel leaves the port of a packet alone: the backend cannot be on ${port}.`,
        "Leave the port away, or use the method nat or proxy.",
      );
    if (service.listen.some((listener) => listener.address === address))
      impossible(
        ["backends", i, "address"],
        "A backend cannot have the VIP as its own address.",
        "Name the real server's own address.",
      );
  });
  return problems;
}
