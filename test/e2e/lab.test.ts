import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { Lab } from "../../src/lab/lab.ts";
import { namespacePath } from "../../src/lab/paths.ts";
import { isAlive, processesIn } from "../../src/lab/processes.ts";
import { removeByName, removeLeftovers } from "../../src/lab/remove.ts";
import { accessLog, recordInstance, startProgram, startServers } from "../../src/lab/start.ts";
import { type LabState, loadState } from "../../src/lab/state.ts";
import { findTopology, topologies } from "../../src/lab/topologies/index.ts";
import { run } from "../../src/runtime/child.ts";
import { withLab } from "../lib/lab.ts";
import { noLab } from "../lib/skip.ts";

const skip = test.skipIf(noLab !== null);
const nat = findTopology("nat")!;

function expectGone(state: LabState): void {
  for (const namespace of state.namespaces) expect(existsSync(namespacePath(namespace))).toBe(false);
  expect(state.processes.filter(isAlive)).toEqual([]);
  expect(loadState(state.name)).toBeNull();
  expect(existsSync(`/run/sluice/labs/${state.name}`)).toBe(false);
}

describe("every topology", () => {
  for (const topology of topologies)
    skip(`${topology.name}: builds, its client reaches its director, nothing stays`, async () => {
      const lab = await Lab.build(topology);
      try {
        const directors = topology.hosts.filter((h) => h.role === "director");
        for (const { name } of directors)
          expect([name, await lab.reaches("client", lab.address(name))]).toEqual([name, true]);
        // The plain backends of the tiers are the proxies' neighbours, not the director's.
        const proxies = topology.hosts.filter((h) => h.role === "proxy");
        const near = (proxies.length > 0 ? proxies : directors).map((h) => h.name);
        for (const { name } of topology.hosts.filter((h) => h.role === "backend"))
          for (const from of near)
            expect([from, name, await lab.reaches(from, lab.address(name))]).toEqual([from, name, true]);
      } finally {
        await lab.down();
      }
      expectGone(lab.state);
    });
});

describe("a lab", () => {
  skip("holds the article's addresses on the wire: captured at the switch, checksums whole", async () => {
    await withLab(
      "direct",
      async (lab) => {
        const capture = await lab.capture("real1", "tcp port 80");
        expect(await lab.shell("client", "curl -s http://125.12.12.20/")).toBe("real1");
        const packets = await capture.until((seen) => seen.some((p) => p.ip?.tcp?.flags.includes("FIN")));
        const syn = packets[0]!;
        expect(syn.ip?.source).toBe("202.20.20.20");
        expect(syn.ip?.destination).toBe("125.12.12.20");
        expect(syn.sourceMac).toBe(lab.mac("router", 1));
        expect(syn.destinationMac).toBe(lab.mac("real1"));
        expect(syn.ip?.tcp?.flags).toEqual(["SYN"]);
        for (const { ip } of packets) {
          expect(ip?.headerChecksumValid).toBe(true);
          expect(ip?.tcp?.checksumValid).toBe(true);
        }
      },
      { realServers: false },
    );
  });

  skip("serves: equal hashes both ways, echoes that check every byte, one log line per request", async () => {
    await withLab("nat", async (lab) => {
      const size = 5_000_000;
      const sent = `head -c ${size} /dev/zero`;
      const answer = JSON.parse(await lab.shell("director", `${sent} | curl -s -T - http://10.0.1.210:8000/hash`));
      expect(answer.length).toBe(size);
      expect(await lab.shell("director", `${sent} | sha256sum`)).toStartWith(answer.sha256);
      const both =
        "for n in 210 211; do curl -s http://10.0.1.$n:8000/bytes/3000000 | sha256sum; done | sort -u | wc -l";
      expect(await lab.shell("director", both)).toBe("1");
      const hold = await startProgram(lab, "director", "tcp-hold", "--target", "10.0.1.211:7", "--connections", "20");
      const load = await startProgram(
        lab,
        "director",
        "http-load",
        "--url",
        "http://10.0.1.211:8000/",
        "--count",
        "10",
      );
      await load.gone();
      await hold.stop();
      expect(JSON.parse(load.stdout())).toMatchObject({ sent: 10, ok: 10, lost: 0, backends: { backend2: 10 } });
      expect(JSON.parse(hold.stdout())).toMatchObject({ open: 20, broken: 0, wrong: 0, backends: { backend2: 20 } });
      const log = await Bun.file(accessLog(lab, "backend2")).text();
      expect(
        log
          .trim()
          .split("\n")
          .filter((line) => JSON.parse(line).path === "/"),
      ).toHaveLength(10);
      const udp =
        "import socket as s; u=s.socket(2,2); u.settimeout(3); u.sendto(b'hi',('10.0.1.210',7)); print(u.recv(99).decode())";
      if ((await run(["python3", "--version"])).code === 0)
        expect(await lab.shell("director", `python3 -c "${udp}"`)).toBe("backend1:hi");
    });
  });

  skip("leaves a client's count of the dead honest: a server that is killed costs its connections", async () => {
    await withLab("nat", async (lab) => {
      const hold = await startProgram(lab, "director", "tcp-hold", "--target", "10.0.1.210:7", "--connections", "5");
      const echo = lab.state.processes.find((p) => p.host === "backend1" && p.command.join(" ").includes("tcp-echo"))!;
      process.kill(echo.pid, "SIGKILL");
      expect(await hold.gone()).toBe(true);
      expect(JSON.parse(hold.stdout())).toMatchObject({ open: 0, broken: 5, wrong: 0 });
    });
  });

  skip("may stand beside another one of the same topology", async () => {
    const labs = await Promise.all([Lab.build(nat), Lab.build(nat)]);
    try {
      await Promise.all(labs.map(startServers));
      for (const lab of labs) expect(await lab.shell("director", "curl -s http://10.0.1.210:8000/")).toBe("backend1");
      expect(labs[0]!.state.id).not.toBe(labs[1]!.state.id);
    } finally {
      await Promise.all(labs.map((lab) => lab.down()));
    }
    for (const { state } of labs) expectGone(state);
  });

  skip("has its name alone: a second one is refused, and the first is as it was", async () => {
    const lab = await Lab.build(nat, { name: `alone-${process.pid}` });
    try {
      await expect(Lab.build(nat, { name: lab.name })).rejects.toThrow(`a lab called ${lab.name} is up already`);
      expect(loadState(lab.name)).toEqual(lab.state);
      expect(readdirSync(lab.folder)).toEqual([]);
      expect(await lab.reaches("client", lab.address("director"))).toBe(true);
    } finally {
      await lab.down();
    }
    expectGone(lab.state);
  });

  skip("that cannot be built leaves nothing", async () => {
    const before = readdirSync("/run/sluice/labs");
    const broken = { ...nat, name: "broken", hosts: nat.hosts.map((h) => ({ ...h, gateway: "192.0.2.1" })) };
    expect(Lab.build(broken)).rejects.toThrow(/client|router|director|backend/);
    expect(Lab.build({ ...nat, networks: [] })).rejects.toThrow("no network");
    await removeLeftovers();
    expect(readdirSync("/run/sluice/labs").filter((n) => n.startsWith("broken"))).toEqual([]);
    expect(before.filter((n) => n.startsWith("broken"))).toEqual([]);
  });
});

describe("a lab that is taken down while programs start in it", () => {
  skip("takes them along, and starts no other", async () => {
    const lab = await Lab.build(nat);
    const starts = Array.from({ length: 8 }, () => lab.spawn("client", ["sleep", "30"]));
    await lab.down();
    const started = await Promise.all(starts);
    expect(started.filter((one) => one.alive())).toEqual([]);
    expectGone(lab.state);
    expect(lab.spawn("client", ["true"])).rejects.toThrow("being taken down");
    expect(lab.exec("client", ["true"])).rejects.toThrow("being taken down");
    expect(() => recordInstance(lab, "director", "director")).toThrow("being taken down");
    expect(existsSync(`/run/sluice/labs/${lab.name}`)).toBe(false);
  });
});

describe("after a crash of its builder", () => {
  const names: string[] = [];
  afterAll(async () => {
    for (const name of names) await removeByName(name);
  });

  skip("the next one removes processes, namespaces and files", async () => {
    const name = `crash-${process.pid}`;
    names.push(name);
    const program = `
      import { Lab } from "${resolve(import.meta.dirname, "../../src/lab/lab.ts")}";
      import { startServers } from "${resolve(import.meta.dirname, "../../src/lab/start.ts")}";
      import { findTopology } from "${resolve(import.meta.dirname, "../../src/lab/topologies/index.ts")}";
      const lab = await Lab.build(findTopology("nat"), { name: "${name}" });
      await startServers(lab);
      process.kill(process.pid, "SIGKILL");`;
    await run([process.execPath, "-e", program]);
    const state = loadState(name)!;
    expect(state.processes.length).toBeGreaterThan(3);
    expect(processesIn(state.namespaces).length).toBeGreaterThan(3);
    expect(await removeLeftovers()).toContain(name);
    expectGone(state);
  });
});

describe("sluice lab up", () => {
  const command = resolve(import.meta.dirname, "../../bin/sluice");
  /** Begins a lab, and ends the command by a signal once it has said so; what it said, and what it left on record. */
  async function endedAfter(said: string, signal: NodeJS.Signals) {
    const name = `ended-${process.pid}-${signal.toLowerCase()}`;
    const child = Bun.spawn([command, "lab", "up", "nat", "--name", name], { stdout: "ignore", stderr: "pipe" });
    let all = "";
    let state: LabState | null = null;
    for await (const chunk of child.stderr) {
      all += Buffer.from(chunk).toString();
      if (state !== null || !all.includes(said)) continue;
      state = loadState(name);
      child.kill(signal);
    }
    return { name, code: await child.exited, state: state! };
  }

  skip.each([
    ["network up", "SIGTERM", 143],
    ["servers up", "SIGINT", 130],
  ] as const)("that is ended after %p by %s leaves nothing", async (said, signal, code) => {
    const ended = await endedAfter(said, signal);
    expect(ended.code).toBe(code);
    expect(ended.state.namespaces.length).toBeGreaterThan(5);
    expectGone(ended.state);
  });

  skip("that is killed leaves what the next one takes away, and one that has come to its end stays", async () => {
    const { name, state } = await endedAfter("network up", "SIGKILL");
    const whole = `whole-${process.pid}`;
    const { code } = await run([command, "lab", "up", "nat", "--network-only", "--name", whole]);
    expect(code).toBe(0);
    expect(loadState(name)).toBeNull();
    expectGone(state);
    await removeLeftovers();
    expect(loadState(whole)).not.toBeNull();
    expect(await removeByName(whole)).toBe(true);
  });
});
