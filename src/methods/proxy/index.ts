import { defineMethod } from "../../core/method.ts";
import { type CompiledProxy, compile } from "./compile.ts";
import { judge, judgeTogether } from "./judge.ts";
import { options, type ProxyOptions } from "./options.ts";

/** A terminating HTTP/1.1 gateway: each request goes on as a new one, on a connection of our own. */
export const proxy = defineMethod<ProxyOptions, CompiledProxy>({
  name: "proxy",
  summary: "Relays each HTTP request, TCP connection or UDP session to a backend over sockets of its own.",
  layer: 7,
  runs: "worker",
  options,
  traits: {
    face: "pick",
    load: "own",
    seesResponses: true,
    translatesPort: true,
    preparesRealServer: false,
    checks: "backend",
    needs: ["CAP_NET_BIND_SERVICE"],
    counts: [
      "connections",
      "active",
      "requests",
      "errors",
      "retries",
      "failures",
      "waited",
      "queued",
      "unlogged",
      "bytesIn",
      "bytesOut",
    ],
    names: "optional",
    arrival: "listen",
    protocols: ["tcp", "udp"],
    places: true,
    defaultScheduler: "least-connections",
  },
  judge,
  judgeTogether,
  compile,
  worker: async () => (await import("./worker.ts")).workerSide,
});
export default proxy;
