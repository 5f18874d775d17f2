/** A client, a director and servers, each in a namespace: what a connection costs on its whole way. */
import { rmSync } from "node:fs";
import { createXdpApplier } from "../../src/dataplane/applier.ts";
import { attachDecap } from "../../src/dataplane/decap.ts";
import type { ForwardName } from "../../src/dataplane/plane-service.ts";
import { testBackend, testDoors, testService } from "../../src/dataplane/testing/doors.ts";
import { TestNetwork } from "../../src/dataplane/testing/network.ts";
import { peer } from "../../src/lab/peers.ts";
import type { TestNetns } from "../../src/system/netns-testing.ts";
import { FILES, LOAD_CORE, type Pinned, SERVER_CORE, startPinned } from "./pinned.ts";

/** The director's own address: that of `nat`, nftables and HAProxy. */
const OWN = "125.12.12.12";
/** What servers on the director's network hold themselves. */
const VIP = "125.12.12.77";
const near = ["125.12.12.20", "125.12.12.21"];
const behind = ["10.0.1.210", "10.0.1.211"];

export type Way = ForwardName | "nftables" | "haproxy";

/** The address that clients ask by this way. */
export const targetOf = (way: Way): string => (way === "direct" || way === "tunnel" ? VIP : OWN);

const nginxConf = (folder: string, name: string): string => `daemon off; user root; worker_processes 1;
pid ${folder}/${name}.pid; error_log stderr error;
events { worker_connections ${Math.floor(FILES / 2)}; }
http { access_log off; keepalive_requests 1000000000; client_body_temp_path ${folder}/${name}-b; proxy_temp_path ${folder}/${name}-p;
fastcgi_temp_path ${folder}/${name}-f; uwsgi_temp_path ${folder}/${name}-u; scgi_temp_path ${folder}/${name}-s;
server { listen 80 backlog=4096; location / { return 200 "${"x".repeat(64)}"; } } }`;

const haproxyConf = `global
  nbthread 1
  no strict-limits
  maxconn ${Math.floor(FILES / 4)}
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen web
  bind ${OWN}:80 backlog 4096
  balance roundrobin
${behind.map((address, i) => `  server s${i} ${address}:80`).join("\n")}
`;

const NFTABLES = `table ip bench {
  chain prerouting { type nat hook prerouting priority -100;
    ip daddr ${OWN} tcp dport 80 dnat to numgen inc mod 2 map { 0 : ${behind[0]}, 1 : ${behind[1]} };
  }
}`;

export class ConnectionStage {
  readonly #net = new TestNetwork();
  readonly #folder: string;
  readonly #programs: Pinned[] = [];
  readonly #doors: ReturnType<typeof testDoors>[] = [];
  readonly director: TestNetns;
  readonly client: TestNetns;

  private constructor(folder: string) {
    this.#folder = folder;
    this.director = this.#net.host("director");
    this.client = this.#net.host("client");
  }

  /** Two servers hold the VIP on the director's network, two more stand behind it; all answer on port 80. */
  static async create(folder: string): Promise<ConnectionStage> {
    const stage = new ConnectionStage(folder);
    const net = stage.#net;
    const [outside, inside] = [net.switch("outside"), net.switch("inside")];
    net.plug(stage.director, outside, "eth0", `${OWN}/24`);
    net.plug(stage.director, inside, "eth1", "10.0.1.50/24");
    net.plug(stage.client, outside, "eth0", "125.12.12.100/24");
    stage.client.sh("echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range");
    stage.director.sh("echo 1 > /proc/sys/net/ipv4/ip_forward");
    for (const [i, address] of near.entries()) {
      const host = net.host(`near${i}`);
      net.plug(host, outside, "eth0", `${address}/24`);
      net.holdVip(host, VIP);
      const doors = stage.#door();
      await host.within(() => attachDecap({ device: "eth0", bpfDir: doors.bpfDir, vips: [VIP], sources: [OWN] }));
      await stage.#serve(host, `near${i}`);
    }
    for (const [i, address] of behind.entries()) {
      const host = net.host(`behind${i}`);
      net.plug(host, inside, "eth0", `${address}/24`);
      host.sh("ip route add default via 10.0.1.50");
      await stage.#serve(host, `behind${i}`);
    }
    return stage;
  }

  #door(): ReturnType<typeof testDoors> {
    const doors = testDoors();
    this.#doors.push(doors);
    return doors;
  }

  async #serve(host: TestNetns, name: string): Promise<void> {
    const { program, env } = await peer("nginx");
    const file = `${this.#folder}/${name}.conf`;
    await Bun.write(file, nginxConf(this.#folder, name));
    this.#programs.push(startPinned(LOAD_CORE, host.enter(program, "-e", "stderr", "-c", file), env));
  }

  /** Runs `work` while connections go this way; it has been seen that they do. */
  async by(way: Way, work: () => Promise<void>): Promise<void> {
    if (way === "nftables") {
      this.director.sh(`nft -f - <<'END'\n${NFTABLES}\nEND`);
      await this.#whileOpen(way, work);
      this.director.sh("nft delete table ip bench");
    } else if (way === "haproxy") {
      const { program, env } = await peer("haproxy");
      const file = `${this.#folder}/haproxy.cfg`;
      await Bun.write(file, haproxyConf);
      const haproxy = startPinned(SERVER_CORE, this.director.enter(program, "-db", "-f", file), env);
      await this.#whileOpen(way, work).finally(() => haproxy.stop());
    } else await this.#bySluice(way, work);
  }

  async #bySluice(way: ForwardName, work: () => Promise<void>): Promise<void> {
    const doors = this.#door();
    const servers = (way === "nat" ? behind : near).map((address, i) => testBackend(i + 1, address, 80));
    const service = testService("web", [{ address: targetOf(way), port: 80, protocol: "tcp" }], servers);
    await this.director.within(async () => {
      const applier = await createXdpApplier(doors, way);
      const prepared = await applier.prepare([service]);
      if (Array.isArray(prepared)) throw new Error(JSON.stringify(prepared));
      await prepared.commit();
      await this.#whileOpen(way, work).finally(() => applier.remove());
    });
  }

  async #whileOpen(way: Way, work: () => Promise<void>): Promise<void> {
    const ask = ["curl", "-s", "-o", "/dev/null", "-m", "1", `http://${targetOf(way)}/`];
    for (let i = 0; i < 50; i++) {
      if (Bun.spawnSync(this.client.enter(...ask)).exitCode === 0) return work();
      await Bun.sleep(100);
    }
    throw new Error(`nobody answers by ${way}: ${this.#programs.map((one) => one.said()).join("")}`);
  }

  async close(): Promise<void> {
    for (const program of this.#programs) await program.stop();
    this.#net.remove();
    for (const doors of this.#doors) doors.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
