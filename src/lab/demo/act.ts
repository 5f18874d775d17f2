import { sleep } from "../../runtime/clock.ts";
import { programCommand } from "../start.ts";
import { startDownloads } from "./downloads.ts";
import { exchanges, framesAt, type Hop, hopsOf, hopText, pathOf, responsePassed } from "./journey.ts";
import { countLosses, readLoad } from "./losses.ts";
import type { DeathResult, PathResult, SharesResult } from "./result.ts";
import { allowedAfter, type Scene } from "./scene.ts";
import { shareError, shareLimit, toShares } from "./shares.ts";
import type { Actor, Stage } from "./stage.ts";
import type { Watch } from "./watch.ts";

type Say = (text: string) => void;

/** The article's client port and the ones after it: a redirect's second connection needs one of its own. */
const CLIENT_PORTS = "5656-5659";

/** The real clients, up to their output's path. */
const CURL = ["-4sSfL", "--max-time", "5", "-o"];
const WGET = ["wget", "-4", "-q", "-T", "5", "-t", "1", "-O"];

/** Requests whose packets at the director are counted, the one that is shown among them. */
const COUNTED = 20;

/** (a) One request, captured on every cable; then some more, to count packets at the director. */
export async function showPath(stage: Stage, scene: Scene, watch: Watch): Promise<PathResult> {
  const word = `hop-${process.pid.toString(36)}`;
  const fetch = async (marker: string, [program, ...options]: readonly string[]) => {
    const url = `${scene.origin}/${marker}`;
    const { code, stderr } = await stage.asClient([program!, ...options, "/dev/null", url]);
    if (code === 0) return;
    const seen = watch.hops().slice(-3).map(hopText);
    const last = seen.length > 0 ? `; the last that was seen: ${seen.join("; ")}` : "";
    throw new Error(`${program} ${url}: exit code ${code}: ${stderr.trim()}${last}`);
  };
  const ends = (hops: readonly Hop[]) => responsePassed(hopsOf(hops, `${word}-1 `), stage.client);
  await fetch(`${word}-1`, ["curl", "--local-port", CLIENT_PORTS, ...CURL]);
  for (const end = performance.now() + 3_000; !ends(watch.hops()) && performance.now() < end; ) await sleep(20);
  // The last FINs and ACKs.
  await sleep(60);
  const one = hopsOf(watch.hops(), `${word}-1 `);
  for (let i = 2; i <= COUNTED; i++) await fetch(`${word}-${i}`, i % 2 ? ["curl", ...CURL] : WGET);
  const all = hopsOf(await watch.stop(), word);
  const waited = exchanges(one, stage.client);
  return {
    hops: pathOf(one),
    exchanges: waited,
    roundTrips: waited.length,
    packetsPerRequest: framesAt(all, stage.director) / COUNTED,
    requests: COUNTED,
    bypassesDirector: !responsePassed(all, stage.director),
  };
}

/** Weights by the name that a server answers with. */
const weightsByServer = (stage: Stage, scene: Scene): Map<string, number> =>
  new Map([...scene.weights].map(([address, weight]) => [stage.servers.get(address) ?? address, weight]));

/** (b) Requests per backend against weights. */
export async function showShares(stage: Stage, scene: Scene, requests: number): Promise<SharesResult> {
  const replies = await stage.getMany("/", requests);
  const backends = toShares(replies, weightsByServer(stage, scene));
  const lost = replies.filter((name) => name === null).length;
  return { backends, requests, lost, error: shareError(backends), limit: shareLimit(backends, requests) };
}

/** GETs a second, over all clients of the load. */
const RATE = 80;

/** Clients of the load: with names, several, since each keeps what it was told. */
const loadClients = (scene: Scene): number => (scene.nameServer ? 8 : 1);

async function startLoad(stage: Stage, scene: Scene): Promise<{ actors: Actor[]; logs: string[] }> {
  const clients = loadClients(scene);
  const logs = Array.from({ length: clients }, (_, i) => `${stage.folder}/load-${i}.log`);
  const resolve = scene.nameServer ? ["--resolve", scene.nameServer.replace(/:53$/, "")] : [];
  const actors = await Promise.all(
    logs.map((log) => {
      const options = ["--url", `${scene.origin}/`, "--rate", String(RATE / clients), "--timeout", "2000"];
      return stage.startClient(programCommand("http-load", ...options, "--follow", ...resolve, "--log", log));
    }),
  );
  await Promise.all(actors.map((actor) => actor.says("ready:")));
  return { actors, logs };
}

const DOWNLOADS = 12;

/** Steady load before the death, and after the time in which GETs may be lost, ms. */
const BEFORE = 1_000;
const AFTER = 1_000;

/** The heaviest backend that leaves living ones with downloads to watch. */
function chooseVictim(weights: ReadonlyMap<string, number>, downloads: readonly { backend: string | null }[]): string {
  const others = (name: string) => downloads.filter(({ backend }) => backend !== null && backend !== name).length;
  const heaviest = [...weights].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return heaviest.find((name) => others(name) >= 2) ?? heaviest.at(-1)!;
}

/** (c) A backend killed in the middle of steady load, slow downloads running all the while. */
export async function showDeath(stage: Stage, scene: Scene, say: Say): Promise<DeathResult> {
  const allowed = allowedAfter(scene);
  const seconds = (BEFORE + allowed + AFTER) / 1000 + 1;
  const downloads = await startDownloads(stage, DOWNLOADS, seconds);
  const load = await startLoad(stage, scene);
  await sleep(BEFORE);
  const victim = chooseVictim(weightsByServer(stage, scene), downloads.list());
  const death = await stage.kill(victim);
  say(`killed ${victim}; GETs may be lost for ${(allowed / 1000).toFixed(1)} s`);
  await sleep(allowed + AFTER);
  await Promise.all(load.actors.map((actor) => actor.stop()));
  const ended = await downloads.over(10_000);
  const living = ended.filter(({ backend }) => backend !== victim);
  const address = [...stage.servers].find(([, name]) => name === victim)![0];
  return {
    ...countLosses(readLoad(load.logs), death, allowed),
    victim,
    allowed,
    avoidedAfter: await takenOut(stage, address, death),
    living: living.length,
    broken: living.filter(({ unbroken }) => unbroken !== true).length,
  };
}

/** When the director took the backend out, ms after the death. */
async function takenOut(stage: Stage, address: string, death: number): Promise<number | null> {
  const found = (await stage.events()).find(
    ({ event }) =>
      event.kind === "backend" &&
      event.to === "down" &&
      event.at >= death - 1000 &&
      (event.backend === address || event.backend.startsWith(`${address}:`)),
  );
  return found ? Math.max(0, found.event.at - death) : null;
}
