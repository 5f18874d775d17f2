import { defineMethod } from "../../core/method.ts";
import { judgeHttpTogether } from "../../relay/judge.ts";
import { type CompiledRedirect, compile } from "./compile.ts";
import { judge } from "./judge.ts";
import { options, type RedirectOptions } from "./options.ts";

/** Answers each HTTP request with the address of a backend; the client goes there by itself. */
export const redirect = defineMethod<RedirectOptions, CompiledRedirect>({
  name: "redirect",
  summary: "Answers each HTTP request with 302 and the URL of a backend.",
  layer: 7,
  runs: "worker",
  options,
  traits: {
    face: "pick",
    // The client's exchange with the backend is not seen: only what backends report is known of their load.
    load: "reported",
    seesResponses: false,
    translatesPort: true,
    preparesRealServer: false,
    checks: "backend",
    needs: ["CAP_NET_BIND_SERVICE"],
    counts: ["connections", "active", "requests", "errors", "unlogged", "bytesIn", "bytesOut"],
    names: "optional",
    arrival: "listen",
    protocols: ["tcp"],
    places: true,
    defaultScheduler: "weighted-round-robin",
  },
  judge,
  judgeTogether: judgeHttpTogether,
  compile,
  worker: async () => (await import("./worker.ts")).workerSide,
});
export default redirect;
