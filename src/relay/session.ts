import type { Backend } from "../core/backend.ts";
import type { Outcome } from "../core/scheduler.ts";
import { closeFd } from "../runtime/listen.ts";
import { anotherFd, connectUdp, type LinkHandlers, type UdpLink } from "../runtime/udp.ts";
import type { Datagrams } from "./datagrams.ts";
import { FULL } from "./gate.ts";
import { Cell } from "./service-state.ts";
import type { Among } from "./tagged.ts";
import { Timed } from "./wheel.ts";

/** What a session keeps until its backend has answered, to send it to another should that be gone; bytes. */
const HELD = 8 * 1024;
/** What may come while its socket is being made, a moment; bytes. */
const OPENING = 256 * 1024;
/** The kernel's words for a backend that is not there; all others are this host's own trouble. */
const GONE: ReadonlySet<string> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN"]);

/** A session that another worker goes on with. */
export interface Given {
  address: string;
  port: number;
  backend: number;
  answered: boolean;
  /** Its client has sent again after an answer. */
  proven: boolean;
}

/**
 * A client's datagrams and the backend they go to, over a socket of their own. A session begins with a datagram and ends
 * when none has passed for a while; one-shot sessions end with the first answer.
 */
export class Session extends Timed {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** Under what its address is counted; 0: under nothing. */
  addressKey = 0;
  private readonly datagrams: Datagrams;
  private readonly hash: number;
  private among: Among | null = null;
  /** -1: none. */
  backend = -1;
  private link: UdpLink | null = null;
  /** Grows with each backend: what an earlier one still says is not heard. */
  private turn = 0;
  private held: Buffer[] = [];
  private heldBytes = 0;
  private answered = false;
  private readonly tried = new Set<number>();
  private over = false;

  constructor(datagrams: Datagrams, key: string, address: string, port: number, hash: number) {
    super();
    this.datagrams = datagrams;
    this.key = key;
    this.address = address;
    this.port = port;
    this.hash = hash;
  }

  /** A datagram of the client. */
  forward(data: Buffer): void {
    const { service, wheel, rules } = this.datagrams;
    service.cells.add(-1, Cell.bytesIn, data.length);
    wheel.set(this, rules.idle);
    if (this.answered) this.datagrams.proven(this);
    else this.hold(data);
    if (this.backend < 0) this.choose();
    else if (this.link !== null) this.send(data);
  }

  private hold(data: Buffer): void {
    const opening = this.link === null;
    if (this.heldBytes + data.length <= (opening ? OPENING : HELD)) {
      this.held.push(data);
      this.heldBytes += data.length;
    } else if (opening) this.datagrams.service.cells.add(-1, Cell.errors, 1);
  }

  private send(data: Buffer): void {
    const { cells } = this.datagrams.service;
    if (this.link!.send(data)) cells.add(this.backend, Cell.bytesIn, data.length);
    else cells.add(-1, Cell.errors, 1);
  }

  /** Picks a backend that was not tried and sends it what is held; without one the session is over. */
  private choose(): void {
    const { service } = this.datagrams;
    this.among = service.amongFor(null, service.placeOf(this.address));
    const { balancer, gate } = this.among;
    const backend = gate.pick(balancer, this.hash, this.tried);
    const target = backend < 0 ? undefined : balancer.backend(backend);
    if (target === undefined) {
      this.datagrams.refused(backend === FULL ? "SLUICE_QUEUE_FULL" : "SLUICE_NO_BACKEND", this.address);
      this.end();
      return;
    }
    if (this.tried.size > 0) {
      service.cells.add(-1, Cell.retries, 1);
      service.cells.add(backend, Cell.retries, 1);
    }
    service.cells.add(backend, Cell.requests, 1);
    service.cells.add(backend, Cell.connections, 1);
    void this.connect(target);
  }

  /** Works with this backend from now on; `fd`: over a socket that is connected to it. */
  private connect(target: Backend, fd?: number): Promise<void> {
    const { service } = this.datagrams;
    this.backend = target.id;
    this.among!.balancer.began(target.id);
    service.cells.add(target.id, Cell.active, 1);
    const turn = ++this.turn;
    const port = target.port ?? service.service.listen[0]!.port;
    const handlers: LinkHandlers = {
      data: (data) => this.turn === turn && this.answer(data),
      failed: (why) => this.turn === turn && this.troubled(why),
    };
    return connectUdp(target.address, port, handlers, fd).then(
      (link) => this.opened(link, turn),
      (error) => {
        if (this.turn === turn) this.unopened(String(error?.code ?? error));
      },
    );
  }

  /** Gives itself away, with a descriptor of its socket; null where it has none, or waits for one answer only. */
  give(proven: boolean): { session: Given; fd: number } | null {
    const { address, port, backend, answered, link } = this;
    if (link === null || this.datagrams.rules.oneShot) return null;
    const fd = anotherFd(link);
    if (fd < 0) return null;
    this.end();
    return { session: { address, port, backend, answered, proven }, fd };
  }

  /** Goes on with what another worker had; over when its backend may keep nothing any more. */
  async takeUp({ backend, answered }: Given, fd: number): Promise<void> {
    const { service, wheel, rules } = this.datagrams;
    this.answered = answered;
    this.among = service.amongFor(null, service.placeOf(this.address));
    const target = service.balancer.backend(backend);
    if (target !== undefined && this.datagrams.keeps(backend)) {
      wheel.set(this, rules.idle);
      await this.connect(target, fd);
    } else {
      closeFd(fd);
      this.end();
    }
  }

  private opened(link: UdpLink, turn: number): void {
    if (this.turn !== turn || this.over) {
      link.close();
      return;
    }
    this.link = link;
    for (const data of this.held) this.send(data);
    while (this.heldBytes > HELD) this.heldBytes -= this.held.pop()!.length;
  }

  private answer(data: Buffer): void {
    const { service, wheel, rules } = this.datagrams;
    if (!this.answered) {
      this.answered = true;
      this.held = [];
    }
    wheel.set(this, rules.idle);
    if (this.datagrams.reply(data, this.port, this.address)) {
      service.cells.add(-1, Cell.bytesOut, data.length);
      service.cells.add(this.backend, Cell.bytesOut, data.length);
    } else service.cells.add(-1, Cell.errors, 1);
    if (rules.oneShot) this.end();
  }

  /** A datagram could not go on; what is not the backend's word costs that datagram alone. */
  private troubled(why: string): void {
    if (GONE.has(why)) this.failed(why);
    // One that is too large was counted when it was not taken.
    else if (why !== "EMSGSIZE") this.datagrams.service.cells.add(-1, Cell.errors, 1);
  }

  /** No socket could be made: there is no way to the backend, or no descriptor left. */
  private unopened(why: string): void {
    if (GONE.has(why)) {
      this.failed(why);
      return;
    }
    this.datagrams.refused("SLUICE_HTTP_CONNECTION_LIMIT", this.address);
    this.leave("aborted");
    this.end();
  }

  /** The backend's host says that nobody is there: what it cannot have had goes to another. */
  private failed(why: string): void {
    const { backend } = this;
    this.datagrams.service.observed(backend, "SLUICE_BACKEND_CONNECT", why);
    this.leave("failed");
    this.tried.add(backend);
    if (this.answered || this.tried.size > this.datagrams.service.retries) this.end();
    else this.choose();
  }

  /** Lets go of the backend. */
  private leave(outcome: Outcome): void {
    if (this.backend < 0) return;
    const { cells } = this.datagrams.service;
    const { balancer, gate } = this.among!;
    this.turn++;
    this.link?.close();
    this.link = null;
    balancer.ended(this.backend, outcome);
    cells.add(this.backend, Cell.active, -1);
    if (outcome === "failed") cells.add(this.backend, Cell.errors, 1);
    this.backend = -1;
    gate.freed();
  }

  expired(): void {
    // One datagram each way was asked for, and none came back.
    if (this.datagrams.rules.oneShot && !this.answered && this.backend >= 0) {
      this.datagrams.service.observed(this.backend, "SLUICE_BACKEND_TIMEOUT", "no answer in time");
      this.leave("failed");
    }
    this.end();
  }

  /** Is over: the client's next datagram begins anew. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.leave("done");
    this.held = [];
    this.datagrams.wheel.remove(this);
    this.datagrams.ended(this);
  }
}
