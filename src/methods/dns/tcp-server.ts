import { clientNetwork } from "../../core/address.ts";
import type { Crowd, WorkerDoors } from "../../core/method.ts";
import { ClientAddress } from "../../geo/prefix.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import { adoptListener, closeGently, type TcpHandlers, type TcpSocket } from "../../runtime/tcp.ts";
import type { Answerer } from "./answerer.ts";
import { type Messages, TRANSFER } from "./transfers.ts";

export interface TcpLimits {
  /** ms without a whole query or a taken answer until a connection is closed. */
  idle: number;
  /** Over all workers. */
  connections: number;
  /** Over all workers. */
  perClient: number;
  /** Bits of an IPv6 address by which clients are told apart. */
  ipv6Prefix: number;
  /** Most connections of this server alone: what the worker's descriptors allow. */
  own: number;
}

/** One client's connection. Length-prefixed messages both ways (RFC 1035 4.2.2); answered in the order they came. */
class Connection {
  /** What has come and is not answered yet: part of a message, or more while answers wait to be taken. */
  input: Buffer | null = null;
  /** Answers that the socket has not taken yet. */
  output: Buffer | null = null;
  touched = 0;
  client = "";
  /** Under what its client is counted. */
  counted = 0;
  /** The peer has sent FIN: close once everything is answered. */
  ended = false;
  /** Messages of a transfer that are still to be sent, before anything else is answered. */
  transfer: Messages | null = null;
  /** It goes on, with a transfer or with what is pipelined, when the others have had their turn. */
  waiting = false;
  closing = false;
}

/** Most octets of answers made before the client has taken some: a reader that is slow holds no more than this. */
const MOST_OUTPUT = 256 * 1024;
/** Most messages answered in a row: clients who pipeline thousands on many connections leave the others, over UDP too, their turns. */
const MOST_TURN = 64;
const EMPTY = Buffer.alloc(0);
/** Longest message with its length. */
const FRAME = 65537;
/** ms in which clients may still ask when this server is to end: a question that is on its way then is not lost. */
const GRACE = 1000;

/**
 * Serves one adopted TCP listener. Queries may be pipelined (RFC 7766 6.2.1.1). A client that does not read is not read
 * from any more and holds one bounded buffer; it slows nobody else.
 */
export class TcpServer {
  private readonly open = new Set<TcpSocket<Connection>>();
  /** Who asks at this moment. */
  private readonly client = new ClientAddress();
  private readonly out = Buffer.allocUnsafeSlow(FRAME);
  private readonly gather = Buffer.allocUnsafeSlow(MOST_OUTPUT + FRAME);
  private readonly sweep: ReturnType<typeof setInterval>;
  private listener: { stop(): void } | null = null;
  private draining = false;
  /** The grace of draining is over: connections without anything under way are closed. */
  private leaving = false;
  private idle: () => void = () => {};
  private readonly answerer: Answerer;
  private transport: Transport;
  private readonly limits: TcpLimits;
  private readonly now: () => number;
  private readonly crowd: Crowd;
  /** Under what all connections are counted. */
  private readonly everybody: number;

  constructor(
    answerer: Answerer,
    transport: Transport,
    limits: TcpLimits,
    { now, crowd }: Pick<WorkerDoors, "now" | "crowd">,
  ) {
    this.answerer = answerer;
    this.transport = transport;
    this.limits = limits;
    this.now = now;
    this.crowd = crowd;
    this.everybody = crowd.keyOf("dns connections");
    this.sweep = setInterval(() => this.closeIdle(), Math.min(1000, limits.idle / 2));
    this.sweep.unref();
  }

  /** Takes over a listening descriptor. */
  listen(fd: number): this {
    this.listener = adoptListener(fd, this.handlers(), () => new Connection());
    return this;
  }

  get connections(): number {
    return this.open.size;
  }

  handlers(): TcpHandlers<Connection> {
    return {
      open: (socket) => this.accept(socket),
      data: (socket, chunk) => this.read(socket, chunk),
      drain: (socket) => this.write(socket),
      end: (socket) => {
        socket.data.ended = true;
        this.closeIfDone(socket);
      },
      close: (socket) => this.forget(socket),
    };
  }

  /**
   * Accepts no more. Connections go on for a moment, then those that have nothing under way close, the others when they are
   * answered. Who asks how long a connection lasts is told to close it (RFC 7828 3.2.2).
   */
  drain(deadlineMs: number): Promise<void> {
    this.draining = true;
    this.transport = { ...this.transport, keepalive: 0 };
    this.listener?.stop();
    return new Promise((resolve) => {
      const leave = setTimeout(() => this.leave(), Math.min(GRACE, deadlineMs / 2));
      const cut = setTimeout(() => this.cutAll(), deadlineMs);
      this.idle = () => {
        clearTimeout(leave);
        clearTimeout(cut);
        clearInterval(this.sweep);
        resolve();
      };
      if (this.open.size === 0) this.idle();
    });
  }

  private leave(): void {
    this.leaving = true;
    for (const socket of this.open) this.closeIfDone(socket);
  }

  private cutAll(): void {
    for (const socket of this.open) socket.terminate();
  }

  private accept(socket: TcpSocket<Connection>): void {
    const { crowd, limits, open } = this;
    // Whoever reset the connection before it was accepted has no address any more.
    if ((socket.remoteAddress as string | undefined) === undefined) return void socket.terminate();
    const client = crowd.keyOf(`dns ${clientNetwork(socket.remoteAddress, limits.ipv6Prefix)}`);
    socket.data.client = socket.remoteAddress;
    socket.data.counted = client;
    socket.data.touched = this.now();
    open.add(socket);
    const [all, held] = [crowd.enter(this.everybody), crowd.enter(client)];
    if (held > limits.perClient || all > limits.connections || open.size > limits.own) socket.terminate();
  }

  private forget(socket: TcpSocket<Connection>): void {
    if (!this.open.delete(socket)) return;
    this.crowd.leave(this.everybody);
    this.crowd.leave(socket.data.counted);
    if (this.draining && this.open.size === 0) this.idle();
  }

  private read(socket: TcpSocket<Connection>, chunk: Buffer): void {
    const connection = socket.data;
    if (connection.closing) return;
    connection.input = connection.input === null ? chunk : Buffer.concat([connection.input, chunk]);
    if (connection.output === null && !connection.waiting) this.answerInput(socket);
  }

  /** Answers the whole messages of the input, up to the limits of output and turn, in one write. */
  private answerInput(socket: TcpSocket<Connection>): void {
    const connection = socket.data;
    const { gather, out } = this;
    const client = this.client.read(connection.client);
    while ((connection.input ?? connection.transfer) !== null && connection.output === null && !connection.closing) {
      const input: Buffer = connection.input ?? EMPTY;
      let at = 0;
      let left = MOST_TURN;
      let filled = this.transferInto(connection, 0);
      while (at + 2 <= input.length && filled < MOST_OUTPUT && connection.transfer === null && left > 0) {
        const size = input.readUInt16BE(at);
        if (at + 2 + size > input.length) break;
        const message = input.subarray(at + 2, at + 2 + size);
        const length = this.answerer.answer(message, size, client, this.transport, out);
        at += 2 + size;
        left--;
        // A message that must not be answered is no DNS client's: what was asked before is answered, nothing more is expected.
        if (length === 0) {
          connection.ended = true;
          at = input.length;
          break;
        }
        if (length === TRANSFER) {
          connection.transfer = this.answerer.transfer;
          filled = this.transferInto(connection, filled);
          continue;
        }
        gather.writeUInt16BE(length, filled);
        out.copy(gather, filled + 2, 0, length);
        filled += 2 + length;
      }
      connection.input = at === input.length ? null : input.subarray(at);
      if (filled === 0) break;
      connection.touched = this.now();
      connection.output = gather.subarray(0, filled);
      this.push(socket);
      const more = connection.transfer !== null || (left === 0 && connection.input !== null);
      // Where the client has not taken all there is, that goes on when it has.
      connection.waiting = more && connection.output === null;
      if (more) break;
    }
    this.goOnLater(socket);
    this.closeIfDone(socket);
  }

  /**
   * Puts a message of a transfer behind the first `filled` octets of the output; returns its end. One at a time: a zone
   * may have a million records, sockets take megabytes at once, and meanwhile nobody else would be answered.
   */
  private transferInto(connection: Connection, filled: number): number {
    const { transfer } = connection;
    if (transfer === null || filled >= MOST_OUTPUT) return filled;
    const { value } = transfer.next();
    if (value === undefined) {
      connection.transfer = null;
      return filled;
    }
    this.gather.writeUInt16BE(value.length, filled);
    this.gather.set(value, filled + 2);
    return filled + 2 + value.length;
  }

  /** What waits for its turn goes on in the next one; until then it is not read from. */
  private goOnLater(socket: TcpSocket<Connection>): void {
    const connection = socket.data;
    if (!connection.waiting) return;
    socket.pause();
    setImmediate(() => {
      connection.waiting = false;
      if (!this.open.has(socket) || connection.closing) return;
      socket.resume();
      this.answerInput(socket);
    });
  }

  /** Offers the output to the socket; keeps a copy of what it does not take, and reads no more until it does. */
  private push(socket: TcpSocket<Connection>): void {
    const connection = socket.data;
    const output = connection.output!;
    const taken = socket.write(output, 0, output.length);
    if (taken >= output.length) {
      connection.output = null;
    } else if (taken < 0) {
      connection.closing = true;
      socket.terminate();
    } else {
      connection.output = Buffer.from(output.subarray(taken));
      socket.pause();
    }
  }

  private write(socket: TcpSocket<Connection>): void {
    const connection = socket.data;
    if (connection.output === null || connection.closing) return;
    const before = connection.output.length;
    this.push(socket);
    if (connection.output === null || connection.output.length < before) connection.touched = this.now();
    if (connection.output !== null || connection.closing) return;
    socket.resume();
    this.answerInput(socket);
  }

  private closeIfDone(socket: TcpSocket<Connection>): void {
    const connection = socket.data;
    if (connection.closing || connection.output !== null) return;
    if (connection.transfer !== null || connection.waiting) return;
    if (!connection.ended && !(this.leaving && connection.input === null)) return;
    connection.closing = true;
    closeGently(socket);
  }

  private closeIdle(): void {
    const oldest = this.now() - this.limits.idle;
    for (const socket of this.open) {
      const connection = socket.data;
      if (connection.touched > oldest) continue;
      if (connection.output === null && !connection.closing) {
        connection.closing = true;
        closeGently(socket);
      } else {
        socket.terminate();
      }
    }
  }
}
