import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse, stringify } from "yaml";
import { catalog } from "../../catalog.ts";
import { parseConfig } from "../../config/parse.ts";
import type { Method } from "../../core/method.ts";
import { listenerName, type Service } from "../../core/service.ts";
import { projectDir } from "../paths.ts";

/** A method's example, sharpened for the demo: weights that differ, quick checks. */
export interface Scene {
  method: Method;
  /** The configuration's text. */
  text: string;
  service: Service;
  /** `http://ADDRESS` or `http://NAME`: what clients ask for, without path. */
  origin: string;
  /** Where clients resolve names, `ADDRESS:PORT`; null when they use addresses. */
  nameServer: string | null;
  /** How long a resolver may keep a dead backend, ms. */
  memory: number;
  /** Weight by backend address. */
  weights: ReadonlyMap<string, number>;
}

interface Written {
  services: Record<string, { backends: (string | { address: string })[] } & Record<string, unknown>>;
  [key: string]: unknown;
}

/** `examples/METHOD/sluice.yaml` with weights 1, 2, 1, 2 …, a check twice a second, and a TTL of 2 s where there is one. */
export function sharpen(example: string): string {
  const written = parse(example) as Written;
  for (const service of Object.values(written.services)) {
    service.backends = service.backends.map((backend, i) => ({
      ...(typeof backend === "string" ? { address: backend } : backend),
      weight: (i % 2) + 1,
    }));
    service.check = { http: "/healthz", interval: "500ms", timeout: "500ms", rise: 2, fall: 2 };
    if (service.dns) service.dns = { ...(service.dns as object), ttl: "2s" };
  }
  return stringify(written, { lineWidth: 0 });
}

/** The example of a method as it stands in the tree. */
export const exampleOf = (method: string): string =>
  readFileSync(resolve(projectDir, `examples/${method}/sluice.yaml`), "utf8");

/** Reads a configuration's first service as its clients see it. Throws with the problems when it is refused. */
export function toScene(method: Method, text: string): Scene {
  const loaded = parseConfig(`${method.name}.yaml`, text, catalog);
  if (!loaded.ok) throw new Error(loaded.problems.map((p) => p.message).join("; "));
  const { services, settings } = loaded.value;
  const service = services[0]!;
  const { arrival } = method.traits;
  const server = arrival === "settings" ? method.sockets?.(services, settings[method.name])[0] : undefined;
  const port = service.backends[0]!.port ?? 80;
  const host = server ? `${service.names[0]}:${port}` : listenerName(service.listen[0]!);
  const { ttl = 0 } = service.options as { ttl?: number };
  return {
    method,
    text,
    service,
    origin: `http://${host.replace(/:80$/, "")}`,
    nameServer: server ? `${server.address}:${server.port}` : null,
    memory: server ? ttl * 1000 : 0,
    weights: new Map(service.backends.map(({ address, weight }) => [address, weight])),
  };
}

/** How long after a death GETs may still be lost, ms: `interval x fall + 1 s`, and what resolvers remember. */
export const allowedAfter = ({ service, memory }: Scene): number =>
  (service.check ? service.check.interval * service.check.fall : 0) + 1000 + memory;

/** May a GET be lost at all? One that holds the request until the response is there can send it again. */
export const mayLose = ({ method }: Scene): boolean => !(method.runs === "worker" && method.traits.seesResponses);
