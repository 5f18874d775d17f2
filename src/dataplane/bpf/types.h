/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Keys and values of the maps. An address is always 16 bytes in network order, IPv4 mapped (::ffff:a.b.c.d). */
#pragma once
#include <linux/bpf.h>
#include "limits.h"

/* Two halves: comparing costs two instructions. */
struct address {
	__u64 high; /* 0 of every IPv4 address */
	__u64 low;
};

/* A token bucket's measure, in units of 2^RATE_SHIFT ns. */
struct rate {
	__u32 interval; /* from one to the next; 0: no limit, or that of the source text */
	__u32 burst; /* how far ahead of its time one may be: 0 for a bucket of one */
};

/* One per plane: what all programs read. */
struct control {
	__u32 arrivals_active; /* which copy of the arrival table is read: 0 or 1 */
	__u32 arrivals_seed[4]; /* two words for each copy */
	__u32 flags; /* sluice_control_flag */
	__u32 heartbeat; /* jiffies at the supervisor's last sign of life, low half */
	__u32 patience; /* jiffies without one after which cached MACs are no longer trusted */
	__u64 heartbeat_ns; /* coarse clock at that sign: two of them tell how long a jiffy is */
	__u32 flow_mask; /* buckets - 1 */
	__u32 tracing; /* 1: somebody watches packets; asked for every packet, so in the first cache line */
	__u32 check_low; /* source ports of checks, host order, inclusive */
	__u32 check_high;
	__u32 check_ifindex; /* the director's end of the check veth */
	__u8 check_inner_mac[6];
	__u8 check_outer_mac[6];
	__u32 region_copy; /* which copy of the regions, and of whose services they have, is read: 0 or 1 */
	struct rate errors[ERRORS]; /* by sluice_icmp_error, of each CPU; interval 0: that of limits.h */
};

struct arrival {
	struct address address;
	__u16 port; /* network order */
	__u8 protocol;
	__u8 kind; /* sluice_arrival */
	__u32 service;
	__u32 backend; /* ARRIVAL_REVERSE and its range */
	__u16 vip_port; /* ARRIVAL_REVERSE, network order */
	__u16 spare0;
	struct address vip; /* ARRIVAL_REVERSE and its range */
	__u32 ports; /* of a range, host order, inclusive: first << 16 | last */
	__u32 local; /* ARRIVAL_QUIC: the backend's number in its service */
	__u64 seed; /* ARRIVAL_VIP: the service's own, found one look-up earlier */
};

/* 256 bytes: what every packet needs is one cache line, that before the name. */
struct service {
	__u32 table; /* which table of its chunk is read: its first one or the next */
	__u32 used; /* sluice_used */
	__u32 flags; /* sluice_service_flag */
	__u32 slots; /* never changes in a live service */
	__u64 seed; /* of the flow hash; never changes in a live service */
	__u32 tcp_life; /* idle time-out of a flow: LIFE_BITS of sluice_life */
	__u32 udp_life;
	__u32 last_full; /* tick at which a flow last found no room */
	__u32 forward; /* sluice_forward */
	__u32 choice; /* sluice_choice */
	__u32 no_room; /* flows that SERVICE_REMEMBERS could not remember, and that went by their slot */
	__u32 chunk; /* where its tables are: its number / CHUNK_SERVICES */
	__u32 spare[3];
	__u8 name[SERVICE_NAME];
	/* SERVICE_BY_SOURCE: which bits of a client's address choose its slot, by family. */
	struct address source_mask4;
	struct address source_mask6;
	__u32 spare1[8];
};

/* Two per service, number 2 * service + copy. Only the copy that nobody reads is written, before one word puts it in force:
 * no packet sees a slot's two parts disagree, nor one slot of before beside another of after. */
struct table {
	__u32 generation;
	__u32 spare[15];
	__u32 backends[MAX_LOCAL]; /* number:24 | sluice_state:8 << 24 */
	__u8 brief[MAX_SLOTS]; /* sluice_slot */
	__u8 wide[SLOT_WIDE_BYTES * MAX_SLOTS];
};

/* Immutable once a table names it, but for next_hop: one word, so no MAC is ever torn. */
struct backend {
	struct address address;
	struct address source; /* the director's own address towards it: outer source of tunnels */
	__u32 next_hop;
	__u32 service;
	__u16 port; /* network order; 0: the packet's stays */
	__u8 forward; /* sluice_forward */
	__u8 used;
	__u32 local; /* its number in its service */
	__u16 gue_port; /* tunnel: UDP port of GUE, network order; 0: bare IP in IP */
	__u16 others; /* tunnel: 1: packets in GUE name who else may have their flow */
	__u32 spare;
	/* tunnel, IPv4 outside: source network | mask of its host bits << 32, network order; 0: `source` is the one address. One
	 * word: never half of a changed network. */
	__u64 outer_network;
};

/* Of a service whose packets name others: each slot's first ORDER backends of all, eligible or not, those that live first.
 * ORDER_BITS each, the first one lowest. */
struct slot_orders {
	__u64 slot[MAX_SLOTS];
};

/* Immutable while a backend names it. ifindex 0: not resolved. */
struct next_hop {
	__u32 ifindex;
	__u32 mtu; /* bytes of the largest IP packet that the way carries whole */
	__u8 target[6]; /* both MACs as they stand in a frame: one copy of 12 bytes */
	__u8 source[6];
	__u32 vlan; /* 802.1Q identifier of the frames; 0: untagged */
	__u32 link_mtu; /* bytes of the largest that the link carries: a router further on may part it, where IPv4 lets it */
	__u32 spare;
} __attribute__((aligned(8))); /* MACs are copied by one long load and one short one */

/* 64 bytes: one cache line. `seen` in ticks, low 16 bits. */
struct flow_bucket {
	struct bpf_spin_lock lock;
	__u32 tag[FLOW_WAYS];
	__u16 service[FLOW_WAYS];
	__u16 slot[FLOW_WAYS];
	__u16 cell[FLOW_WAYS]; /* sluice_cell */
	__u16 isn[FLOW_WAYS]; /* high half of the initial sequence number + 1 */
	__u16 seen[FLOW_WAYS];
	__u8 life[FLOW_WAYS]; /* sluice_life: of a cell of another service only this tells when it is dead */
};

/* Of a service that remembers, beside each of its two tables. */
struct turns {
	__u32 cursor;
	__u32 count; /* turns of one round; 0: nobody may get new work */
	__u32 top; /* local numbers are below it */
	__u32 spare[5];
	__u16 turn[TURNS]; /* local numbers */
};

/* Of one backend, by the plane's number; written for services that remember alone. */
struct load {
	__u32 open; /* flows that have begun and not ended */
	__u32 weight; /* 0: gets nothing new */
	__u64 begun; /* flows, ever */
};

struct fragment_key {
	struct address source;
	struct address target;
	__u32 id; /* network order; 16 bits in IPv4 */
	__u32 protocol;
};

struct fragment {
	__u32 kind; /* sluice_fragment */
	__u32 backend;
	struct address vip; /* FRAGMENT_REVERSE */
};

/* Frames, Ethernet header included. */
struct backend_count {
	__u64 packets_in;
	__u64 bytes_in;
	__u64 packets_out;
	__u64 bytes_out;
};

struct drop_count {
	__u64 reason[DROP_REASONS];
};

struct device {
	__u8 mac[6];
	__u16 known;
	__u32 parent; /* of a VLAN device: the interface that carries its frames; 0: none */
	__u32 vlan; /* its 802.1Q identifier */
};

struct wanted_key {
	struct address address;
	__u32 ifindex;
	__u32 spare;
};

struct busy {
	__u64 word[BUSY_WORDS];
};

/* A network of clients; `length` in bits of all that follows it. */
struct region_key {
	__u32 length;
	__u32 copy;
	struct address client;
};

/* Of a service by place, in one copy of the regions: number of each place's service + 1; 0: it has none of its own. */
struct place_services {
	__u32 service[MAX_PLACES];
};

struct decap_config {
	__u32 any_source; /* 1: take tunnels from everybody */
	__u32 tracing; /* 1: somebody watches packets */
	__u32 second_chance; /* 1: the program that sends packets on to others is attached */
};

struct decap_count {
	__u64 packets;
	/* not a whole inner packet, an unknown sender, or a mark of congestion that its flow does not know */
	__u64 refused;
	__u64 sent_on; /* to another real server: there was no socket for them here */
	__u64 parted; /* tunnels that came in fragments: the kernel has them */
};

/* What the program `explain` says of a packet. */
struct decision {
	__u32 known; /* 0: it is for no VIP */
	__u32 service;
	__u32 slot;
	__u32 word; /* the slot's */
	__u32 cell; /* the flow's own: sluice_cell flags and backend + 1; 0: none */
	__u32 local; /* chosen, by the service's numbering; SLOT_NONE: nobody */
	__u32 backend; /* number:24 | sluice_state:8 << 24 */
	__u32 named; /* 1: the server ID in its QUIC connection ID has decided */
	__u32 hash; /* of the flow: outer headers differ by it */
	/* What the program `rewrite` says of the same packet. */
	__s32 verdict; /* an XDP action, or a named drop */
	__u32 ifindex; /* out of which interface; 0: the way is not known */
	__u32 vlan; /* 802.1Q identifier there; 0: untagged */
};

/* Of one service. */
struct limits {
	struct rate source_packets;
	struct rate source_connections;
	struct rate connections; /* of all sources */
	__u64 bucket; /* of `connections` */
	__u32 used; /* 1: some limit is set */
	__u32 prove; /* 1: beyond `connections` a source must prove itself, else it is refused */
	__u32 spare[6];
};

/* Of all services. */
struct guard {
	__u32 lists; /* 1: there are some */
	__u32 secret[4]; /* two words of the buckets' hash, two of the challenges' */
	__u32 spare[3];
};

struct list_key {
	__u32 bits; /* of the mapped address: 96 more than an IPv4 prefix says */
	__u8 address[16];
};

/* A filter's term. `address` has no bit outside of `mask`. */
struct trace_term {
	struct address address;
	struct address mask;
	__u16 value; /* port in network order; number of a protocol, service, verdict or reason */
	__u8 kind; /* sluice_trace_term */
	__u8 negated;
	__u8 last; /* ends a clause */
	__u8 spare[3];
};

/* Who watches packets, and which. */
struct trace_order {
	__u32 until; /* tick at which it ends unless renewed: who watches may be killed */
	__u32 owner; /* its process */
	__u32 rate; /* most records in a tick */
	__u32 bytes; /* kept of a frame, at most TRACE_BYTES */
	__u32 tick;
	__u32 count; /* records in this tick */
	__u32 lost; /* beyond the rate, or the ring was full */
	__u32 terms;
	struct trace_term term[TRACE_TERMS];
};

/* A packet that was watched. Addresses and ports as the flow's client sees them: source is the client. */
struct trace_record {
	__u64 time; /* ns since the host's start */
	struct address source;
	struct address target;
	__u16 source_port; /* network order */
	__u16 target_port;
	__u32 ifindex; /* where it came in */
	__u32 backend; /* the plane's number, or TRACE_NOBODY */
	__u16 service; /* or TRACE_NOBODY */
	__u8 place; /* sluice_place */
	__u8 verdict; /* sluice_trace_verdict */
	__u8 reason; /* sluice_drop, or TRACE_NO_REASON */
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_error;
	__u8 part; /* 0: whole, 1: first fragment, 2: later fragment */
	__u8 begun;
	__u16 in_bytes; /* kept of the frame as it came */
	__u16 out_bytes;
	__u16 spare;
	__u32 in_length; /* the frame's own */
	__u32 out_length; /* 0: it did not leave by us */
	__u8 in[TRACE_BYTES];
	__u8 out[TRACE_BYTES];
};

/* What one run of the sweep is told, as its packet's first bytes. */
struct sweep_order {
	__u32 first;
	__u32 count;
	__u32 spare[4];
};
