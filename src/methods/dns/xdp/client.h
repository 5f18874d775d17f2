/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who asks: in which network of those that matter, and how many answers that has had. */
#pragma once
#include "frame.h"
#include "rate.h"

/* The address that the query came from, into the scratch. */
static __always_inline int take_source(struct xdp_md *ctx, const struct question *q, struct dns_scratch *scratch)
{
	scratch->client[0] = 0;
	scratch->client[1] = 0;
	if (q->ipv6)
		return !bpf_xdp_load_bytes(ctx, q->ip + offsetof(struct ipv6hdr, saddr), scratch->client, 16);
	return !bpf_xdp_load_bytes(ctx, q->ip + offsetof(struct iphdr, saddr), scratch->client, 4);
}

/* The network that the resolver names (RFC 7871). `data` is `good_subnet`. */
static __always_inline void take_subnet(const __u8 *data, __u32 bytes, struct dns_scratch *scratch)
{
	__u8 *client = (void *)scratch->client;

	for (__u32 i = 0; i < sizeof(scratch->client); i++)
		client[i] = 4 + i < bytes ? data[4 + i] : 0;
}

/* What is known of the client in the scratch: (value + 1) << 8 | bits that decide it. */
__noinline __u32 find_region(__u32 root)
{
	struct dns_scratch *scratch = dns_scratch();
	__u32 index = root;

	if (!scratch)
		return 0;
	const __u8 *client = (const void *)scratch->client;
	for (__u32 i = 0; i < DNS_STRIDES; i++) {
		const struct dns_stride *stride = bpf_map_lookup_elem(&dns_regions, &index);
		if (!stride)
			return 0;
		__u32 octet = client[(i / 2) & 15];
		__u32 entry = stride->entry[(i & 1 ? octet : octet >> 4) & 15];
		if (entry & DNS_LEAF)
			return entry & ~DNS_LEAF;
		index = entry;
	}
	return 0;
}

/* Place + 1 of the client whose address is in the scratch, or whose subnet is; 0: none. Sets the bits that decide it
 * (RFC 7871 7.2.1). */
__noinline __u32 find_place(__u32 ipv6)
{
	struct dns_scratch *scratch = dns_scratch();

	if (!scratch)
		return 0;
	const __u8 *subnet = scratch->raw + (scratch->subnet & (DNS_MESSAGE_MOST - 1));
	/* Of a subnet that must not be used nothing is told (7.1.2). */
	int named = scratch->subnet && subnet[2];
	if (named) {
		take_subnet(subnet, scratch->subnet_bytes, scratch);
		ipv6 = subnet[1] == 2;
	}
	__u32 found = find_region(DNS_ROOT_PLACES + !!ipv6);
	scratch->scope = named ? found & 0xff : 0;
	return found >> 8;
}

/* One answer more to the client in the scratch; 1: it must not be given. Narrow networks are asked first: what one of them
 * is refused does not weigh on the wide ones. */
__noinline int over_rate(__u32 ipv6)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!control || !scratch)
		return 0;
	__u64 now = rate_now();
	for (__u32 i = 0; i < DNS_LEVELS; i++) {
		const struct dns_level *level = &control->levels[(ipv6 ? DNS_LEVELS : 0) + i];
		const struct rate rate = { level->interval, level->burst };
		if (!rate.interval)
			return 0;
		__u64 hash = ((scratch->client[0] & level->mask[0]) ^ control->secret) * 0x9e3779b97f4a7c15ull;
		hash = (hash ^ hash >> 32 ^ (scratch->client[1] & level->mask[1]) ^ i) * 0xc2b2ae3d27d4eb4full;
		hash = (hash ^ hash >> 29) * 0x165667b19e3779f9ull;
		__u32 index = hash >> 40 & (DNS_BUCKETS - 1);
		__u64 *bucket = bpf_map_lookup_elem(&dns_buckets, &index);
		if (bucket && !rate_take(bucket, hash & ((1u << 24) - 1), now, &rate))
			return 1;
	}
	return 0;
}

/* Has the client's network had its share of answers? */
static __always_inline int limited(struct xdp_md *ctx, const struct question *q, struct dns_scratch *scratch,
				   const struct dns_control *control)
{
	if (!control->levels[0].interval || !take_source(ctx, q, scratch))
		return 0;
	if (control->flags & DNS_FLAG_EXCEPT && find_region(DNS_ROOT_EXCEPT + q->ipv6) >> 8)
		return 0;
	return over_rate(q->ipv6);
}
