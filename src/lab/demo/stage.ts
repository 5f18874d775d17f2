import type { Recorded } from "../../observe/events.ts";
import type { StatusModel } from "../../observe/status.ts";
import type { Finished } from "../../runtime/child.ts";
import { fetchUnix } from "../../runtime/http.ts";
import { instancePaths } from "../../system/instance.ts";
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

/** What the stages ask of the daemon of an instance. */
export function askingDaemon(instance: string): Pick<Stage, "events" | "describe"> {
  const { adminSocket } = instancePaths(instance);
  const ask = async (path: string): Promise<unknown> => (await fetchUnix(adminSocket, path)).json();
  return {
    events: async () => (await ask("/v1/events")) as Recorded[],
    describe: async () => ((await ask("/v1/status")) as StatusModel).services.flatMap((service) => service.describe),
  };
}

/** A command that the topology offers for trying it, and what it printed. */
export interface Tried {
  host: string;
  command: string;
  /** Standard output and error, without the line's end. */
  output: string;
  /** 127: this machine lacks the program. */
  code: number;
}

/** Where a method is shown: a lab, or this host's loopback. Servers and Sluice run on it. */
export interface Stage {
  /** What its daemon says of its way: `xdp native on eth0`. */
  describe(): Promise<string[]>;
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
  /** `count` URLs of a path that curl can fetch where clients are: a name where it can be resolved there. */
  urls(path: string, count: number): Promise<string[]>;
  /** Kills a backend's server (SIGKILL). Returns when, in ms since 1970. */
  kill(server: string): Promise<number>;
  /** What the daemon has recorded. */
  events(): Promise<Recorded[]>;
  /** Runs what the topology offers for trying it. */
  tries(): Promise<Tried[]>;
  /** Captures on every cable; null where nothing can be captured. */
  watch: (() => Promise<Watch>) | null;
  /** The host that Sluice runs on, and the one that clients run on, as captures name them. */
  readonly director: string;
  readonly client: string;
  /** Ends and removes everything. */
  close(): Promise<void>;
}
