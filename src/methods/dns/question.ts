import { ClientAddress } from "../../geo/prefix.ts";
import { Query } from "../../protocols/dns/query.ts";
import { plainUdp, type Transport, writeBare } from "../../protocols/dns/respond.ts";
import type { TsigSession } from "../../protocols/dns/tsig.ts";
import type { Node } from "./node.ts";

/**
 * The question under way: what was asked, by whom, on what way, and where the answer goes. An object is made once and
 * filled again for every message; what it refers to is the caller's, and holds only until the answer is written.
 */
export class Question {
  readonly query = new Query();
  /** Octets of the message, which `query.bytes` begins with. */
  length = 0;
  client = new ClientAddress();
  transport: Transport = plainUdp;
  /** Takes the answer. */
  out: Uint8Array = new Uint8Array(0);
  /** Signs the answer; null: the message was not signed. */
  session: TsigSession | null = null;
  /** The very name that was asked for, when what is there is the answer; null: it is another's, or the answer is sealed. */
  node: Node | null = null;

  /** Writes an answer without records; `bits`: flags of its own. Returns its length. */
  bare(rcode: number, bits = 0): number {
    return writeBare(this.out, this.query, this.transport, rcode, bits);
  }
}
