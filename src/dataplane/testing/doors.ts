import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend, BackendState } from "../../core/backend.ts";
import type { Doors } from "../../core/method.ts";
import { runSync } from "../../runtime/child.ts";
import { schedulers } from "../../schedulers/list.ts";
import { createHostChanges } from "../../system/host-changes.ts";
import { createHostFacts } from "../../system/host-facts.ts";
import type { PlaneService } from "../plane-service.ts";

/** Doors onto a BPF folder and a run folder that somebody else has made. */
export function doorsAt(bpfDir: string, runDir: string): Doors {
  const host = createHostChanges(runDir);
  return {
    instance: "test",
    runDir,
    bpfDir,
    facts: createHostFacts("test"),
    schedulers: (name) => schedulers.find((one) => one.name === name)!,
    change: (changes) => host.change(changes, "test"),
    undo: (changes) => host.undo(changes, "test"),
    log: () => {},
    standby: false,
  };
}

/** Doors for a test: a BPF file system, a journal and a run folder of its own; `close` removes all. */
export function testDoors(
  options: { standby?: boolean; log?: (message: string) => void } = {},
): Doors & { close(): void } {
  const root = mkdtempSync(join(tmpdir(), "sluice-plane-"));
  const mounted = runSync(["mount", "-t", "bpf", "bpf", root]);
  if (mounted.code !== 0) throw new Error(mounted.stderr);
  const runDir = mkdtempSync(join(tmpdir(), "sluice-run-"));
  return {
    ...doorsAt(join(root, "plane"), runDir),
    log: (_level, message) => options.log?.(message),
    standby: options.standby ?? false,
    close() {
      runSync(["umount", root]);
      rmSync(root, { recursive: true, force: true });
      rmSync(runDir, { recursive: true, force: true });
    },
  };
}

/** A backend of a snapshot. */
export const testBackend = (id: number, address: string, port: number | null, state: BackendState = "up"): Backend => ({
  id,
  address,
  port,
  weight: 1,
  state,
  tier: 0,
  tags: [],
  load: null,
});

/** A service over these backends: those that are up are eligible. */
export const testService = (name: string, vips: PlaneService["vips"], backends: Backend[]): PlaneService => ({
  name,
  seed: 7,
  vips,
  backends,
  eligible: backends.filter(({ state }) => state === "up" || state === "unchecked").map(({ id }) => id),
  scheduler: { name: "maglev", options: {} },
});
