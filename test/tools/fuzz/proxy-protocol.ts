import { parseAddress } from "../../../src/core/address.ts";
import { INVALID, type Introduction, MORE, readIntroduction } from "../../../src/protocols/proxy-protocol/read.ts";
import { writeIntroduction } from "../../../src/protocols/proxy-protocol/write.ts";
import { below, damage, eachInput, Fault, type FuzzTarget, oneOf, type Random } from "./target.ts";

const addresses = ["192.0.2.1", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::", "::ffff:192.0.2.1"];
const words = [
  "PROXY",
  "TCP4",
  "TCP6",
  "UNKNOWN",
  " ",
  "  ",
  "\r",
  "\n",
  "\r\n",
  "0",
  "65536",
  "01",
  "::1",
  "\0",
  "\x21",
  "\x11",
];

const end = (random: Random) => ({ address: oneOf(random, addresses), port: below(random, 65_536) });

function make(random: Random): Buffer {
  const [source, destination] = [end(random), end(random)];
  const header = writeIntroduction(oneOf(random, ["v1", "v2"] as const), source, destination).toString("latin1");
  const next = oneOf(random, ["", "GET / HTTP/1.1\r\n", "\r\n"]);
  return Buffer.from(damage(header, below(random, 3), words, random) + next, "latin1");
}

const read = (bytes: Buffer): { to: number; said: string; out: Introduction } => {
  const out: Introduction = { source: null, destination: null };
  const to = readIntroduction(bytes, 0, out);
  return { to, said: JSON.stringify(out), out };
};

function judge(input: Buffer, random: Random): string {
  const { to, said, out } = read(input);
  if (to > input.length) throw new Fault("octets were read that are not there");
  const cut = below(random, input.length + 1);
  const part = read(input.subarray(0, cut));
  const same = part.to === to && part.said === said;
  if (to > 0 && cut >= to ? !same : to > 0 && part.to !== MORE) throw new Fault(`${to} whole, ${part.to} of ${cut}`);
  if (to === MORE && part.to !== MORE) throw new Fault(`unfinished whole, ${part.to} of ${cut}`);
  if (to === MORE) return "more";
  if (to === INVALID) return "invalid";
  if ((out.source === null) !== (out.destination === null)) throw new Fault("half an introduction");
  if (out.source === null || out.destination === null) return "speaks for itself";
  for (const { address, port } of [out.source, out.destination])
    if (parseAddress(address) !== address || !(port >= 0 && port <= 65_535)) throw new Fault(`${address} ${port}`);
  for (const version of ["v1", "v2"] as const) {
    const again = read(writeIntroduction(version, out.source, out.destination));
    const families = new Set([out.source, out.destination].map(({ address }) => address.includes(":")));
    if (families.size === 1 && again.said !== said) throw new Fault(`${version} written and read: ${again.said}`);
  }
  return `${input[0] === 80 ? "v1" : "v2"} ${out.source.address.includes(":") ? "IPv6" : "IPv4"}`;
}

export const proxyProtocol: FuzzTarget = {
  summary:
    "PROXY headers: any cut is unfinished or the same; what is read is an address; written again, it reads the same",
  run: eachInput(make, judge),
};
