import { afterEach } from "bun:test";
import type { Backend } from "../core/backend.ts";
import { dial, type End, RawBackend, type Served, serveOne } from "./testing.ts";

/** Makes the parts of a test of a method on sockets, and takes them away after each test, last made first. */
export function httpStage(method: Parameters<typeof serveOne>[0]) {
  const cleanup: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of cleanup.splice(0).reverse()) await stop();
  });
  return {
    /** What else is to be taken away. */
    cleanup,
    /** A backend that does just what `serve` says, byte by byte. */
    raw(serve: (end: End, index: number) => void): RawBackend {
      const backend = new RawBackend(serve);
      cleanup.push(() => backend.stop());
      return backend;
    },
    /** The method, serving these backends. */
    async serve(backends: Backend[], options: object = {}, more: Parameters<typeof serveOne>[3] = {}): Promise<Served> {
      const served = await serveOne(method, backends, options, more);
      cleanup.push(served.stop);
      return served;
    },
    client(served: Served): End {
      const end = dial(served.port);
      cleanup.push(() => end.stop());
      return end;
    },
  };
}
