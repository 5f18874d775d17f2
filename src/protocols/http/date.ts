import { ascii } from "./octets.ts";

let line = ascii("");
let second = -1;

/** The `Date: …` line of this second (RFC 9110 5.6.7), made once per second. `at`: ms since 1970. */
export function dateLine(at: number): Buffer {
  const now = Math.floor(at / 1000);
  if (now !== second) {
    second = now;
    line = ascii(`Date: ${new Date(now * 1000).toUTCString()}\r\n`);
  }
  return line;
}
