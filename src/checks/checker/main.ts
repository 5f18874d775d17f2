/** The checker: a child of the supervisor that runs probes. Backends' bytes are strangers' bytes; it has no rights. */
import type { Verdict } from "../../core/check.ts";
import { CHECKER_BEAT, type FromChecker, type ToChecker } from "../../core/worker-protocol.ts";
import { now } from "../../runtime/clock.ts";
import { parentPort } from "../../runtime/ipc.ts";
import { dropPrivileges } from "../../runtime/privileges.ts";
import agent from "../agent.ts";
import { checks } from "../list.ts";
import { Schedule } from "./schedule.ts";

const port = parentPort<ToChecker, FromChecker>();
dropPrivileges();

/** Verdicts of this turn of the loop: a message costs more than a verdict. */
let verdicts: [key: string, verdict: Verdict][] = [];

function tell(): void {
  port.send({ kind: "verdicts", verdicts });
  verdicts = [];
}

const schedule = new Schedule({
  checks: [...checks, agent],
  now,
  verdict(key, verdict) {
    if (verdicts.push([key, verdict]) === 1) setImmediate(tell);
  },
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
});

port.onMessage(({ jobs }) => schedule.set(jobs));
port.onClosed(() => process.exit(0));
// A Ctrl-C goes to the whole group; the supervisor decides when its children end.
process.on("SIGINT", () => {});
port.send({ kind: "ready" });
setInterval(() => port.send({ kind: "beat" }), CHECKER_BEAT);
