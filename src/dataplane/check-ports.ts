import { control } from "./generated/layout.ts";
import { type PlaneMemory, setWord } from "./memory.ts";

/** Above the kernel's usual range of its own choosing (32768-60999), so no connection of the host's is taken for a check. */
const CHECK_LOW = 61_000;
const CHECK_HIGH = 65_000;
/** Ports of one backend: the next probe never waits for the last one's connection to die. Fewer, as they become few. */
const MOST = 8;
const FEWEST = 2;
const share = (left: number): number => Math.min(MOST, Math.max(FEWEST, Math.floor(left / 500)));

/** Backends that have ports of their own when every one is asked for. */
export const CHECKED_BACKENDS = (() => {
  let count = 0;
  for (let left = CHECK_HIGH - CHECK_LOW + 1; left >= FEWEST; left -= share(left)) count++;
  return count;
})();

/** Source ports of checks: the port says which backend a probe of the VIP is for. */
export class CheckPorts {
  readonly #memory: PlaneMemory;
  readonly #ports = new Map<number, { ports: number[]; next: number }>();
  readonly #taken = new Set<number>();

  constructor(memory: PlaneMemory) {
    this.#memory = memory;
    setWord(memory.control_words, 0, control.checkLow, CHECK_LOW);
    setWord(memory.control_words, 0, control.checkHigh, CHECK_HIGH);
    memory.check_ports.bytes.fill(0);
  }

  /** The next port for a backend (the plane's number), in rotation; null when all are taken. */
  next(backend: number): number | null {
    const own = this.#ports.get(backend) ?? this.#allot(backend);
    if (own.ports.length === 0) return null;
    return own.ports[own.next++ % own.ports.length]!;
  }

  #allot(backend: number): { ports: number[]; next: number } {
    const ports: number[] = [];
    const each = share(CHECK_HIGH - CHECK_LOW + 1 - this.#taken.size);
    for (let port = CHECK_LOW; port <= CHECK_HIGH && ports.length < each; port++) {
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      ports.push(port);
      setWord(this.#memory.check_ports, port, 0, backend + 1);
    }
    const own = { ports, next: 0 };
    if (ports.length > 0) this.#ports.set(backend, own);
    return own;
  }

  release(backend: number): void {
    for (const port of this.#ports.get(backend)?.ports ?? []) {
      this.#taken.delete(port);
      setWord(this.#memory.check_ports, port, 0, 0);
    }
    this.#ports.delete(backend);
  }
}
