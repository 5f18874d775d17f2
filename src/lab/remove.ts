import { rmSync } from "node:fs";
import { run } from "../runtime/child.ts";
import { processesIn, signal, waitGone } from "./processes.ts";
import { isOrphan, type LabState, listStates, loadState, removeState } from "./state.ts";

/**
 * Takes a lab down from its record: kills what runs in its hosts (by pid), removes namespaces, pins and folders.
 * May be called for a lab that is half built, half gone, or built by a process that died. Throws only when
 * something of it stays.
 */
export async function removeLab(state: LabState): Promise<void> {
  // A process may be starting another one just now: look again until none is left.
  for (let round = 0; round < 10; round++) {
    const living = processesIn(state.namespaces, state.processes);
    if (living.length === 0) break;
    for (const process_ of living) signal(process_, "SIGKILL");
    await Promise.all(living.map((process_) => waitGone(process_, 2_000)));
  }
  for (const instance of Object.values(state.instances)) {
    rmSync(`/sys/fs/bpf/sluice/${instance}`, { recursive: true, force: true });
    rmSync(`/run/sluice/${instance}`, { recursive: true, force: true });
  }
  const commands = state.namespaces.map((namespace) => `netns del ${namespace}`).join("\n");
  await run(["ip", "-force", "-batch", "-"], { input: commands });
  const { stdout } = await run(["ip", "netns", "list"]);
  const left = stdout.split("\n").filter((line) => state.namespaces.includes(line.split(" ")[0]!));
  if (left.length > 0) throw new Error(`lab ${state.name}: namespaces stay: ${left.join(", ")}`);
  removeState(state.name);
}

/** Takes down the lab of this name; false when there is none. */
export async function removeByName(name: string): Promise<boolean> {
  const state = loadState(name);
  if (state) await removeLab(state);
  return state !== null;
}

/** Takes down labs whose builder died, and with `kept` those that stay until they are taken down. Returns their names. */
export async function removeLeftovers(options: { kept?: boolean } = {}): Promise<string[]> {
  const states = listStates().filter((state) => isOrphan(state) || (options.kept && state.owner === null));
  await Promise.all(states.map(removeLab));
  return states.map((state) => state.name);
}
