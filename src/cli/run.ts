import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { createApi } from "../admin/api.ts";
import { catalog } from "../catalog.ts";
import { diagnose } from "../config/diagnose.ts";
import { withoutSecrets } from "../config/secrets.ts";
import { wantsColor } from "../config/terminal.ts";
import type { Problem } from "../core/problem.ts";
import { listenerName } from "../core/service.ts";
import { sleep } from "../runtime/clock.ts";
import { type ApiServer, fetchUnix, serveUnix } from "../runtime/http.ts";
import { raiseOpenFiles } from "../runtime/rlimit.ts";
import { type Assembled, assemble } from "../supervisor/daemon.ts";
import { lookUp } from "../supervisor/status.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import {
  foreign,
  type Instance,
  instanceHeld,
  instancePaths,
  removeInstance,
  STATE_FILE,
  takeInstance,
} from "../system/instance.ts";
import { tellManager } from "../system/service-manager.ts";
import { configFile } from "./config-file.ts";
import { instanceOption } from "./daemon-client.ts";
import { EXIT } from "./exit.ts";
import { explainRunning } from "./explain.ts";
import { problemText, refusedText } from "./refused.ts";
import { Revisions } from "./revisions.ts";
import { Successor } from "./successor.ts";

interface RunOptions {
  config?: string;
  instance: string;
  standby?: boolean;
  keep?: boolean;
  upgrade?: boolean;
}

/** ms that the old daemon may take to leave. */
const HANDOVER_LIMIT = 10_000;

const say = (text: string): void => void process.stderr.write(text);

export function registerRun(program: Command): void {
  program
    .command("run")
    .description(
      "serve a configuration in the foreground; SIGHUP reloads, SIGUSR1 opens access logs anew, SIGTERM drains and ends",
    )
    .option("-c, --config <file>", "configuration file (default: sluice.yaml, sluice.config.ts)")
    .option(...instanceOption)
    .option("--standby", "prepare everything, but leave the VIPs of the kernel methods to another director")
    .option("--upgrade", "take over from the daemon that runs this instance: no connection is refused or lost")
    .option("--keep", "on SIGTERM leave the kernel's path running (sluice down removes it)")
    .action(runDaemon);
}

async function runDaemon(options: RunOptions): Promise<void> {
  const instance = instancePaths(options.instance);
  const file = resolve(configFile(options.config));
  const denied = foreign(instance);
  if (denied) {
    sayRefused([denied]);
    process.exit(EXIT.usage);
  }
  const known = existsSync(instance.runDir);
  /** A start that is refused leaves no trace of an instance that never was. */
  const leave = (code: number): never => {
    if (!known && !existsSync(instance.journal) && !instanceHeld(instance)) removeInstance(instance);
    process.exit(code);
  };
  // Before the lock: a configuration that does not hold costs the daemon that runs nothing.
  const revisions = new Revisions(instance, file);
  const loaded = await revisions.load();
  if (!loaded.ok) {
    const state = options.upgrade && instanceHeld(instance) ? "the running daemon goes on" : "nothing was started";
    say(diagnose(loaded.problems, loaded.source, { color: wantsColor(process.stderr), state }));
    return leave(EXIT.config);
  }
  const lock = options.upgrade ? await takeOver(instance) : takeInstance(instance);
  if (!lock.ok) {
    sayRefused(lock.problems);
    process.exit(EXIT.usage);
  }
  if (loaded.warnings.length > 0)
    say(
      diagnose(loaded.warnings, loaded.source, { color: wantsColor(process.stderr), state: "starting all the same" }),
    );
  raiseOpenFiles();
  const assembled = assemble(instance, loaded.value, { standby: options.standby === true });
  const begun = Promise.withResolvers<ApiServer>();
  onSignals(assembled, begun.promise, instance, revisions, options.keep === true);
  const problems = await revisions.start(assembled, loaded);
  if (problems.length > 0) {
    await assembled.supervisor.stop(true).catch(() => {});
    say(refusedText(loaded, problems, { color: wantsColor(process.stderr), state: "nothing was started" }));
    lock.value.release();
    return leave(problems.some(({ source }) => source === "kernel") ? EXIT.kernel : EXIT.config);
  }
  for (const { code, message } of await assembled.sweep()) assembled.log("warn", message, { code });
  const api = serveApi(instance, assembled, revisions, options.keep === true);
  banner(assembled, file, instance);
  tellManager("READY=1");
  begun.resolve(api);
}

/** Asks the running daemon to leave everything to us, and waits until it has gone. Without one this is a plain start. */
async function takeOver(instance: Instance): Promise<ReturnType<typeof takeInstance>> {
  const request = { method: "POST", body: JSON.stringify({ pid: process.pid }) };
  const ask = (): Promise<boolean> =>
    fetchUnix(instance.adminSocket, "/v1/handover", request).then(
      ({ ok }) => ok,
      () => false,
    );
  const end = performance.now() + HANDOVER_LIMIT;
  const held = (): boolean => performance.now() < end && instanceHeld(instance);
  // It may have been too busy to be reached: only an answer says that it was asked.
  while (held() && !(await ask())) await sleep(20);
  while (held()) await sleep(20);
  return takeInstance(instance);
}

function sayRefused(problems: readonly Problem[]): void {
  say(`${problems.map(problemText).join("")}nothing was started\n`);
}

function serveApi(instance: Instance, assembled: Assembled, revisions: Revisions, keep: boolean): ApiServer {
  const { file } = revisions;
  const { supervisor, events, log } = assembled;
  const next = new Successor(instance, (code) =>
    log("error", "the next daemon ended before it took over; this one goes on", { code: "SLUICE_UPGRADE", exit: code }),
  );
  const api = createApi({
    events,
    status: () => lookUp(supervisor, catalog, instance.name, file),
    reload: () => revisions.reload(assembled),
    revisions: () => revisions.list(),
    rollback: (to) => revisions.rollback(assembled, to),
    command: (service, backend, wish) => supervisor.operator.command(service, backend, wish),
    commandTag: (tag, service, wish) => supervisor.operator.commandTag(tag, service, wish),
    setRole: (role) => supervisor.setRole(role),
    explain: (method, question) => explainRunning(supervisor, method, question),
    wanted: (service, most) => supervisor.wanted.top(service, most),
    config: () => supervisor.revision && withoutSecrets(supervisor.revision.config),
    upgrade(other) {
      const flags = [...(supervisor.role === "standby" ? ["--standby"] : []), ...(keep ? ["--keep"] : [])];
      return next.start(other ?? file, flags);
    },
    handOver: (pid) => void handOver(supervisor, pid),
  });
  return serveUnix(instance.adminSocket, (request) => api.fetch(request));
}

/** Leaves everything to the next daemon, of which a service manager hears before this one has gone. */
async function handOver(supervisor: Supervisor, pid: number | null): Promise<never> {
  await supervisor.handOver();
  if (pid !== null) tellManager(`MAINPID=${pid}`);
  process.exit(0);
}

function banner({ supervisor, log }: Assembled, file: string, instance: Instance): void {
  const { number, config } = supervisor.revision!;
  // Who reads JSON reads nothing but JSON.
  if (config.log.format === "json") {
    log("info", "serving", { revision: number, file, instance: instance.name, pid: process.pid });
    return;
  }
  say(`sluice: serving revision ${number} of ${file} (instance ${instance.name}, pid ${process.pid})\n`);
  for (const { name, method, listen, backends } of config.services) {
    const where = listen.length > 0 ? ` on ${listen.map(listenerName).join(", ")}` : "";
    say(`  ${name}: ${method}${where}, ${backends.length} backend${backends.length === 1 ? "" : "s"}\n`);
  }
  say(`  see it with: sluice status${instance.name === "main" ? "" : ` --instance ${instance.name}`}\n`);
}

/** A signal in the middle of a start is heeded once that is done: half a start would leave what it has set. */
function onSignals(
  assembled: Assembled,
  begun: Promise<ApiServer>,
  instance: Instance,
  revisions: Revisions,
  keep: boolean,
): void {
  let stopping = false;
  const stop = async (): Promise<void> => {
    // A second signal means now.
    if (stopping) process.exit(1);
    stopping = true;
    tellManager("STOPPING=1");
    const api = await begun;
    await assembled.supervisor.stop(keep);
    api.stop();
    // What was found is left to the next daemon where the configuration wants that; `sluice down` removes it.
    const remembers = assembled.supervisor.revision?.config.start !== undefined;
    if (!keep) removeInstance(instance, remembers ? STATE_FILE : undefined);
    process.exit(0);
  };
  process.on("SIGTERM", () => void stop());
  process.on("SIGINT", () => void stop());
  process.on("SIGUSR1", () => assembled.supervisor.reopenLogs());
  process.on("SIGHUP", () => {
    const done = begun.then(() => revisions.reload(assembled));
    done.then(
      ({ problems, text }) => void (problems.length > 0 && say(text)),
      (error) => assembled.log("error", "a reload failed; the running configuration stays", { why: String(error) }),
    );
  });
}
