import type { WorkerSide } from "../../core/method.ts";
import type { Service } from "../../core/service.ts";
import { toClientLimits } from "../../relay/limits.ts";
import { serveHttp } from "../../relay/serve.ts";
import { Goals } from "./goals.ts";
import type { RedirectOptions } from "./options.ts";
import { Redirector } from "./redirector.ts";

/** Bodies are never wanted here; a large one is answered, then the connection is closed. */
const BODY = Number.MAX_SAFE_INTEGER;

/** Serves the redirect services of one worker. */
export const workerSide: WorkerSide = {
  async serve(assignment, doors) {
    return serveHttp<Goals>(assignment, doors, {
      state: (service, _doors, shared) => new Goals(service, doors, shared),
      client: (front) => new Redirector(front),
      limits(service: Service) {
        const { timeouts, limits } = service.options as RedirectOptions;
        return toClientLimits(timeouts, limits, BODY);
      },
      changed: (state) => state.changed(),
    });
  },
};
