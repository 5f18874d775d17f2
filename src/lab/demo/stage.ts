import type { Recorded } from "../../observe/events.ts";
import type { Finished } from "../../runtime/child.ts";
import type { Watch } from "./watch.ts";

/** A program that a stage has started. */
export interface Actor {
  stdout(): string;
  stderr(): string;
  alive(): boolean;
  /** SIGTERM, then SIGKILL after `grace` ms. */
  stop(grace?: number): Promise<void>;
  says(text: string | RegExp, timeout?: number): Promise<void>;
  gone(timeout?: number): Promise<boolean>;
}

/** Where a method is shown: a lab, or this host's loopback. Servers and Sluice run on it. */
export interface Stage {
  /** For logs. */
  readonly folder: string;
  /** Name of the server at each backend address; it is what the server answers. */
  readonly servers: ReadonlyMap<string, string>;
  /** Runs a command where clients are, names resolved as the scene says, to its end. */
  asClient(command: readonly string[], timeout?: number): Promise<Finished>;
  /** Starts a program where clients are. */
  startClient(command: readonly string[]): Promise<Actor>;
  /** Bodies of `count` GETs of `path`, each on a connection of its own (and by a client that knows no name yet); null for a lost one. */
  getMany(path: string, count: number): Promise<(string | null)[]>;
  /** Kills a backend's server (SIGKILL). Returns when, in ms since 1970. */
  kill(server: string): Promise<number>;
  /** What the daemon has recorded. */
  events(): Promise<Recorded[]>;
  /** Captures on every cable; null where nothing can be captured. */
  watch: (() => Promise<Watch>) | null;
  /** The host that Sluice runs on, and the one that clients run on, as captures name them. */
  readonly director: string;
  readonly client: string;
  /** Ends and removes everything. */
  close(): Promise<void>;
}
