import type { Serving, WorkerDoors } from "../core/method.ts";
import { listenerName, type Service } from "../core/service.ts";
import type { Assignment, InheritedSocket } from "../core/worker-protocol.ts";
import { Atlas } from "../geo/places.ts";
import { accessLogOf } from "../observe/access-log.ts";
import { closeFd } from "../runtime/listen.ts";
import { LogFiles } from "./access.ts";
import type { Client } from "./client.ts";
import type { Datagrams } from "./datagrams.ts";
import { type ClientLimits, Front, type Shared } from "./front.ts";
import type { ServiceState } from "./service-state.ts";
import { byListener, Site } from "./site.ts";
import { TrustList } from "./trust.ts";
import { Wheel } from "./wheel.ts";

/** What a method over HTTP brings: its state per service, its kind of client, its limits. */
export interface HttpPlan<S extends ServiceState> {
  state(service: Service, doors: WorkerDoors, shared: Shared): S;
  client(front: Front<S>): Client<S>;
  limits(service: Service): ClientLimits;
  /** Networks whose connections to the service's listeners begin with a PROXY header. */
  introducers?(service: Service): readonly string[];
  /** May its clients wait for the first word to come from a backend? */
  backendFirst?(service: Service): boolean;
  changed?(state: S): void;
  /** Relays the datagrams of a UDP listener of a service, once it is opened. */
  datagrams?(state: S, shared: Shared, socket: InheritedSocket): Datagrams;
}

/** Serves all HTTP services of one method in one worker, on the sockets of the assignment. */
export async function serveHttp<S extends ServiceState>(
  assignment: Assignment,
  doors: WorkerDoors,
  plan: HttpPlan<S>,
): Promise<Serving> {
  const wheel = new Wheel(() => doors.now());
  const { seed, connectionLimit } = assignment;
  const atlas = new Atlas(assignment.geography);
  const shared: Shared = {
    wheel,
    seed,
    scope: assignment.services[0]!.method,
    doors,
    atlas,
    connectionLimit,
    connections: 0,
    farewells: 0,
  };
  const logs = new LogFiles(doors);
  const states = new Map(assignment.services.map((service) => [service.name, plan.state(service, doors, shared)]));
  for (const state of states.values()) state.log = logs.open(state.name, accessLogOf(state.service));
  const sites = byListener(assignment.services, (service) => states.get(service.name)!);
  const fronts = assignment.sockets.flatMap((socket) => {
    const members = sites.get(listenerName(socket));
    if (members === undefined || socket.protocol === "udp") return [];
    const limits = widest(members.map(({ service }) => plan.limits(service.service)));
    const introducers = new TrustList(members.flatMap(({ service }) => plan.introducers?.(service.service) ?? []));
    const clientFirst = !members.some(({ service }) => plan.backendFirst?.(service.service));
    const make = (front: Front<S>) => plan.client(front);
    return [new Front<S>(shared, new Site(members), limits, socket, make, introducers, clientFirst)];
  });
  const datagrams = assignment.sockets.flatMap((socket) => {
    const state = socket.protocol === "udp" ? sites.get(listenerName(socket))?.[0]?.service : undefined;
    return state !== undefined && plan.datagrams ? [plan.datagrams(state, shared, socket)] : [];
  });
  for (const relay of datagrams) assignment.waits ? relay.wait() : await relay.open();
  return {
    ...handing(datagrams),
    changed(service) {
      const state = states.get(service);
      if (state === undefined) return;
      plan.changed?.(state);
      for (const relay of datagrams) if (relay.service.name === service) relay.changed();
    },
    async drain(deadlineMs) {
      await Promise.all([...fronts, ...datagrams].map((side) => side.drain(deadlineMs)));
      wheel.stop();
      await logs.end();
    },
    reopen: () => logs.reopen(),
  };
}

/** UDP sessions come from workers that go, and go to those that come. */
const handing = (datagrams: readonly Datagrams[]): Pick<Serving, "handOver" | "takeOver" | "open"> => ({
  handOver: (sockets) => datagrams.flatMap((relay) => relay.handOver(sockets)),
  async takeOver(packet) {
    for (const relay of datagrams) {
      const taken = relay.takeOver(packet);
      if (taken !== null) return taken;
    }
    for (const fd of packet.fds) closeFd(fd);
  },
  open() {
    for (const relay of datagrams) void relay.open();
  },
});

/** A request is read before its service is known: services that share a listener share the widest of their limits. */
function widest(all: readonly ClientLimits[]): ClientLimits {
  const keys = Object.keys(all[0]!) as (keyof ClientLimits)[];
  return Object.fromEntries(keys.map((key) => [key, Math.max(...all.map((limits) => limits[key]))])) as never;
}
