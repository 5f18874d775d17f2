import { describe, expect, test } from "bun:test";
import { Lab } from "../../src/lab/lab.ts";
import { sluiceCommand } from "../../src/lab/paths.ts";
import { peer, peerCommands } from "../../src/lab/peers.ts";
import { prepareRealServers, startDirectors, startServers } from "../../src/lab/start.ts";
import { loadState } from "../../src/lab/state.ts";
import { topologies } from "../../src/lab/topologies/index.ts";
import { run } from "../../src/runtime/child.ts";
import { noLab, noXdp } from "../lib/skip.ts";

/** The configurations under examples/ are what the labs run: every one is started and tried as its topology says. */
describe("the example of", () => {
  for (const topology of topologies) {
    const reason = topology.hosts.some((host) => host.xdp) ? noXdp : noLab;
    test.skipIf(reason !== null)(`${topology.name} serves`, async () => {
      await Promise.all((topology.peers ?? []).map(peer));
      const lab = await Lab.build(topology);
      try {
        await startServers(lab);
        await prepareRealServers(lab);
        await startDirectors(lab);
        expect(topology.tries.length).toBeGreaterThan(0);
        for (const { host, command } of topology.tries) {
          const env = { PATH: `${process.env.PATH}:${peerCommands()}` };
          const { code, stdout, stderr } = await lab.exec(host, ["sh", "-c", command], { env, timeout: 10_000 });
          expect([command, code, code === 0 ? "" : stderr]).toEqual([command, 0, ""]);
          expect(stdout).toMatch(/backend\d|real\d|\d+\.\d+\.\d+\.\d+/);
        }
      } finally {
        await lab.down();
      }
    });
  }
});

describe("sluice lab", () => {
  const sluice = (...words: string[]) => run([sluiceCommand, "lab", ...words]);

  test.skipIf(noLab !== null)("up, list, exec, down", async () => {
    const name = `cli-${process.pid}`;
    const up = await sluice("up", "proxy", "--name", name, "--json");
    try {
      expect([up.code, up.code === 0 ? "" : up.stderr]).toEqual([0, ""]);
      const made = JSON.parse(up.stdout);
      expect(made).toMatchObject({ schema: "sluice.lab/v1", name, topology: "proxy" });
      expect(JSON.parse((await sluice("list", "--json")).stdout).labs).toContainEqual(
        expect.objectContaining({ name, orphan: false }),
      );
      const got = await sluice("exec", name, "client", "--", "curl", "-s", "http://125.12.12.12/");
      expect([got.code, got.stdout]).toEqual([0, expect.stringMatching(/^backend[12]\n$/)]);
      const bare = await sluice("exec", name, "client", "ip", "-json", "link", "show", "lo");
      expect([bare.code, JSON.parse(bare.stdout)]).toEqual([0, [expect.objectContaining({ ifname: "lo" })]]);
      expect((await sluice("exec", name, "client", "--", "false")).code).toBe(1);
      const wrong = await sluice("exec", name, "nobody", "--", "true");
      expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining("one of: client, router, director")]);
    } finally {
      expect((await sluice("down", name)).code).toBe(0);
    }
    expect(loadState(name)).toBeNull();
    expect((await sluice("down", name)).code).toBe(2);
  });

  test("an unknown topology is wrong usage and names the known ones", async () => {
    const { code, stderr } = await sluice("up", "nta");
    expect([code, stderr]).toEqual([2, expect.stringContaining("redirect, dns, proxy, nat, direct, tunnel")]);
  });
});
