import { configProblem, type Problem } from "../core/problem.ts";
import type { Geography, Service } from "../core/service.ts";
import { Limit } from "./generated/layout.ts";

/** The program's table of places is bounded. Paths begin with the service's name; `geography` absent: it does not parse. */
export function judgePlaces(services: readonly Service[], geography: Geography | undefined): Problem[] {
  if (Object.keys(geography?.places ?? {}).length <= Limit.MAX_PLACES) return [];
  return services.flatMap(({ name, nearest, method }) =>
    nearest
      ? [
          configProblem(
            "SLUICE_CONFIG_IMPOSSIBLE",
            [name, "nearest"],
            `${method} tells at most ${Limit.MAX_PLACES} places apart.`,
          ),
        ]
      : [],
  );
}
