import { defineMethod } from "../../core/method.ts";
import type { Listener } from "../../core/service.ts";
import { type CompiledDns, compile } from "./compile.ts";
import { judge, judgeTogether } from "./judge.ts";
import { type DnsOptions, type DnsSettings, options, settings } from "./options.ts";
import { groupStates } from "./steering/judged.ts";
import { goesBy } from "./steering/plan.ts";
import { tallies } from "./tally.ts";

/** An authoritative name server: answers the names of its services with the addresses of their backends. */
export const dns = defineMethod<DnsOptions, CompiledDns>({
  name: "dns",
  summary: "Answers names with the addresses of healthy backends, in the scheduler's order.",
  layer: 7,
  runs: "worker",
  options,
  settings,
  tallies,
  /** UDP and TCP at every address of `dns: listen` (TCP is not optional: RFC 7766 5). */
  sockets(services, given): Listener[] {
    if (services.length === 0 || given === undefined) return [];
    return (given as DnsSettings).listen.flatMap(({ address, port }): Listener[] => [
      { address, port, protocol: "udp" },
      { address, port, protocol: "tcp" },
    ]);
  },
  traits: {
    face: "order",
    // Clients go to the backends by themselves: only what backends report is known of their load.
    load: "reported",
    seesResponses: false,
    translatesPort: false,
    preparesRealServer: false,
    checks: "backend",
    needs: ["CAP_NET_BIND_SERVICE"],
    counts: ["requests", "errors"],
    names: "required",
    arrival: "settings",
    protocols: ["udp", "tcp"],
    places: true,
    defaultScheduler: "weighted-round-robin",
  },
  judge,
  judgeTogether,
  compile,
  groups: groupStates,
  readsLatency: ({ options: { steer } }) => steer !== undefined && goesBy(steer, "latency"),
  explain: async () => (await import("./explain.ts")).explain,
  keeper: async () => new (await import("./dnssec/keeper.ts")).Keeper(),
  fastPath: async (doors) => (await import("./xdp/fast-path.ts")).createFastPath(doors),
  worker: async () => (await import("./worker.ts")).workerSide,
});
export default dns;
