import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { InvalidArgumentError } from "commander";
import type { StatusModel } from "../observe/status.ts";
import { fetchUnix, type Question } from "../runtime/http.ts";
import { adminSocketOfRoot, type Instance, instancePaths } from "../system/instance.ts";
import { EXIT } from "./exit.ts";

/** An instance's name becomes part of paths, tables and devices. `labs` is the lab's own folder beside them. */
function parseInstance(name: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/i.test(name) && name !== "labs") return name;
  throw new InvalidArgumentError("It is letters, digits and dashes, at most 63, and not labs.");
}

/** The option that names an instance; `standard` is the name where none is given. */
export const instanceNamed = (standard: string) =>
  ["--instance <name>", "name of the instance", parseInstance, standard] as const;

/** The option that every command which talks to a daemon has. */
export const instanceOption = instanceNamed("main");

/** ms of silence after which whoever waits is told that he waits. */
const SILENCE = 3000;

/**
 * Asks the daemon of an instance. Ends the process with 3 and a sentence when none answers, or it may not be
 * asked; otherwise returns the response, whatever its status.
 */
export async function askDaemon(name: string, path: string, init: Question = {}): Promise<Response> {
  const instance = instancePaths(name);
  const waits = `sluice: the daemon of instance "${name}" has not answered yet: it is busy, waits for checks, or stands still`;
  const told = setTimeout(() => console.error(waits), SILENCE);
  try {
    return await fetchUnix(instance.adminSocket, path, { timeout: false, ...init });
  } catch (error) {
    return unreachable(instance, (error as NodeJS.ErrnoException).code);
  } finally {
    clearTimeout(told);
  }
}

/** The whole view of an instance; ends the process with 3 when no daemon answers. */
export const askStatus = async (name: string): Promise<StatusModel> =>
  (await (await askDaemon(name, "/v1/status")).json()) as StatusModel;

/** `askDaemon` with a JSON body by POST. */
export const tellDaemon = (name: string, path: string, body: unknown = {}): Promise<Response> =>
  askDaemon(name, path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

/** Says why nothing was heard, and ends the process with 3. */
function unreachable({ name, adminSocket }: Instance, code: string | undefined): never {
  if (code === "EACCES") refuse(closed(name, adminSocket));
  if (code === CUT) refuse(lost);
  const ofRoot = adminSocketOfRoot(name);
  if (adminSocket !== ofRoot && existsSync(ofRoot)) refuse(closed(name, ofRoot));
  refuse({
    sentence: `SLUICE_DAEMON_UNREACHABLE: no daemon answers for instance "${name}" (${adminSocket})`,
    hint: `start one with: sluice run -c sluice.yaml${name === "main" ? "" : ` --instance ${name}`}`,
  });
}

interface Unheard {
  sentence: string;
  hint: string;
}

function refuse({ sentence, hint }: Unheard): never {
  console.error(`error ${sentence}\n  ${hint}`);
  process.exit(EXIT.unreachable);
}

/** Ends the process with 3 and a sentence where root has an instance of this name, and whoever asks is not root. */
export function leaveToRoot(name: string): void {
  const ofRoot = dirname(adminSocketOfRoot(name));
  if (instancePaths(name).runDir === ofRoot || !existsSync(ofRoot)) return;
  refuse({ sentence: `SLUICE_PRIVILEGE: instance "${name}" belongs to root (${ofRoot})`, hint: askAs("root") });
}

/** Says that an instance keeps nothing in the kernel, or that it is not for us to see, and ends the process. */
export function nothingInKernel(name: string): never {
  leaveToRoot(name);
  console.error(`error: instance "${name}" has nothing in the kernel: none of its services is of the xdp data plane`);
  process.exit(EXIT.usage);
}

/** A daemon runs, of a user who lets us not speak to it. */
function closed(name: string, socket: string): Unheard {
  const owner = ownerOf(socket);
  return {
    sentence: `SLUICE_PRIVILEGE: the daemon of instance "${name}" belongs to ${owner}, and you may not ask it (${socket}: permission denied)`,
    hint: askAs(owner),
  };
}

const askAs = (owner: string): string =>
  `ask as ${owner}${owner === "root" ? " (sudo)" : ""}, or name an instance of your own: --instance NAME`;

function ownerOf(file: string): string {
  try {
    const { uid } = statSync(file);
    return uid === 0 ? "root" : `user ${uid}`;
  } catch {
    return "another user"; // its folder is closed too
  }
}

/** Of an answer that is cut off. */
const CUT = "ECONNRESET";

const lost: Unheard = {
  sentence: "SLUICE_DAEMON_UNREACHABLE: the daemon has gone in the middle of its answer",
  hint: "what it was asked to do may be done or not: see its log, and sluice status",
};

/** Was the answer, whose body is read as it comes, cut off? Then says so and ends the process with 3. */
export function exitWhenLost(error: unknown): void {
  if ((error as { code?: string } | null)?.code === CUT) refuse(lost);
}

/** Prints a refusal of the daemon and ends the process with `code`; returns the response when it is good. */
export async function orExit(response: Response, code: number): Promise<Response> {
  if (response.ok) return response;
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  console.error(`error: ${message ?? `the daemon answered ${response.status}`}`);
  process.exit(code);
}
