import type { ClientAddress } from "../../geo/prefix.ts";
import { Query } from "../../protocols/dns/query.ts";
import type { Transport } from "../../protocols/dns/respond.ts";
import { makeSlots, type Slot } from "../../runtime/datagram-ring.ts";
import type { Answerer } from "./answerer.ts";
import type { Guard } from "./guard.ts";
import type { PreparedAnswers } from "./prepared/prepared-answers.ts";

/** Answers queries over UDP where they lie: out of the prepared answers, else by the answerer, from whom those learn. */
export class Datagrams {
  private readonly answerer: Answerer;
  private readonly guard: Guard;
  private readonly prepared: PreparedAnswers;
  private readonly transport: Transport;
  /** Where the answerer writes: it reads the question to the end. */
  private readonly out: Slot;
  /** What the guard sees of a question that has no cookie. */
  private readonly plain = new Query();

  constructor(answerer: Answerer, guard: Guard, prepared: PreparedAnswers, transport: Transport) {
    this.answerer = answerer;
    this.guard = guard;
    this.prepared = prepared;
    this.transport = transport;
    this.out = makeSlots(1, Math.max(transport.udpSize, 512))[0]!;
  }

  /** Answers the message in the first `length` octets of a slot, in its place; as `Answerer.answer`. */
  answer(slot: Slot, length: number, client: ClientAddress): number {
    const { prepared, transport } = this;
    const found = prepared.find(slot, length, transport);
    if (!found) return this.ask(slot, length, client);
    const decision = this.guard.decide(this.plain, client, transport);
    if (decision === "answer") return prepared.write(slot, transport);
    const { octets } = this.out;
    return this.take(slot, this.answerer.withhold(decision, slot.octets, length, client, transport, octets));
  }

  /** Brings the counts up to date. */
  tell(): void {
    this.prepared.tell();
  }

  private ask(slot: Slot, length: number, client: ClientAddress): number {
    const { answerer, prepared, transport, out } = this;
    const size = this.take(slot, answerer.answer(slot.octets, length, client, transport, out.octets));
    if (size > 0 && prepared.learns) {
      const { lesson } = answerer;
      if (lesson !== null) prepared.learn(lesson, slot, size);
    }
    return size;
  }

  /** Brings what the answerer has written to the slot. */
  private take({ memory, at }: Slot, size: number): number {
    const { words } = this.out.memory;
    const to = at >> 2;
    for (let i = 0; i < (size + 3) >> 2; i++) memory.words[to + i] = words[i]!;
    return size;
  }
}
