/**
 * How long a client behind a caching resolver goes on being sent to a dead backend: with a fixed TTL, with the adaptive
 * one, and with a name over a stable VIP. In the lab, with unbound as the resolver.
 */
import { join, resolve } from "node:path";
import { type HostProcess, Lab } from "../src/lab/lab.ts";
import { peer } from "../src/lab/peers.ts";
import { startDirector, startServers } from "../src/lab/start.ts";
import { findTopology } from "../src/lab/topologies/index.ts";
import { defineBench, row } from "./lib.ts";

const DIRECTOR = "125.12.12.12";
const DEAD = "10.0.1.211";
/** s */
const FIXED = 60;
/** Names of each kind: each comes into the cache at its own moment. */
const NAMES = 12;
/** s after the death in which all must be over. */
const AFTER = FIXED + 20;

const namesOf = (kind: string): string[] => Array.from({ length: NAMES }, (_, i) => `${kind}${i}.example.com`);

/** The checks are the product's own: every 2 s, three failures. */
const configuration = `version: 1
dns: { listen: ["${DIRECTOR}:53"] }
services:
  web: { method: nat, listen: ["${DIRECTOR}:80"], backends: [10.0.1.210:8000, ${DEAD}:8000], check: { http: /healthz } }
  fixed:
    method: dns
    names: [${namesOf("fixed").join(", ")}]
    backends: [10.0.1.210:8000, ${DEAD}:8000]
    check: { http: /healthz }
    dns: { ttl: ${FIXED}s }
  adaptive:
    method: dns
    names: [${namesOf("adaptive").join(", ")}]
    backends: [10.0.1.210:8000, ${DEAD}:8000]
    check: { http: /healthz }
    dns: { ttl: { min: 5s, max: 1m } }
  over: { method: dns, names: [vip.example.com], backends: ["service:web"], dns: { ttl: ${FIXED}s } }
`;

/** A plain caching resolver: nothing is fetched before it is asked for, nothing served that has expired. */
async function startResolver(lab: Lab): Promise<{ process: HostProcess; version: string }> {
  const { program, env, version } = await peer("unbound");
  const file = join(lab.folder, "unbound.conf");
  await Bun.write(
    file,
    `server:
 interface: 127.0.0.1@53
 do-daemonize: no
 use-syslog: no
 logfile: ""
 username: ""
 chroot: ""
 pidfile: ""
 directory: "${lab.folder}"
 do-not-query-localhost: no
 module-config: "iterator"
 qname-minimisation: no
 rrset-roundrobin: yes
 prefetch: no
 serve-expired: no
stub-zone:
 name: example.com
 stub-addr: ${DIRECTOR}@53
 stub-prime: no
remote-control:
 control-enable: no
`,
  );
  const settings = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const process = await lab.spawn("client", ["env", ...settings, program, "-d", "-c", file]);
  return { process, version };
}

interface Seen {
  lastDead: (number | null)[];
  vip: number | null;
  failures: number;
  requests: number;
}

async function measure(lab: Lab, progress: (line: string) => void) {
  await startServers(lab);
  const file = join(lab.folder, "caches.yaml");
  await Bun.write(file, configuration);
  await startDirector(lab, "director", file);
  const { version } = await startResolver(lab);
  const script = resolve(import.meta.dirname, "support/cache-client.ts");
  const words = [`${FIXED + AFTER}`, `${FIXED}`, DEAD, "vip.example.com", ...namesOf("fixed"), ...namesOf("adaptive")];
  progress(`caches fill for ${FIXED} s`);
  const watching = lab.exec("client", [process.execPath, "--no-env-file", script, ...words], { timeout: 400_000 });
  await Bun.sleep(FIXED * 1000);
  await lab.cable("backend2", "down");
  const died = Date.now();
  progress(`a backend's cable is out; ${AFTER} s to go`);
  const { code, stdout, stderr } = await watching;
  if (code !== 0) throw new Error(`the client: ${stderr.slice(-2000)}`);
  return { seen: JSON.parse(stdout) as Seen, died, version };
}

export default defineBench({
  summary: "clients behind a caching resolver: seconds until they stop being sent to a dead backend",
  async run(progress) {
    const lab = await Lab.build(findTopology("nat")!);
    try {
      const { seen, died, version } = await measure(lab, progress);
      const after = (at: number | null): number => Math.max(0, (at ?? died) - died) / 1000;
      const kinds = [seen.lastDead.slice(0, NAMES), seen.lastDead.slice(NAMES)].map((all) => all.map(after));
      const rows = [`fixed-${FIXED}s`, "adaptive"].flatMap((kind, i) => [
        row(`${kind}/mean/s`, "s", "lower", kinds[i]!.reduce((sum, s) => sum + s, 0) / NAMES),
        row(`${kind}/worst/s`, "s", "lower", Math.max(...kinds[i]!)),
      ]);
      rows.push(row("vip/worst/s", "s", "lower", after(seen.vip)));
      progress(`over the VIP ${seen.failures} of ${seen.requests} requests failed`);
      return { rows, versions: { unbound: version } };
    } finally {
      await lab.down();
    }
  },
});
