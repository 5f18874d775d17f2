import { createSocket } from "node:dgram";
import packet from "dns-packet";

/** ms after which a question counts as not answered. */
const PATIENCE = 3000;

/** One client that asks for A records of a name by UDP, a question after the other, until it is stopped. */
export class DnsLoad {
  questions = 0;
  readonly failures: string[] = [];
  private going = true;
  private readonly done: Promise<void>;

  /** `known`: the addresses that an answer may have; `pause`: ms between an answer and the next question. */
  constructor(port: number, name: string, known: readonly string[], pause = 2) {
    this.done = this.run(port, name, new Set(known), pause);
  }

  async stop(): Promise<void> {
    this.going = false;
    await this.done;
  }

  private async run(port: number, name: string, known: ReadonlySet<string>, pause: number): Promise<void> {
    while (this.going) {
      const id = this.questions++ & 0xffff;
      const answer = await this.ask(port, packet.encode({ type: "query", id, questions: [{ type: "A", name }] }));
      const why = answer === null ? "no answer" : judge(answer, id, known);
      if (why !== null) this.failures.push(`question ${this.questions - 1}: ${why}`);
      await Bun.sleep(pause);
    }
  }

  /** Each from a port of its own: so workers that come and go all get some. */
  private ask(port: number, question: Buffer): Promise<Buffer | null> {
    return new Promise((resolve) => {
      const socket = createSocket("udp4");
      const end = (answer: Buffer | null): void => {
        clearTimeout(late);
        socket.close();
        resolve(answer);
      };
      const late = setTimeout(() => end(null), PATIENCE);
      socket.on("message", end);
      socket.on("error", () => {});
      socket.send(question, port, "127.0.0.1");
    });
  }
}

function judge(message: Buffer, id: number, known: ReadonlySet<string>): string | null {
  const { id: got, rcode, answers = [] } = packet.decode(message);
  if (got !== id) return `id ${got} in place of ${id}`;
  if (rcode !== "NOERROR" || answers.length === 0) return `${rcode} with ${answers.length} answers`;
  const strange = answers.find((one) => one.type !== "A" || !known.has(String(one.data)));
  return strange === undefined ? null : `a strange record: ${JSON.stringify(strange)}`;
}
