import type { PeerProxy } from "./servers.ts";

/** Where other proxies do otherwise than ours, and why. docs/http-peers.md is written from this list. */
export interface Difference {
  id: string;
  why: string;
  /** The inputs where it shows, by the proxy that does otherwise. */
  shows: Partial<Record<PeerProxy, readonly string[]>>;
}

/** The same inputs at both. */
const both = (...labels: string[]): Difference["shows"] => ({ nginx: labels, haproxy: labels });
const nginx = (...labels: string[]): Difference["shows"] => ({ nginx: labels });
const haproxy = (...labels: string[]): Difference["shows"] => ({ haproxy: labels });
const difference = (id: string, shows: Difference["shows"], why: string): Difference => ({ id, why, shows });

const framing: Difference[] = [
  difference(
    "both-framings",
    haproxy("CL.TE", "TE.CL", "CL.TE with a short length", "TE in HTTP/1.0", "TE beside a length in HTTP/1.0"),
    "HAProxy drops the length, goes by the chunks and closes, as RFC 9112 6.3 lets it; ours and nginx refuse, as it says they ought to.",
  ),
  difference(
    "coding-status",
    {
      nginx: [
        ...["chunked, chunked", "chunked, identity", "identity", "xchunked", ",chunked", "chunked,", "chunked;x"],
        ...["quoted", "empty", "vertical tab before the value"],
      ].map((name) => `TE.TE: ${name}`),
      haproxy: ["TE.TE: gzip, chunked", "TE.TE: ,chunked"],
    },
    "Refused by all, under another status: nginx answers 501 and HAProxy 422 where ours says 400, or 501 for a coding it only does not know.",
  ),
  difference(
    "empty-element",
    haproxy("TE.TE: chunked,"),
    "HAProxy passes an empty element of Transfer-Encoding on, for the backend to make something of; ours takes the bare word only.",
  ),
  difference(
    "tab-before-value",
    nginx("TE.TE: tab before the value"),
    "nginx takes the tab for a part of the value and answers 501; RFC 9110 5.5 has it outside of it.",
  ),
  difference(
    "measured",
    nginx(
      ...["TE.TE: upper case", "Connection names Transfer-Encoding", "CL.0: a chunked GET"],
      ...["chunk: size with leading zeros", "chunk: an extension", "chunk: an extension with a quoted string"],
      ...["chunk: a trailer", "chunk: a trailer that frames"],
    ),
    "A chunked body that nginx has whole goes on with its length, without trailers; ours goes on as it comes.",
  ),
  difference(
    "equal-lengths",
    {
      haproxy: [
        "CL: two that agree",
        "CL: a list that agrees",
        "response: framing: two lengths that agree",
        "response: framing: a list of lengths",
      ],
      nginx: ["response: framing: two lengths that agree"],
    },
    "They make one length of several that agree; RFC 9110 8.6 leaves the choice, and ours refuses.",
  ),
  difference(
    "space-behind-size",
    both("chunk: space behind the size"),
    "They pass over a space between a chunk's size and its end; the grammar (RFC 9112 7.1) has none there.",
  ),
  difference(
    "large-chunk",
    nginx("chunk: size of 2^32"),
    "nginx allows bodies of 1 MiB by default (client_max_body_size); ours 10 GiB (limits.body).",
  ),
  difference(
    "extension-octets",
    both("chunk: NUL in an extension"),
    "They read over any octet but CR and LF in an extension; ours refuses controls.",
  ),
  difference(
    "extension-length",
    both("chunk: 20,000 octets of extension"),
    "nginx reads extensions without end, HAProxy stands still once its buffer is full; ours refuses beyond 4 KiB (RFC 9112 7.1.1).",
  ),
  difference(
    "trailer-grammar",
    nginx("chunk: no empty line at the end"),
    "nginx reads a second request behind an unfinished body as trailers, whatever stands there; ours and HAProxy see that it is none and refuse.",
  ),
  difference(
    "framing-trailer",
    haproxy("chunk: a trailer that frames", "response: chunk: a trailer that frames"),
    "HAProxy passes a Content-Length in the trailers on, from clients and backends; ours takes it out (RFC 9110 6.5.1).",
  ),
];

const lines: Difference[] = [
  difference(
    "bare-lf",
    both(
      ...[
        "TE.TE: behind a bare LF",
        "chunk: LF behind the size",
        "response: chunk: LF behind the size",
        "chunk: LF behind the data",
        "chunk: LF ends the last",
      ],
      ...[
        "chunk: a trailer with a bare LF",
        "line: a bare LF before",
        "line: ends with LF",
        "line: all lines end with LF",
      ],
      ...[
        "field: a bare LF in the value",
        "response: splitting: a bare LF between fields",
        "response: splitting: all lines end with LF",
      ],
    ),
    "They take a bare LF for a line's end, in heads (which RFC 9112 2.2 lets them) and in chunks (which erratum 7633 does not); ours never does.",
  ),
  difference(
    "folded",
    haproxy(
      "TE.TE: folded",
      "0.CL: the length's name is folded",
      "field: a folded line",
      "response: field: a folded line",
    ),
    "HAProxy unfolds obsolete line folding, also in fields that frame and in responses; ours refuses (RFC 9112 5.2 leaves the choice).",
  ),
  difference(
    "request-line-space",
    { nginx: ["line: two spaces"], haproxy: ["line: two spaces", "line: a tab"] },
    "They take more than one space, HAProxy also a tab, between the words of a request line; ours corrects nothing (RFC 9112 3).",
  ),
  difference(
    "http-0.9",
    nginx("line: no version", "line: HTTP/0.9 with a field"),
    "nginx answers HTTP/0.9, whose answers have no head; ours speaks 1.0 and 1.1.",
  ),
  difference(
    "versions",
    { nginx: ["line: HTTP/11.1"], haproxy: ["line: HTTP/2.0"] },
    "nginx says 505 to what is not even of the form of a version, HAProxy takes a request line of HTTP/2.0; ours says 400 and 505.",
  ),
  difference(
    "target-grammar",
    {
      nginx: ["line: a fragment", "line: octets above 127", "host: an absolute target of another scheme"],
      haproxy: ["line: a target without a slash", "line: GET *", "host: an absolute target of another scheme"],
    },
    "They pass targets on that no form of RFC 9112 3.2 allows; ours refuses what a backend could read in another way.",
  ),
  difference(
    "method",
    { nginx: ["line: a method in lower case", "line: a long method"], haproxy: ["line: a long method"] },
    "nginx refuses methods in lower case, which are tokens like all others; both set no bound to a method's length, ours says 501 beyond 32 octets.",
  ),
  difference(
    "connect-trace",
    both("line: CONNECT", "line: TRACE"),
    "nginx refuses both with 400 and 405, HAProxy passes both on and opens a tunnel; ours offers neither: 501.",
  ),
  difference(
    "options-asterisk",
    nginx("line: OPTIONS *"),
    "nginx knows no OPTIONS *; ours passes it on (RFC 9112 3.2.4).",
  ),
  difference(
    "head-size",
    {
      nginx: ["head: a long field", "head: 2,000 fields"],
      haproxy: ["line: a long target", "head: a long field", "head: 2,000 fields"],
    },
    "They answer 400 (nginx 414 for the target) and have one bound for the whole head, HAProxy's of 16 KiB; ours has 414 and 431, and bounds of its own for the target and the number of fields.",
  ),
];

/** That either of them takes. */
const NO_HOSTS = ["host: a port beyond 65535", "host: an escape", "host: brackets around no address"];

const fields: Difference[] = [
  difference(
    "host-grammar",
    {
      nginx: ["host: user information", "host: a bad port", ...NO_HOSTS],
      haproxy: [
        ...NO_HOSTS,
        ...["host: none", "host: two that agree", "host: empty", "host: a list", "host: a path"],
        ...["host: user information", "host: a bad port", "host: an absolute target, no Host"],
      ],
    },
    "They let pass what RFC 9112 3.2 has a server refuse with 400: no Host, several, or one that is no host. An escape in one is refused because only some readers decode it.",
  ),
  difference(
    "host-for-1.0",
    both("host: none in HTTP/1.0"),
    "A request of HTTP/1.0 without Host goes on as HTTP/1.1 without Host; ours makes one, for such a request is malformed.",
  ),
  difference(
    "absolute-host",
    haproxy("host: another in an absolute target"),
    "HAProxy refuses an absolute target of another host than Host's; ours and nginx go by the target (RFC 9112 3.2.2).",
  ),
  difference(
    "field-grammar",
    nginx("TE.TE: name with a no-break space", "field: a name that is no token", "field: no colon"),
    "nginx drops a line whose name is no token, passes one without a colon on as an empty field, and serves the rest; ours refuses the message.",
  ),
  difference(
    "controls",
    {
      nginx: ["field: a control in the value"],
      haproxy: ["field: a control in the value", "field: a NUL in the value", "response: splitting: a NUL in a value"],
    },
    "They pass control characters in values on, HAProxy even NUL, in both directions; ours refuses (RFC 9110 5.5).",
  ),
  difference(
    "aliases",
    haproxy(
      ...["TE.TE: name with an underscore", "0.CL: the length's name with an underscore"],
      ...["alias: X_Forwarded_For", "alias: Content.Length"],
    ),
    "HAProxy passes names on that some backends fold together with the real ones; ours and nginx drop them.",
  ),
  difference("httpoxy", both("alias: Proxy"), "They pass Proxy on, which CGI makes HTTP_PROXY of; ours drops it."),
  difference(
    "nominated",
    both("connection: names X", "response: field: hop-by-hop"),
    "They pass fields on that Connection names, which RFC 9110 7.6.1 forbids, in both directions; ours drops them.",
  ),
  difference(
    "hop-by-hop",
    both("connection: hop-by-hop fields"),
    "They pass Proxy-Connection on, HAProxy also TE; for ours both end here.",
  ),
  difference(
    "expect",
    {
      nginx: ["expect: 100-continue with its body", "expect: another"],
      haproxy: ["expect: another", "expect: 100-continue on a GET with a hidden request"],
    },
    "nginx answers 100-continue itself, HAProxy passes it on; ours does too, but not without a body, where there is nothing to wait for. An unknown expectation is ignored by them, refused with 417 by ours.",
  ),
  difference(
    "upgrade",
    {
      nginx: ["upgrade: with a length", "upgrade: h2c"],
      haproxy: ["upgrade: bytes before the 101", "upgrade: h2c"],
    },
    "nginx offers an upgrade on beside a body, both offer h2c on, behind which requests pass unseen; ours offers neither. HAProxy refuses a WebSocket without its key, which ours leaves to the backend.",
  ),
  difference(
    "http-2",
    both("upgrade: the preface of HTTP/2"),
    "nginx answers the preface of HTTP/2 with 400 and HAProxy with HTTP/2; ours with 505.",
  ),
];

const answers: Difference[] = [
  difference(
    "response-both-framings",
    both("response: framing: both, length first", "response: framing: both, coding first"),
    "They go by the chunks of a response that has a length as well; ours answers 502 in its place.",
  ),
  difference(
    "response-length",
    {
      nginx: [
        ...["two lengths that differ", "a list of lengths", "a length with a sign", "a negative length"],
        ...["an empty length", "a length of 2^64"],
      ].map((name) => `response: framing: ${name}`),
      haproxy: ["response: framing: a length of 2^64"],
    },
    "nginx takes the last of several lengths and reads to the end behind one that it cannot read; HAProxy waits for what exceeds 64 bits; ours answers 502 (RFC 9112 6.3).",
  ),
  difference(
    "response-coding",
    {
      nginx: ["gzip, chunked", "an unknown coding", "chunked twice", "chunked in HTTP/1.0"].map(
        (name) => `response: framing: ${name}`,
      ),
      haproxy: ["response: framing: chunked in HTTP/1.0"],
    },
    "nginx takes any Transfer-Encoding for chunked or for none, both take one of HTTP/1.0; ours answers 502 to what it cannot frame.",
  ),
  difference(
    "reset-content",
    both("response: queue: a 205 with content", "response: queue: a chunked 205"),
    "They pass the content of a 205 on, which can have none; ours says Content-Length 0 and closes the backend's connection (RFC 9110 15.3.6).",
  ),
  difference(
    "until-the-end",
    nginx("response: framing: until the end"),
    "nginx puts a body that the connection's end ends into chunks; ours and HAProxy pass it on as it is and end as well.",
  ),
  difference(
    "late-fault",
    both("response: chunk: a bad size"),
    "HAProxy had the fault in its buffer before it sent the head and answers 502, nginx ends without a word; ours has sent the head, and cuts the answer.",
  ),
  difference(
    "response-field-grammar",
    nginx("response: field: no colon"),
    "nginx passes a line without a colon on as an empty field; ours answers 502.",
  ),
  difference(
    "status-line",
    {
      nginx: ["no reason", "two digits", "status 099", "HTTP/2.0", "no HTTP"].map((name) => `response: line: ${name}`),
      haproxy: ["two digits", "status 099", "HTTP/2.0"].map((name) => `response: line: ${name}`),
    },
    "They pass statuses on that are none, and nginx leaves out the SP behind a status without a reason (RFC 9112 4) and takes what has no head for HTTP/0.9; ours answers 502.",
  ),
  difference(
    "interim",
    nginx(
      "response: interim: 103, then the answer",
      "response: interim: 100 that nobody asked for",
      "response: interim: 100 with a length",
    ),
    "nginx 1.22 takes an interim response for the final one, and what follows for its body; ours passes each on (RFC 9110 15.2).",
  ),
  difference(
    "unasked-101",
    nginx("response: interim: 101 that nobody asked for"),
    "nginx opens a tunnel for a 101 that nobody asked for; ours answers 502 (RFC 9110 7.8).",
  ),
];

export const differences: readonly Difference[] = [...framing, ...lines, ...fields, ...answers];

const cell = (labels: readonly string[] | undefined): string =>
  (labels ?? []).map((label) => `\`${label}\``).join(", ");

/** The document that says all this to people. */
export const document = (requests: number, responses: number): string =>
  [
    "# Beside nginx and HAProxy",
    "",
    `\`test/e2e/http-peers.test.ts\` sends ${requests} hostile and odd requests (\`test/e2e/http-peers/requests.ts\`) through Sluice, nginx 1.22 and`,
    "HAProxy 2.6 (Debian 12) to a lenient backend that takes whatever comes, and has a hostile backend give",
    `${responses} answers (\`responses.ts\`), each followed by a second request on the client's connection. What a strict reader finds in`,
    "the bytes that the backend and the client got must be the same for all three, but for these differences. One that is not",
    "explained here fails the test, and so does one that no longer shows. What gateways add of their own, and the order and",
    "case of field names, is not compared.",
    "",
    "nginx passes bodies and answers on as they come and offers upgrades, as its documentation writes it; all else is as both come.",
    "",
    "| difference | why | nginx | HAProxy |",
    "|---|---|---|---|",
    ...differences.map(
      ({ id, why, shows }) => `| \`${id}\` | ${why} | ${cell(shows.nginx)} | ${cell(shows.haproxy)} |`,
    ),
    "",
  ].join("\n");
