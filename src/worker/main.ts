/**
 * A relay worker: serves redirect, dns and proxy on sockets it is given. Its arguments are the methods to load: their
 * files are read before the process gives up its rights, for they may lie where only root can read. Then it waits for
 * its assignment, maybe for long: a spare takes the place of a worker that dies.
 */
import { catalog } from "../catalog.ts";
import type { Balancer, HandedSessions, Method, Serving, WorkerDoors, WorkerSide } from "../core/method.ts";
import { toProblem } from "../core/problem.ts";
import {
  type Assignment,
  CHANNEL_FD,
  FIRST_SOCKET_FD,
  type FromWorker,
  LAST_PACKET,
  type ToWorker,
} from "../core/worker-protocol.ts";
import { now, sleep } from "../runtime/clock.ts";
import { sendPacket, takeDescriptors, takePacket } from "../runtime/descriptors.ts";
import { parentPort } from "../runtime/ipc.ts";
import { closeFd } from "../runtime/listen.ts";
import { dropPrivileges } from "../runtime/privileges.ts";
import { openDoors } from "./doors.ts";

const sides = new Map<Method, WorkerSide>();

async function load(): Promise<void> {
  const methods = catalog.methods.filter(({ name }) => process.argv.slice(2).includes(name));
  for (const method of methods) sides.set(method, await method.worker!());
  dropPrivileges();
  parent.send({ kind: "loaded" });
}

const parent = parentPort<ToWorker, FromWorker>();
let balancers = new Map<string, Balancer>();
const serving = new Map<string, Serving>();
const servingMethod = new Map<string, Serving>();
let draining = false;
let assigned = false;

/** Without a parent to say otherwise, what is under way may take this long, ms. */
const ORPHAN_DRAIN = 30_000;
/** ms that giving sessions away may take, where the channel is full. */
const HANDOVER_LIMIT = 3000;

/** The part of an assignment that one method serves. */
function shareOf(assignment: Assignment, method: Method): Assignment {
  const services = assignment.services.filter((service) => service.method === method.name);
  const wanted =
    method.sockets?.(services, assignment.settings[method.name]) ?? services.flatMap(({ listen }) => listen);
  const sockets = assignment.sockets.filter((socket) =>
    wanted.some((l) => l.address === socket.address && l.port === socket.port && l.protocol === socket.protocol),
  );
  return { ...assignment, services, sockets };
}

/** Serves a method's share; in the place of a worker that died, without a database that is damaged by now. */
async function serve(method: Method, side: WorkerSide, share: Assignment, doors: WorkerDoors): Promise<Serving> {
  try {
    return await side.serve(share, doors);
  } catch (thrown) {
    const problem = toProblem(thrown);
    if (!share.replaces || problem.code !== "SLUICE_GEO_UNREADABLE") throw thrown;
    const served = await side.serve({ ...share, geography: { places: share.geography.places } }, doors);
    parent.send({ kind: "lacks", method: method.name, problem });
    return served;
  }
}

async function assign(assignment: Assignment): Promise<void> {
  takeDescriptors(CHANNEL_FD, assignment.sockets.length, FIRST_SOCKET_FD);
  const opened = openDoors(assignment, catalog, parent.send);
  balancers = opened.balancers;
  for (const [method, side] of sides) {
    const share = shareOf(assignment, method);
    if (share.services.length === 0) continue;
    try {
      const served = await serve(method, side, share, opened.doors);
      for (const { name } of share.services) serving.set(name, served);
      servingMethod.set(method.name, served);
    } catch (thrown) {
      for (const { name } of share.services) parent.send({ kind: "failed", service: name, problem: toProblem(thrown) });
      return;
    }
  }
  parent.send({ kind: "ready", revision: assignment.revision });
}

/** Gives UDP sessions away: those at these sockets; null: at all. The last packet is an empty one. */
async function handOver(sockets: readonly string[] | null): Promise<void> {
  const packets = [...new Set(serving.values())].flatMap((served) => served.handOver?.(sockets) ?? []);
  const end = now() + HANDOVER_LIMIT;
  for (const packet of [...packets, { text: LAST_PACKET, fds: [] }]) {
    while (!sendPacket(CHANNEL_FD, packet) && now() < end) await sleep(1);
    for (const fd of packet.fds) closeFd(fd);
  }
}

/** `sockets`: see `handOver`; undefined: nobody will take sessions. */
async function drain(deadlineMs: number, sockets?: readonly string[] | null): Promise<void> {
  if (draining) return;
  draining = true;
  const handed = sockets === undefined ? null : handOver(sockets);
  await Promise.all([handed, ...[...new Set(serving.values())].map((served) => served.drain(deadlineMs))]);
  parent.send({ kind: "drained" });
  process.exit(0);
}

async function takeOver(): Promise<void> {
  const packet = takePacket(CHANNEL_FD);
  if (packet === null) return;
  const { service } = JSON.parse(packet.text) as HandedSessions;
  const served = serving.get(service);
  if (served?.takeOver) await served.takeOver(packet);
  else for (const fd of packet.fds) closeFd(fd);
}

function open(): void {
  for (const served of new Set(serving.values())) served.open?.();
}

async function handle(message: ToWorker): Promise<void> {
  if (message.kind === "assign") await assign(message.assignment);
  else if (message.kind === "snapshots") {
    for (const snapshot of message.snapshots) {
      balancers.get(snapshot.service)?.update(snapshot);
      serving.get(snapshot.service)?.changed?.(snapshot.service);
    }
  } else if (message.kind === "reopen") for (const served of new Set(serving.values())) served.reopen?.();
  else if (message.kind === "secrets") servingMethod.get(message.method)?.secrets?.(message.value);
  else if (message.kind === "drain") void drain(message.deadlineMs, message.handOver);
  else if (message.kind === "sessions") await takeOver();
  else open();
}

// One after the other: a snapshot that arrives while an assignment is being taken must not be lost.
let queue = load();
parent.onMessage((message) => {
  assigned ||= message.kind === "assign";
  queue = queue.then(() => handle(message));
});

// The daemon is gone. Serve on with the last snapshot; the next daemon takes the sockets over and ends us by SIGTERM. A
// spare has nothing to serve, and nobody who would give it work.
parent.onClosed(() => {
  if (!assigned) process.exit(0);
  queue = queue.then(open);
});
process.on("SIGTERM", () => void drain(ORPHAN_DRAIN));
process.on("SIGUSR2", () => void drain(ORPHAN_DRAIN, null));
// A terminal's Ctrl-C reaches the whole group; the daemon decides when we drain.
process.on("SIGINT", () => {});
