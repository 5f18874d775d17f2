import { ask } from "../../../src/methods/dns/testing.ts";
import { type Parsed, type ParsedSet, parseMessage } from "../../../src/protocols/dns/testing.ts";
import { bindUdp } from "../../../src/runtime/udp.ts";

/** What is asked of a server. */
export interface Asked {
  name: string;
  type: string | number;
  edns: boolean;
}

/** All answers of a server on loopback, by question; null where none came. Asked in groups, each question at most three times. */
export async function answersOf(questions: readonly Asked[], to: number): Promise<(Parsed | null)[]> {
  const answers: (Parsed | null)[] = questions.map(() => null);
  let arrived: () => void = () => {};
  const client = await bindUdp("127.0.0.1", 0, (_socket, data) => {
    answers[data.readUInt16BE(0)] = parseMessage(Uint8Array.from(data));
    arrived();
  });
  for (let round = 0; round < 3 && answers.includes(null); round++) {
    for (let from = 0; from < questions.length; from += 20) {
      const group = questions.slice(from, from + 20).map((question, i) => ({ ...question, id: from + i }));
      for (const { name, type, edns, id } of group.filter(({ id: place }) => answers[place] === null))
        client.send(ask({ name, type, id, ...(edns ? { edns: 1232 } : {}) }), to, "127.0.0.1");
      const deadline = Date.now() + 1000;
      while (group.some(({ id }) => answers[id] === null) && Date.now() < deadline)
        await Promise.race([
          new Promise<void>((resolve) => {
            arrived = resolve;
          }),
          Bun.sleep(100),
        ]);
    }
  }
  client.close();
  return answers;
}

/** Does it answer for example.com within some four seconds? */
export async function serves(port: number): Promise<boolean> {
  for (let i = 0; i < 40; i++) {
    const answered = Promise.withResolvers<boolean>();
    const socket = await bindUdp("127.0.0.1", 0, (_s, data) => answered.resolve((data[3]! & 15) === 0));
    try {
      socket.send(ask({ name: "example.com", type: "SOA" }), port, "127.0.0.1");
    } catch {
      // Nobody listens yet.
    }
    const good = await Promise.race([answered.promise, Bun.sleep(300).then(() => false)]);
    socket.close();
    if (good) return true;
    await Bun.sleep(100);
  }
  return false;
}

const shown = (sets: readonly ParsedSet[]): string[] =>
  sets
    .flatMap(({ owner, type, ttl, rdata }) =>
      rdata.map((r) => `${owner} ${ttl} ${type} ${Buffer.from(r).toString("hex")}`.toLowerCase()),
    )
    .sort();

/** What an answer says, comparably: records in any order, names without case. */
const model = (answer: Parsed | null) =>
  answer && {
    rcode: answer.rcode,
    aa: answer.authoritative,
    tc: answer.truncated,
    answers: shown(answer.answers),
    authority: shown(answer.authority),
    additional: shown(answer.additional),
  };

/** The parts in which two answers differ; `silence` when one did not come. */
export function apart(ours: Parsed | null, theirs: Parsed | null): string[] {
  const [a, b] = [model(ours), model(theirs)];
  if (a === null || b === null) return a === b ? [] : ["silence"];
  return (Object.keys(a) as (keyof typeof a)[]).filter((part) => JSON.stringify(a[part]) !== JSON.stringify(b[part]));
}

/** One of those parts, to be shown. */
export const partOf = (answer: Parsed | null, part: string): string =>
  JSON.stringify((model(answer) as Record<string, unknown> | null)?.[part]);
