import { createHmac, timingSafeEqual } from "node:crypto";
import { Type } from "./numbers.ts";
import { findTsig } from "./query.ts";
import {
  CLASS_ANY,
  FUDGE,
  readTsig,
  TsigError,
  type TsigKey,
  time48,
  tsigAlgorithms,
  variables,
  wireAlgorithm,
  word,
} from "./tsig.ts";

/** A message that was signed, and what its answer is verified with. */
export interface SignedMessage {
  bytes: Uint8Array;
  mac: Uint8Array;
}

const mac = (key: TsigKey, parts: readonly Uint8Array[]): Buffer => {
  const hmac = createHmac(key.algorithm.slice(5), key.secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
};

/** Puts a TSIG record to a message of ours that asks (RFC 8945 5.1). `now`: seconds since 1970. */
export function signMessage(message: Uint8Array, key: TsigKey, now: number): SignedMessage {
  const algorithm = wireAlgorithm(key.algorithm);
  const made = mac(key, [message, variables(key.name, algorithm, now, FUDGE, 0, [])]);
  const data = [...algorithm, ...time48(now), ...word(FUDGE), ...word(made.length), ...made];
  data.push(message[0]!, message[1]!, 0, 0, 0, 0);
  const head = [...key.name, ...word(Type.TSIG), ...word(CLASS_ANY), 0, 0, 0, 0, ...word(data.length)];
  const bytes = Uint8Array.from([...message, ...head, ...data]);
  bytes.set(word(((bytes[10]! << 8) | bytes[11]!) + 1), 10);
  return { bytes, mac: made };
}

/** Is this an answer to `asked` that was signed with the same key (RFC 8945 5.3, 5.4)? One that carries an error is none. */
export function answerHolds(answer: Uint8Array, asked: SignedMessage, key: TsigKey, now: number): boolean {
  const at = answer.length < 12 ? 0 : findTsig(answer, answer.length);
  const record = at === 0 ? null : readTsig(answer, at, answer.length);
  if (record === null || record.mac.length !== tsigAlgorithms[key.algorithm]) return false;
  const error = (answer[answer.length - 4]! << 8) | answer[answer.length - 3]!;
  if (error !== TsigError.NONE || Math.abs(now - record.time) > record.fudge) return false;
  const message = Uint8Array.from(answer.subarray(0, at));
  message.set(word(record.originalId), 0);
  message.set(word(((answer[10]! << 8) | answer[11]!) - 1), 10);
  const { keyName, algorithm, time, fudge } = record;
  const own = variables(key.name, wireAlgorithm(key.algorithm), time, fudge, error, []);
  const told = variables(keyName, algorithm, time, fudge, error, []);
  const expected = mac(key, [Uint8Array.from([...word(asked.mac.length), ...asked.mac]), message, own]);
  return Buffer.compare(own, told) === 0 && timingSafeEqual(expected, record.mac);
}
