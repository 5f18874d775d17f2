import { expect, test } from "bun:test";
import { startProgram } from "../../src/lab/start.ts";
import { curlMany, startSluice, tally, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noLab } from "../lib/skip.ts";
import { serviceStatus, sluice, untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noLab !== null);
const VIP = "125.12.12.12";
const backends = ["10.0.1.210:8000", "10.0.1.211:8000"];

const config = (more = ""): string => `version: 1
services:
  web:
    method: proxy
    listen: [${VIP}:80]
    scheduler: round-robin
    backends: [${backends.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
${more}`;

skip("the request's path: two connections, the client's address handed on", async () => {
  await withLab("proxy", async (lab) => {
    const daemon = await startSluice(lab, "director", config());
    await untilEligible(lab, daemon, "web", backends);
    const outside = await lab.capture("director", "tcp port 80");
    const inside = await lab.capture("director", "tcp port 8000", { device: "eth1" });
    const seen = JSON.parse(await lab.shell("client", `curl -s -H 'Host: shop.example.com' http://${VIP}/headers?a=1`));
    const headers = Object.fromEntries(seen.headers);
    expect(headers["x-forwarded-for"]).toBe("202.20.20.20");
    expect(headers.host).toBe("shop.example.com");
    expect(headers.via).toContain("1.1");
    expect(seen.client.address).toBe("10.0.1.50");
    const out = await outside.stop();
    const in_ = await inside.stop();
    const ends = (packets: typeof out) => new Set(packets.flatMap(({ ip }) => [ip!.source, ip!.destination]));
    expect(ends(out)).toEqual(new Set(["202.20.20.20", VIP]));
    const request = in_.filter(({ ip }) => Buffer.from(ip?.tcp?.payload ?? []).includes("GET /headers?a=1"));
    expect(request).toHaveLength(1);
    expect(request[0]!.ip).toMatchObject({ source: "10.0.1.50", destination: lab.address(seen.name) });
  });
});

skip("both backends in turn; large bodies both ways with equal hashes", async () => {
  await withLab("proxy", async (lab) => {
    const daemon = await startSluice(lab, "director", config());
    await untilEligible(lab, daemon, "web", backends);
    const served = tally(await curlMany(lab, `http://${VIP}/`, 40));
    expect(served.backend1! + served.backend2!).toBe(40);
    expect(Math.min(served.backend1!, served.backend2!)).toBeGreaterThan(10);
    const size = 50_000_000;
    const near = await lab.shell("director", `curl -s http://10.0.1.210:8000/bytes/${size} | sha256sum`);
    expect(await lab.shell("client", `curl -s http://${VIP}/bytes/${size} | sha256sum`)).toBe(near);
    const up = await lab.shell("client", `head -c ${size} /dev/zero | curl -s -T - http://${VIP}/hash`);
    const wanted = await lab.shell("client", `head -c ${size} /dev/zero | sha256sum`);
    expect([JSON.parse(up).length, JSON.parse(up).sha256]).toEqual([size, wanted.split(" ")[0]]);
    const { counts } = await serviceStatus(lab, daemon, "web");
    expect(counts.requests).toBeGreaterThanOrEqual(42);
    expect(counts.errors).toBe(0);
  });
});

skip("no GET is lost when a backend is killed, comes back, when one is drained, and over a reload", async () => {
  await withLab("proxy", async (lab) => {
    const daemon = await startSluice(lab, "director", config());
    await untilEligible(lab, daemon, "web", backends);
    const load = await startProgram(lab, "client", "http-load", "--url", `http://${VIP}/`, "--rate", "100");
    await killServer(lab, "backend1");
    await untilEligible(lab, daemon, "web", backends.slice(1));
    await reviveServer(lab, "backend1");
    await untilEligible(lab, daemon, "web", backends);
    await sluice(lab, daemon, "set", "backend", `web/${backends[1]}`, "state", "drain");
    await untilEligible(lab, daemon, "web", backends.slice(0, 1));
    await sluice(lab, daemon, "set", "backend", `web/${backends[1]}`, "state", "ready");
    await untilEligible(lab, daemon, "web", backends);
    await sluice(lab, daemon, "reload");
    await load.stop();
    const { sent, ok, lost, errors } = JSON.parse(load.stdout());
    expect(errors).toEqual({});
    expect([ok, lost]).toEqual([sent, 0]);
    expect(ok).toBeGreaterThan(100);
  });
});

skip("with no backend left it says so: 503 with a reason", async () => {
  await withLab("proxy", async (lab) => {
    const daemon = await startSluice(lab, "director", config());
    await untilEligible(lab, daemon, "web", backends);
    await killServer(lab, "backend1");
    await killServer(lab, "backend2");
    await untilEligible(lab, daemon, "web", []);
    const answer = await lab.shell("client", `curl -s -w ' %{http_code}' http://${VIP}/`);
    expect(answer).toContain("SLUICE_NO_BACKEND");
    expect(answer).toEndWith("503");
  });
});
