/** Other people's validators believe every kind of answer: delv (BIND) and unbound, also after health and keys changed. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { type Peer, peer } from "../../src/lab/peers.ts";
import { signedRecords } from "../../src/methods/dns/zone-testing.ts";
import { freePort, sluice, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-dnssec-"));
const had = async (name: "delv" | "unbound"): Promise<Peer | null> =>
  peer(name).catch((error) => (console.error(`skipped: ${error.message}`), null));
const [delv, unbound] = [await had("delv"), await had("unbound")];
const port = freePort();
const BACKENDS = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
const config = {
  version: 1,
  workers: 1,
  dns: {
    listen: [`127.0.0.1:${port}`],
    dnssec: { keys: join(folder, "keys"), dnskeyTtl: "1s", propagation: "0s", parentTtl: "0s" },
    zones: {
      "example.com": {
        records: signedRecords,
      },
      "inner.example.com": null,
      "example.org": { records: ["host A 192.0.2.99"] },
    },
  },
  services: {
    shop: {
      method: "dns",
      names: ["shop.example.com", "*.star.example.com", "www.inner.example.com"],
      dns: { ttl: "30s" },
      backends: BACKENDS.map((a) => `${a}:80`),
      check: "none",
    },
  },
};

let daemon: TestDaemon | null = null;
let resolver: Subprocess | null = null;
afterAll(async () => {
  resolver?.kill();
  await daemon?.dispose();
  rmSync(folder, { recursive: true });
});

const dnssec = (...words: string[]) => sluice("dnssec", ...words, "-c", daemon!.file);

/** Trust anchors as delv reads them: what the parent of each zone would have. */
async function writeAnchors(file: string): Promise<void> {
  const lines = ["example.com", "example.org"].map((zone) => {
    const [, , , tag, algorithm, kind, digest] = dnssec("ds", zone).stdout.trim().split(" ");
    return `${zone}. static-ds ${tag} ${algorithm} ${kind} "${digest}";`;
  });
  await Bun.write(file, `trust-anchors { ${lines.join(" ")} };`);
}

/** What delv says of each question, all asked at once. */
async function askDelv(questions: readonly string[], anchors: string): Promise<string[]> {
  return Promise.all(
    questions.map(async (question) => {
      const [name, type] = question.split(" ");
      const root = name!.endsWith("example.org") ? "example.org" : "example.com";
      const words = [`@127.0.0.1`, "-p", `${port}`, "-a", anchors, `+root=${root}`, "+cdflag", name!, type!];
      const child = Bun.spawn([delv!.program, ...words], { env: delv!.env, stdout: "pipe", stderr: "pipe" });
      return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
    }),
  );
}

/** Question, and what is to be found in delv's words besides that it believes them. */
const questions: [question: string, found: RegExp][] = [
  ["shop.example.com A", /192\.0\.2\.1[\s\S]*192\.0\.2\.3/],
  ["shop.example.com AAAA", /NXRRSET/],
  ["mail.example.com A", /125\.12\.12\.25/],
  ["example.com MX", /MX/],
  ["txt.example.com TXT", /"one" "two"/],
  ["mail.example.com TXT", /NXRRSET/],
  ["nobody.example.com A", /NXRRSET/],
  ["b.c.example.com TXT", /NXRRSET/],
  ["x.star.example.com A", /192\.0\.2\.2/],
  ["x.star.example.com MX", /NXRRSET/],
  ["y.wild.example.com TXT", /"hi"/],
  ["y.wild.example.com A", /NXRRSET/],
  ["z.also.example.com A", /CNAME[\s\S]*125\.12\.12\.25/],
  ["www.example.com A", /CNAME[\s\S]*192\.0\.2\.1/],
  ["gone.example.com A", /CNAME/],
  ["a.old.example.com A", /DNAME[\s\S]*192\.0\.2\.1/],
  ["team.example.com DS", /NXRRSET/],
  ["sec.example.com DS", /DS\s+1 13 2/],
  ["inner.example.com DS", /DS\s+\d+ 13 2/],
  ["www.inner.example.com A", /192\.0\.2\.1/],
  ["s.example.com HTTPS", /alpn="h2"/],
  ["_x._tcp.example.com SVCB", /port=8443/],
  ["example.com SOA", /SOA/],
  ["example.com NS", /NS/],
  ["example.com DNSKEY", /DNSKEY/],
  ["example.com CDS", /CDS/],
  ["example.com CDNSKEY", /CDNSKEY/],
  ["shop.example.com ANY", /HINFO/],
  ["host.example.org A", /192\.0\.2\.99/],
];

async function untilSaid(text: RegExp): Promise<void> {
  for (let i = 0; i < 200 && !text.test(JSON.stringify(daemon!.status().methods)); i++) await Bun.sleep(300);
  expect(JSON.stringify(daemon!.status().methods)).toMatch(text);
}

test.skipIf(!delv)(
  "delv believes every kind of answer, after a health change and two rollovers too",
  async () => {
    daemon = await startDaemon(config, "dnssec");
    const anchors = join(folder, "anchors");
    await writeAnchors(anchors);
    const said = await askDelv(
      questions.map(([question]) => question),
      anchors,
    );
    for (const [i, [question, found]] of questions.entries()) {
      expect(`${question}: ${said[i]}`).toContain("fully validated");
      expect(`${question}: ${said[i]}`).toMatch(found);
    }

    expect(sluice("set", "backend", "shop/192.0.2.2:80", "state", "drain", "--instance", daemon.instance).code).toBe(0);
    const drained = async (): Promise<string> => (await askDelv(["shop.example.com A"], anchors))[0]!;
    for (let i = 0; i < 50 && (await drained()).includes("192.0.2.2"); i++) await Bun.sleep(50);
    expect(await drained()).toMatch(/fully validated/);
    expect(await drained()).not.toContain("192.0.2.2");

    const some = ["shop.example.com A", "nobody.example.com A", "example.com DNSKEY", "inner.example.com DS"];
    const old = /ZSK (\d+) active/.exec(JSON.stringify(daemon.status().methods))![1]!;
    expect(dnssec("roll-zsk", "example.com").stdout).toContain("is published");
    await untilSaid(new RegExp(`ZSK ${old} retired`));
    for (const [i, text] of (await askDelv(some, anchors)).entries())
      expect(`${some[i]}: ${text}`).toContain("fully validated");

    const before = await Bun.file(anchors).text();
    dnssec("roll-ksk", "example.com");
    await untilSaid(/example\.com: KSK \d+ ready/);
    const waiting = /example\.com: KSK (\d+) ready/.exec(JSON.stringify(daemon.status().methods))![1]!;
    await writeAnchors(anchors);
    expect(await Bun.file(anchors).text()).not.toBe(before);
    for (const [i, text] of (await askDelv(some, anchors)).entries())
      expect(`${some[i]}: ${text}`).toContain("fully validated");
    expect(dnssec("seen", "example.com", waiting).stdout).toContain("has its DS in the parent");
    await untilSaid(new RegExp(`example\\.com: KSK ${waiting} active`));
    for (const text of await askDelv(some, anchors)) expect(text).toContain("fully validated");
  },
  60_000,
);

test.skipIf(!unbound || !delv)(
  "unbound believes it, and knows that a delegation without DS is not signed",
  async () => {
    const own = freePort();
    const ds = ["example.com", "example.org"].map((zone) => dnssec("ds", zone).stdout.trim());
    const stub = (zone: string): string =>
      `stub-zone:\n name: ${zone}\n stub-addr: 127.0.0.1@${port}\n stub-prime: no\n`;
    const file = join(folder, "unbound.conf");
    await Bun.write(
      file,
      `server:
 interface: 127.0.0.1@${own}
 do-daemonize: no
 use-syslog: no
 logfile: ""
 username: ""
 chroot: ""
 pidfile: ""
 directory: "${folder}"
 do-not-query-localhost: no
 module-config: "validator iterator"
 val-log-level: 2
 qname-minimisation: no
 trust-anchor: "${ds[0]}"
 trust-anchor: "${ds[1]}"
${stub("example.com")}${stub("example.org")}remote-control:
 control-enable: no
`,
    );
    resolver = Bun.spawn([unbound!.program, "-c", file], { env: unbound!.env, stdout: "ignore", stderr: "pipe" });
    const dig = await peer("dig");
    const ask = async (...words: string[]): Promise<string> => {
      const child = Bun.spawn([dig.program, "@127.0.0.1", "-p", `${own}`, "+dnssec", "+tries=1", "+time=3", ...words], {
        env: dig.env,
        stdout: "pipe",
        stderr: "ignore",
      });
      return new Response(child.stdout).text();
    };
    for (let i = 0; i < 50 && !(await ask("example.com", "SOA")).includes("status:"); i++) await Bun.sleep(100);
    const asked = questions.filter(([question]) => !/ANY|inner/.test(question));
    const said = await Promise.all(asked.map(([question]) => ask(...question.split(" "))));
    for (const [i, text] of said.entries())
      expect(`${asked[i]![0]}: ${text}`).toMatch(/status: NOERROR[\s\S]*flags:[^;]* ad/);
    // CNAME out of the zone into another one of ours, over the resolver.
    expect(await ask("out.example.com", "A")).toMatch(/flags:[^;]* ad[\s\S]*192\.0\.2\.99/);
    const insecure = await ask("team.example.com", "DS");
    expect(insecure).toMatch(/flags:[^;]* ad/);
  },
  60_000,
);
