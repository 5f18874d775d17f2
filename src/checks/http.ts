import { z } from "zod";
import { defineCheck, type ProbeTarget } from "../core/check.ts";
import { writeLocal } from "../protocols/proxy-protocol/write.ts";
import { type Conversation, exchange, type Finding, failed, passed } from "./exchange.ts";
import { ResponseReader } from "./response-reader.ts";

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
const VISIBLE = /^[\u0021-\u007e]+$/;
const FIELD_VALUE = /^(?:[\u0021-\u007e](?:[\t\u0020-\u007e]*[\u0021-\u007e])?)?$/;

const statusCode = z.int().min(100).max(599);
const statusRange = z
  .string()
  .regex(/^[1-5]\d\d-[1-5]\d\d$/, "must be a range such as 200-299")
  .refine((range) => range.slice(0, 3) <= range.slice(4), "begins above its end");
const statusItem = z.union([statusCode, statusRange]);
type StatusItem = z.infer<typeof statusItem>;

const options = z
  .strictObject({
    /** Path and query. */
    path: z
      .string()
      .max(4096)
      .regex(/^\/[\u0021-\u007e]*$/, "must begin with / and hold no spaces")
      .default("/"),
    /** The Host field; default: the backend's address and port. */
    host: z.string().max(256).regex(VISIBLE, "must hold no spaces").optional(),
    method: z.enum(["GET", "HEAD"]).default("GET"),
    /** Status codes that pass: `200`, `200-299`, or a list of both. */
    status: z
      .union([statusItem, z.array(statusItem).min(1)])
      .transform((value) => (Array.isArray(value) ? value : [value]))
      .default(["200-399"]),
    /** Text that the body must hold, within the first 64 KiB of the answer. */
    body: z.string().min(1).max(4096).optional(),
    headers: z
      .record(
        z.string().regex(TOKEN, "is not a field name"),
        z.string().max(4096).regex(FIELD_VALUE, "is not a field value"),
      )
      .refine(
        (fields) =>
          !Object.keys(fields).some((name) => /^(host|connection|content-length|transfer-encoding)$/i.test(name)),
        "may not hold Host, Connection, Content-Length or Transfer-Encoding (`host` sets the first)",
      )
      .default({}),
    /**
     * Speak TLS. `name`: for SNI and the certificate. `insecure`: take any certificate. Trusted are the system's
     * authorities and those of the file that NODE_EXTRA_CA_CERTS names.
     */
    tls: z
      .union([
        z.boolean(),
        z.strictObject({ name: z.string().min(1).max(253).optional(), insecure: z.boolean().default(false) }),
      ])
      .default(false),
    /** Begin with a PROXY header that speaks for nobody, for a backend that insists on one. */
    sendProxy: z.enum(["v1", "v2"]).optional(),
  })
  .refine((value) => !(value.method === "HEAD" && value.body !== undefined), {
    path: ["body"],
    message: "the answer to HEAD has no body",
  })
  .refine((value) => !(value.tls !== false && value.sendProxy !== undefined), {
    path: ["sendProxy"],
    message: "is for checks without TLS",
  });
export type HttpCheckOptions = z.infer<typeof options>;

/** Passes when a request is answered with an expected status (and text). */
export default defineCheck({
  name: "http",
  summary: "An HTTP request is answered with an expected status, and text if asked.",
  options,
  fromShort: (value) => (typeof value === "string" ? { path: value } : value === true || value === null ? {} : value),
  probe(target, options, timeout) {
    const { tls } = options;
    return exchange(
      target,
      conversation(target, options),
      timeout,
      tls === false ? undefined : tls === true ? {} : tls,
    );
  },
});

/** The bytes of the request. One connection, one request: the answer's end needs no guess. */
export function requestBytes(target: ProbeTarget, options: HttpCheckOptions): Buffer {
  const own = target.address.includes(":") ? `[${target.address}]:${target.port}` : `${target.address}:${target.port}`;
  const fields = [
    ["Host", options.host ?? own],
    ["User-Agent", "sluice-check"],
    ["Accept", "*/*"],
    ["Connection", "close"],
  ];
  const given = Object.entries(options.headers);
  const named = new Set(given.map(([name]) => name.toLowerCase()));
  const lines = [...fields.filter(([name]) => !named.has(name!.toLowerCase())), ...given].map(
    ([name, value]) => `${name}: ${value}`,
  );
  return Buffer.from(`${options.method} ${options.path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function conversation(target: ProbeTarget, options: HttpCheckOptions): Conversation {
  const reader = new ResponseReader(options.method);
  const needle = options.body === undefined ? null : Buffer.from(options.body);
  let searched = 0;
  const judge = (ended: boolean): Finding | null => {
    if (reader.state === "bad") return failed("SLUICE_CHECK_PROTOCOL", reader.fault);
    if (reader.status === 0) return ended ? failed("SLUICE_CHECK_CLOSED", "closed before an answer") : null;
    if (!isExpected(reader.status, options.status)) return failed("SLUICE_CHECK_STATUS", `status ${reader.status}`);
    if (needle === null) return passed(`status ${reader.status}`);
    const { body } = reader;
    if (body.indexOf(needle, Math.max(0, searched - needle.length + 1)) >= 0)
      return passed(`status ${reader.status}, text found`);
    searched = body.length;
    if (reader.state === "done") return failed("SLUICE_CHECK_BODY", "text not in the body");
    if (reader.state === "full") return failed("SLUICE_CHECK_BODY", "text not in the first 64 KiB");
    return ended ? failed("SLUICE_CHECK_CLOSED", "closed inside the body") : null;
  };
  const introduction = options.sendProxy === undefined ? [] : [writeLocal(options.sendProxy)];
  return {
    request: Buffer.concat([...introduction, requestBytes(target, options)]),
    received(chunk) {
      reader.push(chunk);
      return judge(false);
    },
    ended() {
      reader.end();
      return judge(true) ?? failed("SLUICE_CHECK_CLOSED", "closed before an answer");
    },
  };
}

/** Is a status among codes and ranges? */
const isExpected = (status: number, items: readonly StatusItem[]): boolean =>
  items.some((item) =>
    typeof item === "number" ? item === status : status >= Number(item.slice(0, 3)) && status <= Number(item.slice(4)),
  );
