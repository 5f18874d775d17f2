import { z } from "zod";
import type { Catalog } from "../catalog.ts";
import { defineCheck } from "../core/check.ts";
import { defineMethod, type Traits } from "../core/method.ts";
import { defineScheduler, type Face } from "../core/scheduler.ts";
import { duration } from "../core/schema-words.ts";
import type { MethodName } from "../core/service.ts";

const traits: Traits = {
  face: "pick",
  load: "own",
  seesResponses: true,
  translatesPort: true,
  preparesRealServer: false,
  checks: "backend",
  needs: [],
  counts: [],
  names: "optional",
  arrival: "listen",
  protocols: ["tcp"],
  places: false,
  defaultScheduler: "round-robin",
};

const method = <O>(name: MethodName, layer: 2 | 3 | 4 | 7, options: z.ZodType<O>, more: Partial<Traits>) =>
  defineMethod<O, null>({
    name,
    layer,
    summary: `The method ${name}.`,
    runs: layer === 7 ? "worker" : "kernel",
    options,
    traits: { ...traits, ...more },
    judge: () => [],
    compile: () => null,
  });

const scheduler = (name: string, faces: Face[], load?: "own") =>
  defineScheduler({
    name,
    summary: `The scheduler ${name}.`,
    options: z.strictObject(name === "maglev" ? { slots: z.int().min(3).default(16381) } : {}),
    faces,
    needs: load ? { load } : {},
    create: () => ({ pick: () => -1 }),
  });

const kernel = { load: "reported", face: "slots", defaultScheduler: "maglev" } as const;

/** A small product for the tests of this room: two methods of each sort, three schedulers, two checks. */
export const testCatalog: Catalog = {
  methods: [
    method(
      "proxy",
      7,
      z.strictObject({ timeouts: z.strictObject({ connect: duration().prefault("5s") }).prefault({}) }),
      {},
    ),
    {
      ...method("dns", 7, z.strictObject({ ttl: duration().prefault("30s") }), {
        arrival: "settings",
        names: "required",
        face: "order",
        protocols: ["tcp", "udp"],
      }),
      settings: z.strictObject({ listen: z.array(z.string()).min(1) }),
    },
    method("nat", 4, z.strictObject({ engine: z.enum(["auto", "xdp", "nftables"]).default("auto") }), {
      ...kernel,
      protocols: ["tcp", "udp"],
    }),
    method("direct", 2, z.strictObject({}), { ...kernel, translatesPort: false, protocols: ["tcp", "udp"] }),
  ],
  schedulers: [
    scheduler("round-robin", ["pick", "order"]),
    scheduler("least-connections", ["pick"], "own"),
    scheduler("maglev", ["pick", "slots"]),
  ],
  checks: [
    defineCheck({
      name: "tcp",
      summary: "A connection can be made.",
      options: z.strictObject({}),
      fromShort: (value) => (value === true ? {} : value),
      probe: async () => ({ passed: true, code: "SLUICE_CHECK_OK", detail: "", latency: 0 }),
    }),
    defineCheck({
      name: "http",
      summary: "A request is answered.",
      options: z.strictObject({ path: z.string().startsWith("/").default("/"), status: z.int().default(200) }),
      fromShort: (value) => (typeof value === "string" ? { path: value } : value),
      probe: async () => ({ passed: true, code: "SLUICE_CHECK_OK", detail: "", latency: 0 }),
    }),
  ],
};
