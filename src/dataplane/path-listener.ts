import { addressOctets, isIPv6 } from "../core/address.ts";
import { clearHostBits, type Prefix, parsePrefix } from "../geo/prefix.ts";
import { type TooBig, type TooBigWatch, watchTooBig } from "../system/too-big.ts";
import { toldMtu } from "./path-mtu.ts";
import type { Plane } from "./plane.ts";

/** <linux/in.h> */
const IPIP = 4;
const IPV6 = 41;
const UDP = 17;

/** What an outer packet to one backend looks like. */
interface Outer {
  source: string | undefined;
  network: Prefix | null;
  /** 0: bare IP in IP. */
  guePort: number;
}

type Log = (level: "info" | "warn", message: string) => void;

/**
 * Hears routers between the director and real servers of `tunnel` say that a wrapped packet did not fit: from then on
 * clients are told of the smaller size. Anybody may send such words, so one counts only when it quotes an outer packet
 * that we send: from our own source, to a backend, wrapped as that backend's are, and larger than what would fit. The
 * least that such a word can do is 576 bytes, 1,280 of IPv6, for ten minutes.
 */
export class PathListener {
  readonly #plane: Plane;
  readonly #log: Log;
  readonly #watch: TooBigWatch;
  #saidDeaf = false;

  /** Listens in the network namespace of the call. */
  constructor(plane: Plane, log: Log, watch: TooBigWatch = watchTooBig()) {
    this.#plane = plane;
    this.#log = log;
    this.#watch = watch;
  }

  /** Takes what was said since, and forgets what is old. True when some backend's path has another MTU than before. */
  listen(now: number): boolean {
    const { routes, pathMtus } = this.#plane.ways;
    const heard = this.#watch.read();
    let moved = false;
    if (heard.length > 0 || this.#watch.deaf !== null) {
      const outers = this.#outers();
      if (outers.size > 0) this.#sayDeaf();
      for (const error of heard) if (this.#take(error, outers, now)) moved = true;
    }
    const gone = pathMtus.forget(now, (address) => routes.has(address));
    for (const address of gone) this.#log("info", `the way to ${address} is tried with its link's MTU again`);
    return moved || gone.length > 0;
  }

  #take(error: TooBig, outers: ReadonlyMap<string, Outer[]>, now: number): boolean {
    const { pathMtus } = this.#plane.ways;
    const mtu = toldMtu(error);
    if (mtu === null || !outers.get(error.target)?.some((outer) => isOne(error, outer))) return false;
    const first = pathMtus.of(error.target) === undefined;
    const learnt = pathMtus.learn(error.target, mtu, now);
    if (learnt && first) this.#log("info", `a router on the way to ${error.target} carries ${mtu} bytes at most`);
    return learnt;
  }

  /** By backends' addresses. */
  #outers(): Map<string, Outer[]> {
    const found = new Map<string, Outer[]>();
    for (const { forward, config, locals } of this.#plane.services.values()) {
      if (forward !== "tunnel") continue;
      const network = config?.outerSource === undefined ? null : parsePrefix(config.outerSource);
      for (const { address } of locals.values()) {
        const source = this.#plane.ways.routes.get(address)?.source;
        const outer = { source, network: isIPv6(address) ? null : network, guePort: config?.guePort ?? 0 };
        const known = found.get(address);
        if (known) known.push(outer);
        else found.set(address, [outer]);
      }
    }
    return found;
  }

  #sayDeaf(): void {
    const { deaf } = this.#watch;
    if (deaf === null || this.#saidDeaf) return;
    this.#saidDeaf = true;
    this.#log("warn", `routers that carry less than our own link are not heard (it takes CAP_NET_RAW): ${deaf}`);
  }

  close(): void {
    this.#watch.close();
  }
}

/** Is what a router quotes a packet that we send? */
function isOne({ source, protocol, port }: TooBig, outer: Outer): boolean {
  const wrapped =
    outer.guePort === 0 ? protocol === IPIP || protocol === IPV6 : protocol === UDP && port === outer.guePort;
  return wrapped && (outer.network ? isWithin(source, outer.network) : source === outer.source);
}

function isWithin(address: string, { bytes, length }: Prefix): boolean {
  const octets = addressOctets(address).slice();
  return octets.length === bytes.length && clearHostBits(octets, length).every((octet, i) => octet === bytes[i]);
}
