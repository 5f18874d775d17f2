import { defineMethod, type Method } from "../core/method.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import type { Service } from "../core/service.ts";
import { planeChanges } from "./changes.ts";
import { judgeChoice } from "./judge-choice.ts";
import { judgePlaces } from "./judge-places.ts";
import { type PlaneOptions, planeOptions } from "./plane-options.ts";
import { compilePlane, type ForwardName, type PlaneService } from "./plane-service.ts";

/**
 * A method whose packets reach a prepared real server as the client sent them, and whose responses pass the director
 * by. `own`: what tells it from its sibling; how the kernel forwards is in its room's `forward.bpf.h`.
 */
export const realServerMethod = (
  own: Pick<Method, "summary" | "layer"> & { name: ForwardName },
): Method<PlaneOptions, PlaneService> =>
  defineMethod<PlaneOptions, PlaneService>({
    ...own,
    runs: "kernel",
    options: planeOptions,
    traits: {
      face: "slots",
      // Responses pass the director by, so it never learns how much a backend has under way.
      load: "reported",
      seesResponses: false,
      translatesPort: false,
      preparesRealServer: true,
      checks: "vip-at-backend",
      needs: ["CAP_NET_ADMIN", "CAP_BPF", "xdp"],
      // Flows are counted where the scheduler remembers them; else `connections` and `active` are unknown.
      counts: ["connections", "active", "packetsIn", "bytesIn", "drops"],
      names: "optional",
      arrival: "listen",
      protocols: ["tcp", "udp"],
      places: true,
      defaultScheduler: "maglev",
    },
    judge,
    judgeTogether: (services, _settings, geography) => judgePlaces(services, geography),
    compile: compilePlane,
    changes: (compiled, host) => planeChanges(compiled, host, own.name),
    control: async (doors) => (await import("./applier.ts")).createXdpApplier(doors, own.name),
  });

/** What a method that leaves packets as they are cannot do of what this service asks. */
function judge(service: Service<PlaneOptions>): Problem[] {
  const { method, listen, backends } = service;
  const problems = judgeChoice(service);
  const impossible = (path: (string | number)[], message: string, hint: string): void => {
    problems.push(configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, message, { hint }));
  };
  listen.forEach(({ address }, i) => {
    if (address === "0.0.0.0" || address === "::")
      impossible(["listen", i], `${method} needs a VIP of its own, not every address.`, "Name the VIP.");
  });
  const ports = new Set(listen.map(({ port }) => port));
  const one = ports.size === 1 && listen.every(({ last }) => last === undefined);
  backends.forEach(({ address, port }, i) => {
    if (port !== null && !(one && ports.has(port)))
      impossible(
        ["backends", i, "port"],
        `${method} leaves the port of a packet alone: the backend cannot be on ${port}.`,
        "Leave the port away, or use the method nat or proxy.",
      );
    if (listen.some((listener) => listener.address === address))
      impossible(
        ["backends", i, "address"],
        "A backend cannot have the VIP as its own address.",
        "Name the real server's own address.",
      );
  });
  return problems;
}
