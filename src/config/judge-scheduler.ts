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

/**
 * A scheduler that reads loads is served by a method's own count, or by what the agents of backends report; one that runs
 * in the kernel brings its own.
 */
const seesLoad = ({ needs, faces }: SchedulerDefinition, { load, face }: Traits, reports: boolean): boolean =>
  needs.load === undefined ||
  reports ||
  (needs.load === "own" && (load === "own" || (face === "slots" && faces.includes("kernel"))));

/** Names of the schedulers that can serve a method. `reports`: backends are asked for their load. */
export function fittingSchedulers(method: Pick<Method, "traits">, catalog: Catalog, reports = false): string[] {
  return catalog.schedulers
    .filter((s) => hasFace(s, method.traits) && seesLoad(s, method.traits, reports))
    .map((s) => s.name);
}

/** Does the scheduler fit the method? Paths are relative to the service. */
export function judgeScheduler(service: Service, method: Method, catalog: Catalog): Problem[] {
  const scheduler = catalog.schedulers.find((s) => s.name === service.scheduler.name);
  if (!scheduler) return [];
  const reports = service.agent !== undefined;
  const [seen, asked] = [seesLoad(scheduler, method.traits, reports), hasFace(scheduler, method.traits)];
  if (seen && asked) return [];
  const valid = fittingSchedulers(method, catalog, reports);
  if (!seen) {
    const message = `${scheduler.name} goes by the load of backends, which ${method.name} does not see and no backend reports.`;
    return [
      configProblem("SLUICE_CONFIG_IMPOSSIBLE", ["scheduler"], message, {
        valid,
        ...(asked ? { hint: "Or let backends report their load: see `agent`." } : {}),
      }),
    ];
  }
  const closest = closestWord(scheduler.name, valid);
  const more = { valid, ...(closest ? { closest } : {}) };
  const message = `${scheduler.name} cannot ${faceWords[method.traits.face]}, which ${method.name} needs.`;
  return [configProblem("SLUICE_CONFIG_SCHEDULER", ["scheduler"], message, more)];
}

const faceWords: Record<Traits["face"], string> = {
  pick: "choose one backend per request",
  order: "rank all backends",
  slots: "fill a table that the kernel reads",
  kernel: "run in the kernel",
};
