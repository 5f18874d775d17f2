import type { Doors } from "../core/method.ts";
import type { Trouble } from "../core/trouble.ts";
import { type Plane, stateKey } from "./plane.ts";
import type { ForwardName } from "./plane-service.ts";
import type { ServiceState } from "./service-state.ts";

/** What is wrong around the services of one method now, and a line in the log when that changes. */
export class Troubles {
  readonly #plane: Plane;
  readonly #forward: ForwardName;
  readonly #log: Doors["log"];
  /** Devices that each service needs our program on. */
  #devices: ReadonlyMap<string, readonly string[]> = new Map();
  /** What was said last, by service and sentence. */
  #said = new Map<string, Trouble & { service: string }>();

  constructor(plane: Plane, forward: ForwardName, log: Doors["log"]) {
    this.#plane = plane;
    this.#forward = forward;
    this.#log = log;
  }

  /** The services in force, with the devices that each needs. */
  follow(devices: ReadonlyMap<string, readonly string[]>): void {
    this.#devices = devices;
  }

  /** Devices have other names now. */
  rename(names: ReadonlyMap<string, string>): void {
    const renamed = (devices: readonly string[]): string[] => devices.map((name) => names.get(name) ?? name);
    this.#devices = new Map([...this.#devices].map(([service, devices]) => [service, renamed(devices)]));
  }

  of(service: string): Trouble[] {
    const state = this.#plane.services.get(stateKey(this.#forward, service));
    if (!state) return [];
    const { ways } = this.#plane;
    const devices = (this.#devices.get(service) ?? []).flatMap((name) => ways.deviceTrouble(name) ?? []);
    return [...devices, ...this.#onTheWay(state), ...full(state)];
  }

  /** Backends that no route leads to, and hops where nobody answers, each once. */
  #onTheWay(state: ServiceState): Trouble[] {
    const { ways } = this.#plane;
    // As a rule: of a hundred thousand backends each is not looked at every other second.
    if (ways.lost.size === 0 && ways.hops.answered) return [];
    const silent = new Map<string, { hop: string; device: string; backends: Set<string> }>();
    const lost: Trouble[] = [];
    for (const { id, address } of state.locals.values()) {
      if (id === null) continue;
      const route = ways.routes.get(address);
      if (!route || ways.lost.has(address))
        lost.push({ code: "SLUICE_NO_ROUTE", message: `no route leads to ${address}` });
      if (!route || route.local || !ways.hops.silent(route)) continue;
      const key = `${route.device} ${route.hop}`;
      const known = silent.get(key) ?? { hop: route.hop, device: route.device, backends: new Set<string>() };
      silent.set(key, known);
      known.backends.add(address);
    }
    const neighbours = [...silent.values()].map(({ hop, device, backends }): Trouble => {
      const way = backends.has(hop) ? "" : `, the way to ${backends.size} backend${backends.size === 1 ? "" : "s"}`;
      return { code: "SLUICE_NEIGHBOUR", message: `nobody answers for ${hop} on ${device}${way}` };
    });
    return [...lost, ...neighbours];
  }

  /** Says what has begun and what is over. */
  say(): void {
    const now = new Map<string, Trouble & { service: string }>();
    for (const service of this.#devices.keys())
      for (const trouble of this.of(service)) now.set(`${service} ${trouble.message}`, { ...trouble, service });
    for (const [key, { code, message, service }] of now)
      if (!this.#said.has(key)) this.#log("warn", `service ${service}: ${message}`, { code });
    for (const [key, { code, message, service }] of this.#said)
      if (!now.has(key)) this.#log("info", `service ${service}: no longer: ${message}`, { code });
    this.#said = now;
  }
}

/** For as long as a flow that found no room may still be silent. */
function full(state: ServiceState): Trouble[] {
  if (state.sinceFull > state.idle) return [];
  return [{ code: "SLUICE_FLOWS_FULL", message: "a flow has found no room in the flow table" }];
}
