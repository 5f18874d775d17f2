import { configProblem, type Problem } from "../core/problem.ts";
import { mixedAnswers } from "./answers-apart.ts";
import { MOST_ARRIVALS } from "./arrivals.ts";
import { arrivalsOf, countArrivals } from "./arrivals-of.ts";
import { CHECKED_BACKENDS } from "./check-ports.ts";
import { Limit } from "./generated/layout.ts";
import { backendKey, type LocalBackend } from "./local-backend.ts";
import { type ForwardName, type PlaneService, portOf, slotsOf, withParts } from "./plane-service.ts";
import type { ServiceState } from "./service-state.ts";

/** What stands in the plane now, and what numbers are left. */
export interface Standing {
  services: Iterable<ServiceState>;
  servicesLeft: number;
  backendsLeft: number;
}

/** A service as it would stand: those of its backends that are there or still have flows, and the new ones. */
interface Future {
  name: string;
  known: boolean;
  fresh: number;
  arriving: Pick<ServiceState, "name" | "number" | "forward" | "config" | "locals">;
}

function futureOf(config: PlaneService, forward: ForwardName, state: ServiceState | undefined, spare: number): Future {
  const locals = new Map(state?.locals);
  const keys = new Set([...locals.values()].map(({ key }) => key));
  const usualPort = portOf(config, { port: null });
  const before = locals.size;
  for (const { address, port } of config.backends) {
    const named = { address, port: port ?? usualPort };
    const key = backendKey(named);
    if (keys.has(key)) continue;
    keys.add(key);
    // No number yet: the key is what counts.
    const one: LocalBackend = {
      ...named,
      key,
      local: locals.size,
      number: 0,
      id: null,
      weight: 1,
      state: 0,
      downSince: null,
    };
    locals.set(Limit.MAX_LOCAL + locals.size, one);
  }
  const arriving = { name: config.name, number: state?.number ?? Limit.MAX_SERVICES + spare, forward, config, locals };
  return { name: config.name, known: state !== undefined, fresh: locals.size - before, arriving };
}

const short = (what: string, path: Problem["path"] = []): Problem =>
  configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, `The data plane holds no ${what}.`);

/**
 * What the maps cannot hold of these services beside what is there, each wanting thing once; empty: all of it can be put in
 * force. Everything that a commit numbers or places is counted here, since a commit cannot fail.
 */
export function lacksOf(standing: Standing, forward: ForwardName, services: readonly PlaneService[]): Problem[] {
  const states = [...standing.services];
  const mine = new Map(states.flatMap((state) => (state.forward === forward ? [[state.name, state]] : [])));
  const futures = services.flatMap(withParts).map((one, i) => futureOf(one, forward, mine.get(one.name), i));
  const others = states.filter((state) => state.forward !== forward);
  const problems: Problem[] = [];
  if (futures.filter(({ known }) => !known).length > standing.servicesLeft)
    problems.push(short(`more than ${Limit.MAX_SERVICES} services, parts for places among them`));
  if (futures.reduce((sum, { fresh }) => sum + fresh, 0) > standing.backendsLeft)
    problems.push(short(`more than ${Limit.MAX_BACKENDS} backends, with those that still have flows`));
  for (const { name, arriving } of futures)
    if (arriving.locals.size > Limit.MAX_LOCAL)
      problems.push(
        short(`more than ${Limit.MAX_LOCAL} backends in one service, with those that still have flows`, [
          "services",
          name,
        ]),
      );
  for (const { name, arriving } of futures)
    if (arriving.config && slotsOf(arriving.config) > Limit.MAX_SLOTS)
      problems.push(short(`more than ${Limit.MAX_SLOTS} slots of one service`, ["services", name, "scheduler"]));
  const all = [...others, ...futures.map(({ arriving }) => arriving)];
  const checked = all.filter((one) => one.forward !== "nat" && one.config?.checked && !one.config.part);
  if (checked.reduce((sum, { locals }) => sum + locals.size, 0) > CHECKED_BACKENDS)
    problems.push(short(`more than ${CHECKED_BACKENDS} backends of direct and tunnel that have a check`));
  const mixed = forward === "nat" ? mixedAnswers(futures.map(({ arriving }) => arriving)) : [];
  return [...problems, ...lackOfArrivals(all, forward), ...mixed];
}

function lackOfArrivals(all: readonly Future["arriving"][], forward: ForwardName): Problem[] {
  const problems: Problem[] = [];
  const count = countArrivals(
    all.flatMap(({ config, forward: theirs, locals }) =>
      config ? [{ config, forward: theirs, backends: locals.size }] : [],
    ),
  );
  if (count > MOST_ARRIVALS)
    problems.push(
      short(
        `more than ${MOST_ARRIVALS} VIPs, ways back of nat (one for each VIP and backend) and server IDs of quic; these services have ${count}`,
      ),
    );
  const ranged = all.filter(({ config }) => config?.vips.some(({ last }) => last !== undefined));
  const beyond = arrivalsOf(ranged, forward, new Set()).find(
    (entry) => (entry.kind === "range" || entry.kind === "reverse-range") && entry.port >= Limit.RANGES,
  );
  if (beyond)
    problems.push(short(`more than ${Limit.RANGES} ranges of ports of one address: ${beyond.address} has more`));
  return problems;
}

/** The same of next hops, which are known once the ways to all backends are: each may change to another number. */
export function lackOfHops(count: number): Problem[] {
  const most = Limit.MAX_HOPS / 2;
  if (count <= most) return [];
  return [
    short(`more than ${most} next hops, gateways and hosts that are reached without one; the backends have ${count}`),
  ];
}
