import type { Catalog } from "../catalog.ts";
import { type HealthRules, healthRulesOf } from "../checks/health-rules.ts";
import type { Counts } from "../core/counters.ts";
import { type CountsByService, type KernelCounts, type Method, tallyName } from "../core/method.ts";
import { listenerName } from "../core/service.ts";
import { VERSION } from "../core/version.ts";
import { unknownCounts } from "../observe/cells.ts";
import {
  type BackendStatus,
  expectedShares,
  type ServiceStatus,
  STATUS_SCHEMA,
  type StatusHead,
  type StatusView,
} from "../observe/status.ts";
import { type Entry, type Member, weightOf } from "./member.ts";
import { inPanic, shownState, weightShare } from "./passive.ts";
import type { Supervisor } from "./supervisor.ts";

/** Looks up all there is to see of a running instance, which serves the configuration in `file`. */
export async function lookUp(
  supervisor: Supervisor,
  catalog: Catalog,
  instance: string,
  file: string,
): Promise<StatusView> {
  supervisor.fast.collect();
  const kernelCounts = await supervisor.kernel.counts();
  const head: StatusHead = {
    schema: STATUS_SCHEMA,
    at: Date.now(),
    instance,
    pid: process.pid,
    version: VERSION,
    file,
    revision: supervisor.revision?.number ?? 0,
    since: supervisor.started,
    workers: supervisor.workers.workers,
    spare: supervisor.workers.spare.ready,
    methods: catalog.methods.flatMap((method) => methodStatus(supervisor, method)),
  };
  return { head, services: servicesNow(supervisor, catalog, kernelCounts) };
}

/** Those that serve, as they are when their turn comes, and those that failed. */
function* servicesNow(supervisor: Supervisor, catalog: Catalog, counts: CountsByService): Generator<ServiceStatus> {
  const failed = failedServices(supervisor);
  const out = new Set(failed.map(({ name }) => name));
  const methods = new Map<string, Method>(catalog.methods.map((method) => [method.name, method]));
  for (const entry of [...supervisor.book.entries.values()]) {
    const { name, method } = entry.service;
    // Probed, to be tried once more: it has failed until then.
    if (out.has(name)) continue;
    yield serviceStatus(supervisor, entry, methods.get(method)!, counts.get(name));
  }
  yield* failed;
}

/** What a method counts beside its services; nothing while no service uses it. */
function methodStatus({ book, workers }: Supervisor, { name, tallies }: Method): StatusHead["methods"] {
  if (!tallies || ![...book.entries.values()].some(({ service }) => service.method === name)) return [];
  const count = (id: number): number => workers.memory.counts(tallyName(name), id, ["requests"]).requests ?? 0;
  const describe = workers.secrets.describe(name);
  return [{ name, tallies: Object.fromEntries(tallies.map((code, id) => [code, count(id)])), describe }];
}

function serviceStatus(
  supervisor: Supervisor,
  entry: Entry,
  method: Method,
  kernel: KernelCounts | undefined,
): ServiceStatus {
  const { service, snapshot } = entry;
  const counts = (backend: number): Counts => {
    if (method.runs === "worker") return supervisor.workers.memory.counts(service.name, backend, method.traits.counts);
    const known = backend < 0 ? kernel?.service : kernel?.backends.get(backend);
    return { ...unknownCounts(), ...known };
  };
  const expected = expectedShares(snapshot);
  const shares = kernel?.shares ?? expected;
  const rules = healthRulesOf(service);
  const standby = method.runs === "kernel" && supervisor.role === "standby";
  return {
    name: service.name,
    method: service.method,
    state: standby ? "standby" : "serving",
    problem: null,
    listeners: service.listen.map(listenerName),
    names: service.names,
    scheduler: service.scheduler.name,
    describe: [
      ...(supervisor.kernel.applierOf(entry)?.describe(service.name) ?? []),
      ...supervisor.fast.describe(method.name),
      ...(inPanic(snapshot) ? ["panic: too many backends are out; all get work"] : []),
    ],
    troubles: [
      ...(supervisor.kernel.applierOf(entry)?.troubles?.(service.name) ?? []),
      ...supervisor.fast.troubles(method.name),
      ...supervisor.workers.troubles(method.name),
    ],
    counts: counts(-1),
    drops: kernel?.drops ?? {},
    groups: supervisor.groups.of(entry),
    backends: entry.members.map((member) => {
      const { id } = member;
      return backendStatus(member, rules, counts(id), { eligible: expected.has(id), share: shares.get(id) ?? 0 });
    }),
  };
}

function backendStatus(
  member: Member,
  rules: HealthRules,
  counts: Counts,
  { eligible, share }: Pick<BackendStatus, "eligible" | "share">,
): BackendStatus {
  const { id, name, passive, last, since, reported } = member;
  return {
    id,
    name,
    state: shownState(member),
    weight: weightNow(member, rules),
    load: reported.load,
    limit: reported.limit,
    counts,
    check: last && { code: last.verdict.code, detail: last.verdict.detail, latency: last.verdict.latency, at: last.at },
    agent: reported.last && {
      code: reported.last.verdict.code,
      detail: reported.last.verdict.detail,
      percent: reported.percent,
      at: reported.last.at,
    },
    since,
    operator: operatorOf(member),
    ejected: passive.ejected === null ? null : { why: passive.ejected, until: passive.failures!.until! },
    eligible,
    share,
  };
}

function operatorOf({ words: { admin, weight } }: Member): BackendStatus["operator"] {
  const said = [
    ...(admin ? [{ what: "state" as const, is: admin.is, until: admin.until }] : []),
    ...(weight ? [{ what: "weight" as const, is: String(weight.is), until: weight.until }] : []),
  ];
  return said.length > 0 ? said : null;
}

/** The effective weight: with what the backend asks for and a slow start in it, to a hundredth. */
const weightNow = (member: Member, rules: HealthRules): number =>
  Math.round(weightOf(member) * weightShare(member, rules, Date.now()) * 100) / 100;

/** Services of the configuration that could not start: shown, with the reason, beside those that serve. */
function failedServices(supervisor: Supervisor): ServiceStatus[] {
  return supervisor.failed.flatMap(({ service: name, problem }) => {
    const service = supervisor.revision?.config.services.find((s) => s.name === name);
    if (!service) return [];
    const { method, listen, names, scheduler } = service;
    const listeners = listen.map(listenerName);
    const counts = unknownCounts();
    return [
      {
        name,
        method,
        state: "failed",
        problem,
        listeners,
        names,
        scheduler: scheduler.name,
        describe: [],
        troubles: [],
        counts,
        drops: {},
        backends: [],
      },
    ];
  });
}
