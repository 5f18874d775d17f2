/**
 * A stub resolver that behaves as clients do: asks one name server over UDP, takes the first address, keeps it for
 * its TTL. It has a reader of its own, so that it shares no mistake with the product's codec.
 */

interface Answer {
  rcode: number;
  addresses: { address: string; ttl: number }[];
}

/** `server` is ADDRESS or ADDRESS:PORT. Rejects with `dns timeout`, or `dns rcode N` where there is no address. */
export function createResolver(server: string, timeout: number): (name: string) => Promise<string> {
  const kept = new Map<string, { address: string; until: number }>();
  return async (name) => {
    const known = kept.get(name);
    if (known && known.until > performance.now()) return known.address;
    const { rcode, addresses } = await ask(server, name, timeout);
    const first = addresses[0];
    if (!first) throw new Error(`dns rcode ${rcode}`);
    kept.set(name, { address: first.address, until: performance.now() + first.ttl * 1000 });
    return first.address;
  };
}

async function ask(server: string, name: string, timeout: number): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const id = Math.floor(Math.random() * 65_536);
  const socket = await Bun.udpSocket({
    socket: {
      data(_socket, data) {
        if (data.length >= 12 && data.readUInt16BE(0) === id) resolve(readAnswer(data));
      },
    },
  });
  const timer = setTimeout(() => reject(new Error("dns timeout")), timeout);
  const [address = "", port = "53"] = server.split(":");
  socket.send(writeQuery(id, name), Number(port), address);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

/** One question, type A, class IN, recursion desired (RFC 1035 4.1). */
function writeQuery(id: number, name: string): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const labels = name
    .replace(/\.$/, "")
    .split(".")
    .flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])]);
}

function readAnswer(data: Buffer): Answer {
  const addresses: Answer["addresses"] = [];
  let at = skipName(data, 12) + 4;
  for (let left = data.readUInt16BE(6); left > 0 && at < data.length; left--) {
    at = skipName(data, at);
    const length = data.readUInt16BE(at + 8);
    if (data.readUInt16BE(at) === 1 && length === 4)
      addresses.push({ address: data.subarray(at + 10, at + 14).join("."), ttl: data.readUInt32BE(at + 4) });
    at += 10 + length;
  }
  return { rcode: data[3]! & 15, addresses };
}

/** Position after a name; a compression pointer ends it. */
function skipName(data: Buffer, start: number): number {
  let at = start;
  while (at < data.length) {
    const length = data[at]!;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
    if (length === 0) break;
  }
  return at;
}
