/**
 * The backends of a scene on loopback, in one process: `bun uneven-backends.ts CONTROL PORT…`. `GET /WORK` takes so much
 * work, in ms. `GET /SCENE` on the control port begins a scene anew, so that every balancer meets the same.
 */
import { drawWork, exponential, SimulatedBackend, scenes, seeded } from "./uneven.ts";

const [control, ...ports] = process.argv.slice(2).map(Number) as [number, ...number[]];
const SEED = 20_241;
/** How often arrivals from elsewhere are drawn anew where there are none now, ms. */
const IDLE = 50;

let generation = 0;
let backends: SimulatedBackend[] = [];

function begin(name: string): void {
  const scene = scenes[name]!;
  const mine = ++generation;
  const start = performance.now();
  const world = {
    now: () => performance.now() - start,
    after: (ms: number, call: () => void) => void setTimeout(call, ms),
  };
  backends = ports.map((_, index) => new SimulatedBackend(scene, index, world));
  backends.forEach((backend, index) => {
    const random = seeded(SEED + index);
    const arrive = (): void => {
      if (mine !== generation) return;
      const rate = scene.elsewhere(index, world.now());
      if (rate > 0) backend.arrive(drawWork(random), () => {});
      setTimeout(arrive, rate > 0 ? exponential(1000 / rate, random()) : IDLE);
    };
    arrive();
  });
}

begin("uneven");

const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

for (const [index, port] of ports.entries())
  Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port,
    socket: {
      open(socket) {
        socket.data = { text: "" };
      },
      data(socket, chunk) {
        socket.data.text += chunk.toString("latin1");
        for (;;) {
          const end = socket.data.text.indexOf("\r\n\r\n");
          if (end < 0) return;
          const work = Number(/^GET \/([\d.]+) /.exec(socket.data.text)?.[1]);
          socket.data.text = socket.data.text.slice(end + 4);
          backends[index]!.arrive(work, () => void socket.write(ANSWER));
        }
      },
    },
  });

Bun.serve({
  hostname: "127.0.0.1",
  port: control,
  fetch(request) {
    const name = new URL(request.url).pathname.slice(1);
    if (!Object.hasOwn(scenes, name)) return new Response("no such scene", { status: 404 });
    begin(name);
    return new Response("ok");
  },
});
