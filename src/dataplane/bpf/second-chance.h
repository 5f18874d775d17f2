/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet that names others: is its flow here, and who is next? */
#pragma once
#include <linux/pkt_cls.h>
#include "checksum.h"
#include "outer.h"

/* Of the sockets of struct bpf_sock: <linux/tcp.h> has no such word for programs. */
#define TCP_LISTENING 10

/* Is there another that has not been asked? */
static __always_inline int may_go_on(struct xdp_md *ctx, const struct tunnel *t)
{
	struct gue *gue = (void *)(long)ctx->data + sizeof(struct ethhdr) + (t->others & OUTER_BYTES);

	return (void *)(gue + 1) <= (void *)(long)ctx->data_end && gue->next < gue->count && gue->count <= OTHERS;
}

/* Does the socket, if there is one, know this flow? A listener does when it gave this client a cookie. */
static __always_inline int knows_flow(struct bpf_sock *sk, void *ip, __u32 bytes, struct tcphdr *tcp)
{
	if (!sk)
		return 0;
	int known = sk->state != TCP_LISTENING || bpf_tcp_check_syncookie(sk, ip, bytes, tcp, sizeof(*tcp)) == 0;
	bpf_sk_release(sk);
	return known;
}

/* True also of what is no TCP: nobody else has a better use for it. */
static __noinline int has_socket(struct xdp_md *ctx, const struct tunnel *t)
{
	void *end = (void *)(long)ctx->data_end;
	struct bpf_sock_tuple flow = {};

	if (!t)
		return 1;
	struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr) + (t->bytes & OUTER_BYTES);
	struct ipv6hdr *ip6 = (void *)ip;
	if (t->protocol == IPPROTO_IPIP) {
		if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_TCP || ip->ihl < 5)
			return 1;
		struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
		if ((void *)(tcp + 1) > end)
			return 1;
		flow.ipv4.saddr = ip->saddr;
		flow.ipv4.daddr = ip->daddr;
		flow.ipv4.sport = tcp->source;
		flow.ipv4.dport = tcp->dest;
		return knows_flow(bpf_skc_lookup_tcp(ctx, &flow, sizeof(flow.ipv4), BPF_F_CURRENT_NETNS, 0), ip,
				  sizeof(*ip), tcp);
	}
	struct tcphdr *tcp = (void *)(ip6 + 1);
	if ((void *)(tcp + 1) > end || ip6->nexthdr != IPPROTO_TCP)
		return 1;
	__builtin_memcpy(flow.ipv6.saddr, &ip6->saddr, sizeof(flow.ipv6.saddr));
	__builtin_memcpy(flow.ipv6.daddr, &ip6->daddr, sizeof(flow.ipv6.daddr));
	flow.ipv6.sport = tcp->source;
	flow.ipv6.dport = tcp->dest;
	return knows_flow(bpf_skc_lookup_tcp(ctx, &flow, sizeof(flow.ipv6), BPF_F_CURRENT_NETNS, 0), ip6, sizeof(*ip6),
			  tcp);
}

/* Sends the packet to the next that it names, one hop older. It ends: each time fewer are left. False: it goes no further. */
static __always_inline int to_next(void *data, void *end, const struct tunnel *t)
{
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct ipv6hdr *ip6 = (void *)ip;
	struct gue *gue = data + sizeof(struct ethhdr) + (t->others & OUTER_BYTES);

	if ((void *)(ip + 1) > end || (void *)(gue + 1) > end)
		return 0;
	__u32 next = gue->next;
	if (next >= gue->count || gue->count > OTHERS)
		return 0;
	if (ip->version == 4) {
		__u32 *named = (void *)(gue + 1) + (next & 1) * sizeof(__u32);
		if ((void *)(named + 1) > end || ip->ttl <= 1)
			return 0;
		ip->daddr = *named;
		ip->ttl--;
		ip->check = 0;
		ip->check = checksum_header(ip);
	} else {
		struct in6_addr *named = (void *)(gue + 1) + (next & 1) * sizeof(*named);
		if ((void *)(ip6 + 1) > end || (void *)(named + 1) > end || ip6->hop_limit <= 1)
			return 0;
		ip6->daddr = *named;
		ip6->hop_limit--;
	}
	gue->next = next + 1;
	return 1;
}
