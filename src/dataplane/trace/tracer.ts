import { existsSync } from "node:fs";
import { join } from "node:path";
import { lookupElement, openPinned, RingBuffer, updateElement } from "../../system/libbpf.ts";
import { closeFd, mapDescriptor } from "../../system/net.ts";
import { control, decapConfig, traceOrder } from "../generated/layout.ts";
import { pinsOf } from "../pins.ts";
import { ticksNow } from "../ticks.ts";
import { encodeOrder, type Watch } from "./order.ts";
import { decodeRecord, type TraceRecord } from "./record.ts";

const first = new Uint8Array(4);
/** Ticks that an order holds without being renewed: a watcher that is killed costs nothing for long. */
const HOLDS = 4;

/** Does a process of this number live? */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Watches the packets of one instance's programs: the director's, a real server's, or both. Needs no daemon. */
export class Tracer {
  readonly #orders: number;
  readonly #ring: RingBuffer;
  /** The director's word; null where only a real server's program runs. */
  readonly #control: Uint32Array | null;
  /** The real server's settings; -1 where it has none. */
  readonly #decap: number;
  #order: Uint8Array = new Uint8Array(traceOrder.size);

  private constructor(orders: number, ring: number, controlWords: number | null, decap: number | null, heard: Heard) {
    this.#orders = orders;
    this.#ring = new RingBuffer(ring, (bytes) => heard(decodeRecord(bytes)));
    this.#control = controlWords === null ? null : new Uint32Array(mapDescriptor(controlWords, control.size));
    if (controlWords !== null) closeFd(controlWords);
    this.#decap = decap ?? -1;
  }

  /** Null when nothing of this instance is in the kernel; `heard` gets each record during `poll`. */
  static open(bpfDir: string, heard: Heard): Tracer | null {
    const { maps } = pinsOf(bpfDir);
    if (!existsSync(join(maps, "trace_orders"))) return null;
    const [orders, ring] = ["trace_orders", "trace_ring"].map((name) => openPinned(join(maps, name)));
    if (orders === null || ring === null || orders === undefined || ring === undefined) return null;
    const words = openPinned(join(maps, "control_words"));
    return new Tracer(orders, ring, words, openPinned(join(maps, "decap_settings")), heard);
  }

  /** Begins. Returns the process that watches already; there can be one at a time. `numberOf`: a service's number. */
  start(watch: Watch, numberOf: (service: string) => number): number | null {
    const before = this.#read();
    const owner = before.getUint32(traceOrder.owner, true);
    const holds = ((before.getUint32(traceOrder.until, true) - ticksNow()) | 0) >= 0;
    if (holds && owner !== process.pid && alive(owner)) return owner;
    // What an earlier watcher left unread is not ours.
    this.#ring.consume(() => {});
    this.#order = encodeOrder(watch, process.pid, numberOf);
    this.#write(ticksNow() + HOLDS);
    this.#tell(1);
    return null;
  }

  /** Gives every record that has come to `heard`; to be called several times a second. */
  poll(): void {
    this.#ring.consume();
  }

  /** To be called once a second, or the program stops telling. */
  renew(): void {
    const now = this.#read();
    now.setUint32(traceOrder.until, ticksNow() + HOLDS, true);
    updateElement(this.#orders, first, new Uint8Array(now.buffer));
    this.#tell(1);
  }

  /** Packets beyond the rate, or for which the ring had no room. */
  get lost(): number {
    return this.#read().getUint32(traceOrder.lost, true);
  }

  /** Lets the order run out, as it does when its owner is killed. */
  expire(): void {
    this.#write(ticksNow() - 1);
  }

  stop(): void {
    this.#tell(0);
    this.expire();
    this.#ring.consume();
    this.#ring.close();
    closeFd(this.#orders);
    if (this.#decap >= 0) closeFd(this.#decap);
  }

  #read(): DataView {
    const order = new Uint8Array(traceOrder.size);
    lookupElement(this.#orders, first, order);
    return new DataView(order.buffer);
  }

  #write(until: number): void {
    new DataView(this.#order.buffer).setUint32(traceOrder.until, until, true);
    updateElement(this.#orders, first, this.#order);
  }

  /** The one word that each program reads anyway. */
  #tell(on: number): void {
    if (this.#control) this.#control[control.tracing / 4] = on;
    if (this.#decap < 0) return;
    const settings = new Uint8Array(decapConfig.size);
    lookupElement(this.#decap, first, settings);
    new DataView(settings.buffer).setUint32(decapConfig.tracing, on, true);
    updateElement(this.#decap, first, settings);
  }
}

type Heard = (record: TraceRecord) => void;
