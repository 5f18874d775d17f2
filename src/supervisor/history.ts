import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { type Instance, readState, writeState } from "../system/instance.ts";

/** A revision as it was written, so that another program may judge it anew. */
export interface Kept {
  number: number;
  /** The revision whose configuration it has: its own number, unless it was a rollback. */
  as: number;
  /** When it began to run, ms since 1970. */
  at: number;
  /** The plain value of the configuration. */
  raw: unknown;
  /** The bundle of a TypeScript configuration. */
  bundle: string | null;
}

/** Revisions that are kept. */
const MOST = 10;

const FOLDER = "revisions";
const NAME = /^(\d+)\.json$/;

/**
 * The last revisions of an instance, on disk, with the bundles that they name: the next daemon of it has them too. They
 * hold the secrets of their configurations.
 */
export class History {
  readonly directory: string;
  readonly #instance: Instance;
  /** Of the revisions that this process has kept or read, by number. */
  readonly #bundles = new Map<number, string | null>();

  constructor(instance: Instance) {
    this.#instance = instance;
    this.directory = join(instance.runDir, FOLDER);
  }

  /** Numbers of the kept revisions, oldest first. */
  numbers(): number[] {
    return this.#files()
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  /** A kept revision; null when there is none of this number, or its file is torn. */
  read(number: number): Kept | null {
    return readState<Kept>(this.#instance, `${FOLDER}/${number}.json`);
  }

  /** Writes a revision down, and forgets those that are too old. Throws what the disk says. */
  keep(kept: Kept): void {
    mkdirSync(this.directory, { recursive: true });
    writeState(this.#instance, `${FOLDER}/${kept.number}.json`, kept, 0o600);
    this.#bundles.set(kept.number, kept.bundle);
    const named = this.numbers()
      .slice(-MOST)
      .flatMap((number) => {
        const bundle = this.#bundleOf(number);
        return [`${number}.json`, ...(bundle === null ? [] : [basename(bundle)])];
      });
    for (const name of this.#files()) if (!named.includes(name)) rmSync(join(this.directory, name), { force: true });
  }

  /** The bundle that a kept revision names: what this daemon has kept need not be read again, which may be large. */
  #bundleOf(number: number): string | null {
    let bundle = this.#bundles.get(number);
    if (bundle === undefined) {
      bundle = this.read(number)?.bundle ?? null;
      this.#bundles.set(number, bundle);
    }
    return bundle;
  }

  #files(): string[] {
    return existsSync(this.directory) ? readdirSync(this.directory) : [];
  }
}
