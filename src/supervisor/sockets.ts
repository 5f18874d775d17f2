import type { Problem } from "../core/problem.ts";
import { type Listener, listenerName } from "../core/service.ts";
import { now, sleep } from "../runtime/clock.ts";
import { closeFd, makeListener, obstacleAt } from "../runtime/listen.ts";

/** How long a port that is another's is waited for, ms, and how often it is looked at. */
const [SETTLE_LIMIT, LOOK] = [3000, 50];

/** A listener that no socket can be made for, and why. */
interface Unbound {
  listener: Listener;
  problem: Problem;
}

const portOf = ({ port, protocol }: Listener): string => `${port}/${protocol}`;

/**
 * The listening sockets of an instance: one or more per listener and worker. They outlive workers and generations, so
 * that no connection is refused while one hands over to the next. With fewer workers than before each serves several: a
 * socket that is closed takes along what waits in it.
 */
export class SocketTable {
  readonly #sockets = new Map<string, { listener: Listener; fds: number[] }>();
  /** Listeners that are ours or have been, by name: workers that drain may be bound to them still. */
  readonly #ours = new Map<string, Listener>();
  /** Made by the last `prepare`. */
  #fresh: { entry: { fds: number[] }; fd: number }[] = [];

  /** Says that whoever listens there is one of ours, though we may have no part in its socket. */
  own(listener: Listener): void {
    this.#ours.set(listenerName(listener), listener);
  }

  /** Those that have no socket of ours any more and that nobody is bound to: whoever comes there next is a stranger. */
  forget(): void {
    for (const [name, listener] of this.#ours)
      if (!this.#sockets.has(name) && obstacleAt(listener) === null) this.#ours.delete(name);
  }

  /** Takes a socket that an earlier daemon made: its queue of connections is kept. */
  adopt(listener: Listener, fd: number): void {
    const entry = this.#entry(listener);
    entry.fds.push(fd);
    this.own(listener);
  }

  /**
   * Waits, for a moment, while ports are taken that are not known to be ours. A daemon that is killed in the middle of a change
   * has made workers that nobody has written down: they hold the new sockets until they notice, and end.
   */
  async settled(listeners: readonly Listener[]): Promise<void> {
    const strange = this.#strange(listeners);
    for (const end = now() + SETTLE_LIMIT; now() < end && strange.some((one) => obstacleAt(one)?.taken); )
      await sleep(LOOK);
  }

  #strange(listeners: readonly Listener[]): Listener[] {
    const ports = new Set([...this.#ours.values()].map(portOf));
    return listeners.filter((listener) => !ports.has(portOf(listener)));
  }

  /**
   * Sees that at least `count` sockets exist for each listener. On a problem the ones made by this call are closed again.
   * Returns the problems; none means that `of` answers for all.
   */
  prepare(listeners: readonly Listener[], count: number): Unbound[] {
    const strange = this.#strange(listeners);
    const taken = strange.flatMap((listener): Unbound[] => {
      const problem = obstacleAt(listener)?.problem;
      return problem ? [{ listener, problem }] : [];
    });
    if (taken.length > 0) return taken;
    const problems: Unbound[] = [];
    this.#fresh = [];
    for (const listener of listeners) {
      const entry = this.#entry(listener);
      while (entry.fds.length < count) {
        const made = makeListener(listener);
        if (!made.ok) {
          problems.push(...made.problems.map((problem) => ({ listener, problem })));
          break;
        }
        entry.fds.push(made.value);
        this.#fresh.push({ entry, fd: made.value });
      }
    }
    if (problems.length > 0) this.rollBack();
    else for (const listener of listeners) this.own(listener);
    return problems;
  }

  /** Closes what the last `prepare` made: nobody will serve it. */
  rollBack(): void {
    for (const { entry, fd } of this.#fresh) {
      entry.fds.splice(entry.fds.indexOf(fd), 1);
      closeFd(fd);
    }
    this.#fresh = [];
    for (const [name, { fds }] of this.#sockets) if (fds.length === 0) this.#sockets.delete(name);
  }

  /** The sockets of worker `index` of `count` for this listener: every one is some worker's. */
  of(listener: Listener, index: number, count: number): number[] {
    const { fds } = this.#sockets.get(listenerName(listener)) ?? { fds: [] };
    return fds.filter((_, i) => i % count === index);
  }

  /** Closes what no listener of `kept` uses. Workers that still drain hold their own copies. */
  keep(kept: readonly Listener[]): void {
    const names = new Set(kept.map(listenerName));
    for (const [name, { fds }] of this.#sockets) {
      if (names.has(name)) continue;
      for (const fd of fds) closeFd(fd);
      this.#sockets.delete(name);
    }
    this.#fresh = [];
    this.forget();
  }

  #entry(listener: Listener): { listener: Listener; fds: number[] } {
    const name = listenerName(listener);
    const held = this.#sockets.get(name);
    if (held) return held;
    const entry = { listener, fds: [] };
    this.#sockets.set(name, entry);
    return entry;
  }
}
