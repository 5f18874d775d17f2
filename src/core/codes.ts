/**
 * Every thing that can happen and has a name. A code is stable: it is a metric label, a log field and a page of the
 * reference. The sentence says what it means; the hint what an operator does about it.
 */
export const codes = {
  // configuration
  SLUICE_CONFIG_READ: ["The configuration file cannot be read.", "Check the path and its permissions."],
  SLUICE_CONFIG_SYNTAX: ["The configuration file is not valid YAML.", "Mend the line that is named."],
  SLUICE_CONFIG_CODE: ["The TypeScript configuration cannot be evaluated.", "Run it with Bun alone to see its stack."],
  SLUICE_CONFIG_KEY: ["A key is not known.", "Use the closest valid key, or remove it."],
  SLUICE_CONFIG_MISSING: ["A key that is needed is missing.", "Add it."],
  SLUICE_CONFIG_VALUE: ["A value is not allowed.", "Use one of the valid values."],
  SLUICE_CONFIG_DUPLICATE: ["A name or an address stands twice.", "Rename or remove one of the two."],
  SLUICE_CONFIG_CONFLICT: ["Two services cannot stand beside each other.", "Change one of the two."],
  SLUICE_CONFIG_IMPOSSIBLE: ["The method cannot do what is asked.", "Choose another method or drop the wish."],
  SLUICE_CONFIG_SCHEDULER: ["The scheduler does not fit the method.", "Choose one of the schedulers that fit."],
  // start and host
  SLUICE_BIND: ["A listening socket cannot be made.", "See which program holds the address: ss -ltnp."],
  SLUICE_PRIVILEGE: ["A right is missing.", "Run as root or grant the capability that is named."],
  SLUICE_HOST_COMMAND: ["A system program failed.", "Run the command that is named by hand."],
  SLUICE_INSTANCE_BUSY: ["Another daemon runs this instance.", "Use another --instance, or stop it."],
  SLUICE_DAEMON_UNREACHABLE: ["No daemon answers.", "Start it with sluice run, or name it with --instance."],
  SLUICE_WORKER_START: ["A worker did not become ready.", "See the log lines before this one."],
  SLUICE_WORKER_DIED: ["A worker died; its own connections are lost.", "Report it, with the log."],
  SLUICE_INTERNAL: ["Something that must not happen did.", "Report it, with the log."],
  // kernel data plane
  SLUICE_BPF_LOAD: ["The kernel refused a program.", "Run sluice doctor."],
  SLUICE_BPF_ATTACH: ["A program cannot be attached to an interface.", "Run sluice doctor; see who holds the hook."],
  SLUICE_NFT: ["nftables refused a rule set.", "Run sluice doctor."],
  SLUICE_NEIGHBOUR: ["A backend's link address cannot be found.", "Check the network between director and backend."],
  SLUICE_DROP_NO_BACKEND: ["A packet was dropped: its service has no eligible backend.", "See sluice status."],
  SLUICE_DROP_NO_NEIGHBOUR: ["A packet was dropped: the next hop's link address is unknown.", "See sluice status."],
  SLUICE_DROP_FRAGMENT: ["A later fragment was dropped: its first part was not seen.", "Lower the sender's MTU."],
  SLUICE_DROP_TOO_BIG: ["A packet was dropped: it does not fit once wrapped.", "Use advmss or a larger MTU."],
  SLUICE_DROP_TABLE_FULL: ["A packet was dropped: no room to remember its flow.", "Raise the table's size."],
  SLUICE_DROP_MALFORMED: ["A packet for a VIP was dropped: it is malformed.", "See who sends it."],
  SLUICE_DROP_TTL: ["A packet was dropped: it may not travel further.", "Look for a routing loop, or a traceroute."],
  SLUICE_DROP_CHECK_RETURNED: ["A check came back: the real server forwarded it.", "Give the VIP to the real server."],
  // checks
  SLUICE_CHECK_OK: ["The check passed.", ""],
  SLUICE_CHECK_REFUSED: ["The connection was refused.", "Is the server running?"],
  SLUICE_CHECK_TIMEOUT: ["No answer in time.", "Is the server alive, and the way to it open?"],
  SLUICE_CHECK_UNREACHABLE: ["The address cannot be reached.", "Check routes and neighbours."],
  SLUICE_CHECK_STATUS: ["The answer has another status than expected.", "See the server's log."],
  SLUICE_CHECK_BODY: ["The answer lacks the expected text.", "See the server's answer."],
  SLUICE_CHECK_PROTOCOL: ["The answer is not valid.", "Does this port speak the checked protocol?"],
  SLUICE_CHECK_TLS: ["The TLS handshake failed.", "Check certificate and name."],
  SLUICE_CHECK_CLOSED: ["The connection was closed before an answer.", "See the server's log."],
  SLUICE_CHECK_LOCAL: ["A probe could not leave this host; it says nothing of the backend.", "Raise RLIMIT_NOFILE."],
  SLUICE_OPERATOR: ["An operator or a new revision changed a state.", ""],
  // HTTP
  SLUICE_HTTP_BAD_REQUEST: ["The request is malformed or ambiguous; it was refused.", "Mend the client."],
  SLUICE_HTTP_HEAD_TOO_LARGE: ["The request's head is too large.", "Raise the limit if the client is right."],
  SLUICE_HTTP_TARGET_TOO_LONG: ["The request's target is too long.", "Raise the limit if the client is right."],
  SLUICE_HTTP_BODY_TOO_LARGE: ["The request's body is too large.", "Raise the limit if the client is right."],
  SLUICE_HTTP_REQUEST_TIMEOUT: ["The client sent its request too slowly.", "Raise the limit if the client is right."],
  SLUICE_HTTP_VERSION: ["The HTTP version is not supported.", "Use HTTP/1.1."],
  SLUICE_HTTP_NO_SERVICE: ["No service answers for this name.", "Add the name to a service."],
  SLUICE_HTTP_CONNECTION_LIMIT: ["The connection limit is reached.", "Raise RLIMIT_NOFILE or the limit."],
  SLUICE_HTTP_CLIENT_ABORT: ["The client left before the response was whole.", ""],
  SLUICE_NO_BACKEND: ["No backend is eligible.", "See sluice status."],
  SLUICE_BACKEND_CONNECT: ["The backend refused the connection.", "Is the server running?"],
  SLUICE_BACKEND_CONNECT_TIMEOUT: ["The backend did not accept in time.", "Is the server overloaded?"],
  SLUICE_BACKEND_TIMEOUT: ["The backend did not answer in time.", "See the server's log."],
  SLUICE_BACKEND_CLOSED: ["The backend closed before its answer was whole.", "See the server's log."],
  SLUICE_BACKEND_PROTOCOL: ["The backend's answer is malformed or ambiguous.", "Mend the server."],
  // DNS
  SLUICE_DNS_FORMERR: ["A query is malformed.", "Mend the client."],
  SLUICE_DNS_REFUSED: ["A query asks for a name that is not served here.", "Add the name to a service."],
  SLUICE_DNS_NOTIMP: ["A query asks for an operation that is not offered.", ""],
  SLUICE_DNS_BADVERS: ["A query uses a later version of EDNS.", ""],
  SLUICE_DNS_SILENT: [
    "A message got no answer: it is a response itself, or shorter than a header.",
    "See who sends it.",
  ],
  SLUICE_DNS_NXDOMAIN: [
    "A query asks for a name that does not exist in a zone served here.",
    "Add the name, or mend the client.",
  ],
  SLUICE_DNS_ZONE: ["A query was answered from a zone's own records, not by a service.", ""],
  SLUICE_DNS_TRUNCATED: [
    "An answer did not fit UDP: the client was sent to TCP.",
    "Answer with fewer addresses: dns: answers.",
  ],
} as const satisfies Record<string, readonly [sentence: string, hint: string]>;

export type Code = keyof typeof codes;
