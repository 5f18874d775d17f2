import { flowBucket as at, Cell, Life, Limit, State } from "./generated/layout.ts";
import type { PlaneView, ViewedService } from "./plane-view.ts";
import { lifeTicks, ticksNow } from "./ticks.ts";

/** A flow that is written down. The table holds a hash of its addresses, not the addresses: `explain` knows a flow by them. */
export interface ListedFlow {
  /** Place in the table, to go on from. */
  id: number;
  service: string;
  slot: number;
  protocol: "tcp" | "udp";
  /** Of the hash: tells the flows of a slot apart; hexadecimal. */
  tag: string;
  backend: string | null;
  state: "tentative" | "open" | "closed";
  /** Seconds since its last packet, to about one. */
  silent: number;
}

export interface FlowQuery {
  service?: string;
  /** `ADDRESS:PORT` of a backend. */
  backend?: string;
  /** Flows after this one. */
  after: number;
  limit: number;
}

const TICK_SECONDS = 2 ** Limit.TICK_SHIFT / 1e9;

/** Live flows in the order of the table. `more`: there are others behind the last one. */
export function listFlows(view: PlaneView, query: FlowQuery): { flows: ListedFlow[]; more: boolean } {
  const services = new Map(view.services().map((one) => [one.number, one]));
  const backends = new Map([...services.values()].map((one) => [one.number, view.backendsOf(one)]));
  const flows: ListedFlow[] = [];
  const now = ticksNow();
  for (let bucket = Math.floor(query.after / Limit.FLOW_WAYS); bucket < Limit.FLOW_BUCKETS; bucket++) {
    const cells = view.element("flows", bucket, at.size);
    for (let way = 0; way < Limit.FLOW_WAYS; way++) {
      const id = bucket * Limit.FLOW_WAYS + way + 1;
      if (id <= query.after) continue;
      const service = services.get(cells.getUint16(at.service + 2 * way, true));
      const flow = service && flowOf(view, cells, way, id, service, backends.get(service.number)!, now);
      if (!flow || !wanted(flow, query)) continue;
      if (flows.length === query.limit) return { flows, more: true };
      flows.push(flow);
    }
  }
  return { flows, more: false };
}

const wanted = (flow: ListedFlow, { service, backend }: FlowQuery): boolean =>
  (service === undefined || flow.service === service) && (backend === undefined || flow.backend === backend);

/** Null of a cell that is free or dead. */
function flowOf(
  view: PlaneView,
  cells: DataView,
  way: number,
  id: number,
  service: ViewedService,
  backends: ReadonlyMap<number, { number: number; state: number }>,
  now: number,
): ListedFlow | null {
  const cell = cells.getUint16(at.cell + 2 * way, true);
  if ((cell & Cell.CELL_BACKEND) === 0) return null;
  const udp = (cell & Cell.CELL_UDP) !== 0;
  const age = (now - cells.getUint16(at.seen + 2 * way, true)) & 0xffff;
  const life = lifeTicks(cells.getUint8(at.life + way) & Life.LIFE_BITS);
  const backend = backends.get((cell & Cell.CELL_BACKEND) - 1);
  if (age > life || !backend || backend.state === State.STATE_GONE) return null;
  const closed = (cell & Cell.CELL_CLOSED) !== 0;
  return {
    id,
    service: service.name,
    slot: cells.getUint16(at.slot + 2 * way, true),
    protocol: udp ? "udp" : "tcp",
    tag: cells
      .getUint32(at.tag + 4 * way, true)
      .toString(16)
      .padStart(8, "0"),
    backend: view.backendName(backend.number),
    state: closed ? "closed" : (cell & Cell.CELL_TENTATIVE) !== 0 ? "tentative" : "open",
    silent: Math.round(age * TICK_SECONDS),
  };
}
