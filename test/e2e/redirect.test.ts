import { expect, test } from "bun:test";
import { startProgram } from "../../src/lab/start.ts";
import { startSluice, withLab } from "../lib/lab.ts";
import { killServer, reviveServer } from "../lib/servers.ts";
import { noLab } from "../lib/skip.ts";
import { untilEligible } from "../lib/status.ts";

const skip = test.skipIf(noLab !== null);
const FRONT = "192.30.252.130";
const backends = ["192.30.252.147:80", "192.30.252.148:80"];

const config = `version: 1
services:
  download:
    method: redirect
    listen: [${FRONT}:80]
    scheduler: round-robin
    backends: [${backends.join(", ")}]
    check: { http: /healthz, interval: 500ms, timeout: 400ms, rise: 1, fall: 2 }
`;

skip("the article's download: wget and curl follow to a backend, path and query kept", async () => {
  await withLab("redirect", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "download", backends);
    const capture = await lab.capture("client", "tcp[tcpflags] & tcp-syn != 0 and tcp[tcpflags] & tcp-ack = 0");
    const talk = await lab.shell("client", `wget -O ${lab.folder}/file http://${FRONT}/bytes/501048?x=1 2>&1`);
    expect(talk).toContain("302 Found");
    expect(talk).toMatch(/Location: http:\/\/192\.30\.252\.14[78](:80)?\/bytes\/501048\?x=1 \[following\]/);
    expect(talk).toContain("200 OK");
    expect(Bun.file(`${lab.folder}/file`).size).toBe(501_048);
    const connections = (await capture.stop()).map(({ ip }) => ip!.destination);
    expect(connections[0]).toBe(FRONT);
    expect(connections.slice(1).every((address) => backends.includes(`${address}:80`))).toBe(true);
    const urls = new Set<string>();
    for (let i = 0; i < 6; i++)
      urls.add(await lab.shell("client", `curl -sL -o /dev/null -w '%{num_redirects} %{remote_ip}' http://${FRONT}/`));
    expect([...urls].sort()).toEqual(["1 192.30.252.147", "1 192.30.252.148"]);
  });
});

skip("no forged request sends a client elsewhere", async () => {
  await withLab("redirect", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "download", backends);
    const requests = [
      "GET //evil.example/ HTTP/1.1\\r\\nHost: x\\r\\n",
      "GET http://evil.example/a HTTP/1.1\\r\\nHost: x\\r\\n",
      "GET / HTTP/1.1\\r\\nHost: evil.example\\r\\n",
      "GET /\\\\evil.example HTTP/1.1\\r\\nHost: x\\r\\n",
    ];
    for (const request of requests) {
      const line = `exec 3<>/dev/tcp/${FRONT}/80; printf '${request}Connection: close\\r\\n\\r\\n' >&3; timeout 3 cat <&3`;
      const { stdout } = await lab.exec("client", ["bash", "-c", line]);
      expect(stdout).toStartWith("HTTP/1.1 ");
      const location = /^location: *(.*)$/im.exec(stdout)?.[1]?.trim();
      if (location !== undefined) expect(location).toMatch(/^http:\/\/192\.30\.252\.14[78](:80)?\//);
    }
  });
});

skip("a dead backend is named no more, and again once it is back", async () => {
  await withLab("redirect", async (lab) => {
    const daemon = await startSluice(lab, "director", config);
    await untilEligible(lab, daemon, "download", backends);
    const served = async (): Promise<string[]> => {
      const load = ["--url", `http://${FRONT}/`, "--follow", "--count", "20", "--rate", "200"];
      const done = await startProgram(lab, "client", "http-load", ...load);
      await done.gone();
      const { ok, addresses } = JSON.parse(done.stdout());
      expect(ok).toBe(20);
      return Object.keys(addresses).sort();
    };
    expect(await served()).toEqual(["192.30.252.147", "192.30.252.148"]);
    await killServer(lab, "backend1");
    await untilEligible(lab, daemon, "download", backends.slice(1));
    expect(await served()).toEqual(["192.30.252.148"]);
    await reviveServer(lab, "backend1");
    await untilEligible(lab, daemon, "download", backends);
    expect(await served()).toEqual(["192.30.252.147", "192.30.252.148"]);
  });
});
