import { InvalidArgumentError } from "commander";
import type { StatusModel } from "../observe/status.ts";
import { fetchUnix, type Question } from "../runtime/http.ts";
import { type Instance, instancePaths } from "../system/instance.ts";

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

/**
 * Asks the daemon of an instance. Ends the process with 3 and a sentence when none answers; otherwise returns the
 * response, whatever its status.
 */
export async function askDaemon(name: string, path: string, init: Question = {}): Promise<Response> {
  const instance = instancePaths(name);
  try {
    return await fetchUnix(instance.adminSocket, path, init);
  } catch {
    return unreachable(instance);
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

function unreachable(instance: Instance): never {
  console.error(
    `error SLUICE_DAEMON_UNREACHABLE: no daemon answers for instance "${instance.name}" (${instance.adminSocket})`,
  );
  console.error(
    `  start one with: sluice run -c sluice.yaml${instance.name === "main" ? "" : ` --instance ${instance.name}`}`,
  );
  process.exit(3);
}

/** Prints a refusal of the daemon and ends the process with `code`; returns the response when it is good. */
export async function orExit(response: Response, code: number): Promise<Response> {
  if (response.ok) return response;
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  console.error(`error: ${message ?? `the daemon answered ${response.status}`}`);
  process.exit(code);
}
