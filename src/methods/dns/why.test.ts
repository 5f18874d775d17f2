import { expect, test } from "bun:test";
import packet from "dns-packet";
import { aBackend, aServer, aService, aSnapshot, optRecord, someGeography } from "./testing.ts";
import { Why } from "./why.ts";

const services = [
  aService("shop", { dns: { steer: { by: "nearest", groups: ["east", "west"] } } }),
  aService("star", { names: ["*.wild.example.com"] }),
  aService("many"),
];
const backends = [
  aBackend(0, "192.0.2.10", { tags: ["east"], state: "down" }),
  aBackend(1, "192.0.2.20", { tags: ["west"] }),
];
const crowd = Array.from({ length: 60 }, (_, i) => aBackend(i, `10.0.0.${i}`));
const places = { east: { networks: ["198.51.100.0/24"], next: ["west"] }, west: { networks: ["203.0.113.0/24"] } };
const more = { places, clientSubnet: true, debug: { from: ["192.0.2.0/28", "2001:db8::/32"] } };
const snapshots = [aSnapshot("shop", backends, 7), aSnapshot("star", backends), aSnapshot("many", crowd)];

const serverWith = (transport = {}) => {
  const server = aServer(services, snapshots, more, transport);
  const snapshot = (service: string) => server.doors.balancer(service).snapshot;
  const state = { services, settings: server.settings, geography: someGeography({ places }), seed: 7, snapshot };
  server.answerer.why = new Why(server.settings.debug!.from, state);
  return server;
};
const question = (name: string, type: "TXT" | "A" = "TXT", subnet?: string) =>
  packet.encode({
    type: "query",
    questions: [{ name, type, class: "CH" }],
    additionals: optRecord(1232, {
      options: subnet
        ? [{ code: "CLIENT_SUBNET", family: 1, sourcePrefixLength: 24, scopePrefixLength: 0, ip: subnet }]
        : [],
    }),
  });
const textsOf = (answer: ReturnType<ReturnType<typeof aServer>["tell"]>): string[] =>
  answer!.answers!.flatMap((one) => (one as { data: Buffer[] }).data.map(String));

test("who may know is told why, of the snapshot of now, for the client that is named", () => {
  const server = serverWith();
  const answer = server.tell(question("Shop.example.com", "TXT", "198.51.100.0"), "192.0.2.9");
  expect(answer!.answers).toMatchObject([{ name: "Shop.example.com", type: "TXT", class: "CH", ttl: 0 }]);
  const texts = textsOf(answer);
  expect(texts).toContain('198.51.100.0/24 is in "east" (by its first 24 bits); order: east, west.');
  expect(texts).toContain('"east": 0 of 1 up, failed');
  expect(texts).toContain("192.0.2.20 up, weight 1: answered");
  expect(texts.at(-1)).toBe("revision 1, generation 7");
  server.change(aSnapshot("shop", [{ ...backends[0]!, state: "up" }, backends[1]!], 8));
  expect(textsOf(server.tell(question("shop.example.com"), "192.0.2.9"))).toContain(
    "192.0.2.10 up, weight 1: answered",
  );
  expect(textsOf(server.tell(question("x.wild.example.com"), "2001:db8::1"))[0]).toContain("x.wild.example.com A");
});

test("others, other names and other types are refused, and what does not fit goes to TCP", () => {
  const server = serverWith();
  const refused: [Buffer, string][] = [
    [question("shop.example.com"), "192.0.2.16"],
    [question("shop.example.com", "TXT", "192.0.2.9"), "198.51.100.9"],
    [question("shop.example.com", "A"), "192.0.2.9"],
    [question("example.com"), "192.0.2.9"],
    [question("version.bind"), "192.0.2.9"],
  ];
  for (const [asked, client] of refused)
    expect((server.tell(asked, client) as { rcode?: string }).rcode).toBe("REFUSED");
  const cut = server.tell(question("many.example.com"), "192.0.2.9");
  expect([cut!.flag_tc, cut!.answers]).toEqual([true, []]);
  expect(textsOf(serverWith({ tcp: true }).tell(question("many.example.com"), "192.0.2.9")).length).toBeGreaterThan(60);
  const silent = aServer(services, snapshots, { places });
  expect((silent.tell(question("shop.example.com"), "192.0.2.9") as { rcode?: string }).rcode).toBe("REFUSED");
});
