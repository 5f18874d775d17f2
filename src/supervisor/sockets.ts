import type { Problem } from "../core/problem.ts";
import { type Listener, listenerName } from "../core/service.ts";
import { closeFd, makeListener } from "../runtime/listen.ts";

/**
 * The listening sockets of an instance: one per listener and worker index. They outlive workers and generations, so
 * that no connection is refused while one hands over to the next.
 */
export class SocketTable {
  readonly #sockets = new Map<string, { listener: Listener; fds: number[] }>();

  /** Takes a socket that an earlier daemon made: its queue of connections is kept. */
  adopt(listener: Listener, fd: number): void {
    const entry = this.#entry(listener);
    entry.fds.push(fd);
  }

  /**
   * Sees that `count` sockets exist for each listener. On a problem the ones made by this call are closed again.
   * Returns the problems; none means that `of` answers for all.
   */
  prepare(listeners: readonly Listener[], count: number): { listener: Listener; problem: Problem }[] {
    const problems: { listener: Listener; problem: Problem }[] = [];
    const fresh: { entry: { fds: number[] }; fd: number }[] = [];
    for (const listener of listeners) {
      const entry = this.#entry(listener);
      while (entry.fds.length < count) {
        const made = makeListener(listener);
        if (!made.ok) {
          problems.push(...made.problems.map((problem) => ({ listener, problem })));
          break;
        }
        entry.fds.push(made.value);
        fresh.push({ entry, fd: made.value });
      }
    }
    if (problems.length > 0)
      for (const { entry, fd } of fresh) {
        entry.fds.splice(entry.fds.indexOf(fd), 1);
        closeFd(fd);
      }
    return problems;
  }

  /** The socket of worker `index` for this listener. */
  of(listener: Listener, index: number): number {
    const { fds } = this.#sockets.get(listenerName(listener))!;
    return fds[index]!;
  }

  /** Closes what no listener of `kept` uses, and surplus sockets. Workers that still drain hold their own copies. */
  keep(kept: readonly Listener[], count: number): void {
    const names = new Set(kept.map(listenerName));
    for (const [name, { fds }] of this.#sockets) {
      for (const fd of fds.splice(names.has(name) ? count : 0)) closeFd(fd);
      if (fds.length === 0) this.#sockets.delete(name);
    }
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
