/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Every size and number that kernel and control agree on. Enums, not macros: they reach TypeScript through the object's
 * BTF (generated/), so nothing is typed twice. */
#pragma once

enum sluice_limit {
	/* services; two tables of 72 KiB each, made when they are needed. */
	MAX_SERVICES = 1024,
	/* services whose tables are made together: 2.3 MiB. */
	CHUNK_SERVICES = 16,
	/* so many times that make MAX_SERVICES: sets of tables. */
	CHUNKS = 64,
	/* backends of one service, by its own numbering; 8 KiB of each table. */
	MAX_LOCAL = 2048,
	/* slots of one service; the default 16,381 is the largest prime below. */
	MAX_SLOTS = 16384,
	/* backends of all services, numbered over the plane; 64 B each: 8 MiB. */
	MAX_BACKENDS = 131072,
	/* next hops; 32 B each. One per gateway or on-link host, and a spare for each while it changes. */
	MAX_HOPS = 16384,
	/* entries of one copy of the arrival table (VIPs, ways back, known addresses); 64 B each, two copies: 8 MiB. */
	ARRIVALS = 65536,
	/* entries looked at before a lookup gives up; control picks a seed under which every key lies within. */
	ARRIVAL_PROBES = 8,
	/* ranges of ports of one address and protocol: each is one more lookup, for packets that no single port has. */
	RANGES = 16,
	/* 64-byte buckets of the flow table unless set at load: 4 MiB, 262,144 flows of slots that a change has opened. */
	FLOW_BUCKETS = 65536,
	/* flows of one bucket: what fits a cache line beside its lock. */
	FLOW_WAYS = 4,
	/* datagrams whose later fragments may still come; LRU, 8 MiB at most. */
	FRAGMENTS = 65536,
	/* interfaces whose MAC is known, by ifindex; beyond it frames are taken whatever their destination MAC. */
	MAX_DEVICES = 16384,
	/* next hops that nobody has resolved yet, for the supervisor to ask for. */
	WANTED = 256,
	/* senders a real server accepts tunnels from. */
	DECAP_SOURCES = 1024,
	/* 2^30 ns: one tick, 1.07 s. A shift instead of a division. */
	TICK_SHIFT = 30,
	/* seconds without a heartbeat after which cached MACs are no longer trusted. */
	PATIENCE_SECONDS = 10,
	/* the same in jiffies until two heartbeats have told how long one is: 10 s at the commonest 250 Hz. */
	FIRST_PATIENCE = 2500,
	/* hops of the outer header (RFC 1700's default). */
	OUTER_TTL = 64,
	/* UDP port of GUE at real servers (IANA). */
	GUE_PORT = 6080,
	/* "others that may have the flow": begins the private data of a GUE header; the low byte is the layout's version. */
	GUE_OTHERS = 0x5c01,
	/* others that a packet names, besides where it goes. */
	OTHERS = 2,
	/* backends of a slot's order that are kept: where its packet goes, and two others. */
	ORDER = 3,
	/* bits of each in the order's word, three of which fill it: a backend's number + 1, 0 for none. */
	ORDER_BITS = 21,
	/* bytes of the original packet quoted in "fragmentation needed": header with options, and 8 bytes (RFC 792). */
	ICMP_QUOTE = 68,
	/* buckets one run of the sweep looks at: keeps a run well under a millisecond. */
	SWEEP_STEP = 4096,
	/* bytes of a service's name in its map entry, `@PLACE` of its part for a place and the closing NUL included. */
	SERVICE_NAME = 128,
	/* places that clients can be in. */
	MAX_PLACES = 64,
	/* networks of places, both copies together; about 100 B each, when they are there. */
	REGIONS = 1048576,
	/* bits of a network's key before the address: those of the copy. */
	REGION_COPY_BITS = 32,
	/* u64 words of one service's bitmap of busy slots. */
	BUSY_WORDS = 256,
	/* turns of one round of a service that gives new flows to its backends in turn: weights hold to 1 in 4,096. 8 KiB. */
	TURNS = 4096,
	/* backends that are compared for one new flow; where there are more, those from a rotating start on. */
	COMPARED = 256,
	/* life (enum sluice_life) of remembered TCP that is not yet answered: 60 ticks, time for six retries (RFC 6298). */
	LIFE_TENTATIVE = 31,
	/* the same of TCP that has ended: 60 ticks, TIME-WAIT. */
	LIFE_CLOSED = 31,
	/* bytes of records that wait for who watches packets: some 1,500 of them. */
	TRACE_RING = 1048576,
	/* most bytes kept of a frame that is watched, as it came and as it left. */
	TRACE_BYTES = 256,
	/* terms of one filter. */
	TRACE_TERMS = 16,
	/* "no service" and "no backend" in a record: beyond all numbers. */
	TRACE_NOBODY = 0xffff,
	/* "no reason" likewise. */
	TRACE_NO_REASON = 0xff,
	/* networks on the lists of the guard, of all kinds together; made only as they are used. */
	LIST_ENTRIES = 131072,
	/* buckets of sources; 8 B each: 8 MiB, once some service has limits. */
	SOURCES = 1048576,
	/* addresses that have proved themselves; 8 B each: 512 KiB. */
	PROOFS = 65536,
	/* ticks that a proof holds: five minutes. */
	PROOF_TICKS = 280,
	/* ticks of an epoch of challenges, as a power of two: an answer may take one to two of them, 34 to 69 s. */
	EPOCH_SHIFT = 5,
	/* 2^6 ns: the unit of rates. */
	RATE_SHIFT = 6,
	/* units of rates in a second. */
	RATE_SECOND = 15625000,
	/* "its hops were used up" in a second and CPU: more than a traceroute needs, and what Linux long allowed itself
	 * (icmp_msgs_per_sec). Whoever forges a source has no more than this sent there (RFC 4443, 2.4(f); RFC 1812, 4.3.2.8). */
	EXPIRED_RATE = 1000,
	/* the same at once (icmp_msgs_burst). */
	EXPIRED_BURST = 50,
	/* "too big" in a second and CPU. Each new client whose packets do not fit waits for one, and it is shorter than what it
	 * answers. */
	TOO_BIG_RATE = 10000,
	/* the same at once: as many clients as begin together. */
	TOO_BIG_BURST = 500,
};

/* ICMP errors that are made here; each kind has a bucket of its own, so that no traceroute holds up path MTU discovery. */
enum sluice_icmp_error {
	ERROR_EXPIRED = 0,
	ERROR_TOO_BIG = 1,
	ERRORS = 2,
};

/* What the lists say of a network. */
enum sluice_list {
	LIST_ALLOWED = 1,
	LIST_BLOCKED = 2,
};

/* What a term of a trace's filter looks at. */
enum sluice_trace_term {
	TRACE_PROTOCOL = 0,
	TRACE_SOURCE = 1,
	TRACE_TARGET = 2,
	TRACE_HOST = 3,
	TRACE_SOURCE_PORT = 4,
	TRACE_TARGET_PORT = 5,
	TRACE_PORT = 6,
	TRACE_SERVICE = 7,
	TRACE_VERDICT = 8,
	TRACE_REASON = 9,
	TRACE_ERROR = 10,
};

/* What became of a packet that is watched. */
enum sluice_trace_verdict {
	TRACE_PASSED = 0,
	TRACE_DROPPED = 1,
	TRACE_FORWARDED = 2,
	/* An answer of ours goes back in its place. */
	TRACE_ANSWERED = 3,
	/* A real server without the flow's socket sends it on to the next one that may have it. */
	TRACE_SECOND_CHANCE = 4,
};

/* Tail-call places of the entry program, in the order in which they are asked. */
enum sluice_place {
	PLACE_GUARD = 0,
	PLACE_DNS = 1,
	PLACE_BALANCE = 2,
	PLACE_DECAP = 3,
	PLACE_CHAIN = 4,
	PLACES = 5,
};

/* How a service's packets reach its backends; the value stands in each backend entry. */
enum sluice_forward {
	FORWARD_NONE = 0,
	FORWARD_DIRECT = 1,
	FORWARD_TUNNEL = 2,
	FORWARD_NAT = 3,
};

/* A slot's word: current:12 | base:12 << 12 | phase << 24. Backends by the service's own numbering. In a table it has two
 * parts, the brief byte and the wide 24 bits below the phase. Of a settled slot the byte is its backend's number, as far as
 * that is below SLOT_WIDE, so that almost every packet reads a table of 16 KiB, which a first-level cache holds; else the
 * byte is SLOT_WIDE + the phase, and the wide part says who. */
enum sluice_slot {
	SLOT_BITS = 12,
	SLOT_MASK = 0xfff,
	/* "no backend" in a slot. */
	SLOT_NONE = 0xfff,
	SLOT_WIDE = 0xfd,
	/* bytes of a wide part, low one first */
	SLOT_WIDE_BYTES = 3,
	PHASE_SHIFT = 24,
	PHASE_SETTLED = 0,
	PHASE_WINDOW = 1,
	PHASE_SPARSE = 2,
};

/* State of a backend as its service's table tells it: local entry = number:24 | state:8 << 24. */
enum sluice_state {
	STATE_EMPTY = 0,
	STATE_UP = 1,
	STATE_DRAINING = 2,
	STATE_DOWN = 3,
	/* Forced out: its entries are dead. */
	STATE_GONE = 4,
	STATE_SHIFT = 24,
	STATE_NUMBER_MASK = 0xffffff,
};

/* What a service's number stands for. */
enum sluice_used {
	USED_NOT = 0,
	USED_PLAIN = 1,
	/* It has others behind it, one for each place of clients; its own backends are for those in no place. */
	USED_BY_PLACE = 2,
};

enum sluice_service_flag {
	/* Slots are chosen by the client's address alone. */
	SERVICE_BY_SOURCE = 1,
	/* UDP of one packet each way (DNS): no flow is remembered. */
	SERVICE_ONE_SHOT = 2,
	/* Every flow has a cell; slots are for those that found no room. Its slots are never settled in the kernel's table. */
	SERVICE_REMEMBERS = 4,
	/* QUIC: the backend's server ID stands in connection IDs. */
	SERVICE_QUIC = 8,
};

/* Who gets a new flow of a service that remembers: `kernelId` of a scheduler. */
enum sluice_choice {
	/* The slot of its hash. */
	CHOICE_SLOT = 0,
	/* The next turn. */
	CHOICE_TURN = 1,
	/* Fewest open flows for its weight; among equals whose turn it is. */
	CHOICE_LEAST = 2,
};

/* How long a silent cell lives, in one byte: COUNTED, then 7 bits of a number of ticks. Below 8 they are the number, else
 * 8 + the low 3 bits, shifted by one less than the other 4: at most an eighth more than asked for. */
enum sluice_life {
	LIFE_BITS = 0x7f,
	/* The cell stands in its backend's count of open flows. */
	LIFE_COUNTED = 0x80,
};

enum sluice_control_flag {
	/* Some service translates addresses: look for the way back. */
	CONTROL_REVERSE = 1,
	/* Answers to checks go into the check namespace. */
	CONTROL_CHECKS = 2,
	/* Some VIP has a range of ports. */
	CONTROL_RANGES = 4,
	/* Flow cells are being copied for a program of another layout: nobody gets one. */
	CONTROL_FROZEN = 8,
};

enum sluice_arrival {
	ARRIVAL_EMPTY = 0,
	/* Key: VIP, port, protocol. */
	ARRIVAL_VIP = 1,
	/* Key: a backend's address, port, protocol; holds the VIP that its replies must come from. */
	ARRIVAL_REVERSE = 2,
	/* Key: an address that is a VIP and nothing else: its stray fragments belong to nobody. */
	ARRIVAL_ADDRESS = 3,
	/* Key: VIP, a number from 0 on instead of a port, protocol: the address's ranges of ports, narrow ones first. */
	ARRIVAL_RANGE = 4,
	/* Key: a backend's address, a number, protocol: ports from which its replies keep their port and come from the VIP. */
	ARRIVAL_REVERSE_RANGE = 5,
	/* Key: ff71:0:SERVICE::SERVER-ID, UDP: which of the service's backends has this server ID in its connection IDs. */
	ARRIVAL_QUIC = 6,
};

/* A flow cell's second half: backend + 1 in 13 bits (0: empty), then flags. */
enum sluice_cell {
	CELL_BACKEND = 0x1fff,
	CELL_TENTATIVE = 0x2000,
	CELL_CLOSED = 0x4000,
	CELL_UDP = 0x8000,
};

/* What a remembered first fragment tells of the later ones. */
enum sluice_fragment {
	FRAGMENT_FORWARD = 0,
	FRAGMENT_REVERSE = 1,
	FRAGMENT_PASS = 2,
};

/* Reasons of a drop; control finds the code by putting SLUICE_ before the name. */
enum sluice_drop {
	DROP_NO_BACKEND = 0,
	DROP_NO_NEIGHBOUR = 1,
	DROP_FRAGMENT = 2,
	DROP_TOO_BIG = 3,
	DROP_TABLE_FULL = 4,
	DROP_MALFORMED = 5,
	DROP_TTL = 6,
	DROP_CHECK_RETURNED = 7,
	DROP_BLOCKED = 8,
	DROP_SOURCE_PACKETS = 9,
	DROP_SOURCE_CONNECTIONS = 10,
	DROP_CONNECTIONS = 11,
	DROP_UNPROVEN = 12,
	DROP_PROOF = 13,
	DROP_ERROR_RATE = 14,
	/* a power of two: the verifier can follow a mask */
	DROP_REASONS = 16,
};
