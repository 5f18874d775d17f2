import type { Catalog } from "../catalog.ts";
import type { Method } from "../core/method.ts";
import { configProblem, type Problem } from "../core/problem.ts";
import type { SchedulerDefinition } from "../core/scheduler.ts";
import type { Service } from "../core/service.ts";
import { closestWord } from "../core/words.ts";

type Traits = Method["traits"];

/** Can it be asked in the way the method asks? A scheduler that itself runs in the kernel needs no table there. */
const hasFace = (scheduler: SchedulerDefinition, { face }: Traits): boolean =>
  scheduler.faces.includes(face) || (face === "slots" && scheduler.faces.includes("kernel"));

/** A method's own count serves a scheduler that reads loads; what backends would report, no kind of check brings yet. */
const seesLoad = ({ needs }: SchedulerDefinition, { load }: Traits): boolean =>
  needs.load === undefined || (needs.load === "own" && load === "own");

/** Names of the schedulers that can serve a method. */
export function fittingSchedulers(method: Pick<Method, "traits">, catalog: Catalog): string[] {
  return catalog.schedulers.filter((s) => hasFace(s, method.traits) && seesLoad(s, method.traits)).map((s) => s.name);
}

/** Does the scheduler fit the method? Paths are relative to the service. */
export function judgeScheduler(service: Service, method: Method, catalog: Catalog): Problem[] {
  const scheduler = catalog.schedulers.find((s) => s.name === service.scheduler.name);
  if (!scheduler) return [];
  const valid = fittingSchedulers(method, catalog);
  const closest = closestWord(scheduler.name, valid);
  const more = { valid, ...(closest ? { closest } : {}) };
  if (!seesLoad(scheduler, method.traits)) {
    const message = `${scheduler.name} goes by the load of backends, which ${method.name} does not see and no backend reports.`;
    return [configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["scheduler"], message, { valid })];
  }
  if (hasFace(scheduler, method.traits)) return [];
  const message = `${scheduler.name} cannot ${faceWords[method.traits.face]}, which ${method.name} needs.`;
  return [configProblem("SLUICE_CONFIG_SCHEDULER", ["scheduler"], message, more)];
}

const faceWords: Record<Traits["face"], string> = {
  pick: "choose one backend per request",
  order: "rank all backends",
  slots: "fill a table that the kernel reads",
  kernel: "run in the kernel",
};
