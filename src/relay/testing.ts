import type { Backend } from "../core/backend.ts";
import { type CounterName, counterNames } from "../core/counters.ts";
import type { Balancer, Method, ServiceCells, Serving, WorkerDoors } from "../core/method.ts";
import type { Counted } from "../core/most-wanted.ts";
import type { Geography, Protocol, Service } from "../core/service.ts";
import { eligibleIds, type Snapshot } from "../core/snapshot.ts";
import { aBackend as backendOf } from "../core/testing.ts";
import { lonelyCrowd } from "../observe/crowd.ts";
import { now } from "../runtime/clock.ts";
import { connectTcp } from "../runtime/dial.ts";
import { ptr } from "../runtime/ffi.ts";
import { libc } from "../runtime/libc.ts";
import { makeListener } from "../runtime/listen.ts";
import { listenTcp, type TcpListener, type TcpSocket } from "../runtime/tcp.ts";
import { createBalancer } from "../schedulers/follow.ts";
import { schedulers } from "../schedulers/list.ts";

/** What the tests of HTTP methods share: a worker's doors over a fixed snapshot, raw backends, raw clients. */

/** A service under test, served on loopback. */
export interface Served {
  port: number;
  serving: Serving;
  /** `-1/requests`, `0/active` … by backend id and count. */
  count(cell: string): number;
  /** `backend code` of every observation. */
  observed: string[];
  logs: string[];
  /** All that was reported as asked for. */
  wanted: Counted[];
  /** Gives the service a new snapshot with these backends changed. */
  change(id: number, change: Partial<Backend>): void;
  stop(): Promise<void>;
}

/** The port that the kernel gave a listening descriptor. */
function portOf(fd: number): number {
  const address = new Uint8Array(28);
  const size = new Uint32Array([address.length]);
  libc.getsockname(fd, ptr(address), ptr(size));
  return address[2]! * 256 + address[3]!;
}

/** One on loopback. */
export const aBackend = (id: number, port: number, more: Partial<Backend> = {}): Backend =>
  backendOf(id, "127.0.0.1", port, more);

/** Serves one service of `method` in this process. `options`: what stands under the method's key. */
export async function serveOne<O, C>(
  method: Method<O, C>,
  backends: Backend[],
  options: object = {},
  more: Partial<Service> & { connectionLimit?: number; geography?: Geography; protocol?: Protocol } = {},
): Promise<Served> {
  const { protocol = "tcp" } = more;
  const made = makeListener({ address: "127.0.0.1", port: 0, protocol });
  if (!made.ok) throw new Error(made.problems[0]!.message);
  const port = portOf(made.value);
  const listen = [{ address: "127.0.0.1", port, protocol }];
  const service: Service = {
    name: "shop",
    method: method.name,
    listen,
    names: [],
    scheduler: { name: "round-robin", options: {} },
    backends: [],
    check: null,
    nearest: false,
    options: method.options.parse(options),
    ...more,
  };
  let snapshot: Snapshot = {
    service: "shop",
    revision: 1,
    generation: 1,
    backends,
    eligible: eligibleIds(backends),
  };
  const doors = fakeDoors(service, snapshot);
  const side = await method.worker!();
  const serving = await side.serve(
    {
      revision: 1,
      epoch: 0,
      first: true,
      seed: 7,
      bundle: null,
      services: [service],
      settings: {},
      geography: more.geography ?? { places: {} },
      snapshots: [snapshot],
      sockets: [{ ...listen[0]!, fd: made.value }],
      cells: [],
      memory: { rows: 1, rowCells: 0, row: 0 },
      secrets: {},
      waits: false,
      replaces: false,
      connectionLimit: more.connectionLimit ?? 1000,
      log: { level: "error", format: "text" },
    },
    doors,
  );
  return {
    port,
    serving,
    count: (cell) => doors.counts[cellOf(cell)]!,
    observed: doors.seen,
    logs: doors.lines,
    wanted: doors.asked,
    change(id, change) {
      const next = snapshot.backends.map((b) => (b.id === id ? { ...b, ...change } : b));
      snapshot = { ...snapshot, generation: snapshot.generation + 1, backends: next, eligible: eligibleIds(next) };
      doors.balancer("shop").update(snapshot);
      serving.changed?.("shop");
    },
    stop: () => serving.drain(0),
  };
}

const BACKENDS = 64;

/** Index of `backend/count`; backend -1 is the service. */
function cellOf(cell: string): number {
  const [backend, count] = cell.split("/") as [string, CounterName];
  return (Number(backend) + 1) * counterNames.length + counterNames.indexOf(count);
}

interface FakeDoors extends WorkerDoors {
  counts: Float64Array;
  seen: string[];
  lines: string[];
  asked: Counted[];
}

function fakeDoors(service: Service, snapshot: Snapshot): FakeDoors {
  const counts = new Float64Array(BACKENDS * counterNames.length);
  const seen: string[] = [];
  const lines: string[] = [];
  const asked: Counted[] = [];
  const cells: ServiceCells = {
    add(backend, counter, amount) {
      counts[(backend + 1) * counterNames.length + counter]! += amount;
    },
    activeEverywhere: (backend) => counts[cellOf(`${backend}/active`)]!,
    queuedEverywhere: () => counts[cellOf("-1/queued")]!,
  };
  const definition = schedulers.find(({ name }) => name === service.scheduler.name)!;
  const env = { random: Math.random, now, load: cells.activeEverywhere, seed: 7 };
  const balancer: Balancer = createBalancer(
    definition,
    definition.options.parse(service.scheduler.options),
    env,
    snapshot,
  );
  return {
    counts,
    seen,
    lines,
    asked,
    balancer: () => balancer,
    cells: () => cells,
    crowd: lonelyCrowd(),
    observed: (_service, backend, why) => void seen.push(`${backend} ${why}`),
    wanted: (_service, counted) => void asked.push(...counted),
    log: (level, message, fields) => void lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
    now,
  };
}

/** A raw TCP end: what it got, as latin1 text, and ways to wait. */
export class End {
  got = "";
  closed = false;
  ended = false;
  error: Error | undefined;
  socket: TcpSocket<End> | null = null;
  /** Called on every change. */
  private waiting: (() => void)[] = [];
  onData: ((end: End, chunk: Buffer) => void) | null = null;
  private unsent: Buffer[] = [];
  /** It was stopped, maybe before it was connected. */
  stopped = false;

  send(text: string | Buffer): this {
    this.unsent.push(typeof text === "string" ? Buffer.from(text, "latin1") : text);
    this.push();
    return this;
  }

  push(): void {
    while (this.unsent.length > 0 && this.socket !== null) {
      const first = this.unsent[0]!;
      const written = this.socket.write(first, 0, first.length);
      if (written < 0) return;
      if (written < first.length) {
        this.unsent[0] = first.subarray(written);
        return;
      }
      this.unsent.shift();
    }
  }

  changed(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** Resolves when `seen` holds; fails after 5 s with what was there instead. */
  async until(seen: (end: End) => boolean, what = "what was waited for"): Promise<string> {
    const deadline = now() + 5000;
    while (!seen(this)) {
      const left = deadline - now();
      if (left <= 0) throw new Error(`${what} did not come; got ${JSON.stringify(this.got.slice(0, 2000))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    return this.got;
  }

  has(text: string): Promise<string> {
    return this.until((end) => end.got.includes(text), JSON.stringify(text));
  }

  gone(): Promise<string> {
    return this.until((end) => end.closed || end.ended, "the end of the connection");
  }

  stop(): void {
    this.stopped = true;
    this.socket?.terminate();
  }
}

const endHandlers = {
  open(socket: TcpSocket<End>) {
    socket.data.socket = socket;
    if (socket.data.stopped) {
      socket.terminate();
      return;
    }
    socket.data.push();
    socket.data.changed();
  },
  data(socket: TcpSocket<End>, chunk: Buffer) {
    const end = socket.data;
    if (end.onData !== null) end.onData(end, chunk);
    else end.got += chunk.toString("latin1");
    end.changed();
  },
  drain: (socket: TcpSocket<End>) => socket.data.push(),
  end(socket: TcpSocket<End>) {
    socket.data.ended = true;
    socket.data.changed();
  },
  close(socket: TcpSocket<End>, error?: Error) {
    socket.data.closed = true;
    socket.data.error = error;
    socket.data.changed();
  },
};

/** A raw client of a port on loopback. */
export function dial(port: number, address = "127.0.0.1"): End {
  const end = new End();
  connectTcp<End>(
    { address, port, timeout: 5000, data: end },
    { ...endHandlers, failed: (data) => void Object.assign(data, { closed: true }) },
  );
  return end;
}

/** A raw, lenient backend: keeps every byte of every connection, answers as `serve` says. */
export class RawBackend {
  readonly connections: End[] = [];
  private readonly listener: TcpListener;
  private waiting: (() => void)[] = [];

  /** `serve` is called after every read with the connection and its number. */
  constructor(serve: (end: End, index: number) => void, prepare: (end: End) => void = () => {}, port = 0) {
    this.listener = listenTcp<End>(
      "127.0.0.1",
      port,
      {
        ...endHandlers,
        data: (socket, chunk) => {
          endHandlers.data(socket, chunk);
          serve(socket.data, this.connections.indexOf(socket.data));
        },
      },
      () => {
        const end = new End();
        prepare(end);
        this.connections.push(end);
        for (const wake of this.waiting.splice(0)) wake();
        return end;
      },
    );
  }

  get port(): number {
    return this.listener.port;
  }

  /** Connection number `index`, once it is there. */
  async connection(index: number): Promise<End> {
    while (this.connections.length <= index) await new Promise<void>((resolve) => this.waiting.push(resolve));
    return this.connections[index]!;
  }

  stop(): void {
    this.listener.stop();
    for (const end of this.connections) end.stop();
  }
}

/** Answers every whole request without a body with `response`. */
export function answering(response: string): (end: End) => void {
  return (end) => {
    const done = (end as End & { answered?: number }).answered ?? 0;
    const whole = end.got.split("\r\n\r\n").length - 1;
    (end as End & { answered?: number }).answered = whole;
    for (let i = done; i < whole; i++) end.send(response);
  };
}

/** A port on which nothing listens. */
export function deadPort(): number {
  const listener = listenTcp("127.0.0.1", 0, { data() {} }, () => null);
  const { port } = listener;
  listener.stop();
  return port;
}
