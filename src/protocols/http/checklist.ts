/** One rule for an HTTP/1 intermediary. Tests carry its id in their names; a rule that is not offered says why. */
export interface HttpRule {
  id: string;
  source: string;
  rule: string;
  absent?: string;
}

const rule = (id: string, source: string, text: string): HttpRule => ({ id, source, rule: text });
const absent = (id: string, source: string, text: string, why: string): HttpRule => ({
  id,
  source,
  rule: text,
  absent: why,
});

/** What the RFCs ask of a gateway over HTTP/1.1 and 1.0. Without a word of the document: RFC 9112. */
export const checklist: readonly HttpRule[] = [
  // Start line and head
  rule("A.1", "2.2", "parsed as octets, never as characters of Unicode"),
  rule("A.2", "2.2", "a bare CR or LF makes an element invalid, and is never sent"),
  rule("A.3", "2.2", "white space before the first field is refused; one empty line before a request is forgiven"),
  rule("A.4", "2.3", "messages go on with our own version"),
  rule("A.5", "3, RFC 9110 5.4", "long target 414, large head 431, long method 501, bad line 400; none is corrected"),
  rule("A.6", "3.2", "400 for no Host, several, or an invalid one"),
  rule("A.7", "3.2.2", "absolute-form is read, and Host is made from it"),
  rule("A.8", "3.2.4", "OPTIONS with an absolute target without path goes on as *"),
  rule("A.9", "4", "SP after the status, even without a reason"),
  rule("A.10", "5.1", "white space before the colon: 400; from a backend 502"),
  rule("A.11", "5.2", "obs-fold: 400; from a backend 502; never sent"),
  rule("A.12", "RFC 9110 5.5, 2.2", "CR, LF and NUL in a value and names that are no token are refused"),
  rule("A.13", "RFC 9110 5.6.1", "empty list elements are passed over, and none is made"),
  // Framing
  rule("B.14", "6.1, 7.1", "chunked is decoded, applied once, and last"),
  rule("B.15", "6.1", "no Transfer-Encoding in 1xx and 204, nor to an HTTP/1.0 peer"),
  rule("B.16", "6.1", "Transfer-Encoding in HTTP/1.0 is faulty: refused and closed"),
  rule("B.17", "6.1, 6.3", "Content-Length beside Transfer-Encoding is refused and closed"),
  rule("B.18", "6.2", "never Content-Length and Transfer-Encoding together"),
  rule("B.19", "6.3", "a coding that does not end in chunked: 400; an unknown one: 501"),
  rule("B.20", "6.3, RFC 9110 8.6", "an invalid Content-Length: 400 and closed; from a backend 502"),
  rule("B.21", "6.3, 8", "a cut message is never passed on as whole"),
  rule("B.22", "6.3", "HEAD, 1xx, 204, 304 have no body; what follows a response is never one"),
  rule("B.23", "7.1, RFC 9110 8.6", "sizes do not overflow and lose no digit"),
  rule("B.24", "7.1.1", "chunk extensions end here, and their length is limited"),
  rule("B.25", "7.1.2, RFC 9110 6.5.1", "trailers stay trailers, and none frames, routes or authenticates"),
  rule("B.26", "7.4, RFC 9110 10.1.4", "TE ends here: it is not sent without Connection, and never says chunked"),
  rule("B.27", "RFC 9110 8.6", "no Content-Length in 1xx and 204; HEAD and 304 keep theirs"),
  // Connections
  rule("C.28", "9.2", "bytes behind a response are no response: the connection goes"),
  rule("C.29", "9.3", "a connection is used again only after a whole request and response"),
  rule("C.30", "9.3", "HTTP/1.0 clients get one response and the end"),
  rule("C.31", "9.3.2", "pipelined requests are answered in order"),
  rule("C.32", "9.6", "after close, received or sent, no further request"),
  absent("C.33", "9.8", "close_notify before a TLS close", "no TLS is offered yet"),
  rule("C.34", "9.3.1, RFC 9110 9.2.2", "only idempotent requests are repeated, and only without a byte of an answer"),
  // Fields on the way
  rule("D.35", "RFC 9110 7.6.1", "what Connection names ends here, but never an end-to-end field"),
  rule("D.36", "RFC 9110 7.6.2", "Max-Forwards of OPTIONS is counted down; at 0 the answer is ours"),
  rule("D.37", "RFC 9110 7.6.3", "Via in every request, behind those that are there"),
  rule("D.38", "RFC 9110 7.6", "a request that comes round again is refused"),
  rule("D.39", "RFC 9110 5.1, 5.3", "unknown fields pass, in order; lines of one name are not joined"),
  rule("D.40", "RFC 9110 7.7", "host, path, query and content are not changed"),
  rule("D.41", "RFC 9110 6.6.1", "a response without Date gets one"),
  rule("D.42", "RFC 9110 10.2.1, 11.6", "Allow, Authorization, WWW-Authenticate and Vary are not changed"),
  rule("D.43", "RFC 9110 13.2.1, RFC 9111 5.2", "conditions, ranges and cache directives pass unread"),
  rule("D.44", "RFC 9110 9.3.1", "content of GET, HEAD and DELETE passes with its exact framing"),
  // Expect, 1xx, Upgrade, CONNECT
  rule("E.45", "RFC 9110 15.2", "1xx pass, but not to HTTP/1.0"),
  rule("E.46", "RFC 9110 10.1.1", "100-continue goes on; ignored from HTTP/1.0; other expectations 417"),
  rule("E.47", "RFC 9110 7.8", "an upgrade only as offered, and no tunnel before the backend's 101"),
  rule("E.48", "RFC 9110 9.3.6", "CONNECT with a bad port 400; each half closes after what it sent has arrived"),
  rule("E.49", "RFC 9110 15.5", "401, 405, 421, 426 pass as they are, and none is made without its field"),
  rule("E.50", "RFC 9110 9.3.2, 15.3.6", "no content in answers to HEAD, our own too"),
];
