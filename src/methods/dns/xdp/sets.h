/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The addresses of a service: whose, and in which order. */
#pragma once
#include "client.h"
#include "reply.h"

#define GOLDEN 0x9e3779b1
/* Octets of a tree where something may begin. */
#define TREE_MASK (DNS_TREE_MOST - 8)

/* Which variant of a set a random number means. `records.ts` says the same. */
static __always_inline __u32 choose(const struct dns_block *block, const struct dns_first *firsts, __u32 random,
				    __u32 *counter)
{
	__u32 first = ((random & 0xffff) * block->firsts) >> 16;
	__u32 ring = (((random * GOLDEN) >> 16) * block->rings) >> 16;

	first &= 255;
	if ((random >> 16) >= firsts[first].keep)
		first = firsts[first].other & 255;
	*counter = firsts[first].counter;
	return ring * block->firsts + first;
}

/* The addresses of a set. */
static __always_inline void take_set(struct body *body, const struct dns_block *block, __u32 random, __u32 *counter)
{
	const struct dns_first *firsts = (const void *)(block + 1);
	__u32 variant = choose(block, firsts, random, counter);
	const struct dns_variant *variants = (const void *)firsts + (__u64)(block->firsts & 255) * sizeof(*firsts);
	variants += variant & 1023;
	body->from = (const void *)block + (variants->at & (DNS_SET_MOST - 1));
	body->bytes = block->bytes;
	body->sum = variants->sum;
	body->counts[0] = bpf_htons(block->count);
	body->authoritative = 1;
}

/* `mix32` of core/hash.ts: a number that is independent of those that `choose` takes. */
static __always_inline __u32 mix(__u32 h)
{
	h = (h ^ h >> 16) * 0x85ebca6b;
	h = (h ^ h >> 13) * 0xc2b2ae35;
	return h ^ h >> 16;
}

/* The part of a tree for clients of a row that a random number means, as `dns_part` says where. `trees.ts` says the same. */
__noinline __u32 choose_part(__u32 reference, __u32 row, __u32 random)
{
	const struct dns_tree *tree = dns_at(reference);

	if (!tree)
		return DNS_PART_PASS;
	const __u16 *rows = (const void *)(tree + 1);
	if (row >= tree->rows)
		row = 0;
	const struct dns_draw *draw = (const void *)tree + (rows[row & (DNS_TREE_ROWS - 1)] & TREE_MASK);
	const struct dns_part *parts = (const void *)(draw + 1);
	__u32 part = (((random & 0xffff) * draw->parts) >> 16) & 255;
	if ((random >> 16) >= parts[part].keep)
		part = parts[part].other & 255;
	return parts[part].at;
}

/* The set at a reference, or of the part of a tree that this client gets. NULL: `*why` it passes, or -1 for no address. */
static __always_inline const struct dns_block *find_set(struct xdp_md *ctx, const struct question *q,
							struct dns_scratch *scratch, __u32 reference, __u32 random,
							int *why)
{
	const struct dns_block *block = dns_at(reference);
	__u32 row = 0;

	*why = DNS_COUNT_CLIENT;
	if (!block || block->bytes)
		return block;
	if (((const struct dns_tree *)block)->rows > 1 && take_source(ctx, q, scratch))
		row = find_place(q->ipv6);
	__u32 at = choose_part(reference, row, mix(random));
	if (at & DNS_PART_PASS)
		return 0;
	/* Of a place that has no such address too: another one has (RFC 7871 7.4). */
	if (!(at & DNS_PART_PLACE))
		scratch->scope = 0;
	*why = -1;
	return at & TREE_MASK ? (const void *)block + (at & TREE_MASK) : 0;
}
