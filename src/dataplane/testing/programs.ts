import { join } from "node:path";
import { type Child, spawnChild } from "../../runtime/child.ts";
import type { TestNetns } from "../../system/netns-testing.ts";
import type { ForwardName } from "../plane-service.ts";

const programOf = (name: string): string => join(import.meta.dirname, `${name}.ts`);

export type Client = ((command: object) => Promise<string[]>) & { pid: number };

/** The programs that a test has running in its hosts. */
export class Programs {
  readonly #children: Child<unknown>[] = [];

  /** A server on a host; resolves when it listens. */
  server(host: TestNetns, name: string, address: string, port: number): Promise<Child<unknown>> {
    return this.#start(host, "server", [name, address, String(port)], () => {}).then(({ child }) => child);
  }

  /** A server whose clients check every byte. */
  echo(host: TestNetns, name: string, address: string, port: number): Promise<Child<unknown>> {
    return this.#start(host, "echo", [name, address, String(port)], () => {}).then(({ child }) => child);
  }

  /** A client on a host: each command is answered by one list of texts. `crowd`: one that keeps many connections. */
  async client(host: TestNetns, program: "client" | "crowd" = "client"): Promise<Client> {
    let answer: (list: string[]) => void = () => {};
    const { child } = await this.#start(host, program, [], (message) => answer(message as string[]));
    const tell = (command: object): Promise<string[]> =>
      new Promise((resolve) => {
        answer = resolve;
        child.send(command);
      });
    return Object.assign(tell, { pid: child.pid });
  }

  /** A flood out of a host's device: the generator's object and its order, in hexadecimal. Tells how many were sent. */
  async flooder(host: TestNetns, generator: string, device: string, order: string): Promise<() => Promise<number>> {
    let heard: (count: number) => void = () => {};
    const { child } = await this.#start(host, "flooder", [generator, device, order], (sent) => heard(sent as number));
    return () =>
      new Promise((resolve) => {
        heard = resolve;
        child.send("count");
      });
  }

  /**
   * A director on a host, with what is pinned in these folders; it is told services, and says what it minds. `program`: that
   * of another version.
   */
  async director(
    host: TestNetns,
    bpfDir: string,
    runDir: string,
    forward: ForwardName = "direct",
    program = programOf("director"),
  ) {
    let answer: (list: string[]) => void = () => {};
    const heard = (message: unknown): void => answer(message as string[]);
    const { child } = await this.#start(host, "director", [bpfDir, runDir, forward], heard, program);
    const apply = (services: object[]): Promise<string[]> =>
      new Promise((resolve) => {
        answer = resolve;
        child.send(services);
      });
    const kill = async (): Promise<void> => {
      child.kill("SIGKILL");
      await child.exited;
    };
    return { apply, kill };
  }

  /**
   * A director that is killed in its start, as soon as this holds, which is asked every ms. False: it was ready before.
   */
  async killedDirector(
    host: TestNetns,
    [bpfDir, runDir]: readonly [bpfDir: string, runDir: string],
    forward: ForwardName,
    program: string | undefined,
    moment: () => boolean,
  ): Promise<boolean> {
    const before = this.#children.length;
    const ready = this.#start(host, "director", [bpfDir, runDir, forward], () => {}, program);
    const timer = setInterval(() => {
      if (moment()) this.#children[before]?.kill("SIGKILL");
    }, 1);
    const killed = await ready.then(
      () => false,
      () => true,
    );
    clearInterval(timer);
    return killed;
  }

  #start(host: TestNetns, name: string, args: string[], heard: (message: unknown) => void, program = programOf(name)) {
    return new Promise<{ child: Child<unknown> }>((resolve, reject) => {
      void host.within(() => {
        const child = spawnChild<unknown, unknown>({
          program,
          args,
          onMessage: (message) => (message === "ready" ? resolve({ child }) : heard(message)),
          onExit: (code) => reject(new Error(`${name} on ${host.name} ended with ${code}`)),
        });
        this.#children.push(child);
      });
    });
  }

  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    await Promise.all(this.#children.map((child) => child.exited));
  }
}
