import { type Counts, counterNames } from "../core/counters.ts";
import type { BackendStatus, ServiceStatus, StatusModel } from "./status.ts";
import { STATUS_SCHEMA } from "./status.ts";

/** A small instance for tests of what renders a status: one service that counts requests, one that cannot. */
export const counts = (known: Partial<Counts>): Counts =>
  ({ ...Object.fromEntries(counterNames.map((name) => [name, null])), ...known }) as Counts;

export const backendStatus = (over: Partial<BackendStatus> = {}): BackendStatus => ({
  id: 1,
  name: "10.0.0.1:80",
  state: "up",
  eligible: true,
  weight: 1,
  share: 1,
  counts: counts({}),
  check: { code: "SLUICE_CHECK_OK", detail: "http status 200", latency: 0.42, at: 1_000_000 },
  since: 940_000,
  ...over,
});

export const serviceStatus = (over: Partial<ServiceStatus> = {}): ServiceStatus => ({
  name: "web",
  method: "proxy",
  state: "serving",
  problem: null,
  listeners: ["125.12.12.12:80"],
  names: [],
  scheduler: "least-connections",
  describe: [],
  troubles: [],
  counts: counts({}),
  drops: {},
  backends: [backendStatus()],
  ...over,
});

export const statusModel = (services: ServiceStatus[]): StatusModel => ({
  schema: STATUS_SCHEMA,
  at: 1_000_500,
  instance: "main",
  pid: 4242,
  version: "0.1.0",
  file: "/etc/sluice/sluice.yaml",
  revision: 3,
  since: 400_500,
  workers: 2,
  spare: true,
  methods: [],
  services,
});

export const exampleModel = (): StatusModel =>
  statusModel([
    serviceStatus({
      counts: counts({ active: 2, connections: 1500, requests: 12_345, errors: 1, bytesIn: 4096, bytesOut: 5_000_000 }),
      backends: [
        backendStatus({
          weight: 2,
          counts: counts({ active: 2, requests: 12_000, errors: 0, bytesIn: 4000, bytesOut: 4_900_000 }),
        }),
        backendStatus({
          id: 2,
          name: "10.0.0.2:80",
          state: "down",
          eligible: false,
          share: 0,
          counts: counts({ active: 0, requests: 345, errors: 1, bytesIn: 96, bytesOut: 100_000 }),
          check: { code: "SLUICE_CHECK_REFUSED", detail: "http connect refused", latency: null, at: 1_000_000 },
          since: 988_500,
        }),
      ],
    }),
    serviceStatus({
      name: "files",
      method: "direct",
      listeners: ["125.12.12.77:80"],
      scheduler: "maglev",
      describe: ["xdp native on eth0"],
      counts: counts({ packetsIn: 10, bytesIn: 640, drops: 1 }),
      drops: { SLUICE_DROP_NO_BACKEND: 1 },
      backends: [backendStatus({ name: "125.12.12.20", state: "unchecked", check: null })],
    }),
  ]);
