/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The table of what arrives: VIPs, ways back, known addresses. Open addressing, two copies, one word says which is read. */
#pragma once
#include "parse.h"

/* The same in src/dataplane/arrivals.ts; a test compares the two through the program itself. */
static __always_inline __u32 arrival_hash(__u32 seed0, __u32 seed1, __u32 address, __u16 port, __u8 protocol, __u8 kind)
{
	__u32 h = seed0 ^ address;

	h *= 0x85ebca6b;
	h ^= h >> 15;
	h += ((__u32)port << 16 | (__u32)protocol << 8 | kind) ^ seed1;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h;
}

static __always_inline struct arrival *find_arrival(const struct control *control, __u32 address, __u16 port,
						    __u8 protocol, __u8 kind)
{
	__u32 second = control->arrivals_active & 1, copy = second ? ARRIVALS : 0;
	__u32 seed0 = second ? control->arrivals_seed[2] : control->arrivals_seed[0];
	__u32 seed1 = second ? control->arrivals_seed[3] : control->arrivals_seed[1];
	__u32 hash = arrival_hash(seed0, seed1, address, port, protocol, kind);

#pragma unroll
	for (int i = 0; i < ARRIVAL_PROBES; i++) {
		__u32 index = copy + ((hash + i) & (ARRIVALS - 1));
		struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);
		if (!arrival || arrival->kind == ARRIVAL_EMPTY)
			return 0;
		if (arrival->address[3] == address && arrival->port == port && arrival->protocol == protocol &&
		    arrival->kind == kind && arrival->address[2] == MAPPED)
			return arrival;
	}
	return 0;
}
