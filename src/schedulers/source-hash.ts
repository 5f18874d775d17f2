import { defineScheduler } from "../core/scheduler.ts";
import { Maglev, maglevOptions } from "./maglev.ts";

/** Maglev's table, entered by the client's address alone: one client stays with one backend. */
export default defineScheduler({
  name: "source-hash",
  summary: "A consistent hash of the client's address by weight: a client stays with its backend.",
  options: maglevOptions,
  faces: ["pick", "order", "slots"],
  needs: { key: true },
  slotKey: "source",
  create: (set, options, env) => new Maglev(set, options, env.seed),
});
