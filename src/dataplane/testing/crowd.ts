/**
 * Program of the tests: keeps many connections to `echo` and, each round, sends bytes of their own on all of them. It
 * answers every command with one text for each connection: `NAME ok`, or `NAME dead: why`.
 */
import { connect, type Socket } from "node:net";

/** Connections that are being opened, or wait for their bytes, at a time. */
const ABREAST = 250;
/** ms that one waits for its bytes, unless it is told otherwise: after an outage TCP is silent for as long once more. */
let patience = 20_000;
const LONGEST = 1500;

interface Member {
  socket: Socket;
  number: number;
  name: string;
  heard: Buffer;
  dead: string | null;
  wake: () => void;
}

const members: Member[] = [];

const told = ({ name, dead }: Member): string => `${name || "?"} ${dead === null ? "ok" : `dead: ${dead}`}`;

/** Waits until `enough` bytes have come, or it is over. */
function until(member: Member, enough: () => boolean): Promise<void> {
  if (member.dead !== null || enough()) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      member.dead ??= "silent";
      resolve();
    }, patience);
    member.wake = () => {
      if (member.dead === null && !enough()) return;
      clearTimeout(timer);
      member.wake = () => {};
      resolve();
    };
  });
}

async function open(address: string, port: number, number: number): Promise<Member> {
  const socket = connect({ host: address, port });
  const member: Member = { socket, number, name: "", heard: Buffer.alloc(0), dead: null, wake: () => {} };
  const end = (why: string): void => {
    member.dead ??= why;
    member.wake();
  };
  socket.on("error", (error) => end(error.message));
  socket.on("close", () => end("closed"));
  socket.on("data", (data: Buffer) => {
    member.heard = Buffer.concat([member.heard, data]);
    member.wake();
  });
  await until(member, () => member.heard.includes(10));
  const line = member.heard.indexOf(10);
  member.name = member.heard.toString("latin1", 0, Math.max(0, line));
  member.heard = member.heard.subarray(line + 1);
  return member;
}

/** Bytes that no other connection and no other round sends. */
function bytesOf(member: Member, round: number): Buffer {
  let state = (member.number * 2654435761 + round * 40503 + 1) >>> 0;
  const bytes = Buffer.alloc(4 + (state % LONGEST));
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function speak(member: Member, round: number): Promise<void> {
  if (member.dead !== null) return;
  const sent = bytesOf(member, round);
  member.heard = Buffer.alloc(0);
  member.socket.write(sent);
  await until(member, () => member.heard.length >= sent.length);
  if (member.dead === null && !member.heard.equals(sent)) member.dead = "other bytes came back";
}

/** All of it, some at a time, in order. */
async function abreast<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(all.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < all.length; i = next++) results[i] = await work(all[i]!);
  };
  await Promise.all(Array.from({ length: ABREAST }, lane));
  return results;
}

type Command =
  | { do: "open"; address: string; port: number; count: number }
  | { do: "speak"; round: number }
  | { do: "wait"; ms: number };

process.on("message", async (command: Command) => {
  if (command.do === "wait") {
    patience = command.ms;
    process.send?.([]);
    return;
  }
  if (command.do === "speak") {
    await abreast(members, (member) => speak(member, command.round));
    process.send?.(members.map(told));
    return;
  }
  const first = members.length;
  const numbers = Array.from({ length: command.count }, (_, i) => first + i);
  const opened = await abreast(numbers, (number) => open(command.address, command.port, number));
  members.push(...opened);
  process.send?.(opened.map(told));
});
process.send?.("ready");
