// Generated from the object's BTF by src/dataplane/build.ts. Not edited by hand.
// Structs: size and byte offsets of the fields. Numbers: the enums of bpf/limits.h.

export const control = {
  size: 96,
  arrivalsActive: 0,
  arrivalsSeed: 4,
  flags: 20,
  heartbeat: 24,
  patience: 28,
  heartbeatNs: 32,
  flowMask: 40,
  tracing: 44,
  checkLow: 48,
  checkHigh: 52,
  checkIfindex: 56,
  checkInnerMac: 60,
  checkOuterMac: 66,
  regionCopy: 72,
  errors: 76,
} as const;

export const arrival = {
  size: 64,
  address: 0,
  port: 16,
  protocol: 18,
  kind: 19,
  service: 20,
  backend: 24,
  vipPort: 28,
  vip: 32,
  ports: 48,
  local: 52,
  seed: 56,
} as const;

export const service = {
  size: 256,
  table: 0,
  used: 4,
  flags: 8,
  slots: 12,
  seed: 16,
  tcpLife: 24,
  udpLife: 28,
  lastFull: 32,
  forward: 36,
  choice: 40,
  noRoom: 44,
  chunk: 48,
  name: 64,
  sourceMask4: 192,
  sourceMask6: 208,
} as const;

export const table = {
  size: 73792,
  generation: 0,
  backends: 64,
  brief: 8256,
  wide: 24640,
} as const;

export const backend = {
  size: 64,
  address: 0,
  source: 16,
  nextHop: 32,
  service: 36,
  port: 40,
  forward: 42,
  used: 43,
  local: 44,
  guePort: 48,
  others: 50,
  outerNetwork: 56,
} as const;

export const slotOrders = {
  size: 131072,
  slot: 0,
} as const;

export const nextHop = {
  size: 32,
  ifindex: 0,
  mtu: 4,
  target: 8,
  source: 14,
  vlan: 20,
  linkMtu: 24,
} as const;

export const flowBucket = {
  size: 64,
  lock: 0,
  tag: 4,
  service: 20,
  slot: 28,
  cell: 36,
  isn: 44,
  seen: 52,
  life: 60,
} as const;

export const fragmentKey = {
  size: 40,
  source: 0,
  target: 16,
  id: 32,
  protocol: 36,
} as const;

export const fragment = {
  size: 24,
  kind: 0,
  backend: 4,
  vip: 8,
} as const;

export const backendCount = {
  size: 32,
  packetsIn: 0,
  bytesIn: 8,
  packetsOut: 16,
  bytesOut: 24,
} as const;

export const dropCount = {
  size: 128,
  reason: 0,
} as const;

export const device = {
  size: 16,
  mac: 0,
  known: 6,
  parent: 8,
  vlan: 12,
} as const;

export const wantedKey = {
  size: 24,
  address: 0,
  ifindex: 16,
} as const;

export const busy = {
  size: 2048,
  word: 0,
} as const;

export const decapConfig = {
  size: 12,
  anySource: 0,
  tracing: 4,
  secondChance: 8,
} as const;

export const decapCount = {
  size: 32,
  packets: 0,
  refused: 8,
  sentOn: 16,
  parted: 24,
} as const;

export const sweepOrder = {
  size: 24,
  first: 0,
  count: 4,
} as const;

export const traceOrder = {
  size: 672,
  until: 0,
  owner: 4,
  rate: 8,
  bytes: 12,
  tick: 16,
  count: 20,
  lost: 24,
  terms: 28,
  term: 32,
} as const;

export const traceTerm = {
  size: 40,
  address: 0,
  mask: 16,
  value: 32,
  kind: 34,
  negated: 35,
  last: 36,
} as const;

export const traceRecord = {
  size: 592,
  time: 0,
  source: 8,
  target: 24,
  sourcePort: 40,
  targetPort: 42,
  ifindex: 44,
  backend: 48,
  service: 52,
  place: 54,
  verdict: 55,
  reason: 56,
  protocol: 57,
  tcpFlags: 58,
  icmpError: 59,
  part: 60,
  begun: 61,
  inBytes: 62,
  outBytes: 64,
  inLength: 68,
  outLength: 72,
  in: 76,
  out: 332,
} as const;

export const limits = {
  size: 64,
  sourcePackets: 0,
  sourceConnections: 8,
  connections: 16,
  bucket: 24,
  used: 32,
  prove: 36,
} as const;

export const guard = {
  size: 32,
  lists: 0,
  secret: 4,
} as const;

export const listKey = {
  size: 20,
  bits: 0,
  address: 4,
} as const;

export const decision = {
  size: 48,
  known: 0,
  service: 4,
  slot: 8,
  word: 12,
  cell: 16,
  local: 20,
  backend: 24,
  named: 28,
  hash: 32,
  verdict: 36,
  ifindex: 40,
  vlan: 44,
} as const;

export const turns = {
  size: 8224,
  cursor: 0,
  count: 4,
  top: 8,
  turn: 32,
} as const;

export const load = {
  size: 16,
  open: 0,
  weight: 4,
  begun: 8,
} as const;

export const regionKey = {
  size: 24,
  length: 0,
  copy: 4,
  client: 8,
} as const;

export const placeServices = {
  size: 256,
  service: 0,
} as const;

export const Limit = {
  MAX_SERVICES: 1024,
  CHUNK_SERVICES: 16,
  CHUNKS: 64,
  MAX_LOCAL: 2048,
  MAX_SLOTS: 16384,
  MAX_BACKENDS: 131072,
  MAX_HOPS: 16384,
  ARRIVALS: 65536,
  ARRIVAL_PROBES: 8,
  RANGES: 16,
  FLOW_BUCKETS: 65536,
  FLOW_WAYS: 4,
  FRAGMENTS: 65536,
  MAX_DEVICES: 16384,
  WANTED: 256,
  DECAP_SOURCES: 1024,
  TICK_SHIFT: 30,
  PATIENCE_SECONDS: 10,
  FIRST_PATIENCE: 2500,
  OUTER_TTL: 64,
  GUE_PORT: 6080,
  GUE_OTHERS: 23553,
  OTHERS: 2,
  ORDER: 3,
  ORDER_BITS: 21,
  ICMP_QUOTE: 68,
  SWEEP_STEP: 4096,
  SERVICE_NAME: 128,
  MAX_PLACES: 64,
  REGIONS: 1048576,
  REGION_COPY_BITS: 32,
  BUSY_WORDS: 256,
  TURNS: 4096,
  COMPARED: 256,
  LIFE_TENTATIVE: 31,
  LIFE_CLOSED: 31,
  TRACE_RING: 1048576,
  TRACE_BYTES: 256,
  TRACE_TERMS: 16,
  TRACE_NOBODY: 65535,
  TRACE_NO_REASON: 255,
  LIST_ENTRIES: 131072,
  SOURCES: 1048576,
  PROOFS: 65536,
  PROOF_TICKS: 280,
  EPOCH_SHIFT: 5,
  RATE_SHIFT: 6,
  RATE_SECOND: 15625000,
  EXPIRED_RATE: 1000,
  EXPIRED_BURST: 50,
  TOO_BIG_RATE: 10000,
  TOO_BIG_BURST: 500,
} as const;

export const Place = {
  PLACE_GUARD: 0,
  PLACE_DNS: 1,
  PLACE_BALANCE: 2,
  PLACE_DECAP: 3,
  PLACE_CHAIN: 4,
  PLACES: 5,
} as const;

export const Forward = {
  FORWARD_NONE: 0,
  FORWARD_DIRECT: 1,
  FORWARD_TUNNEL: 2,
  FORWARD_NAT: 3,
} as const;

export const Slot = {
  SLOT_BITS: 12,
  SLOT_MASK: 4095,
  SLOT_NONE: 4095,
  SLOT_WIDE: 253,
  SLOT_WIDE_BYTES: 3,
  PHASE_SHIFT: 24,
  PHASE_SETTLED: 0,
  PHASE_WINDOW: 1,
  PHASE_SPARSE: 2,
} as const;

export const State = {
  STATE_EMPTY: 0,
  STATE_UP: 1,
  STATE_DRAINING: 2,
  STATE_DOWN: 3,
  STATE_GONE: 4,
  STATE_SHIFT: 24,
  STATE_NUMBER_MASK: 16777215,
} as const;

export const ServiceFlag = {
  SERVICE_BY_SOURCE: 1,
  SERVICE_ONE_SHOT: 2,
  SERVICE_REMEMBERS: 4,
  SERVICE_QUIC: 8,
} as const;

export const Used = {
  USED_NOT: 0,
  USED_PLAIN: 1,
  USED_BY_PLACE: 2,
} as const;

export const ControlFlag = {
  CONTROL_REVERSE: 1,
  CONTROL_CHECKS: 2,
  CONTROL_RANGES: 4,
  CONTROL_FROZEN: 8,
} as const;

export const Arrival = {
  ARRIVAL_EMPTY: 0,
  ARRIVAL_VIP: 1,
  ARRIVAL_REVERSE: 2,
  ARRIVAL_ADDRESS: 3,
  ARRIVAL_RANGE: 4,
  ARRIVAL_REVERSE_RANGE: 5,
  ARRIVAL_QUIC: 6,
} as const;

export const Cell = {
  CELL_BACKEND: 8191,
  CELL_TENTATIVE: 8192,
  CELL_CLOSED: 16384,
  CELL_UDP: 32768,
} as const;

export const Choice = {
  CHOICE_SLOT: 0,
  CHOICE_TURN: 1,
  CHOICE_LEAST: 2,
} as const;

export const Life = {
  LIFE_BITS: 127,
  LIFE_COUNTED: 128,
} as const;

export const Fragment = {
  FRAGMENT_FORWARD: 0,
  FRAGMENT_REVERSE: 1,
  FRAGMENT_PASS: 2,
} as const;

export const Drop = {
  DROP_NO_BACKEND: 0,
  DROP_NO_NEIGHBOUR: 1,
  DROP_FRAGMENT: 2,
  DROP_TOO_BIG: 3,
  DROP_TABLE_FULL: 4,
  DROP_MALFORMED: 5,
  DROP_TTL: 6,
  DROP_CHECK_RETURNED: 7,
  DROP_BLOCKED: 8,
  DROP_SOURCE_PACKETS: 9,
  DROP_SOURCE_CONNECTIONS: 10,
  DROP_CONNECTIONS: 11,
  DROP_UNPROVEN: 12,
  DROP_PROOF: 13,
  DROP_ERROR_RATE: 14,
  DROP_REASONS: 16,
} as const;

export const IcmpError = {
  ERROR_EXPIRED: 0,
  ERROR_TOO_BIG: 1,
  ERRORS: 2,
} as const;

export const List = {
  LIST_ALLOWED: 1,
  LIST_BLOCKED: 2,
} as const;

export const TraceTerm = {
  TRACE_PROTOCOL: 0,
  TRACE_SOURCE: 1,
  TRACE_TARGET: 2,
  TRACE_HOST: 3,
  TRACE_SOURCE_PORT: 4,
  TRACE_TARGET_PORT: 5,
  TRACE_PORT: 6,
  TRACE_SERVICE: 7,
  TRACE_VERDICT: 8,
  TRACE_REASON: 9,
  TRACE_ERROR: 10,
} as const;

export const TraceVerdict = {
  TRACE_PASSED: 0,
  TRACE_DROPPED: 1,
  TRACE_FORWARDED: 2,
  TRACE_ANSWERED: 3,
  TRACE_SECOND_CHANCE: 4,
} as const;
