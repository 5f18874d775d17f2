/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Tunnels as a real server reads them: outer headers, and whom it listens to. */
#pragma once
#include "addresses.h"
#include "array.h"
#include "checksum.h"

/* Written by `realserver up`, read for every tunnel. */
ARRAY(decap_settings, struct decap_config, 1, 0);
/* Packets; per CPU, no atomics. */
PERCPU(decap_counts, struct decap_count, 1);

/* Networks of senders whose tunnels are taken: a director may take a source of its own for each flow. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, DECAP_SOURCES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct list_key);
	__type(value, __u32);
} decap_networks SEC(".maps");

/* VIPs that this host serves: only they may be inside. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_SOURCES);
	__type(key, struct address);
	__type(value, __u32);
} decap_vips SEC(".maps");

/* What the outer headers say. */
struct tunnel {
	struct address sender;
	__u8 protocol; /* of what follows the outer IP header */
	__u8 marked; /* a router on the way has marked congestion */
	__u32 bytes; /* of the outer headers */
	__u32 others; /* bytes before a GUE header that names others; 0: there is none */
};

/* Longest outer headers: IPv6, UDP, and GUE of 31 words after its first. */
#define OUTER_BYTES 255

/* Variant 0, of data and without flags: those would say that something in it must be understood. */
static __always_inline int read_gue(struct gue *gue, void *end, struct tunnel *t)
{
	if ((void *)(gue + 1) > end || gue->words >> 5 || gue->flags ||
	    (gue->protocol != IPPROTO_IPIP && gue->protocol != IPPROTO_IPV6))
		return 0;
	__u32 bytes = sizeof(__u32) + gue->words * sizeof(__u32);
	t->protocol = gue->protocol;
	if (gue->kind == bpf_htons(GUE_OTHERS) && bytes >= sizeof(*gue))
		t->others = t->bytes;
	t->bytes += bytes;
	return 1;
}

/* False when this is no whole packet with something inside that we know. */
static __always_inline int read_outer(void *data, void *end, struct tunnel *t)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)ip;

	if ((void *)(ip + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (ip->version != 4 || ip->ihl != 5 || (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET)))
			return 0;
		t->sender = mapped(ip->saddr);
		t->protocol = ip->protocol;
		t->marked = (ip->tos & ECN_BITS) == ECN_BITS;
		t->bytes = sizeof(*ip);
	} else {
		if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > end || ip6->version != 6)
			return 0;
		t->sender = address6(&ip6->saddr);
		t->protocol = ip6->nexthdr;
		t->marked = (((__u8 *)ip6)[1] & ECN6_BITS) == ECN6_BITS;
		t->bytes = sizeof(*ip6);
	}
	if (t->protocol == IPPROTO_IPIP || t->protocol == IPPROTO_IPV6)
		return 1;
	if (t->protocol != IPPROTO_UDP)
		return 0;
	struct udphdr *udp = (void *)ip + t->bytes;
	__u8 *first = (void *)(udp + 1);
	if ((void *)(first + 1) > end || udp->dest != bpf_htons(GUE_PORT))
		return 0;
	t->bytes += sizeof(*udp);
	/* Variant 1: its two bits are the first of the packet's own version. */
	t->protocol = *first >> 4 == 4 ? IPPROTO_IPIP : *first >> 4 == 6 ? IPPROTO_IPV6 : 0;
	return t->protocol || read_gue((void *)first, end, t);
}

/* Is it the first fragment of a packet that would hold one inside? */
static __always_inline int parted_tunnel(void *data, void *end)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)ip;
	__u8 *fragment = (void *)(ip6 + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u8 protocol;

	if ((void *)(ip + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (ip->ihl != 5 || (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET)) != bpf_htons(IP_MF))
			return 0;
		protocol = ip->protocol;
	} else {
		if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)fragment + IP6_FRAGMENT > end ||
		    ip6->nexthdr != IPPROTO_FRAGMENT ||
		    (*(__u16 *)(fragment + 2) & bpf_htons(IP6_OFFSET | IP6_MORE)) != bpf_htons(IP6_MORE))
			return 0;
		protocol = fragment[0];
		udp = (void *)fragment + IP6_FRAGMENT;
	}
	if (protocol != IPPROTO_UDP)
		return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
	return (void *)(udp + 1) <= end && udp->dest == bpf_htons(GUE_PORT);
}

/* A mark of congestion outside is put inside, where its flow reads it (RFC 6040, 4.2). False: the flow does not know
 * marks, and understands a loss. */
static __always_inline int keep_mark(void *inner, void *end, const struct tunnel *t)
{
	if (!t->marked)
		return 1;
	if (t->protocol == IPPROTO_IPIP) {
		struct iphdr *ip = inner;
		if ((void *)(ip + 1) > end || !(ip->tos & ECN_BITS))
			return 0;
		__u16 *word = inner, old = *word;
		ip->tos |= ECN_BITS;
		checksum_apply(&ip->check, change2(old, *word));
		return 1;
	}
	__u8 *class_low = inner + 1;
	if ((void *)(class_low + 1) > end || !(*class_low & ECN6_BITS))
		return 0;
	*class_low |= ECN6_BITS;
	return 1;
}

/* Is the sender one of those that are named? */
static __always_inline int is_director(const struct tunnel *t)
{
	struct list_key key = { .bits = 128 };

	__builtin_memcpy(key.address, &t->sender, sizeof(key.address));
	return bpf_map_lookup_elem(&decap_networks, &key) != 0;
}

/* Is the packet inside for a VIP of ours, from somebody we listen to? */
static __always_inline int allowed(const struct decap_config *config, void *inner, void *end, const struct tunnel *t)
{
	struct address target;

	if (t->protocol == IPPROTO_IPIP) {
		struct iphdr *ip = inner;
		if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
			return 0;
		target = mapped(ip->daddr);
	} else {
		struct ipv6hdr *ip = inner;
		if ((void *)(ip + 1) > end || ip->version != 6)
			return 0;
		target = address6(&ip->daddr);
	}
	if (!config->any_source && !is_director(t))
		return 0;
	return bpf_map_lookup_elem(&decap_vips, &target) != 0;
}

