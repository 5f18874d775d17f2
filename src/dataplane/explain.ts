import { existsSync } from "node:fs";
import { isIPv6, toBytes16 } from "../core/address.ts";
import type { Protocol } from "../core/service.ts";
import { BpfObject, lookupElement } from "../system/libbpf.ts";
import { deviceName } from "../system/net.ts";
import { testRun } from "../system/test-run.ts";
import { ensureBuilt, objectPath } from "./build.ts";
import * as layout from "./generated/layout.ts";
import { pinned } from "./kernel.ts";
import { headersOf, type LeavingHeader } from "./leaving.ts";
import { readBackendBytes } from "./local-backend.ts";
import * as phases from "./phases.ts";
import { pinsOf } from "./pins.ts";
import { type ForwardName, forwardNumber } from "./plane-service.ts";

const { Cell, Slot, State } = layout;

export interface FlowQuestion {
  from: { address: string; port: number };
  to: { address: string; port: number };
  protocol: Protocol;
  /** TCP: a first packet; else one of a connection under way. */
  begins: boolean;
  /** UDP: octets of the destination connection ID of a QUIC packet; an Initial when it begins. At most 20. */
  connectionId?: Uint8Array;
}

/** What the program would do with a packet of this flow. */
export interface FlowAnswer {
  service: string;
  method: ForwardName;
  slot: number;
  phase: "settled" | "window" | "sparse";
  /** The server ID in the packet's connection ID has decided: neither slot nor cell. */
  named: boolean;
  /** The flow's own cell in the flow table; null while it has none. */
  cell: { backend: number; tentative: boolean; closed: boolean } | null;
  /** Null: nobody may have it, and it is dropped. */
  backend: { address: string; port: number; state: "up" | "draining" | "down" } | null;
  /** The packet as it leaves for the backend; null: nobody gets it, or the way there is not known (yet). */
  leaving: { device: string | null; headers: LeavingHeader[] } | null;
}

const phaseNames = { [Slot.PHASE_SETTLED]: "settled", [Slot.PHASE_WINDOW]: "window", [Slot.PHASE_SPARSE]: "sparse" };
const stateNames = { [State.STATE_UP]: "up", [State.STATE_DRAINING]: "draining", [State.STATE_DOWN]: "down" } as const;
const SYN = 0x02;
const ACK = 0x10;

/** A frame of the flow, as far as the program reads it: it judges no checksum. */
export function frameOf({ from, to, protocol, begins, connectionId }: FlowQuestion): Uint8Array {
  const six = isIPv6(to.address);
  const header = six ? 40 : 20;
  const quic = connectionId && protocol === "udp" ? quicHead(connectionId, begins) : [];
  const segment = Math.max(20, 8 + quic.length);
  const frame = new Uint8Array(14 + header + segment);
  const view = new DataView(frame.buffer);
  const transport = protocol === "tcp" ? 6 : 17;
  view.setUint16(12, six ? 0x86dd : 0x0800);
  if (six) {
    frame.set([0x60, 0, 0, 0, 0, segment, transport, 64], 14);
    frame.set(toBytes16(from.address), 22);
    frame.set(toBytes16(to.address), 38);
  } else {
    frame.set([0x45, 0, 0, header + segment, 0, 0, 0x40, 0, 64, transport], 14);
    frame.set(toBytes16(from.address).subarray(12), 26);
    frame.set(toBytes16(to.address).subarray(12), 30);
  }
  view.setUint16(14 + header, from.port);
  view.setUint16(14 + header + 2, to.port);
  if (protocol === "tcp") frame.set([0x50, begins ? SYN : ACK], 14 + header + 12);
  else view.setUint16(14 + header + 4, segment);
  frame.set(quic, 14 + header + 8);
  return frame;
}

/** An Initial of version 1 (RFC 9000, 17.2.2), or a short header, as far as it names anybody. */
const quicHead = (id: Uint8Array, begins: boolean): number[] =>
  begins ? [0xc0, 0, 0, 0, 1, id.length, ...id, 0] : [0x40, ...id];

const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function element(object: BpfObject, map: string, index: number, size: number): DataView {
  const bytes = new Uint8Array(Math.ceil(size / 8) * 8);
  lookupElement(object.mapFd(map), word(index), bytes);
  return new DataView(bytes.buffer);
}

/** Asks the real rules, on the maps that are in force, what would become of packets; nothing is changed or counted. */
export class Explainer {
  readonly #object: BpfObject;

  private constructor(object: BpfObject) {
    this.#object = object;
  }

  /** Needs no daemon. Null when nothing of this instance is in the kernel. Throws SluiceError (SLUICE_BPF_LOAD). */
  static open(bpfDir: string): Explainer | null {
    const pins = pinsOf(bpfDir);
    if (!existsSync(`${pins.maps}/control_words`)) return null;
    ensureBuilt();
    const object = new BpfObject(objectPath("balance"));
    for (const name of pinned) object.setPinPath(name, `${pins.maps}/${name}`);
    object.setPinPath("places", pins.places);
    for (const name of ["balance", "check_entry", "beat", "sweep"]) object.skip(name);
    object.load();
    return new Explainer(object);
  }

  /** Null when the packet is for no VIP. */
  ask(question: FlowQuestion): FlowAnswer | null {
    const frame = frameOf(question);
    testRun(this.#object.programFd("explain"), frame);
    const answer = answerOf(this.#object);
    if (answer?.backend) answer.leaving = this.#leaving(frame, answer.method);
    // Where each packet keeps its port, the backend is asked on that one.
    if (answer?.backend?.port === 0) answer.backend.port = question.to.port;
    return answer;
  }

  /** Has the program make of the frame what its method does. */
  #leaving(frame: Uint8Array, method: ForwardName): FlowAnswer["leaving"] {
    const { output } = testRun(this.#object.programFd("rewrite"), frame);
    const at = layout.decision;
    const found = element(this.#object, "decisions", 0, at.size);
    const index = found.getUint32(at.ifindex, true);
    if (index === 0 || found.getInt32(at.verdict, true) < 0) return null;
    return { device: deviceName(index), headers: headersOf(output, method === "tunnel") };
  }

  close(): void {
    this.#object.close();
  }
}

function answerOf(object: BpfObject): FlowAnswer | null {
  const at = layout.decision;
  const found = element(object, "decisions", 0, at.size);
  const get = (offset: number): number => found.getUint32(offset, true);
  if (get(at.known) === 0) return null;
  const service = element(object, "services", get(at.service), layout.service.size);
  const name = new Uint8Array(service.buffer).subarray(layout.service.name);
  const forward = service.getUint32(layout.service.forward, true);
  const cell = get(at.cell);
  const number = get(at.backend);
  const state = stateNames[(number >>> State.STATE_SHIFT) as keyof typeof stateNames];
  const backend = element(object, "backends", number & State.STATE_NUMBER_MASK, layout.backend.size);
  return {
    service: new TextDecoder().decode(name.subarray(0, name.indexOf(0))),
    method: (Object.keys(forwardNumber) as ForwardName[]).find((method) => forwardNumber[method] === forward)!,
    slot: get(at.slot),
    phase: phaseNames[phases.phaseOf(get(at.word)) as keyof typeof phaseNames] as FlowAnswer["phase"],
    named: get(at.named) === 1,
    cell:
      cell === 0
        ? null
        : {
            backend: (cell & Cell.CELL_BACKEND) - 1,
            tentative: (cell & Cell.CELL_TENTATIVE) !== 0,
            closed: (cell & Cell.CELL_CLOSED) !== 0,
          },
    backend: state === undefined ? null : { ...readBackendBytes(backend), state },
    leaving: null,
  };
}
