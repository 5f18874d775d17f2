/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The addresses of a service: whose, and in which order. */
#pragma once
#include "client.h"
#include "reply.h"

/* 2^32 over the golden ratio: spreads the bits of a random number. */
#define GOLDEN 0x9e3779b1
/* Octets of a record with its name as a pointer. */
#define RECORD_IPV4 16
#define RECORD_IPV6 28
/* Octets of a tree where something may begin. */
#define TREE_MASK (DNS_TREE_MOST - 8)

/* What is shown of a set. */
struct addresses {
	__u32 reference;
	__u32 at; /* of a tree: where the set begins */
	__u32 first;
	__u32 step;
	__u32 ipv6;
};

/* Which order of a set a random number means. `records.ts` says the same. */
static __always_inline void choose(const struct dns_block *block, __u32 random, struct addresses *chosen, __u32 *counter)
{
	const struct dns_first *firsts = (const void *)(block + 1) + ((__u32)block->count << (chosen->ipv6 ? 4 : 2));
	__u32 rings = 1 + !!block->steps[0] + !!block->steps[1];
	__u32 ring = (((random * GOLDEN) >> 16) * rings) >> 16;
	__u32 first = ((random & 0xffff) * block->count) >> 16;

	/* The compiler knows that it is below 255, kernel 6.1 does not, and forgets it over a branch. */
	asm volatile("" : "+r"(first));
	first &= 255;
	if ((random >> 16) >= firsts[first].keep)
		first = firsts[first].other;
	asm volatile("" : "+r"(first));
	first &= 255;
	chosen->first = first;
	chosen->step = ring ? block->steps[(ring - 1) & 1] : 1;
	*counter = firsts[first].counter;
}

/* The addresses of a set. */
static __always_inline void take_set(struct body *body, const struct dns_block *block, __u32 ipv6)
{
	body->bytes = block->shown * (ipv6 ? RECORD_IPV6 : RECORD_IPV4);
	body->counts[0] = bpf_htons(block->shown);
	body->authoritative = 1;
}

/* The records of addresses of so many words, one after the other. No branch on which comes next: on kernel 6.1 each would
 * double what the verifier follows. */
static __always_inline __u64 write_records(__u32 *to, const void *end, const struct dns_block *block,
					   const struct addresses *chosen, const __u32 type, const __u32 words)
{
	__u32 head[3] = { bpf_htonl((0xc000u | DNS_HEADER) << 16 | type), bpf_htonl(1u << 16 | block->ttl >> 16),
			  bpf_htonl(block->ttl << 16 | words * 4) };
	__u32 place = chosen->first, step = chosen->step, count = block->count, shown = block->shown;
	__u64 sum = ((__u64)head[0] + head[1] + head[2]) * shown;

	for (__u32 i = 0; i < DNS_SHOWN_MOST; i++) {
		if (i >= shown)
			break;
		const __u32 *from = (const void *)(block + 1) + (place & 255) * words * 4;
		if ((void *)(to + 3 + words) > end)
			return 0;
		to[0] = head[0];
		to[1] = head[1];
		to[2] = head[2];
#pragma unroll
		for (__u32 w = 0; w < words; w++) {
			__u32 word = from[w];
			to[3 + w] = word;
			sum += word;
		}
		to += 3 + words;
		/* Around again behind the last. */
		place += step - count;
		__u32 over = (int)place >> 31;
		asm volatile("" : "+r"(over));
		place += count & over;
		asm volatile("" : "+r"(place));
	}
	return sum;
}

/* Writes the records of a set at an octet of the frame: each its name's pointer, type, class IN, TTL and length, and the
 * address. Their sum; 0 only where the verifier wants a way out. */
__noinline __u64 write_addresses(struct xdp_md *ctx, __u32 octet, const struct addresses *chosen)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct dns_block *block = chosen ? dns_at(chosen->reference) : 0;

	if (!block)
		return 0;
	block = (const void *)block + (chosen->at & TREE_MASK);
	__u32 *to = data + (octet & 0x7ff);
	return chosen->ipv6 ? write_records(to, end, block, chosen, TYPE_AAAA, 4) :
			      write_records(to, end, block, chosen, TYPE_A, 1);
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
							struct dns_scratch *scratch, struct addresses *chosen,
							__u32 random, int *why)
{
	const struct dns_block *block = dns_at(chosen->reference);
	__u32 row = 0;

	*why = DNS_COUNT_CLIENT;
	if (!block || block->shown)
		return block;
	if (((const struct dns_tree *)block)->rows > 1 && take_source(ctx, q, scratch))
		row = find_place(q->ipv6);
	__u32 at = choose_part(chosen->reference, row, mix(random));
	if (at & DNS_PART_PASS)
		return 0;
	/* Of a place that has no such address too: another one has (RFC 7871 7.4). */
	if (!(at & DNS_PART_PLACE))
		scratch->scope = 0;
	*why = -1;
	chosen->at = at & TREE_MASK;
	return chosen->at ? (const void *)block + chosen->at : 0;
}
