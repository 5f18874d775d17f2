import { configProblem, type Path, type Problem } from "../../../core/problem.ts";
import type { Geography, Service } from "../../../core/service.ts";
import { closestWord } from "../../../core/words.ts";
import type { DnsOptions } from "../options.ts";
import { goesBy } from "./plan.ts";
import type { Group, Nest } from "./schema.ts";

/** What keeps a service from being answered by its groups. Paths are relative to the service. */
export function judgeSteer(service: Service<DnsOptions>): Problem[] {
  const { nearest, backends, agent, check, options } = service;
  const { steer } = options;
  const path = ["dns", "steer"];
  if (steer === undefined) return [];
  const problems: Problem[] = [];
  if (nearest)
    problems.push(
      configProblem("SLUICE_CONFIG_CONFLICT", ["nearest"], "nearest and dns: steer both say who gets which backends.", {
        hint: "Write nearest as a policy: by: nearest, with a group for each place.",
      }),
    );
  if (goesBy(steer, "load") && agent === undefined)
    problems.push(
      configProblem("SLUICE_CONFIG_IMPOSSIBLE", path, "It goes by the load of backends, which no backend reports.", {
        hint: "Let backends report their load: see `agent`.",
      }),
    );
  if (goesBy(steer, "latency") && check === null)
    problems.push(
      configProblem(
        "SLUICE_CONFIG_IMPOSSIBLE",
        path,
        "It goes by how fast checks are answered, and there is no check.",
        {
          hint: "Check the backends: a tcp check takes one round trip.",
        },
      ),
    );
  problems.push(
    ...judgeGroups(
      steer,
      backends.map(({ tags }) => tags),
      path,
    ),
  );
  const lost = backends.filter(({ tags }) => !steer.groups.some((group) => holds(group, tags)));
  if (lost.length > 0 && problems.length === 0) {
    const message = `${lost.length} of ${backends.length} backends are in no group: they are answered only when all groups have nobody.`;
    problems.push(configProblem("SLUICE_CONFIG_VALUE", path, message, { severity: "warning" }));
  }
  return problems;
}

/** Groups by place need places. Paths are relative to the service. */
export function judgeSteerPlaces({ options: { steer } }: Service<DnsOptions>, geography: Geography): Problem[] {
  if (steer === undefined) return [];
  const known = Object.keys(geography.places);
  const each = ({ by, groups = [] }: Partial<Nest>, path: Path): Problem[] => [
    ...groups.flatMap((group, i) => each(group, [...path, "groups", i])),
    ...(by === "nearest" && !groups.some(({ tag }) => known.includes(tag ?? ""))
      ? [
          configProblem(
            "SLUICE_CONFIG_MISSING",
            [...path, "by"],
            "None of these groups is a place, so nothing is near.",
            {
              ...(known.length > 0 ? { valid: known } : {}),
              hint: "Write the places under the top-level key places, and groups of the same names.",
            },
          ),
        ]
      : []),
  ];
  return each(steer, ["dns", "steer"]);
}

const holds = ({ tag, groups }: Group, tags: readonly string[]): boolean =>
  (tag === undefined || tags.includes(tag)) && (groups === undefined || groups.some((group) => holds(group, tags)));

/** `around`: the tags of each backend in the group that holds these. */
function judgeGroups({ by, groups = [] }: Partial<Nest>, around: readonly string[][], path: Path): Problem[] {
  const valid = [...new Set(around.flat())];
  const seen = new Set<string>();
  return groups.flatMap((group, i): Problem[] => {
    const here = [...path, "groups", i];
    const name = JSON.stringify([group.tag, group.groups]);
    if (seen.has(name))
      return [configProblem("SLUICE_CONFIG_DUPLICATE", here, `The group ${group.tag ?? ""} stands twice.`)];
    seen.add(name);
    const own = around.filter((tags) => group.tag === undefined || tags.includes(group.tag));
    if (own.length === 0) {
      const closest = closestWord(group.tag!, valid);
      const message = `No backend${path.length > 2 ? " of the group around it" : ""} has the tag "${group.tag}".`;
      return [configProblem("SLUICE_CONFIG_VALUE", here, message, { valid, ...(closest ? { closest } : {}) })];
    }
    const weighs = by === "weighted" || by === "hash" || by === "load";
    const unused = `${by} does not go by weights.`;
    return [
      ...(group.weight !== 1 && !weighs
        ? [configProblem("SLUICE_CONFIG_VALUE", [...here, "weight"], unused, { valid: ["weighted", "hash", "load"] })]
        : []),
      ...judgeGroups(group, own, here),
    ];
  });
}
