/**
 * The same hostile and odd requests and responses through Sluice, nginx and HAProxy: the same bytes' meaning on both
 * sides, or a difference that docs/http-peers.md explains.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { proxy } from "../../src/methods/proxy/index.ts";
import { aBackend, serveOne } from "../../src/relay/testing.ts";
import { freePort } from "../lib/daemon.ts";
import { differences, document } from "./http-peers/differences.ts";
import { answerWith, askWith, LenientBackend, type Outcome } from "./http-peers/exchange.ts";
import { requests } from "./http-peers/requests.ts";
import { responses } from "./http-peers/responses.ts";
import { type PeerProxy, peerProxies, startFronts } from "./http-peers/servers.ts";

const labels = [...requests, ...responses].map(({ label }) => label);
const numbers = labels.map((_, n) => n);
const folder = mkdtempSync(join(tmpdir(), "sluice-peers-"));
const stops: (() => unknown)[] = [() => rmSync(folder, { recursive: true })];
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
});

/** ms without a byte after which an exchange is over; a difference that nobody explains is looked at again for longer. */
const QUIET = 250;
const PATIENT = 1500;

/** One proxy with a backend of its own for each input. */
interface Stage {
  backends: LenientBackend[];
  at(n: number): [address: string, port: number];
}

const makeBackends = (): LenientBackend[] => {
  const backends = labels.map(() => new LenientBackend());
  stops.push(() => {
    for (const { raw } of backends) raw.stop();
  });
  return backends;
};

async function sluiceStage(): Promise<Stage> {
  const backends = makeBackends();
  const served = await Promise.all(backends.map(({ raw }) => serveOne(proxy, [aBackend(0, raw.port)])));
  stops.push(() => Promise.all(served.map(({ stop }) => stop())));
  return { backends, at: (n) => ["127.0.0.1", served[n]!.port] };
}

async function peerStage(name: PeerProxy): Promise<Stage> {
  const backends = makeBackends();
  const ports = backends.map(({ raw }) => raw.port);
  const fronts = await startFronts(name, folder, freePort(), ports);
  stops.push(fronts.stop);
  return { backends, at: (n) => [fronts.address(n), fronts.port] };
}

function outcomes({ backends, at }: Stage, which: readonly number[], quiet: number): Promise<Outcome[]> {
  const one = (n: number): Promise<Outcome> => {
    const [address, port] = at(n);
    const way = { backend: backends[n]!, address, port, quiet };
    return n < requests.length ? askWith(requests[n]!, way) : answerWith(responses[n - requests.length]!, way);
  };
  return Promise.all(which.map(one));
}

const explanation = (name: PeerProxy, label: string): string | null =>
  differences.find(({ shows }) => shows[name]?.includes(label))?.id ?? null;

const ours = await sluiceStage();
const starts = await Promise.all(
  peerProxies.map((name) =>
    peerStage(name).then(
      (stage) => ({ name, stage, why: "" }),
      (error) => ({ name, stage: null, why: String(error) }),
    ),
  ),
);
const first = outcomes(ours, numbers, QUIET);

for (const { name, stage, why } of starts) {
  if (!stage) console.error(`skipped: ${name}: ${why}`);
  test.skipIf(!stage)(`${name} does the same, but for what is explained`, async () => {
    /** Inputs whose outcomes differ without an explanation, or no longer differ although there is one. */
    const wrong = (which: readonly number[], mine: Outcome[], theirs: Outcome[]): number[] =>
      which.filter((n, i) => {
        const differs = JSON.stringify(mine[i]) !== JSON.stringify(theirs[i]);
        return differs !== (explanation(name, labels[n]!) !== null);
      });
    const again = wrong(numbers, await first, await outcomes(stage!, numbers, QUIET));
    const [mine, theirs] = [await outcomes(ours, again, PATIENT), await outcomes(stage!, again, PATIENT)];
    const left = wrong(again, mine, theirs).map((n) => {
      const i = again.indexOf(n);
      const why = explanation(name, labels[n]!);
      return `${labels[n]}: ${why ?? "not explained"}\n  ours ${JSON.stringify(mine[i])}\n  theirs ${JSON.stringify(theirs[i])}`;
    });
    expect(left.join("\n")).toBe("");
  });
}

test("every explanation is about inputs that are there, each once", () => {
  expect(new Set(labels).size).toBe(labels.length);
  for (const name of peerProxies) {
    const explained = differences.flatMap(({ shows }) => shows[name] ?? []);
    expect(explained.filter((label) => !labels.includes(label))).toEqual([]);
    expect(explained.filter((label, i) => explained.indexOf(label) !== i)).toEqual([]);
  }
});

test("no request that hides in another's body, and no response behind another, ever passes for its own", async () => {
  for (const [n, { client, backend }] of (await first).entries()) {
    const all = [...client, ...backend].join("\n");
    expect([labels[n], /(?:poison|evil)/i.test(all)]).toEqual([labels[n], false]);
    // What the backend got is readable in one way only.
    const broken = backend.filter((line) => line.startsWith("?"));
    // A chunk that never ends is cut off in the middle, as soon as its beginning has got through.
    if (labels[n] !== "chunk: size of 2^32") expect([labels[n], broken]).toEqual([labels[n], []]);
  }
});

/** `UPDATE_DOCS=1` writes it. */
test("docs/http-peers.md is what the list of differences says", () => {
  const path = join(import.meta.dirname, "../../docs/http-peers.md");
  const text = document(requests.length, responses.length);
  if (process.env.UPDATE_DOCS) writeFileSync(path, text);
  expect(readFileSync(path, "utf8")).toBe(text);
});
