import { Option, readConnection } from "./connection.ts";
import { Field } from "./fields.ts";
import { ascii, isWord, parseDecimal } from "./octets.ts";
import { Refused } from "./refusal.ts";
import type { RequestHead } from "./request.ts";
import { Form, hostEnd } from "./target.ts";

const chunked = ascii("chunked");
const hundredContinue = ascii("100-continue");

/**
 * Reads the meaning out of a request's fields and marks those that end here (RFC 9112 3.2, 6; RFC 9110 7.6, 10.1.1).
 * @returns 0, or a refusal.
 */
export function judgeRequest(bytes: Buffer, head: RequestHead): number {
  const block = head.fields;
  const { id, value, valueEnd, drop } = block;
  head.length = -1;
  head.chunked = false;
  head.expect = false;
  head.upgrade = -1;
  head.maxForwards = -1;
  let host = -1;
  let options = 0;
  let offer = -1;
  for (let k = 0; k < block.count; k++) {
    const what = id[k]!;
    if (what === Field.OTHER || what >= Field.DATE) {
      if (what === Field.ALIAS || what === Field.HTTP2_SETTINGS) drop[k] = 1;
      continue;
    }
    const from = value[k]!;
    const to = valueEnd[k]!;
    let verdict = 0;
    if (what === Field.HOST) {
      if (host >= 0) return Refused.HOST_TWICE;
      host = k;
    } else if (what === Field.CONTENT_LENGTH) verdict = readLength(bytes, from, to, head);
    else if (what === Field.TRANSFER_ENCODING) {
      drop[k] = 1;
      verdict = readCoding(bytes, from, to, head);
    } else if (what === Field.CONNECTION) {
      drop[k] = 1;
      const more = readConnection(bytes, block, k);
      if (more < 0) return Refused.CONNECTION;
      options |= more;
    } else if (what === Field.EXPECT) {
      // HTTP/1.0 knows no expectations: ignored and not forwarded (RFC 9110 10.1.1).
      if (head.minor === 0) drop[k] = 1;
      else if (!isWord(bytes, from, to, hundredContinue)) return Refused.EXPECTATION;
      else head.expect = true;
    } else if (what === Field.MAX_FORWARDS) {
      head.maxForwards = parseDecimal(bytes, from, to);
      if (head.maxForwards < 0) return Refused.MAX_FORWARDS;
    } else if (what === Field.UPGRADE) {
      drop[k] = 1;
      offer = offer < 0 ? k : -2;
    } else if (isHopByHop(what)) drop[k] = 1;
    if (verdict < 0) return verdict;
  }
  if (head.chunked && head.length >= 0) return Refused.LENGTH_AND_CODING;
  // Without content there is nothing to wait for (RFC 9110 10.1.1), and some backends lose count of their answers.
  if (head.expect && !head.chunked && head.length <= 0) dropExpectation(head);
  head.close = head.minor === 0 || (options & Option.CLOSE) !== 0;
  // An Upgrade beside a body is not offered on: the body's bytes could be read as the new protocol's.
  if (offer >= 0 && head.minor === 1 && (options & Option.UPGRADE) !== 0 && !head.chunked && head.length <= 0)
    head.upgrade = offer;
  return judgeHost(bytes, head, host);
}

/** TE, Keep-Alive, Proxy-Connection end at this hop; `Proxy` is no field at all, but CGI makes HTTP_PROXY of it. */
const isHopByHop = (id: number): boolean =>
  id === Field.TE || id === Field.KEEP_ALIVE || id === Field.PROXY_CONNECTION || id === Field.PROXY;

function readLength(bytes: Buffer, from: number, to: number, head: RequestHead): number {
  if (head.length >= 0) return Refused.LENGTH_TWICE;
  head.length = parseDecimal(bytes, from, to);
  return head.length < 0 ? Refused.LENGTH : 0;
}

function readCoding(bytes: Buffer, from: number, to: number, head: RequestHead): number {
  if (head.minor === 0) return Refused.CODING_IN_10;
  if (head.chunked) return Refused.CODING;
  if (isWord(bytes, from, to, chunked)) {
    head.chunked = true;
    return 0;
  }
  // Well formed and ending in chunked, only unknown to us: 501. All else cannot be framed.
  return /^([a-z0-9-]+[ \t]*,[ \t]*)+chunked$/i.test(bytes.toString("latin1", from, to)) &&
    !/^chunked|[ \t,]chunked[ \t]*,/i.test(bytes.toString("latin1", from, to))
    ? Refused.CODING_UNKNOWN
    : Refused.CODING;
}

function dropExpectation(head: RequestHead): void {
  const { count, id, drop } = head.fields;
  head.expect = false;
  for (let k = 0; k < count; k++) if (id[k] === Field.EXPECT) drop[k] = 1;
}

/** The absolute target's authority rules over Host, but a Host field must be there and valid all the same. */
function judgeHost(bytes: Buffer, head: RequestHead, host: number): number {
  const { fields, target } = head;
  head.hostStart = -1;
  head.hostEnd = -1;
  if (host >= 0) {
    const from = fields.value[host]!;
    const to = fields.valueEnd[host]!;
    if (hostEnd(bytes, from, to) < 0) return Refused.HOST;
    head.hostStart = from;
    head.hostEnd = to;
  } else if (head.minor !== 0) return Refused.HOST_MISSING;
  if (target.form === Form.ABSOLUTE) {
    if (host >= 0) fields.drop[host] = 1;
    head.hostStart = target.hostStart;
    head.hostEnd = target.hostEnd;
  }
  return 0;
}
