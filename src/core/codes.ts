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
  SLUICE_UPGRADE: [
    "The next daemon did not take over; the running one goes on.",
    "See the log for the next one's own words, mend that, and upgrade again.",
  ],
  SLUICE_REVISION: ["No such revision is kept.", "See which ones are: sluice rollback --list."],
  SLUICE_DAEMON_UNREACHABLE: ["No daemon answers.", "Start it with sluice run, or name it with --instance."],
  SLUICE_WORKER_START: ["A worker did not become ready.", "See the log lines before this one."],
  SLUICE_COUNTER_MEMORY: [
    "The memory of counters has no room for a service.",
    "Run a part of the services by another --instance; what services that are gone took has been given back already.",
  ],
  SLUICE_GEO_UNREADABLE: [
    "The database of places cannot be read any more.",
    "Put a whole one in its place and say sluice reload; until then workers that start go by networks alone.",
  ],
  SLUICE_WORKER_DIED: ["A worker died; its own connections are lost.", "Report it, with the log."],
  SLUICE_INTERNAL: ["Something that must not happen did.", "Report it, with the log."],
  // kernel data plane
  SLUICE_BPF_LOAD: ["The kernel refused a program.", "Run sluice doctor."],
  SLUICE_BPF_ATTACH: ["A program cannot be attached to an interface.", "Run sluice doctor; see who holds the hook."],
  SLUICE_BPF_MEMORY: [
    "The kernel has no memory for a map or program.",
    "Free memory, or raise the limit of the control group.",
  ],
  SLUICE_FAST_PATH: [
    "What answers in the kernel for a method failed; its workers answer alone.",
    "See the log for what failed, mend it, and reload: that is a new try.",
  ],
  SLUICE_LAYOUT: [
    "What a former version keeps in the kernel cannot be taken over.",
    "Flows of slots under change may go to another backend; upgrade when all slots are settled.",
  ],
  SLUICE_DEVICE_GONE: ["An interface that a service needs is not there.", "Bring it back; it is taken up by itself."],
  SLUICE_NO_ROUTE: ["There is no route to a backend.", "Check the director's routes."],
  SLUICE_FLOWS_FULL: [
    "A flow found no room in the flow table; the service's slots stay open for longer.",
    "See sluice flows: who opens so many?",
  ],
  SLUICE_NFT: ["nftables refused a rule set.", "Run sluice doctor."],
  SLUICE_NEIGHBOUR: ["A backend's link address cannot be found.", "Check the network between director and backend."],
  SLUICE_CAPTURE: [
    "A file of watched packets could not be written to its end.",
    "Make room, or name a file elsewhere; what is in it can be read.",
  ],
  SLUICE_PASS_TAGS: [
    "A frame with two VLAN tags, or an 802.1ad one, was passed on unread: the data plane serves one 802.1Q tag.",
    "Take the outer tag off before the director, on the switch port or by the card.",
  ],
  SLUICE_DROP_NO_BACKEND: ["A packet was dropped: its service has no eligible backend.", "See sluice status."],
  SLUICE_DROP_NO_NEIGHBOUR: ["A packet was dropped: the next hop's link address is unknown.", "See sluice status."],
  SLUICE_DROP_FRAGMENT: ["A later fragment was dropped: its first part was not seen.", "Lower the sender's MTU."],
  SLUICE_DROP_TOO_BIG: [
    "A packet was dropped: it does not fit the way to its backend, with what is put around it.",
    "Use advmss or a larger MTU.",
  ],
  SLUICE_DROP_TABLE_FULL: ["A packet was dropped: no room to remember its flow.", "Raise the table's size."],
  SLUICE_DROP_MALFORMED: ["A packet for a VIP was dropped: it is malformed.", "See who sends it."],
  SLUICE_DROP_TTL: ["A packet was dropped: it may not travel further.", "Look for a routing loop, or a traceroute."],
  SLUICE_DROP_CHECK_RETURNED: ["A check came back: the real server forwarded it.", "Give the VIP to the real server."],
  SLUICE_DROP_BLOCKED: ["A packet was dropped: its sender is on a list of blocked networks.", "See guard: block."],
  SLUICE_DROP_SOURCE_PACKETS: [
    "A packet was dropped: its sender sends more than the service allows.",
    "See limits: packetsPerSource.",
  ],
  SLUICE_DROP_SOURCE_CONNECTIONS: [
    "A SYN was dropped: its sender opens more connections than the service allows.",
    "See limits: connectionsPerSource.",
  ],
  SLUICE_DROP_CONNECTIONS: [
    "A SYN was dropped: the service takes no more new connections in this moment.",
    "See limits: connections.",
  ],
  SLUICE_DROP_UNPROVEN: [
    "A SYN was held up: its sender has to prove first that it is there.",
    "A flood, or limits: connections is too low.",
  ],
  SLUICE_DROP_PROOF: ["A reset ended here: it proved its sender.", ""],
  SLUICE_DROP_ERROR_RATE: [
    "A packet that was too big or may not travel further was dropped, and its sender not told: too many were in this moment.",
    "Look for a flood or a loop; lower MSS (advmss) where packets do not fit.",
  ],
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
  SLUICE_FOLLOWED: [
    "The service behind a backend has an eligible backend again, or none any more.",
    "See that service.",
  ],
  SLUICE_AGENT: ["A backend's agent changed a state.", "See what the backend says of itself."],
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
  SLUICE_HTTP_CLIENT_LIMIT: ["A client holds too many connections.", "Raise the limit if the client is right."],
  SLUICE_UDP_SESSIONS: [
    "A worker holds as many UDP sessions as it may.",
    "Raise proxy: udp: sessions, or see who sends.",
  ],
  SLUICE_HTTP_CLIENT_ABORT: ["The client left before the response was whole.", ""],
  SLUICE_NO_BACKEND: ["No backend is eligible.", "See sluice status."],
  SLUICE_NO_FILE: ["No backend has the file that is asked for.", "Give redirect: mirrors a fallback that has all."],
  SLUICE_FILE_UNKNOWN: ["No backend has said in time whether it has the file.", "Raise redirect: mirrors: wait."],
  SLUICE_BACKEND_CONNECT: ["The backend refused the connection.", "Is the server running?"],
  SLUICE_BACKEND_CONNECT_TIMEOUT: ["The backend did not accept in time.", "Is the server overloaded?"],
  SLUICE_BACKEND_TIMEOUT: ["The backend did not answer in time.", "See the server's log."],
  SLUICE_BACKEND_CLOSED: ["The backend closed before its answer was whole.", "See the server's log."],
  SLUICE_BACKEND_STATUS: ["The backend answered with a 5xx status.", "See the server's log."],
  SLUICE_BACKEND_EJECTED: [
    "A backend that failed too often gets no work for a while.",
    "See its errors in sluice status.",
  ],
  SLUICE_QUEUE_FULL: ["All backends are at their limit and too many wait.", "Add backends, or raise the limits."],
  SLUICE_QUEUE_TIMEOUT: ["No backend became free in time.", "Add backends, or raise the limits."],
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
  SLUICE_DNS_BADCOOKIE: ["A query has no valid server cookie, which the configuration requires.", ""],
  SLUICE_DNS_LIMITED: ["A query was not answered: its network gets too many answers.", "See dns: rateLimit."],
  SLUICE_DNS_UNSIGNED: [
    "A query was sent to TCP or refused: too many signatures are asked for at once.",
    "Somebody asks for names that do not exist. See dns: dnssec: signatures.",
  ],
  SLUICE_DNS_BADTSIG: [
    "A query was signed with a wrong key, a wrong MAC or at a wrong time.",
    "See dns: tsigKeys, and the clocks.",
  ],
  SLUICE_DNS_KEYS: ["The keys of a signed zone cannot be used.", "See who may read and write dns: dnssec: keys."],
  SLUICE_DNS_XDP_ANSWERED: ["A query was answered in the kernel.", ""],
  SLUICE_DNS_XDP_PACKET: ["A query was passed to the workers: a fragment, IP options, or a doubtful source.", ""],
  SLUICE_DNS_XDP_MESSAGE: ["A query was passed to the workers: its message is not the plain kind.", ""],
  SLUICE_DNS_XDP_EDNS: ["A query was passed to the workers: an EDNS option decides the answer.", ""],
  SLUICE_DNS_XDP_NAME: [
    "A query was passed to the workers: its name is not held in the kernel.",
    "Aliases and delegations are the workers'.",
  ],
  SLUICE_DNS_XDP_TYPE: ["A query was passed to the workers: its type or class.", ""],
  SLUICE_DNS_XDP_CLIENT: [
    "A query was passed to the workers: its answer hangs on more than a draw and the client's place.",
    "Hashes of clients, schedulers by load, and what is answered when nobody is eligible are the workers'.",
  ],
  SLUICE_DNS_XDP_SIZE: ["A query was passed to the workers: its answer does not fit.", ""],
  SLUICE_DNS_XDP_STALE: [
    "A query was passed to the workers: the daemon gives no sign of life.",
    "See whether it runs and has time to.",
  ],
  SLUICE_DNS_TRUNCATED: [
    "An answer did not fit UDP: the client was sent to TCP.",
    "Answer with fewer addresses: dns: answers.",
  ],
} as const satisfies Record<string, readonly [sentence: string, hint: string]>;

export type Code = keyof typeof codes;
