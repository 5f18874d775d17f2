/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The table of what arrives: VIPs, ways back, known addresses. Open addressing, two copies, one word says which is read. */
#pragma once
#include "parse.h"

/* Port, protocol and kind, as they stand in an entry. */
static __always_inline __u32 rest_of(__u16 port, __u8 protocol, __u8 kind)
{
	return port | (__u32)protocol << 16 | (__u32)kind << 24;
}

/* The same in src/dataplane/arrivals.ts; a test compares the two through the program itself. */
static __always_inline __u32 arrival_hash(__u32 seed0, __u32 seed1, const struct address *address, __u16 port,
					  __u8 protocol, __u8 kind)
{
	__u32 h = seed0 ^ (__u32)(address->low >> 32);

	if (address->high)
		h ^= (__u32)address->low * 0x9e3779b1 ^ (__u32)(address->high >> 32) * 0x85ebca77 ^
		     (__u32)address->high * 0xc2b2ae3d;
	h *= 0x85ebca6b;
	h ^= h >> 15;
	h += ((__u32)port << 16 | (__u32)protocol << 8 | kind) ^ seed1;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h;
}

static __always_inline int is_arrival(const struct arrival *arrival, const struct address *address, __u16 port,
				      __u8 protocol, __u8 kind)
{
	/* One load for three fields. */
	return same_address(&arrival->address, address) &&
	       *(const __u32 *)&arrival->port == rest_of(port, protocol, kind);
}

/* Few keys lie beyond their first place: this is not worth being everywhere. The place of the entry + 1, or 0. */
static __noinline __u32 find_further(const struct address *address, __u32 rest, __u32 hash, __u32 copy)
{
	if (!address)
		return 0;
#pragma unroll
	for (int i = 1; i < ARRIVAL_PROBES; i++) {
		__u32 index = copy + ((hash + i) & (ARRIVALS - 1));
		struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);
		if (!arrival || arrival->kind == ARRIVAL_EMPTY)
			return 0;
		if (is_arrival(arrival, address, rest >> 16, rest >> 8, rest))
			return index + 1;
	}
	return 0;
}

/* The hash of a key in the copy that is read, and where that copy begins. */
static __always_inline __u32 place_of(const struct address *address, __u16 port, __u8 protocol, __u8 kind, __u32 *copy)
{
	__u32 second = control.arrivals_active & 1;
	const __u32 *seed = control.arrivals_seed + 2 * second;

	*copy = second ? ARRIVALS : 0;
	return arrival_hash(seed[0], seed[1], address, port, protocol, kind);
}

/* Only when it lies in its first place, as almost all keys do. */
static __always_inline struct arrival *first_arrival(const struct address *address, __u16 port, __u8 protocol, __u8 kind)
{
	__u32 copy, hash = place_of(address, port, protocol, kind, &copy), index = copy + (hash & (ARRIVALS - 1));
	struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);

	return arrival && is_arrival(arrival, address, port, protocol, kind) ? arrival : 0;
}

static __always_inline struct arrival *find_arrival(const struct address *address, __u16 port, __u8 protocol, __u8 kind)
{
	__u32 copy, hash = place_of(address, port, protocol, kind, &copy), index = copy + (hash & (ARRIVALS - 1));
	struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);

	if (!arrival || arrival->kind == ARRIVAL_EMPTY)
		return 0;
	if (is_arrival(arrival, address, port, protocol, kind))
		return arrival;
	index = find_further(address, (__u32)port << 16 | (__u32)protocol << 8 | kind, hash, copy);
	if (index-- == 0)
		return 0;
	return bpf_map_lookup_elem(&arrivals, &index);
}

/* The range of ports that holds this one; the place of its entry + 1, or 0. `kind`: which of the two kinds of range. */
__noinline __u32 find_range(const struct address *address, __u32 port, __u32 protocol, __u32 kind)
{
	if (!address || !(control.flags & CONTROL_RANGES))
		return 0;
	for (__u32 i = 0; i < RANGES; i++) {
		__u16 key = bpf_htons(i);
		__u32 copy, hash = place_of(address, key, protocol, kind, &copy), index = copy + (hash & (ARRIVALS - 1));
		struct arrival *arrival = bpf_map_lookup_elem(&arrivals, &index);
		if (!arrival || arrival->kind == ARRIVAL_EMPTY)
			return 0;
		if (!is_arrival(arrival, address, key, protocol, kind)) {
			index = find_further(address, (__u32)key << 16 | protocol << 8 | kind, hash, copy);
			if (index-- == 0)
				return 0;
			arrival = bpf_map_lookup_elem(&arrivals, &index);
			if (!arrival)
				return 0;
		}
		if (port >= arrival->ports >> 16 && port <= (arrival->ports & 0xffff))
			return index + 1;
	}
	return 0;
}

/* Whom this address and port serve: one port before a range, a range before all ports. */
static __always_inline struct arrival *find_vip(const struct address *address, __u16 port,
						__u8 protocol)
{
	struct arrival *arrival = find_arrival(address, port, protocol, ARRIVAL_VIP);

	if (arrival || !(control.flags & CONTROL_RANGES))
		return arrival;
	__u32 index = find_range(address, bpf_ntohs(port), protocol, ARRIVAL_RANGE);
	if (index-- == 0)
		return 0;
	return bpf_map_lookup_elem(&arrivals, &index);
}
