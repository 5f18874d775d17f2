// Generated from the object's BTF by src/dataplane/build.ts. Not edited by hand.
// Structs: size and byte offsets of the fields. Numbers: the enums of bpf/limits.h.

export const dnsEndpoint = {
  size: 24,
  high: 0,
  low: 8,
  port: 16,
} as const;

export const dnsLevel = {
  size: 24,
  mask: 0,
  interval: 16,
  burst: 20,
} as const;

export const dnsControl = {
  size: 672,
  freshUntil: 0,
  slotMask: 8,
  seed: 12,
  endpointCount: 16,
  flags: 20,
  counters: 24,
  fixed: 28,
  udpSize: 32,
  slip: 36,
  secret: 40,
  levels: 48,
  endpoints: 288,
} as const;

export const dnsSlot = {
  size: 16,
  tag: 0,
  node: 4,
  set: 8,
  counter: 12,
} as const;

export const dnsNode = {
  size: 24,
  length: 0,
  flags: 1,
  zone: 2,
  kinds: 3,
  set: 4,
  nodata: 8,
  nxdomain: 12,
  wildcard: 16,
} as const;

export const dnsKind = {
  size: 8,
  type: 0,
  ready: 4,
} as const;

export const dnsSet = {
  size: 16,
  v4: 0,
  v6: 4,
  counter: 8,
} as const;

export const dnsBlock = {
  size: 8,
  shown: 0,
  count: 1,
  steps: 2,
  ttl: 4,
} as const;

export const dnsFirst = {
  size: 6,
  keep: 0,
  other: 2,
  counter: 4,
} as const;

export const dnsTree = {
  size: 8,
  none: 0,
  rows: 2,
} as const;

export const dnsDraw = {
  size: 8,
  parts: 0,
} as const;

export const dnsPart = {
  size: 8,
  keep: 0,
  other: 4,
  at: 6,
} as const;

export const dnsStride = {
  size: 64,
  entry: 0,
} as const;

export const dnsReady = {
  size: 40,
  bytes: 0,
  sum: 2,
  rcode: 4,
  authoritative: 5,
  pointers: 6,
  counts: 8,
  pointer: 16,
} as const;

export const DnsLimit = {
  DNS_WORDS: 32,
  DNS_PROBES: 8,
  DNS_DEPTH: 8,
  DNS_PAGE: 81920,
  DNS_PAGE_MASK: 65528,
  DNS_PAGE_SHIFT: 13,
  DNS_SET_ADDRESSES: 255,
  DNS_SET_MOST: 6128,
  DNS_TREE_MOST: 8192,
  DNS_TREE_ROWS: 1024,
  DNS_BODY_MOST: 1000,
  DNS_BODY_ROOM: 1024,
  DNS_SHOWN_MOST: 62,
  DNS_MESSAGE_MOST: 512,
  DNS_ENDPOINTS: 16,
  DNS_POINTERS: 6,
  DNS_DEVICES: 4096,
  DNS_OPTIONS: 4,
  DNS_PATIENCE: 10,
  DNS_KINDS: 8,
  DNS_SUBNET_MOST: 20,
  DNS_STRIDES: 32,
  DNS_LEAF: 1073741824,
  DNS_ROOT_PLACES: 0,
  DNS_ROOT_EXCEPT: 2,
  DNS_LEVELS: 5,
  DNS_BUCKETS: 131072,
} as const;

export const DnsCount = {
  DNS_COUNT_SERVICE: 0,
  DNS_COUNT_ZONE: 1,
  DNS_COUNT_NXDOMAIN: 2,
  DNS_COUNT_PACKET: 3,
  DNS_COUNT_MESSAGE: 4,
  DNS_COUNT_EDNS: 5,
  DNS_COUNT_NAME: 6,
  DNS_COUNT_TYPE: 7,
  DNS_COUNT_CLIENT: 8,
  DNS_COUNT_SIZE: 9,
  DNS_COUNT_STALE: 10,
  DNS_COUNT_LIMITED: 11,
  DNS_COUNTS: 16,
} as const;

export const DnsFlag = {
  DNS_FLAG_NSID: 1,
  DNS_FLAG_SUBNET: 2,
  DNS_FLAG_EXCEPT: 4,
} as const;

export const DnsNode = {
  DNS_NODE_PASS: 1,
  DNS_NODE_OPEN: 2,
  DNS_NODE_SIGNED: 4,
} as const;

export const DnsSet = {
  DNS_SET_NONE: 0,
  DNS_SET_PASS: 2147483647,
} as const;

export const DnsPart = {
  DNS_PART_PLACE: 1,
  DNS_PART_PASS: 2,
} as const;
