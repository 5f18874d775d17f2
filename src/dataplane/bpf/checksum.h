/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Internet checksums. Incremental ones by RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). What changes is summed once, as
 * 32-bit words (2^32 is 1 modulo 0xffff), and then put into every checksum that covers it. */
#pragma once
#include <linux/types.h>
#include <linux/ip.h>
#include "addresses.h"

/* `sum` < 2^47: the first step leaves 32 bits, the second 17. No sum of ours has more than a dozen 32-bit words. */
static __always_inline __u16 checksum_fold(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 3; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u64 change2(__u16 old, __u16 new)
{
	return (__u64)(__u16)~old + new;
}

static __always_inline __u64 change4(__u32 old, __u32 new)
{
	return (__u64)(__u32)~old + new;
}

static __always_inline __u64 change_address(const struct address *old, const struct address *new, int ipv6)
{
	__u64 sum = change4(old->low >> 32, new->low >> 32);

	if (ipv6)
		sum += change4(old->low, new->low) + change4(old->high, new->high) +
		       change4(old->high >> 32, new->high >> 32);
	return sum;
}

static __always_inline void checksum_apply(__u16 *checksum, __u64 change)
{
	*checksum = checksum_fold((__u64)(__u16)~*checksum + change);
}

/* Of a header without options that was just written, its checksum field zero. */
static __always_inline __u16 checksum_header(const struct iphdr *ip)
{
	const __u32 *word = (const void *)ip;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < 5; i++)
		sum += word[i];
	return checksum_fold(sum);
}

/* One hop less; the caller has seen that more than one is left. The change of the header's checksum. */
static __always_inline __u64 decrease_ttl(struct iphdr *ip)
{
	__u16 *word = (__u16 *)&ip->ttl, old = *word, new = old - bpf_htons(0x0100);

	/* One store of what is read: reading back a word of which one byte was just written stalls. */
	*word = new;
	return change2(old, new);
}
