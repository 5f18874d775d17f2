import { parseAddress } from "../../core/address.ts";
import type { WorkerDoors } from "../../core/method.ts";
import { wireToName } from "../../protocols/dns/name.ts";
import { Class, Flag, HEADER, Opcode, Rcode, Type } from "../../protocols/dns/numbers.ts";
import type { TsigKey } from "../../protocols/dns/tsig.ts";
import { answerHolds, type SignedMessage, signMessage } from "../../protocols/dns/tsig-client.ts";
import { bindUdp, type UdpSocket } from "../../runtime/udp.ts";
import type { DnsSettings } from "./options.ts";
import { tsigKeys } from "./transfers.ts";

/** A server that is to hear of changes. */
interface Peer {
  address: string;
  port: number;
  key: TsigKey | null;
}

/** One zone that one server has not yet acknowledged. */
interface Telling {
  peer: Peer;
  apex: Uint8Array;
  tries: number;
  signed: SignedMessage | null;
  timer: Timer | null;
}

/**
 * When it begins, how long an answer is waited for before it is sent again (twice that the next time, and so on), ms, and
 * how often it is sent (RFC 1996 3.6). It does not begin at once, so that all workers have the new serial when the others ask.
 */
export const pace = { begin: 1000, again: 2000, tries: 6 };
/** Most messages under way: of a hundred thousand zones none is lost in a full buffer. */
const MOST = 64;

const isV6 = (address: string): boolean => address.includes(":");

/** Tells other servers that zones have another serial (NOTIFY, RFC 1996), again and again until each has answered. */
export class Notifier {
  private readonly peers: readonly Peer[];
  private readonly sources: readonly string[];
  private readonly log: WorkerDoors["log"];
  private readonly pace: typeof pace;
  private readonly sockets = new Map<boolean, UdpSocket>();
  private readonly open = new Map<number, Telling>();
  private queue: Telling[] = [];
  private timer: Timer | null = null;
  private stopped = false;
  /** Whose silence has been said in this round. */
  private said = new Set<string>();

  constructor(settings: DnsSettings, log: WorkerDoors["log"], timing = pace) {
    const keys = new Map(tsigKeys(settings).map((key) => [wireToName(key.name), key]));
    this.peers = (settings.transfers?.notify ?? []).map((one) =>
      "to" in one ? { ...one.to, key: keys.get(one.key ?? "") ?? null } : { ...one, key: null },
    );
    this.sources = settings.listen.map(({ address }) => address);
    this.log = log;
    this.pace = timing;
  }

  /** These zones have another serial; `apexes` is asked when it is time. What is still under way is begun anew. */
  tell(apexes: () => readonly Uint8Array[]): void {
    if (this.peers.length === 0 || this.stopped) return;
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.begin(apexes()), this.pace.begin);
    this.timer.unref?.();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
    this.forget();
    for (const socket of this.sockets.values()) socket.close();
    this.sockets.clear();
  }

  private forget(): void {
    for (const { timer } of this.open.values()) if (timer) clearTimeout(timer);
    this.open.clear();
    this.queue = [];
  }

  private async begin(apexes: readonly Uint8Array[]): Promise<void> {
    this.forget();
    this.said.clear();
    for (const v6 of new Set(this.peers.map(({ address }) => isV6(address)))) await this.socket(v6);
    if (this.stopped) return;
    const told = this.peers.filter(({ address }) => this.sockets.has(isV6(address)));
    this.queue = apexes.flatMap((apex) =>
      told.map((peer): Telling => ({ peer, apex, tries: 0, signed: null, timer: null })),
    );
    this.fill();
  }

  /** From the address that is asked for transfers: others know this server by it. */
  private async socket(v6: boolean): Promise<void> {
    const source = this.sources.find((address) => isV6(address) === v6);
    if (source === undefined || this.sockets.has(v6)) return;
    try {
      const socket = await bindUdp(source, 0, (_socket, data, port, address) => this.hear(data, port, address));
      if (this.stopped) socket.close();
      else this.sockets.set(v6, socket);
    } catch (error) {
      this.log("warn", `other servers are not told of changes: ${(error as Error).message}`, { source });
    }
  }

  private fill(): void {
    while (this.open.size < MOST) {
      const telling = this.queue.pop();
      if (telling === undefined) return;
      let id: number;
      do id = Math.floor(Math.random() * 65_536);
      while (this.open.has(id));
      this.open.set(id, telling);
      this.send(id, telling);
    }
  }

  private send(id: number, telling: Telling): void {
    const { peer, apex } = telling;
    if (telling.tries === this.pace.tries) {
      this.say(peer, `does not answer NOTIFY for ${wireToName(apex)}`);
      this.done(id);
      return;
    }
    const message = notifyMessage(id, apex);
    telling.signed = peer.key && signMessage(message, peer.key, Math.floor(Date.now() / 1000));
    this.sockets.get(isV6(peer.address))?.send(telling.signed?.bytes ?? message, peer.port, peer.address);
    telling.timer = setTimeout(() => this.send(id, telling), this.pace.again * 2 ** telling.tries++);
    telling.timer.unref?.();
  }

  private hear(data: Uint8Array, port: number, address: string): void {
    if (data.length < HEADER) return;
    const id = (data[0]! << 8) | data[1]!;
    const telling = this.open.get(id);
    if (telling === undefined || (data[2]! & 0xf8) !== 0x80 + (Opcode.NOTIFY << 3)) return;
    const { peer, signed, apex } = telling;
    if (port !== peer.port || parseAddress(address) !== parseAddress(peer.address)) return;
    if (peer.key && signed && !answerHolds(data, signed, peer.key, Math.floor(Date.now() / 1000))) return;
    const rcode = data[3]! & 15;
    if (rcode !== Rcode.NOERROR) this.say(peer, `refuses NOTIFY for ${wireToName(apex)} (RCODE ${rcode})`);
    this.done(id);
  }

  private done(id: number): void {
    const timer = this.open.get(id)?.timer;
    if (timer) clearTimeout(timer);
    this.open.delete(id);
    this.fill();
  }

  /** Once for each server in a round: it may be true of very many zones. */
  private say({ address, port }: Peer, what: string): void {
    const name = `${address} port ${port}`;
    if (!this.said.has(name)) this.log("warn", `${name} ${what}`);
    this.said.add(name);
  }
}

/** The zone's SOA is asked for; what it says now the other one finds out itself (RFC 1996 3.7). */
function notifyMessage(id: number, apex: Uint8Array): Uint8Array {
  const flags = (Opcode.NOTIFY << 11) | Flag.AA;
  const head = [id >> 8, id & 255, flags >> 8, flags & 255, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...head, ...apex, 0, Type.SOA, 0, Class.IN]);
}
