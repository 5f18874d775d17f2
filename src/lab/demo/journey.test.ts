import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { parsePacket } from "../packet.ts";
import { findTopology } from "../topologies/index.ts";
import { exchanges, framesAt, type Hop, hopsOf, pathOf, responsePassed, type Sighting, toHops } from "./journey.ts";
import { macOwners } from "./watch.ts";

/** A recording: `MS HOST NETWORK HEX` a line, one request for /hop-x-1 among health checks, seen on every cable. */
const sightings = (method: string): Sighting[] =>
  readFileSync(`${import.meta.dirname}/fixtures/${method}.frames`, "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [at, host = "", network = "", hex = ""] = line.split(" ");
      return { host, network, packet: parsePacket(Buffer.from(hex, "hex"), Number(at)) };
    });

const recorded = (method: string): Hop[] => toHops(sightings(method), macOwners(findTopology(method)!));
const request = (method: string): Hop[] => hopsOf(recorded(method), "hop-x-1");
const lines = (hops: Hop[]): string[] => pathOf(hops).map((h) => `${h.from} ${h.to} ${h.addresses} ${h.message}`);

describe("a recorded request through nat", () => {
  const hops = request("nat");

  test("walks the article's four stations, address for address", () => {
    const backend = hops.find((hop) => hop.to.startsWith("backend"))!;
    const [to, name] = [`${backend.ip.destination}:8000`, backend.to];
    expect(lines(hops)).toEqual([
      "client router 202.20.20.20:5656 > 125.12.12.12:80 GET /hop-x-1",
      "router director 202.20.20.20:5656 > 125.12.12.12:80 GET /hop-x-1",
      `director ${name} 202.20.20.20:5656 > ${to} GET /hop-x-1`,
      `${name} director ${to} > 202.20.20.20:5656 HTTP/1.1 200 OK`,
      "director router 125.12.12.12:80 > 202.20.20.20:5656 HTTP/1.1 200 OK",
      "router client 125.12.12.12:80 > 202.20.20.20:5656 HTTP/1.1 200 OK",
    ]);
  });

  test("takes two round trips, and the response passes the director", () => {
    expect(exchanges(hops, "client")).toEqual(["TCP handshake", "HTTP request"]);
    expect(responsePassed(hops, "director")).toBe(true);
  });

  test("leaves the health checks out, and counts each packet in and out of the director", () => {
    expect(hops.length).toBeLessThan(recorded("nat").length);
    expect(hops.filter(({ ip }) => ip.source.startsWith("10.0.1.50"))).toEqual([]);
    const arrived = hops.filter((hop) => hop.from === "client" || hop.to === "client").length;
    expect(framesAt(hops, "director")).toBe(2 * arrived);
  });
});

describe("a recorded redirect", () => {
  const hops = request("redirect");

  test("goes to and fro twice, as the article says", () => {
    expect(exchanges(hops, "client")).toEqual([
      "TCP handshake",
      "HTTP redirect (302)",
      "TCP handshake",
      "HTTP request",
    ]);
  });

  test("the response does not pass the director, the redirect does", () => {
    expect(responsePassed(hops, "director")).toBe(false);
    expect(responsePassed(hops, "client")).toBe(true);
    expect(lines(hops).filter((line) => line.includes("302")).length).toBe(2);
  });
});

describe("a recorded request by direct routing", () => {
  const hops = request("direct");

  test("keeps its addresses and ports on every cable; only the director changes its MAC", () => {
    const { to } = hops.find((hop) => hop.from === "director")!;
    expect(lines(hops)).toEqual([
      "client router 202.20.20.20:5656 > 125.12.12.77:80 GET /hop-x-1",
      "router director 202.20.20.20:5656 > 125.12.12.77:80 GET /hop-x-1",
      `director ${to} 202.20.20.20:5656 > 125.12.12.77:80 GET /hop-x-1`,
      `${to} router 125.12.12.77:80 > 202.20.20.20:5656 HTTP/1.1 200 OK`,
      "router client 125.12.12.77:80 > 202.20.20.20:5656 HTTP/1.1 200 OK",
    ]);
  });

  test("is answered past the director, which sees the client's packets twice and nothing else", () => {
    expect(responsePassed(hops, "director")).toBe(false);
    expect(framesAt(hops, "director")).toBe(2 * hops.filter((hop) => hop.from === "client").length);
  });
});

describe("a recorded request through a tunnel", () => {
  const hops = request("tunnel");

  test("crosses the router wrapped, and is answered past the director", () => {
    const { ip, to } = hops.find((hop) => hop.from === "router" && hop.to.startsWith("real"))!;
    const wrapped = `125.12.12.12 > ${ip.destination} [ 202.20.20.20:5656 > 125.12.12.77:80 ] GET /hop-x-1`;
    expect(lines(hops)).toEqual([
      "client router 202.20.20.20:5656 > 125.12.12.77:80 GET /hop-x-1",
      "router director 202.20.20.20:5656 > 125.12.12.77:80 GET /hop-x-1",
      `director router ${wrapped}`,
      `router ${to} ${wrapped}`,
      `${to} router 125.12.12.77:80 > 202.20.20.20:5656 HTTP/1.1 200 OK`,
      "router client 125.12.12.77:80 > 202.20.20.20:5656 HTTP/1.1 200 OK",
    ]);
    expect(responsePassed(hops, "director")).toBe(false);
    expect(exchanges(hops, "client")).toEqual(["TCP handshake", "HTTP request"]);
  });
});

describe("a recorded name lookup", () => {
  const hops = request("dns");

  test("is one round trip more, and two packets at the director", () => {
    expect(exchanges(hops, "client")).toEqual(["DNS lookup", "TCP handshake", "HTTP request"]);
    expect(framesAt(hops, "director")).toBe(2);
  });

  test("shows query and answer before the request", () => {
    expect(pathOf(hops).map(({ message }) => message)).toEqual([
      ...["DNS query", "DNS query", "DNS answer", "DNS answer"],
      ...["GET /hop-x-1", "GET /hop-x-1", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK"],
    ]);
  });
});

describe("a frame", () => {
  const [first] = sightings("nat");

  test("that a switch floods to every port counts once, from when it was seen first", () => {
    const everywhere = ["a", "b", "c"].map((host, i) => ({ ...first!, host, packet: { ...first!.packet, at: 9 - i } }));
    expect(toHops(everywhere, new Map()).map(({ at, from }) => [at, from])).toEqual([[7, "?"]]);
  });

  test("counts again on the next network", () => {
    expect(toHops([first!, { ...first!, network: "other" }], new Map())).toHaveLength(2);
  });

  test("that is no IP is left out", () => {
    expect(toHops([{ ...first!, packet: parsePacket(new Uint8Array(60)) }], new Map())).toEqual([]);
  });
});
