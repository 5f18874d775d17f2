/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Internet checksums. Incremental ones by RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
#pragma once
#include <linux/types.h>
#include <linux/ip.h>

static __always_inline __u16 checksum_fold(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void checksum_replace2(__u16 *checksum, __u16 old, __u16 new)
{
	*checksum = checksum_fold((__u64)(__u16)~*checksum + (__u16)~old + new);
}

static __always_inline void checksum_replace4(__u16 *checksum, __u32 old, __u32 new)
{
	*checksum = checksum_fold((__u64)(__u16)~*checksum + (__u16)~old + (__u16)~(old >> 16) + (__u16)new + (new >> 16));
}

/* Of a header without options that was just written, its checksum field zero. */
static __always_inline __u16 checksum_header(const struct iphdr *ip)
{
	const __u16 *word = (const void *)ip;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	return checksum_fold(sum);
}

/* One hop less. The caller has seen that more than one is left. */
static __always_inline void decrease_ttl(struct iphdr *ip)
{
	__u16 old = *(__u16 *)&ip->ttl;

	ip->ttl--;
	checksum_replace2(&ip->check, old, *(__u16 *)&ip->ttl);
}
