import type { WorkerSide } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { toClientLimits } from "../../relay/limits.ts";
import { serveHttp } from "../../relay/serve.ts";
import { Goals } from "./goals.ts";
import type { RedirectOptions } from "./options.ts";
import { Redirector } from "./redirector.ts";

/** Bodies are never wanted here; a large one is answered, then the connection is closed. */
const BODY = Number.MAX_SAFE_INTEGER;

/** How often the daemon is told which files are wanted, ms. */
const REPORT_EVERY = 2000;

/** Serves the redirect services of one worker. */
export const workerSide: WorkerSide = {
  async serve(assignment, doors) {
    const all: Goals[] = [];
    const report = (): void => {
      for (const { name, mirrors } of all)
        if (mirrors !== null && mirrors.wanted.size > 0) doors.wanted(name, mirrors.wanted.take());
    };
    const serving = await serveHttp<Goals>(assignment, doors, {
      state(service, _doors, shared) {
        const goals = new Goals(service, doors, shared);
        all.push(goals);
        return goals;
      },
      client: (front) => new Redirector(front),
      introducers: (service) => (service.options as RedirectOptions).acceptProxy,
      limits(service: Service) {
        const { timeouts, limits } = service.options as RedirectOptions;
        return toClientLimits(timeouts, limits, BODY);
      },
      changed: (state) => state.changed(),
    });
    const reports = setInterval(report, REPORT_EVERY);
    return {
      ...serving,
      async drain(deadlineMs) {
        await serving.drain(deadlineMs);
        clearInterval(reports);
        report();
      },
    };
  },
};
