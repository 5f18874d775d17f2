import { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Counted } from "../core/most-wanted.ts";
import { type Problem, type Result, toProblem } from "../core/problem.ts";
import type { Config } from "../core/service.ts";
import { closestWord } from "../core/words.ts";
import type { EventLog } from "../observe/events.ts";
import { metricsParts } from "../observe/metrics.ts";
import type { StatusView } from "../observe/status.ts";
import { statusParts } from "../observe/status-json.ts";
import { turn } from "../runtime/clock.ts";

/** What came of a revision; `text` says it to a person. */
export interface Outcome {
  revision: number;
  problems: Problem[];
  text: string;
}

/** A revision that can be run again. */
export interface KeptRevision {
  revision: number;
  /** The one whose configuration it has: itself, unless it was a rollback. */
  as: number;
  /** When it began to run, ms since 1970. */
  at: number;
  running: boolean;
}

/** What the admin API may ask of the daemon. */
export interface Daemon {
  status(): Promise<StatusView>;
  events: EventLog;
  reload(): Promise<Outcome>;
  /** The revisions that can be run again, oldest first. */
  revisions(): KeptRevision[];
  /** Runs what an earlier revision was; null: the one before. */
  rollback(to: number | null): Promise<Result<Outcome>>;
  /** What an operator says of a backend, or of all with a tag (of one service, or null: of all); the backends meant. */
  command(service: string, backend: string, wish: z.infer<typeof backendWish>): string[];
  commandTag(tag: string, service: string | null, wish: z.infer<typeof backendWish>): string[];
  setRole(role: "active" | "standby"): Promise<void>;
  /** The running configuration, without its secret. */
  config(): unknown;
  /** Why a method gives the answer it gives; null when the method has nothing to explain. */
  explain(method: string, question: Record<string, string>): Promise<Result<string[]> | null>;
  /** What clients of a service have asked for most; null when nothing of it is counted. */
  wanted(service: string, most: number): { since: string; files: Counted[] } | null;
  /** Starts the program on disk, which will ask for the handover; its pid. `file`: the running configuration's, or another. */
  upgrade(file: string | null): Result<number>;
  /** Leaves everything running for the next daemon (`pid`, where it says so) and ends. */
  handOver(pid: number | null): void;
}

/** A year. */
const MOST_MS = 366 * 86_400_000;

const words = z.strictObject({
  admin: z.enum(["ready", "drain", "maintenance"]).optional(),
  weight: z.int().min(0).max(65535).optional(),
  /** ms; absent: without an end. */
  for: z.int().min(1000).max(MOST_MS).optional(),
});
const saysSomething = ({ admin, weight }: z.infer<typeof words>): boolean => (admin ?? weight) !== undefined;
const WANTING = "say a state (admin), a weight, or both";
const backendWish = words.refine(saysSomething, WANTING);
const tagWish = words.extend({ service: z.string().optional() }).refine(saysSomething, WANTING);
const upgradeWish = z.strictObject({ file: z.string().startsWith("/").optional() });
const handoverWish = z.strictObject({ pid: z.int().min(1).optional() });
const rollbackWish = z.strictObject({ revision: z.int().min(1).optional() });
const roleWish = z.strictObject({ role: z.enum(["active", "standby"]) });

/** The admin API of a daemon: reads by GET, every change by POST. */
export function createApi(daemon: Daemon): OpenAPIHono {
  const api = new OpenAPIHono();
  addViews(api, daemon);
  addBackends(api, daemon);
  addRevisions(api, daemon);
  api.notFound((c) => c.json({ message: `there is no ${c.req.method} ${c.req.path}` }, 404));
  api.onError((error, c) => c.json({ message: toProblem(error).message }, 500));
  return api;
}

/** What the JSON of a body says; without a body `{}`. Null, which is no wish of any kind, for what is no JSON. */
async function bodyOf(request: { text(): Promise<string> }): Promise<unknown> {
  const text = await request.text();
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    return null;
  }
}

/** What there is to see. */
function addViews(api: OpenAPIHono, daemon: Daemon): void {
  api.get("/healthz", (c) => c.text("ok\n"));
  api.get("/v1/status", async (c) =>
    c.body(streamOf(statusParts(await daemon.status())), 200, { "content-type": "application/json" }),
  );
  api.get("/metrics", async (c) => {
    const { head, services } = await daemon.status();
    const parts = metricsParts({ ...head, services: [...services] });
    return c.body(streamOf(parts), 200, { "content-type": "text/plain; version=0.0.4" });
  });
  api.get("/v1/events", (c) => {
    const after = Number(c.req.query("after") ?? 0) || 0;
    return c.req.query("follow") === undefined
      ? c.json(daemon.events.list(after))
      : follow(daemon.events, after, c.req.raw.signal);
  });
  api.get("/v1/services/:service/files", (c) => {
    const service = c.req.param("service");
    const wanted = daemon.wanted(service, Math.min(Math.max(1, Number(c.req.query("top")) || 20), 10_000));
    if (wanted) return c.json(wanted);
    const message = `nothing is counted of service ${service}: that takes method redirect and mirrors`;
    return c.json({ message: unknownService(daemon, service) ?? message }, 404);
  });
  api.get("/v1/config", (c) => c.json(daemon.config() as object));
  api.get("/v1/explain/:method", async (c) => {
    const method = c.req.param("method");
    const explained = await daemon.explain(method, c.req.query());
    if (explained === null) return c.json({ message: `no service that runs explains itself by method ${method}` }, 404);
    return explained.ok ? c.json({ lines: explained.value }) : c.json({ message: explained.problems[0]!.message }, 400);
  });
}

/** Says that no service of this name runs; null where one does. */
function unknownService(daemon: Daemon, name: string): string | null {
  const names = (daemon.config() as Config | null)?.services.map((service) => service.name) ?? [];
  if (names.includes(name)) return null;
  const closest = closestWord(name, names);
  return `there is no service ${name}${closest ? `; did you mean ${closest}?` : ""}`;
}

/** What an operator says of backends and of the director. */
function addBackends(api: OpenAPIHono, daemon: Daemon): void {
  api.post("/v1/services/:service/backends/:backend", async (c) => {
    const wish = backendWish.safeParse(await bodyOf(c.req));
    if (!wish.success) return c.json({ message: z.prettifyError(wish.error) }, 400);
    const { service, backend } = c.req.param();
    const backends = daemon.command(service, backend, wish.data);
    if (backends.length > 0) return c.json({ backends });
    const message = `service ${service} has no backend ${backend}: see sluice backends ${service}`;
    return c.json({ message: unknownService(daemon, service) ?? message }, 404);
  });
  api.post("/v1/tags/:tag", async (c) => {
    const asked = tagWish.safeParse(await bodyOf(c.req));
    if (!asked.success) return c.json({ message: z.prettifyError(asked.error) }, 400);
    const tag = c.req.param("tag");
    const { service = null, ...wish } = asked.data;
    const backends = daemon.commandTag(tag, service, wish);
    if (backends.length > 0) return c.json({ backends });
    return c.json({ message: `no backend${service === null ? "" : ` of service ${service}`} has the tag ${tag}` }, 404);
  });
  api.post("/v1/role", async (c) => {
    const wish = roleWish.safeParse(await bodyOf(c.req));
    if (!wish.success) return c.json({ message: z.prettifyError(wish.error) }, 400);
    await daemon.setRole(wish.data.role);
    return c.json({ ok: true });
  });
}

/** What runs: configurations and programs. */
function addRevisions(api: OpenAPIHono, daemon: Daemon): void {
  api.get("/v1/revisions", (c) => c.json(daemon.revisions()));
  api.post("/v1/reload", async (c) => {
    const done = await daemon.reload();
    return c.json(done, done.problems.length === 0 ? 200 : 422);
  });
  api.post("/v1/rollback", async (c) => {
    const wish = rollbackWish.safeParse(await bodyOf(c.req));
    if (!wish.success) return c.json({ message: z.prettifyError(wish.error) }, 400);
    const done = await daemon.rollback(wish.data.revision ?? null);
    if (!done.ok) return c.json({ message: done.problems[0]!.message }, 404);
    return c.json(done.value, done.value.problems.length === 0 ? 200 : 422);
  });
  api.post("/v1/upgrade", async (c) => {
    const wish = upgradeWish.safeParse(await bodyOf(c.req));
    if (!wish.success) return c.json({ message: z.prettifyError(wish.error) }, 400);
    const started = daemon.upgrade(wish.data.file ?? null);
    return started.ok ? c.json({ pid: started.value }) : c.json({ message: started.problems[0]!.message }, 409);
  });
  api.post("/v1/handover", async (c) => {
    const wish = handoverWish.safeParse(await bodyOf(c.req));
    if (!wish.success) return c.json({ message: z.prettifyError(wish.error) }, 400);
    daemon.handOver(wish.data.pid ?? null);
    return c.json({ ok: true });
  });
}

/** Characters that are sent at a time, at least. */
const PART = 1 << 16;

/**
 * A body in parts, each made when the one before has gone: what is large is never whole in memory, and verdicts that have
 * come meanwhile are heard between two parts.
 */
function streamOf(parts: Iterator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      await turn();
      let text = "";
      while (text.length < PART) {
        const { value, done } = parts.next();
        if (done) break;
        text += value;
      }
      if (text === "") controller.close();
      else controller.enqueue(encoder.encode(text));
    },
  });
}

/** Events that may wait for a reader: whoever falls further behind would be held in memory without an end. */
const MOST_BEHIND = 10_000;

/** Events as JSON lines, the kept ones first, then each as it happens, until the reader leaves or is far behind. */
function follow(events: EventLog, after: number, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  let stop = (): void => {};
  const body = new ReadableStream({
    start(controller) {
      const send = (recorded: unknown): void => {
        controller.enqueue(encoder.encode(`${JSON.stringify(recorded)}\n`));
        if (controller.desiredSize! > -MOST_BEHIND) return;
        stop();
        controller.close();
      };
      for (const recorded of events.list(after)) send(recorded);
      stop = events.subscribe(send);
      signal.addEventListener("abort", () => stop());
    },
    cancel: () => stop(),
  });
  return new Response(body, { headers: { "content-type": "application/x-ndjson" } });
}
