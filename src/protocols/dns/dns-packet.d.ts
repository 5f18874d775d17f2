/** The part of dns-packet (the tests' independent codec) that is used here; it brings no types of its own. */
declare module "dns-packet" {
  export interface Question {
    name: string;
    type: string;
    class?: string;
  }
  export interface Record {
    name: string;
    type: string;
    ttl?: number;
    class?: string;
    data?: unknown;
    udpPayloadSize?: number;
    extendedRcode?: number;
    ednsVersion?: number;
    flags?: number;
    flag_do?: boolean;
    options?: unknown[];
  }
  export interface Packet {
    type?: string;
    id?: number;
    flags?: number;
    opcode?: string;
    rcode?: string;
    flag_aa?: boolean;
    flag_tc?: boolean;
    flag_rd?: boolean;
    flag_ra?: boolean;
    flag_z?: boolean;
    flag_ad?: boolean;
    flag_cd?: boolean;
    questions?: Question[];
    answers?: Record[];
    authorities?: Record[];
    additionals?: Record[];
  }
  interface Codec {
    RECURSION_DESIRED: number;
    encode(packet: Packet): Buffer;
    decode(message: Buffer, offset?: number): Required<Packet>;
  }
  const codec: Codec;
  export default codec;
}
