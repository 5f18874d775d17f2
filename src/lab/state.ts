import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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
