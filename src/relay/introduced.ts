import { parseAddress } from "../core/address.ts";
import { hashText } from "../core/hash.ts";
import { INVALID, type Introduction, MORE, readIntroduction } from "../protocols/proxy-protocol/read.ts";
import type { Endpoint } from "../protocols/proxy-protocol/write.ts";
import type { TcpSocket } from "../runtime/tcp.ts";
import { Connection } from "./connection.ts";

const introduction: Introduction = { source: null, destination: null };

/** A client's connection and whose it is: the peer's, or what a trusted peer says of it in a PROXY header. */
export abstract class Introduced extends Connection {
  /** Bytes received and not used yet: `input[at, …)`. */
  protected input: Buffer | null = null;
  protected at = 0;
  /** The client's; after a PROXY header what that says. */
  address = "";
  /** u32 hash of the client's address: what schedulers that need a key get. */
  key = 0;
  /** A PROXY header is still to come. */
  awaited = false;
  private said: { source: Endpoint; destination: Endpoint } | null = null;

  protected identify(address: string, seed: number): void {
    this.address = address;
    this.key = hashText(address, seed);
  }

  protected append(chunk: Buffer): void {
    this.input = this.input === null ? chunk : Buffer.concat([this.input.subarray(this.at), chunk]);
    this.at = 0;
  }

  protected consume(to: number): void {
    if (to === this.input!.length) this.input = null;
    this.at = to;
  }

  /** Reads the header from the input. @returns MORE, INVALID, or 1: it is whole and used. */
  protected introduce(seed: number): number {
    const end = readIntroduction(this.input!, this.at, introduction);
    if (end === MORE || end === INVALID) return end;
    this.awaited = false;
    this.consume(end);
    const { source, destination } = introduction;
    if (source !== null && destination !== null) {
      this.said = { source, destination };
      this.identify(source.address, seed);
    }
    return 1;
  }

  /** Both ends of the client's connection, for the PROXY header to a backend. */
  protected ends(): { source: Endpoint; destination: Endpoint } {
    if (this.said !== null) return this.said;
    const socket = this.socket as TcpSocket<unknown>;
    return {
      // One that has just reset the connection has no port any more.
      source: { address: canonical(this.address), port: socket.remotePort ?? 0 },
      destination: { address: canonical(socket.localAddress), port: socket.localPort },
    };
  }
}

/** A socket that serves both families shows an IPv4 client as IPv6. */
const canonical = (address: string): string => parseAddress(address) ?? address;
