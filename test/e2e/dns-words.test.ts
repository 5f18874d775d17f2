/** What an operator says of backends that are answered by DNS: by backend, by tag, with an end; and what is seen of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import packet, { type Packet } from "dns-packet";
import { bindUdp } from "../../src/runtime/udp.ts";
import { freePort, sluice, startDaemon, type TestDaemon } from "../lib/daemon.ts";

const port = freePort();
const NAME = "shop.example.com";
const MOST = 60;
const [EAST, WEST] = [["192.0.2.1", "192.0.2.2"], ["192.0.2.11"]];
const config = {
  version: 1,
  workers: 1,
  dns: { listen: [`127.0.0.1:${port}`], debug: { from: ["127.0.0.0/8"] } },
  services: {
    shop: {
      method: "dns",
      names: [NAME],
      check: "none",
      backends: [
        ...EAST!.map((address) => ({ address, tags: ["east"] })),
        ...WEST!.map((address) => ({ address, tags: ["west"] })),
      ],
      dns: { ttl: { min: "1s", max: `${MOST}s` } },
    },
  },
};
let daemon: TestDaemon;
beforeAll(async () => {
  daemon = await startDaemon(config, "dns-words");
});
afterAll(() => daemon.dispose());

const say = (...words: string[]) => sluice(...words, "--instance", daemon.instance);

interface Answer {
  addresses: string[];
  ttl: number;
}

async function ask(type: "A" | "TXT", dnsClass: "IN" | "CH"): Promise<Packet> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const socket = await bindUdp("127.0.0.1", 0, (_socket, data) => resolve(data));
  socket.send(packet.encode({ type: "query", questions: [{ name: NAME, type, class: dnsClass }] }), port, "127.0.0.1");
  const answer = packet.decode(await promise);
  socket.close();
  return answer;
}

async function answered(): Promise<Answer> {
  const records = (await ask("A", "IN")).answers as { data: string; ttl: number }[];
  return { addresses: records.map(({ data }) => data).sort(), ttl: records[0]!.ttl };
}

async function until(addresses: readonly string[]): Promise<Answer> {
  let last: Answer = { addresses: [], ttl: 0 };
  for (let i = 0; i < 150; i++, await Bun.sleep(100)) {
    last = await answered();
    if (last.addresses.join() === [...addresses].sort().join()) return last;
  }
  throw new Error(`answered ${last.addresses}, not ${addresses}`);
}
const operators = () => daemon.status().services[0]!.backends.map(({ operator }) => operator ?? []);

test("a word with an end: the answer follows, is kept no longer than it, and comes back; all of it is seen", async () => {
  expect((await until([...EAST!, ...WEST!])).ttl).toBe(MOST);
  expect(say("set", "tag", "west", "state", "maintenance", "for", "30s").code).toBe(0);
  const without = await until(EAST!);
  expect(without.ttl).toBeWithin(1, 31);
  const [first, second, third] = operators();
  expect([first, second]).toEqual([[], []]);
  expect(third).toMatchObject([{ what: "state", is: "maintenance" }]);
  expect(third![0]!.until).toBeGreaterThan(Date.now());
  expect(say("metrics").stdout).toMatch(/^sluice_backend_operator_words\{[^}]*192\.0\.2\.11[^}]*\} 1$/m);
  expect(say("metrics").stdout).toMatch(/^sluice_backend_eligible\{[^}]*192\.0\.2\.11[^}]*\} 0$/m);
  expect(say("events").stdout).toMatch(/shop\/192\.0\.2\.11\S* .*MAINTENANCE|192\.0\.2\.11.*maintenance/i);
  expect(say("explain", "--dns", NAME).stdout).toMatch(
    /192\.0\.2\.11 maintenance: not answered[\s\S]*operator's word ends/,
  );
  const strings = (await ask("TXT", "CH")).answers!.flatMap((one) => (one as { data: Buffer[] }).data.map(String));
  expect(strings).toContain("192.0.2.11 maintenance: not answered");

  expect(say("set", "tag", "west", "state", "maintenance", "for", "1s").code).toBe(0);
  expect((await until([...EAST!, ...WEST!])).ttl).toBe(MOST);
  expect(operators()).toEqual([[], [], []]);
});

test("draining by backend and weight 0 take an address out without an end, and the TTL is the longest again", async () => {
  expect(say("set", "backend", "shop/192.0.2.1", "state", "drain").code).toBe(0);
  expect(await until(["192.0.2.11", "192.0.2.2"])).toMatchObject({ ttl: MOST });
  expect(say("set", "backend", "shop/192.0.2.2", "weight", "0").code).toBe(0);
  expect(await until(WEST!)).toMatchObject({ ttl: MOST });
  // Nobody is left of whom an operator has not said so: all that are only down would be answered, and there are none.
  expect(say("set", "tag", "west", "state", "drain").code).toBe(0);
  for (let i = 0; i < 50 && (await ask("A", "IN")).rcode !== "SERVFAIL"; i++) await Bun.sleep(100);
  expect((await ask("A", "IN")).rcode).toBe("SERVFAIL");
  for (const name of [...EAST!, ...WEST!]) say("set", "backend", `shop/${name}`, "state", "ready");
  say("set", "backend", "shop/192.0.2.2", "weight", "1");
  expect(await until([...EAST!, ...WEST!])).toMatchObject({ ttl: MOST });
});
