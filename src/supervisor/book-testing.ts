import type { Verdict } from "../core/check.ts";
import type { EventBody } from "../core/event.ts";
import type { BackendConfig, Config, Service } from "../core/service.ts";
import { Book } from "./book.ts";
import { foundBy, LastKnown } from "./last-known.ts";
import { Operator } from "./operator.ts";

/** What tests of the book share: services of a few backends, verdicts, and an operator who speaks. */

export const backend = (n: number, more: Partial<BackendConfig> = {}): BackendConfig => ({
  address: `10.0.0.${n}`,
  port: 80,
  weight: 1,
  tier: 0,
  tags: [],
  admin: "ready",
  ...more,
});
export const service = (backends: BackendConfig[], check = true): Service => ({
  name: "web",
  method: "proxy",
  listen: [{ address: "127.0.0.1", port: 80, protocol: "tcp" }],
  names: [],
  scheduler: { name: "random", options: {} },
  backends,
  check: check ? { kind: "tcp", options: {}, interval: 100, timeout: 50, rise: 2, fall: 3 } : null,
  nearest: false,
  options: {},
});
export const config = (...services: Service[]): Config => ({
  version: 1,
  services,
  settings: {},
  geography: { places: {} },
  workers: 1,
  log: { level: "info", format: "text" },
  drain: 1000,
});
export const good: Verdict = { passed: true, code: "SLUICE_CHECK_OK", detail: "ok", latency: 1 };
export const bad: Verdict = { passed: false, code: "SLUICE_CHECK_REFUSED", detail: "connect refused", latency: 1 };

export function running(...backends: BackendConfig[]): Book {
  const book = new Book({});
  book.commit(book.stage(config(service(backends)), 1));
  return book;
}
/** That an earlier daemon had found these alive. */
export function foundAlive(...backends: BackendConfig[]): LastKnown {
  const book = running(...backends);
  for (const id of backends.keys()) book.verdict(`web/${id}`, good);
  return new LastKnown(foundBy(book.entries.values()), false);
}
/** An operator of this book; what it tells the rest of the daemon. */
export function operatorOf(book: Book) {
  const events: EventBody[] = [];
  const operator = new Operator(book, { changed: (event) => events.push(event), spread() {}, done() {} });
  operator.stop();
  return { operator, events };
}
export const eligible = (book: Book) => book.entry("web")!.snapshot.eligible;
