import type { CounterName, Counts } from "../core/counters.ts";
import type { StatusModel } from "./status.ts";

/** What a service or a backend did between two looks, each second; null where its method cannot know. */
export interface Rates {
  service: string;
  /** Null: the service as a whole. */
  backend: string | null;
  /** What it has under way at the second look. */
  active: number | null;
  /** Requests; where they are not seen connections, where those are not either packets. */
  work: number | null;
  errors: number | null;
  /** Bytes from clients and to them. */
  bytesIn: number | null;
  bytesOut: number | null;
  /** Its part of the service's work, 0..1; null for the service, and where there was none. */
  part: number | null;
}

/** Each second, by the times of both looks. A count that fell began anew: what it is now has come since. */
function perSecond(then: Counts | undefined, now: Counts, name: CounterName, seconds: number): number | null {
  const [from, to] = [then?.[name] ?? 0, now[name]];
  if (to === null) return null;
  return (to >= from ? to - from : to) / seconds;
}

const workOf = ({ requests, connections }: Counts): CounterName =>
  requests !== null ? "requests" : connections !== null ? "connections" : "packetsIn";

/**
 * Compares two looks at an instance: the busiest service first, its backends under it, the busiest first. A service or
 * backend that the first look had not counts from 0.
 */
export function ratesBetween(then: StatusModel, now: StatusModel): Rates[][] {
  const seconds = Math.max(0.001, (now.at - then.at) / 1000);
  const before = new Map<string, Counts>();
  for (const { name, counts, backends } of then.services) {
    before.set(name, counts);
    for (const backend of backends) before.set(`${name} ${backend.name}`, backend.counts);
  }
  const blocks = now.services.map(({ name, counts, backends }) => {
    const rates = (backend: string | null, own: Counts): Rates => {
      const old = before.get(backend === null ? name : `${name} ${backend}`);
      const rate = (counter: CounterName) => perSecond(old, own, counter, seconds);
      const [work, errors] = [rate(workOf(counts)), rate("errors")];
      const [bytesIn, bytesOut] = [rate("bytesIn"), rate("bytesOut")];
      return { service: name, backend, active: own.active, work, errors, bytesIn, bytesOut, part: null };
    };
    const below = backends.map((backend) => rates(backend.name, backend.counts)).sort(byWork);
    const sum = below.reduce((all, { work }) => all + (work ?? 0), 0);
    for (const row of below) row.part = sum > 0 && row.work !== null ? row.work / sum : null;
    return [rates(null, counts), ...below];
  });
  return blocks.sort(([a], [b]) => byWork(a!, b!));
}

const byWork = (a: Rates, b: Rates): number => (b.work ?? -1) - (a.work ?? -1);
