import { catalog } from "../catalog.ts";
import type { Doors, Method } from "../core/method.ts";
import { type Problem, toProblem } from "../core/problem.ts";
import type { Config } from "../core/service.ts";
import { createEventLog, type EventLog, eventText } from "../observe/events.ts";
import { createLog, type Level, type Log } from "../observe/log.ts";
import { createHostChanges } from "../system/host-changes.ts";
import { createHostFacts } from "../system/host-facts.ts";
import type { Instance } from "../system/instance.ts";
import { Supervisor } from "./supervisor.ts";

/** A supervisor with its doors to the host, its log and its events. */
export interface Assembled {
  supervisor: Supervisor;
  events: EventLog;
  log: Log;
  /** Undoes what an earlier daemon of the instance had set and this one has not asked for. */
  sweep(): Promise<Problem[]>;
}

/** Puts a supervisor together for an instance whose lock is held. Starts nothing. */
export function assemble(instance: Instance, config: Config, options: { standby: boolean }): Assembled {
  const log = createLog(config.log);
  const events = createEventLog();
  events.subscribe(({ event }) => {
    const level = levelOf(event);
    // A sentence costs more than an event: twenty thousand backends come up in a second.
    if (log.says(level)) log(level, eventText(event));
  });
  const host = createHostChanges(instance.runDir);
  const doorsOf = (method: Method): Doors => ({
    instance: instance.name,
    runDir: instance.runDir,
    bpfDir: instance.bpfDir,
    facts: createHostFacts(instance.name),
    schedulers: (name) => catalog.schedulers.find((scheduler) => scheduler.name === name)!,
    change: (changes) => host.change(changes, method.name),
    undo: (changes) => host.undo(changes, method.name),
    log,
    standby: options.standby,
  });
  const workers = config.workers ?? navigator.hardwareConcurrency;
  const { standby } = options;
  const { start } = config;
  const supervisor = new Supervisor({ instance, catalog, events, doorsOf, log, workers, standby, start });
  return { supervisor, events, log, sweep: host.sweep };
}

/** How loud an event is: what costs somebody service is a warning. */
function levelOf(event: Parameters<typeof eventText>[0]): Level {
  if (event.kind === "backend") return event.to === "down" ? "warn" : "info";
  if (event.kind === "revision") return event.outcome === "refused" ? "error" : "info";
  if (event.kind === "service") return event.what === "failed" ? "error" : "info";
  if (event.kind === "group") return event.good ? "info" : "warn";
  if (event.kind === "checker") return "error";
  if (event.kind !== "worker") return "info";
  return event.what === "died" ? "error" : event.what === "lacking" ? "warn" : "info";
}

/** Runs `work` and turns what it throws into a problem. */
export async function attempt(work: () => Promise<Problem[]>): Promise<Problem[]> {
  try {
    return await work();
  } catch (thrown) {
    return [toProblem(thrown)];
  }
}
