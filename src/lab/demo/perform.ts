import { showDeath, showPath, showShares } from "./act.ts";
import type { MethodResult } from "./result.ts";
import { allowedAfter, mayLose, type Scene } from "./scene.ts";
import type { Stage } from "./stage.ts";

/** Requests whose backends are counted: a client that asks names is a program each, so fewer of them. */
const requestsFor = (scene: Scene): number => (scene.nameServer ? 140 : 1200);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** What does not hold of what was seen, as sentences. */
export function failuresOf(scene: Scene, result: Pick<MethodResult, "tries" | "path" | "shares" | "death">): string[] {
  const { tries, path, shares, death } = result;
  const found: string[] = [];
  const must = (holds: boolean, otherwise: string) => holds || found.push(otherwise);
  for (const { command, code } of tries) must(code === 0 || code === 127, `${command}: exit code ${code}`);
  if (path) {
    must(path.roundTrips >= 2, `the captured path is not whole: ${path.roundTrips} round trips`);
    const expected = !scene.method.traits.seesResponses;
    const said = path.bypassesDirector ? "bypassed" : "passed";
    must(path.bypassesDirector === expected, `the response ${said} the director`);
  }
  if (shares) {
    must(shares.lost === 0, `${shares.lost} of ${shares.requests} requests got no answer`);
    const [error, limit] = [shares.error.toFixed(1), shares.limit.toFixed(1)];
    must(shares.error <= shares.limit, `the shares are ${error} points off, more than ${limit}`);
  }
  if (death) {
    must(death.avoidedAfter !== null, `the director never took ${death.victim} out`);
    must(death.lostBefore === 0, `${death.lostBefore} GETs were lost before the death`);
    must(death.lostLate === 0, `${death.lostLate} GETs sent later than ${seconds(death.allowed)} were lost`);
    must(death.sentLate > 0, "no GET was sent after the time in which some may be lost");
    must(mayLose(scene) || death.lost === 0, `${death.lost} GETs were lost; none may be`);
    must(death.living > 0, "no connection to a living backend ran through the death");
    must(death.broken === 0, `${death.broken} connections to living backends broke`);
  }
  return found;
}

/** Shows one method on its stage, which must be ready. What throws becomes a failure. */
export async function perform(stage: Stage, scene: Scene, say: (text: string) => void): Promise<MethodResult> {
  const began = performance.now();
  const result: MethodResult = {
    method: scene.method.name,
    where: stage.watch ? "lab" : "loopback",
    describe: [],
    tries: [],
    works: false,
    failures: [],
    path: null,
    shares: null,
    death: null,
    took: 0,
  };
  try {
    result.describe = await stage.describe();
    if (stage.watch) {
      say("capturing one request on every cable");
      result.path = await showPath(stage, scene, await stage.watch());
      result.tries = await stage.tries();
    }
    const requests = requestsFor(scene);
    say(`sending ${requests} requests`);
    result.shares = await showShares(stage, scene, requests);
    say(`killing a backend under load (${seconds(allowedAfter(scene))} allowed)`);
    result.death = await showDeath(stage, scene, say);
    result.failures = failuresOf(scene, result);
  } catch (error) {
    result.failures = [error instanceof Error ? error.message : String(error)];
  }
  result.works = result.failures.length === 0;
  result.took = Math.round(performance.now() - began) / 1000;
  return result;
}
