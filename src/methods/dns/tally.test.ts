import { expect, test } from "bun:test";
import { aBackend, aServer, aService, aSnapshot, ask } from "./testing.ts";

test("what no service counts is counted by code", () => {
  const backends = Array.from({ length: 40 }, (_, i) => aBackend(i, `192.0.2.${i + 1}`));
  const { tell, raw, counted, doors } = aServer([aService("shop")], [aSnapshot("shop", backends)]);
  tell({ name: "example.org" });
  tell({ name: "example.com", type: "AXFR" });
  tell({ name: "nobody.example.com" });
  tell({ name: "example.com", type: "SOA" });
  tell({ name: "shop.example.com" });
  raw(ask({ name: "shop.example.com" }).subarray(0, 20));
  raw(new Uint8Array(3));
  const update = ask({ name: "shop.example.com" });
  update[2] = 5 << 3;
  raw(update);
  expect([
    counted("SLUICE_DNS_REFUSED"),
    counted("SLUICE_DNS_NXDOMAIN"),
    counted("SLUICE_DNS_ZONE"),
    counted("SLUICE_DNS_TRUNCATED"),
    counted("SLUICE_DNS_FORMERR"),
    counted("SLUICE_DNS_SILENT"),
    counted("SLUICE_DNS_NOTIMP"),
    counted("SLUICE_DNS_BADVERS"),
  ]).toEqual([2, 1, 1, 1, 1, 1, 1, 0]);
  expect(doors.counts.get("shop/-1/requests")).toBe(1);
});
