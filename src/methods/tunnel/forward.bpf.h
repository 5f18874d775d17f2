/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* tunnel: the packet, untouched, travels inside a second IP header (RFC 2003, RFC 2473, RFC 4213) to a real server in any
 * network. With GUE a UDP header stands between (variant 1 of draft-ietf-intarea-gue: the packet follows at once), whose
 * source port differs from flow to flow, so that receive queues and equal-cost paths spread. */
#pragma once
#include "checksum.h"
#include "icmp.h"
#include "verdict.h"

/* RFC 6335's dynamic ports: 49152 and up. */
static __always_inline void write_gue(struct udphdr *udp, const struct packet *p, __u16 gue)
{
	udp->source = bpf_htons(0xc000 | (p->hash & 0x3fff));
	udp->dest = gue;
	udp->len = bpf_htons(p->length + sizeof(*udp));
	/* None, also in IPv6: RFC 6935 allows it to tunnels, and the inner packet has its own. */
	udp->check = 0;
}

/* The one address, or one of a network: whoever spreads by addresses alone, as receive queues do with bare IP in IP, tells
 * flows apart. */
static __always_inline __be32 outer_source4(const struct packet *p, const struct backend *backend)
{
	__u64 network = *(const volatile __u64 *)&backend->outer_network;

	return network ? (__u32)network | (p->hash & network >> 32) : address4(&backend->source);
}

static __always_inline void write_outer4(void *at, const struct packet *p, const struct backend *backend, __u32 length,
					 __u16 gue)
{
	/* Whole words, summed before they are written: a word put together of smaller stores could not be read back at once. */
	__u32 *word = at, protocol = gue ? IPPROTO_UDP : p->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	__u32 source = outer_source4(p, backend), target = address4(&backend->address);
	/* Version, length of the header, class: DSCP and ECN, RFC 6040 normal mode. */
	__u32 first = bpf_htonl(0x45u << 24 | (__u32)p->tos << 16 | length);
	/* An identification matters only to what may be fragmented (RFC 6864). */
	__u32 second = bpf_htonl(p->dont_fragment ? IP_DF : bpf_get_prandom_u32() << 16);
	__u32 third = bpf_htonl((__u32)OUTER_TTL << 24 | protocol << 16);

	word[0] = first;
	word[1] = second;
	word[2] = third;
	word[3] = source;
	word[4] = target;
	((struct iphdr *)at)->check = checksum_fold((__u64)first + second + third + source + target);
}

static __always_inline void write_outer6(void *at, const struct packet *p, const struct backend *backend, __u32 length,
					 __u16 gue)
{
	struct ipv6hdr *outer = at;

	/* Version, class, and a flow label for whoever spreads by it (RFC 6438). */
	*(__u32 *)outer = bpf_htonl(6u << 28 | (__u32)p->tos << 20 | (p->hash & 0xfffff));
	outer->payload_len = bpf_htons(length - sizeof(*outer));
	outer->nexthdr = gue ? IPPROTO_UDP : p->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	outer->hop_limit = OUTER_TTL;
	write6(&outer->saddr, &backend->source);
	write6(&outer->daddr, &backend->address);
}

static __always_inline int forward_tunnel(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
					  const struct next_hop *hop)
{
	int outer4 = is_ipv4(&backend->address);
	/* Read once: a reload may change it under us. */
	__u16 gue = *(const volatile __u16 *)&backend->gue_port;
	__u32 header = outer4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 grow = header + (gue ? sizeof(struct udphdr) : 0), length = p->length + grow;

	if (length > hop->mtu)
		return answer_too_big(ctx, p, &p->target, hop->mtu - grow);
	if (bpf_xdp_adjust_head(ctx, -(int)grow))
		return DROPPED(DROP_TOO_BIG);
	void *data = (void *)(long)ctx->data, *outer = data + sizeof(struct ethhdr);
	/* What is inside is never shorter than the headers that are not there. */
	if (outer + sizeof(struct ipv6hdr) + sizeof(struct udphdr) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	write_macs(data, hop);
	if (outer4) {
		*(__u16 *)(data + 2 * ETH_ALEN) = bpf_htons(ETH_P_IP);
		write_outer4(outer, p, backend, length, gue);
		if (gue)
			write_gue(outer + sizeof(struct iphdr), p, gue);
	} else {
		*(__u16 *)(data + 2 * ETH_ALEN) = bpf_htons(ETH_P_IPV6);
		write_outer6(outer, p, backend, length, gue);
		if (gue)
			write_gue(outer + sizeof(struct ipv6hdr), p, gue);
	}
	return send(ctx, p, hop);
}
