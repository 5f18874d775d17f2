import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { createApi } from "../admin/api.ts";
import { catalog } from "../catalog.ts";
import { diagnose } from "../config/diagnose.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import { withoutSecrets } from "../config/secrets.ts";
import { wantsColor } from "../config/terminal.ts";
import type { Problem } from "../core/problem.ts";
import { listenerName } from "../core/service.ts";
import { sleep } from "../runtime/clock.ts";
import { type ApiServer, fetchUnix, serveUnix } from "../runtime/http.ts";
import { raiseOpenFiles } from "../runtime/rlimit.ts";
import { type Assembled, assemble, attempt } from "../supervisor/daemon.ts";
import { lookUp } from "../supervisor/status.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import {
  type Instance,
  instanceHeld,
  instancePaths,
  removeInstance,
  STATE_FILE,
  takeInstance,
} from "../system/instance.ts";
import { tellManager } from "../system/service-manager.ts";
import { configFile, EXIT } from "./config-file.ts";
import { instanceOption } from "./daemon-client.ts";
import { explainRunning } from "./explain.ts";
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
  const known = existsSync(instance.runDir);
  /** A start that is refused leaves no trace of an instance that never was. */
  const leave = (code: number): never => {
    if (!known && !existsSync(instance.journal) && !instanceHeld(instance)) removeInstance(instance);
    process.exit(code);
  };
  // Before the lock: a configuration that does not hold costs the daemon that runs nothing.
  const loaded = await load(file, instance);
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
  onSignals(assembled, begun.promise, instance, file, options.keep === true);
  const problems = await attempt(() => assembled.supervisor.start(loaded.value, loaded.bundle));
  if (problems.length > 0) {
    await assembled.supervisor.stop(true).catch(() => {});
    sayRefused(problems);
    return leave(problems.some(({ source }) => source === "kernel") ? EXIT.kernel : EXIT.config);
  }
  for (const { code, message } of await assembled.sweep()) assembled.log("warn", message, { code });
  const api = serveApi(instance, assembled, file, options.keep === true);
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

const load = (file: string, instance: Instance): Promise<Loaded> =>
  loadConfig(file, catalog, { bundleDir: `${instance.runDir}/revisions` });

function sayRefused(problems: readonly Problem[]): void {
  for (const { code: name, message, hint, path } of problems)
    say(
      `error ${name}: ${path[0] === "services" ? `service ${path[1]}: ` : ""}${message}\n${hint ? `  ${hint}\n` : ""}`,
    );
  say("nothing was started\n");
}

/** Loads the file anew and applies it whole or not at all. `text` says the outcome to a person. */
async function reload({ supervisor, log }: Assembled, instance: Instance, file: string) {
  const before = supervisor.revision?.number ?? 0;
  const stays = `nothing was changed; the running configuration stays (revision ${before})`;
  const loaded = await load(file, instance);
  if (!loaded.ok) {
    log("error", "the configuration is refused; the running one stays", { problems: loaded.problems.length, file });
    return {
      revision: before,
      problems: loaded.problems,
      text: diagnose(loaded.problems, loaded.source, { color: false, state: stays }),
    };
  }
  const problems = await attempt(() => supervisor.apply(loaded.value, loaded.bundle));
  if (problems.length === 0) log.level = loaded.value.log.level;
  const revision = supervisor.revision?.number ?? 0;
  const lines = problems.map(({ code, message, hint }) => `error ${code}: ${message}\n${hint ? `  ${hint}\n` : ""}`);
  return {
    revision,
    problems,
    text: problems.length > 0 ? `${lines.join("")}${stays}\n` : `revision ${revision} is running\n`,
  };
}

function serveApi(instance: Instance, assembled: Assembled, file: string, keep: boolean): ApiServer {
  const { supervisor, events, log } = assembled;
  const next = new Successor(instance, (code) =>
    log("error", "the next daemon ended before it took over; this one goes on", { code: "SLUICE_UPGRADE", exit: code }),
  );
  const api = createApi({
    events,
    status: () => lookUp(supervisor, catalog, instance.name, file),
    reload: () => reload(assembled, instance, file),
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
  for (const { name, method, listen, backends } of config.services)
    say(
      `  ${name}: ${method}${listen.length > 0 ? ` on ${listen.map(listenerName).join(", ")}` : ""}, ${backends.length} backends\n`,
    );
  say(`  see it with: sluice status${instance.name === "main" ? "" : ` --instance ${instance.name}`}\n`);
}

/** A signal in the middle of a start is heeded once that is done: half a start would leave what it has set. */
function onSignals(
  assembled: Assembled,
  begun: Promise<ApiServer>,
  instance: Instance,
  file: string,
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
    const done = begun.then(() => reload(assembled, instance, file));
    void done.then(({ problems, text }) => problems.length > 0 && say(text));
  });
}
