/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The plane's maps. Mappable ones are written by the supervisor as plain memory; single words of them are the switches. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "array.h"
#include "span.h"
#include "types.h"

/* Tables of CHUNK_SERVICES services each. A chunk is put in its place once and stays there. Sizes, no types:
 * kernel 6.1 takes only a chunk that knows its types as this pattern does, and control makes them of sizes. */
struct table_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * CHUNK_SERVICES);
	__uint(map_flags, BPF_F_MMAPABLE);
	/* by size: an object that never looks into a table lacks an inner map's types in its BTF */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct table));
};

/* A chunk by a service's number / CHUNK_SERVICES: only what is in use takes memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, CHUNKS);
	__type(key, __u32);
	__array(values, struct table_chunk);
} tables SEC(".maps");

/* Of the services whose packets name others alone: put in its place when a service first asks, and stays there. */
struct slot_orders_of {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct slot_orders));
};

/* The order of a service by its number, likewise: 128 KiB each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__array(values, struct slot_orders_of);
} orders SEC(".maps");

/* A variable, so that its words stand at known addresses: a map of one element by the name of its section, mappable too. */
struct control control SEC(".data.control_words") = {};
/* VIPs, ways back, known addresses: two copies, since all of a change must come into force at once. 8 MiB. */
ARRAY(arrivals, struct arrival, 2 * ARRIVALS, BPF_F_MMAPABLE);
/* By the plane's number of a service; 256 B each: 256 KiB. */
ARRAY(services, struct service, MAX_SERVICES, BPF_F_MMAPABLE);
/* Rounds of services that remember: number 2 * service + copy, as tables have it. 8 KiB each: 16 MiB. */
ARRAY(turns, struct turns, 2 * MAX_SERVICES, BPF_F_MMAPABLE);
/* By the plane's number of a backend, shared by all CPUs, since fewest must be fewest of all; 16 B each: 2 MiB. */
ARRAY(loads, struct load, MAX_BACKENDS, BPF_F_MMAPABLE);
/* By service, then in the second copy of the regions by MAX_SERVICES + service; 256 B each: 512 KiB. */
ARRAY(near_services, struct place_services, 2 * MAX_SERVICES, BPF_F_MMAPABLE);
/* By the plane's number of a backend; a line of the cache each: 8 MiB. */
ARRAY(backends, struct backend, MAX_BACKENDS, BPF_F_MMAPABLE);
/* By the number that backends name; 32 B each: 512 KiB. */
ARRAY(next_hops, struct next_hop, MAX_HOPS, BPF_F_MMAPABLE);
/* By ifindex; 16 B each: 256 KiB. */
ARRAY(devices, struct device, MAX_DEVICES, BPF_F_MMAPABLE);
/* Flows of open slots, by hash. Not mappable: its lock is the kernel's, so the sweep is a program too. */
ARRAY(flows, struct flow_bucket, FLOW_BUCKETS, 0);
/* Source port of a check, host order -> backend + 1; 8 B each: 512 KiB. */
ARRAY(check_ports, __u64, 65536, BPF_F_MMAPABLE);
/* Answer of the sweep, by service: a bit for each slot that has flows of a backend that is not its current one. 2 MiB. */
ARRAY(busy_slots, struct busy, MAX_SERVICES, BPF_F_MMAPABLE);
/* Answer of the sweep, by the plane's number of a backend: cells that live. 8 B each: 1 MiB. */
ARRAY(live_flows, __u64, MAX_BACKENDS, BPF_F_MMAPABLE);

/* Frames by backend. Per CPU, no atomics; the supervisor sums. 32 B each: 4 MiB for each CPU. */
PERCPU(backend_counts, struct backend_count, MAX_BACKENDS);
/* Frames by service and reason, likewise; 128 B each: 128 KiB for each CPU. */
PERCPU(drop_counts, struct drop_count, MAX_SERVICES);
/* What the kernel says of a way while the supervisor is silent: no room on the stack, of which all functions have 512 bytes. */
PERCPU(hop_rooms, struct next_hop, 1);
/* Frames for us that passed unread for their tags: two of them, or one of 802.1ad. */
PERCPU(tagged_passes, __u64, 1);
/* By sluice_icmp_error: what is left of each CPU's ICMP errors. */
PERCPU(error_buckets, __u64, ERRORS);

/* What first fragments have begun. The oldest gives way: most datagrams are complete long before. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

/* Next hops towards clients that the neighbour table does not know: the supervisor asks for them. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WANTED);
	__type(key, struct wanted_key);
	__type(value, __u32);
} wanted SEC(".maps");

/* Networks of clients -> number of their place; the longest decides. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, REGIONS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct region_key);
	__type(value, __u32);
} regions SEC(".maps");

/* Fetches a line that is soon needed: where many services are in use what they have lies in no cache, and lines that are
 * asked for together come in the time of one. */
static __always_inline void touch(const void *at)
{
	__u32 word = *(const volatile __u32 *)at;

	asm volatile("" : : "r"(word));
}

/* The table that is read. Both keys lie in a map: a key that were put together on the stack would have every packet wait
 * until it can be read back. The first line of its backends, more than which few have, comes together with the slot. */
static __always_inline struct table *find_table(const struct service *service)
{
	void *tables_of = bpf_map_lookup_elem(&tables, &service->chunk);
	struct table *table = tables_of ? bpf_map_lookup_elem(tables_of, &service->table) : 0;

	if (table)
		touch(table->backends);
	return table;
}

/* Whose slot it is, and what a change has left open in it; `slot` has a bound that the verifier knows. */
static __always_inline __u32 slot_word(const struct table *table, __u32 slot)
{
	__u32 brief = table->brief[slot];

	if (brief < SLOT_WIDE)
		return brief | brief << SLOT_BITS;
	const __u8 *wide = &table->wide[SLOT_WIDE_BYTES * slot];
	return wide[0] | wide[1] << 8 | wide[2] << 16 | (brief - SLOT_WIDE) << PHASE_SHIFT;
}

/* Whose slot it is while it is settled; MAX_LOCAL or more: nobody's, or a change has opened it. Of almost every slot the brief
 * byte is the answer as it stands: no word is put together and taken apart again. `slot` as above. */
static __always_inline __u32 settled_backend(const struct table *table, __u32 slot)
{
	__u32 brief = table->brief[slot];

	if (LIKELY(brief < SLOT_WIDE))
		return brief;
	const __u8 *wide = &table->wide[SLOT_WIDE_BYTES * slot];
	return brief == SLOT_WIDE + PHASE_SETTLED ? (wide[0] | wide[1] << 8) & SLOT_MASK : SLOT_NONE;
}
