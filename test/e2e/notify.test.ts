/** Other people's servers keep copies of a zone (NSD, Knot): they hear of each change, ask for the zone, and answer by it. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packet from "dns-packet";
import { peer } from "../../src/lab/peers.ts";
import { freePort, startDaemon, type TestDaemon } from "../lib/daemon.ts";
import { logOf, type PeerServer, type Recipe, startByRecipe } from "./dns-peers/servers.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-notify-"));
const missing = await Promise.all([peer("nsd"), peer("knotd")]).then(
  () => null,
  (error) => (console.error(`skipped: ${error.message}`), error.message as string),
);
const port = freePort();
const KEY = "to-second.example";
const SECRET = "c2l4dGVlbiBvY3RldHMhIQ==";

/** NSD without a key. */
const nsd: Recipe = {
  program: "nsd",
  make: (own, at) => ({
    files: {
      "nsd.conf": `server:
  ip-address: 127.0.0.1@${at}
  username: ""
  chroot: ""
  pidfile: ""
  xfrdfile: ""
  zonelistfile: "${own}/zone.list"
  xfrdir: "${own}"
  database: ""
  zonesdir: "${own}"
  server-count: 1
  verbosity: 3
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
  allow-notify: 127.0.0.1 NOKEY
  request-xfr: AXFR 127.0.0.1@${port} NOKEY
`,
    },
    args: ["-d", "-c", join(own, "nsd.conf")],
  }),
};

/** Knot, which takes and sends nothing that is not signed. */
const knot: Recipe = {
  program: "knotd",
  make: (own, at) => ({
    files: {
      "knot.conf": `server:
  listen: 127.0.0.1@${at}
  rundir: ${own}
  user: root
database:
  storage: ${own}
log:
  - target: stderr
    any: info
key:
  - id: ${KEY}
    algorithm: hmac-sha256
    secret: ${SECRET}
remote:
  - id: first
    address: 127.0.0.1@${port}
    key: ${KEY}
acl:
  - id: told
    key: ${KEY}
    action: notify
zone:
  - domain: example.com
    file: example.com.zone
    storage: ${own}
    master: first
    acl: told
`,
    },
    args: ["-c", join(own, "knot.conf")],
  }),
};

const seconds: PeerServer[] = [];
let daemon: TestDaemon | null = null;
afterAll(async () => {
  for (const second of seconds) await second.stop();
  await daemon?.dispose();
  rmSync(folder, { recursive: true });
});

const config = (records: readonly string[], backends: readonly string[]) => ({
  version: 1,
  workers: 2,
  dns: {
    listen: [`127.0.0.1:${port}`],
    zones: { "example.com": { records } },
    tsigKeys: { [KEY]: { secret: SECRET } },
    transfers: {
      from: ["127.0.0.0/8"],
      notify: seconds.map((second) =>
        second.name === "nsd" ? `127.0.0.1:${second.port}` : { to: `127.0.0.1:${second.port}`, key: KEY },
      ),
    },
  },
  services: { shop: { method: "dns", names: ["shop.example.com"], backends, check: "none" } },
});

/** The addresses of a name by a server; null: it does not answer, or not yet for this zone. */
async function addresses(name: string, at: number): Promise<string[] | null> {
  const { promise, resolve } = Promise.withResolvers<Buffer | null>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port: at },
    socket: { data: (_socket, data) => resolve(Buffer.from(data)), error: () => resolve(null) },
  });
  socket.send(packet.encode({ type: "query", id: 1, questions: [{ name, type: "A" }] }));
  const timer = setTimeout(() => resolve(null), 500);
  const answer = await promise;
  clearTimeout(timer);
  socket.close();
  return answer && (packet.decode(answer).answers ?? []).map((one) => (one as { data: string }).data).sort();
}

/** Waits until both answer a name with these addresses. */
async function bothSay(name: string, wanted: readonly string[]): Promise<void> {
  for (const second of seconds) {
    let said: string[] | null = null;
    for (let i = 0; i < 150 && said?.join() !== wanted.join(); i++) {
      said = await addresses(name, second.port);
      if (said?.join() !== wanted.join()) await Bun.sleep(200);
    }
    expect(`${second.name}: ${said}`, `${await logOf(folder, second.name)}\n${daemon?.said()}`).toBe(
      `${second.name}: ${wanted}`,
    );
  }
}

test.skipIf(missing !== null)("copies follow records, backends, and a start that counts revisions anew", async () => {
  const mail = "mail A 192.0.2.1";
  // Their ports must be known before the daemon is told of them; what they ask before it is there is asked again.
  for (const [name, recipe] of Object.entries({ nsd, knot }))
    seconds.push(await startByRecipe(name, recipe, folder, ""));
  daemon = await startDaemon(config([mail], ["192.0.2.10"]), "notify");
  await bothSay("mail.example.com", ["192.0.2.1"]);
  // The SOA lets them wait an hour: what comes sooner comes by NOTIFY.
  await daemon.write(config([mail, "fresh A 192.0.2.2"], ["192.0.2.10"]));
  expect(daemon.reload().code).toBe(0);
  await bothSay("fresh.example.com", ["192.0.2.2"]);
  await daemon.write(config([mail, "fresh A 192.0.2.2"], ["192.0.2.10", "192.0.2.11"]));
  expect(daemon.reload().code).toBe(0);
  await bothSay("shop.example.com", ["192.0.2.10", "192.0.2.11"]);
  await daemon.kill("SIGTERM");
  await daemon.write(config(["late A 192.0.2.3"], ["192.0.2.10"]));
  await daemon.start();
  await bothSay("late.example.com", ["192.0.2.3"]);
  await bothSay("mail.example.com", []);
  expect(daemon.said()).not.toContain("NOTIFY");
});
