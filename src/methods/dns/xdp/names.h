/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Names: folded, hashed and found, eight octets at a time. */
#pragma once
#include "maps.h"

/* The lowest and the highest bit of each octet of a word. */
#define ONES 0x0101010101010101ULL
#define HIGHS 0x8080808080808080ULL

/* The two halves of a name's hash: where its slot is, and what the slot must say. */
struct dns_hash {
	__u32 a, b;
};

/* `A` to `Z` in lower case; no octet carries into the next. Lengths of labels are at most 63 and stay as they are, so a
 * whole name may be folded (RFC 4343). */
static __always_inline __u64 fold_word(__u64 word)
{
	__u64 low = word & ~HIGHS;
	__u64 above = low + (0x80 - 'A') * ONES, beyond = low + (0x80 - 'Z' - 1) * ONES;

	return word | ((above & ~beyond & ~word & HIGHS) >> 2);
}

/* The high bit of the first octet that is zero; what stands above it means nothing. */
static __always_inline __u64 first_zero(__u64 word)
{
	__u64 zeros = (word - ONES) & ~word & HIGHS;

	return zeros & -zeros;
}

/* `control.ts` hashes the names it stores in the same way. */
static __always_inline void hash_word(struct dns_hash *h, __u64 word)
{
	h->a = (h->a ^ (__u32)word) * 0x85ebca6b;
	h->a ^= h->a >> 15;
	h->b = (h->b ^ (__u32)(word >> 32) ^ h->a) * 0xc2b2ae35;
	h->b ^= h->b >> 13;
	h->a += h->b;
}

/* The node of the folded name that begins at octet `start` and ends at `end`; reference + 1, or 0. */
__noinline __u32 find_name(__u32 a, __u32 b, __u32 start, __u32 end)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!control || !scratch || start > 254 || end > 255 || end <= start)
		return 0;
	__u32 length = end - start;
	a ^= a >> 16;
	for (__u32 i = 0; i < DNS_PROBES; i++) {
		__u32 index = (a + i) & control->slot_mask;
		struct dns_slot *slot = bpf_map_lookup_elem(&dns_slots, &index);
		if (!slot || !slot->node)
			return 0;
		if (slot->tag != b)
			continue;
		__u32 reference = slot->node;
		fetch(dns_at(slot->set));
		fetch(dns_counter(control, slot->counter));
		struct dns_node *node = dns_at(reference - 1);
		if (!node || node->length != length)
			continue;
		const __u64 *stored = (const void *)(node + 1);
		const __u8 *asked = (const void *)scratch->name;
		__u32 words = (length + 7) / 8, w = 0;
		asked += start & 255;
		for (; w < DNS_WORDS; w++) {
			if (w >= words)
				break;
			if (stored[w] != *(const __u64 *)(asked + w * 8))
				break;
		}
		if (w >= words)
			return reference;
	}
	return 0;
}

/* The same for a name above the queried one, whose hash is not known yet. */
__noinline __u32 find_above(__u32 start, __u32 end)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!control || !scratch || start > 254 || end > 255 || end <= start)
		return 0;
	struct dns_hash h = { control->seed, ~control->seed };
	const __u8 *asked = (const void *)scratch->name;
	__u32 words = (end - start + 7) / 8;
	asked += start & 255;
	for (__u32 w = 0; w < DNS_WORDS; w++) {
		if (w >= words)
			break;
		hash_word(&h, *(const __u64 *)(asked + w * 8));
	}
	return find_name(h.a, h.b, start, end);
}
