import type { Event, EventBody } from "../core/event.ts";
import { printable } from "./printable.ts";

/**
 * An event with its place in the stream: +1 each. A reader that comes back says the last one it has. Where a log begins it is
 * beyond all that an earlier daemon has given: who read that one's gets all of this one's, and sees that a gap lies between.
 */
export interface Recorded {
  sequence: number;
  event: Event;
}

export interface EventLog {
  /** Adds the time, keeps the event, tells the subscribers. */
  record(body: EventBody): Event;
  /** Oldest first; only those after `after`. All, where that was never given here: the clock was set back since another did. */
  list(after?: number): Recorded[];
  /** Called for each new one, in order. Returns how to stop. */
  subscribe(listener: (recorded: Recorded) => void): () => void;
}

/** Places for each ms of a daemon's life: more than it can record. Until the year 2255 they are exact as numbers. */
const PER_MS = 1000;

/** Keeps the last `size` events. `now`: ms since 1970. */
export function createEventLog(size = 1000, now: () => number = Date.now): EventLog {
  const kept: Recorded[] = [];
  const listeners = new Set<(recorded: Recorded) => void>();
  let sequence = now() * PER_MS;
  return {
    record(body) {
      const event = { at: now(), ...body } as Event;
      const recorded = { sequence: ++sequence, event };
      kept.push(recorded);
      if (kept.length > size) kept.shift();
      for (const listener of listeners) {
        try {
          listener(recorded);
        } catch {
          // One reader's failure is neither the recorder's nor the other readers'.
          listeners.delete(listener);
        }
      }
      return event;
    },
    list: (after = 0) => kept.filter((recorded) => recorded.sequence > after || after > sequence),
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** ms as a person reads them: `0.4 ms`, `35 ms`, `1.2 s`. */
export const latencyText = (ms: number): string =>
  ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 10 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;

/** The one sentence of an event, for log, `events` and dashboard. Without its time; always one line. */
export function eventText(event: EventBody): string {
  return printable(sentence(event));
}

function sentence(event: EventBody): string {
  switch (event.kind) {
    case "backend":
      return backendSentence(event);
    case "revision": {
      if (event.outcome === "running")
        return `revision ${event.revision} RUNNING${event.changes.length > 0 ? ` — ${event.changes.join(", ")}` : ""}`;
      const [first] = event.problems;
      const count = `${event.problems.length} ${event.problems.length === 1 ? "problem" : "problems"}`;
      const whose = first?.path[0] === "services" ? `service ${first.path[1]}: ` : "";
      const why = first ? `: ${whose}${first.code} ${first.message}` : "";
      return `revision ${event.revision} REFUSED — ${count}${why}; the running configuration stays`;
    }
    case "worker":
      return `worker ${event.pid} ${event.what.toUpperCase()}${event.detail ? ` — ${event.detail}` : ""}`;
    case "checker":
      return `checker ${event.pid} ${event.what.toUpperCase()} — ${event.detail}; another takes its place`;
    case "service":
      return `service ${event.service} ${event.what.toUpperCase()}${event.problem ? ` — ${event.problem.code} ${event.problem.message}` : ""}`;
    case "group":
      return `group ${event.service}/${event.group} ${event.good ? "GOOD" : "FAILED"} — ${event.up} of ${event.of} up`;
    case "panic":
      return `service ${event.service} PANIC ${event.on ? "ON" : "OFF"} — ${event.healthy} of ${event.of} healthy; ${event.on ? "all" : "only they"} get work`;
    case "role":
      return `service ${event.service} ${event.what.toUpperCase()} — this director ${event.what === "promoted" ? "holds" : "gave up"} its addresses`;
  }
}

/** `backend web/10.0.0.7:80 DOWN — tcp connect refused (check 3/3, 0.4 ms); 4 of 5 eligible` */
function backendSentence(event: Extract<EventBody, { kind: "backend" }>): string {
  const facts = [
    event.progress ? `check ${event.progress.count}/${event.progress.of}` : "",
    event.latency === null ? "" : latencyText(event.latency),
  ].filter(Boolean);
  const detail = event.detail ? ` — ${event.detail}` : "";
  const how = facts.length > 0 ? ` (${facts.join(", ")})` : "";
  const left = `${event.eligible} of ${event.of} eligible`;
  return `backend ${event.service}/${event.backend} ${event.to.toUpperCase()}${detail}${how}; ${left}`;
}
