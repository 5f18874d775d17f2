/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Secret hashes of a flow: which slot it has, and which cell. */
#pragma once
#include "parse.h"

/* Every input bit reaches the slot (top bits), the tag (middle) and the bucket (low bits): multiply-xorshift rounds. The
 * first of them, and all that is known of the rest, do not wait for the seed: the CPU has them by the time that the service
 * is found. Of two clients nobody can tell whether they meet without the seed; of one client no two flows ever do. */
static __always_inline __u64 tuple_hash(__u64 seed, const struct packet *p)
{
	__u64 client = p->source.low * 0x9e3779b97f4a7c15ull, ports = (__u32)p->source_port << 16 | p->target_port;
	__u64 rest = p->target.low ^ ((__u64)p->protocol << 32 | ports) * 0xd6e8feb86659fd93ull;

	if (p->ipv6)
		rest ^= p->source.high * 0xff51afd7ed558ccdull;
	client ^= client >> 32;
	__u64 h = (client ^ seed) * 0xbf58476d1ce4e5b9ull;
	h ^= h >> 29;
	h = (h ^ rest) * 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

/* The same of the client's address, or of its network, alone: all of a client's flows have one slot. */
static __always_inline __u64 source_hash(const struct service *service, const struct packet *p)
{
	const struct address *mask = p->ipv6 ? &service->source_mask6 : &service->source_mask4;
	__u64 h = service->seed;

	h = (h ^ (p->source.low & mask->low)) * 0x9e3779b97f4a7c15ull;
	h ^= h >> 32;
	if (p->ipv6) {
		h = (h ^ (p->source.high & mask->high)) * 0xd6e8feb86659fd93ull;
		h ^= h >> 32;
	}
	h *= 0x94d049bb133111ebull;
	return h ^ h >> 31;
}

/* Its top bits are the slot. */
static __always_inline __u64 flow_hash(const struct service *service, const struct packet *p)
{
	return service->flags & SERVICE_BY_SOURCE ? source_hash(service, p) : tuple_hash(service->seed, p);
}

/* What tells a flow's cell from others: also where all flows of a client have one slot, each has a cell of its own. */
static __always_inline __u64 cell_hash(const struct service *service, const struct packet *p, __u64 hash)
{
	return service->flags & SERVICE_BY_SOURCE ? tuple_hash(service->seed, p) : hash;
}
