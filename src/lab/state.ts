import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { labsDir } from "./paths.ts";
import { isAlive, type ProcessId } from "./processes.ts";

/** A process that a lab runs in one of its hosts. */
export interface LabProcess extends ProcessId {
  host: string;
  command: string[];
}

/** What a lab has made, written before it is made, so that it can be taken down by anyone after any crash. */
export interface LabState {
  name: string;
  topology: string;
  /** Short and unique: namespaces are `slu<id>-<host>`. */
  id: string;
  /** Who built it; null: it stays until it is taken down by name. */
  owner: ProcessId | null;
  namespaces: string[];
  processes: LabProcess[];
  /** Instances of the product that run in it, by host. */
  instances: Record<string, string>;
}

const file = (name: string): string => `${labsDir}/${name}.json`;

/** The lab's folder for logs and captures. */
export const labFolder = (name: string): string => `${labsDir}/${name}`;

export function saveState(state: LabState): void {
  mkdirSync(labFolder(state.name), { recursive: true });
  const temporary = `${labFolder(state.name)}/state.new`;
  writeFileSync(temporary, JSON.stringify(state, null, 1));
  renameSync(temporary, file(state.name));
}

/** Records a new lab; false when its name is another's, who may be recording it in this very moment. */
export function createState(state: LabState): boolean {
  mkdirSync(labFolder(state.name), { recursive: true });
  const whole = `${labFolder(state.name)}/state.${process.pid}`;
  writeFileSync(whole, JSON.stringify(state, null, 1));
  try {
    linkSync(whole, file(state.name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(whole);
  }
}

/** Null when there is no such lab. */
export function loadState(name: string): LabState | null {
  try {
    return JSON.parse(readFileSync(file(name), "utf8")) as LabState;
  } catch {
    return null;
  }
}

export function listStates(): LabState[] {
  let names: string[];
  try {
    names = readdirSync(labsDir);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(".json"))
    .map((name) => loadState(name.slice(0, -".json".length)))
    .filter((state) => state !== null);
}

export function removeState(name: string): void {
  rmSync(labFolder(name), { recursive: true, force: true });
  rmSync(file(name), { force: true });
}

/** Its builder died without taking it down. */
export const isOrphan = (state: LabState): boolean => state.owner !== null && !isAlive(state.owner);
