/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* tunnel: the packet, untouched, travels inside a second IP header (RFC 2003, RFC 2473, RFC 4213) to a real server in any
 * network. With GUE a UDP header stands between (variant 1 of draft-ietf-intarea-gue: the packet follows at once), whose
 * source port differs from flow to flow, so that receive queues and equal-cost paths spread. Where real servers give a
 * second chance, variant 0 and private data name who else may have the flow. */
#pragma once
#include "checksum.h"
#include "icmp.h"
#include "verdict.h"

/* Has another real server a use for it, if the one that it goes to has no socket for its flow? A SYN begins a flow: it is
 * nobody else's. A check is of one real server. */
static __always_inline int names_others(const struct packet *p, const struct backend *backend)
{
	return backend->others && p->of_service && p->protocol == IPPROTO_TCP && !p->icmp_error && p->part == WHOLE &&
	       (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN;
}

/* Bytes of a GUE header that names others. The same for every packet of a family, whoever is named: so is the room. */
static __always_inline __u32 others_bytes(int outer4)
{
	return sizeof(struct gue) + OTHERS * (outer4 ? sizeof(__u32) : sizeof(struct in6_addr));
}

/* The first two of an order that are not where the packet goes, and of its outer header's family. */
static __always_inline void find_others(const struct packet *p, __u64 order, int outer4, struct backend *others[OTHERS])
{
#pragma unroll
	for (int i = 0; i < ORDER; i++, order >>= ORDER_BITS) {
		__u32 named = order & ((1 << ORDER_BITS) - 1), number = named - 1;
		if (!named || named == p->backend)
			continue;
		struct backend *other = bpf_map_lookup_elem(&backends, &number);
		if (!other || !other->used || is_ipv4(&other->address) != outer4)
			continue;
		if (!others[0])
			others[0] = other;
		else if (!others[1])
			others[1] = other;
	}
}

/* Names who else may have the flow, behind the outer IP and UDP headers, which stand. */
__noinline int write_others(struct xdp_md *ctx, const struct packet *p, const struct backend *backend)
{
	if (!p || !backend)
		return 0;
	__u32 service = p->service, zero = 0, slot = p->slot;
	int outer4 = is_ipv4(&backend->address);
	void *own = bpf_map_lookup_elem(&orders, &service);
	struct slot_orders *all = own ? bpf_map_lookup_elem(own, &zero) : 0;
	struct backend *others[OTHERS] = {};
	find_others(p, all && slot < MAX_SLOTS ? all->slot[slot] : 0, outer4, others);
	__u32 header = sizeof(struct ethhdr) + sizeof(struct udphdr);
	struct gue *gue = (void *)(long)ctx->data + header + (outer4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	if (outer4) {
		__u32 *name = (void *)(gue + 1);
		if ((void *)(name + OTHERS) > (void *)(long)ctx->data_end)
			return 0;
		name[0] = others[0] ? address4(&others[0]->address) : 0;
		name[1] = others[1] ? address4(&others[1]->address) : 0;
	} else {
		struct in6_addr *name = (void *)(gue + 1);
		if ((void *)(name + OTHERS) > (void *)(long)ctx->data_end)
			return 0;
		__builtin_memset(name, 0, OTHERS * sizeof(*name));
		if (others[0])
			write6(name, &others[0]->address);
		if (others[1])
			write6(name + 1, &others[1]->address);
	}
	gue->words = (others_bytes(outer4) - sizeof(__u32)) / sizeof(__u32);
	gue->protocol = p->ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	gue->flags = 0;
	gue->kind = bpf_htons(GUE_OTHERS);
	gue->next = 0;
	gue->count = !!others[0] + !!others[1];
	return 1;
}

/* RFC 6335's dynamic ports: 49152 and up. */
static __always_inline void write_gue(struct udphdr *udp, const struct packet *p, __u16 gue, __u32 others)
{
	udp->source = bpf_htons(0xc000 | (p->hash & 0x3fff));
	udp->dest = gue;
	udp->len = bpf_htons(p->length + sizeof(*udp) + others);
	/* None, also in IPv6: RFC 6935 allows it to tunnels, and the inner packet has its own. */
	udp->check = 0;
}

/* The one address, or one of a network: whoever spreads by addresses alone, as receive queues do with bare IP in IP, tells
 * flows apart. */
static __always_inline __be32 outer_source4(const struct packet *p, const struct backend *backend)
{
	__u64 network = *(const volatile __u64 *)&backend->outer_network;

	return UNLIKELY(network) ? (__u32)network | (p->hash & network >> 32) : address4(&backend->source);
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

/* 0: bare IP in IP. Read once for a packet: a reload may change it under us. */
static __always_inline __u16 gue_port(const struct backend *backend)
{
	return *(const volatile __u16 *)&backend->gue_port;
}

/* The outer headers, `grow` bytes, of which those that name `others` stay to be written. The packet fits. */
static __always_inline int wrap(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
				const struct next_hop *hop, __u16 gue, __u32 others, __u32 grow)
{
	int outer4 = is_ipv4(&backend->address);

	if (bpf_xdp_adjust_head(ctx, -(int)grow))
		return DROPPED(DROP_TOO_BIG);
	void *data = (void *)(long)ctx->data, *outer = data + sizeof(struct ethhdr);
	/* What is inside is never shorter than the UDP header that is not there: its own header stands before it. */
	if (outer + sizeof(struct iphdr) + sizeof(struct udphdr) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	write_macs(data, hop);
	if (outer4) {
		*(__u16 *)(data + 2 * ETH_ALEN) = bpf_htons(ETH_P_IP);
		write_outer4(outer, p, backend, p->length + grow, gue);
		if (gue)
			write_gue(outer + sizeof(struct iphdr), p, gue, others);
	} else {
		if (outer + sizeof(struct ipv6hdr) + sizeof(struct udphdr) > (void *)(long)ctx->data_end)
			return DROPPED(DROP_MALFORMED);
		*(__u16 *)(data + 2 * ETH_ALEN) = bpf_htons(ETH_P_IPV6);
		write_outer6(outer, p, backend, p->length + grow, gue);
		if (gue)
			write_gue(outer + sizeof(struct ipv6hdr), p, gue, others);
	}
	return 0;
}

/* The outer header of an IPv4 packet in IPv4, right before it. The caller has checked that both headers are there. */
static __always_inline void write_plain4(__u32 *word, const struct packet *p, const struct backend *backend)
{
	const __u32 *inner = word + sizeof(struct iphdr) / sizeof(*word);
	/* Version, length of the header and class are those inside. */
	__u32 first = bpf_htonl(bpf_ntohl(inner[0]) + sizeof(struct iphdr));
	__u32 second = LIKELY(inner[1] & bpf_htonl(IP_DF)) ? bpf_htonl(IP_DF) : bpf_get_prandom_u32() & 0xffff;
	__u32 third = bpf_htonl((__u32)OUTER_TTL << 24 | IPPROTO_IPIP << 16);
	__u32 source = outer_source4(p, backend), target = address4(&backend->address);

	word[0] = first;
	word[1] = second;
	word[2] = third | (__u32)checksum_fold((__u64)first + second + third + source + target) << 16;
	word[3] = source;
	word[4] = target;
}

/* The same of IPv6 in IPv6. */
static __always_inline void write_plain6(__u32 *word, const struct packet *p, const struct backend *backend)
{
	struct ipv6hdr *outer = (void *)word;
	const __u32 *inner = (const void *)(outer + 1);

	word[0] = (inner[0] & bpf_htonl(0xfff00000)) | bpf_htonl(p->hash & 0xfffff);
	word[1] = bpf_htonl((__u32)p->length << 16 | IPPROTO_IPV6 << 8 | OUTER_TTL);
	write6(&outer->saddr, &backend->source);
	write6(&outer->daddr, &backend->address);
}

/* A packet without options or extensions, in a bare header of its own family: the same bytes that `wrap` writes. What is
 * inside is read where it lies: kept over the call, it would have to be laid aside. */
static __always_inline int wrap_plain(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
				      const struct next_hop *hop, int ipv6)
{
	const __u32 grow = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (UNLIKELY(bpf_xdp_adjust_head(ctx, -(int)grow)))
		return DROPPED(DROP_TOO_BIG);
	void *data = (void *)(long)ctx->data, *outer = data + sizeof(struct ethhdr);
	if (outer + 2 * grow > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	write_macs(data, hop);
	*(__u16 *)(data + 2 * ETH_ALEN) = bpf_htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	if (ipv6)
		write_plain6(outer, p, backend);
	else
		write_plain4(outer, p, backend);
	return 0;
}

/* What the way does not carry whole, but a router on it may part: IPv4 outside, and a sender that allows it, or IPv6 that
 * nobody may be asked to make smaller (RFC 4213, 3.2.2). It fits our own link. */
static __always_inline int may_be_parted(struct packet *p, const struct next_hop *hop, int outer4, __u32 grow)
{
	if (!outer4 || p->length + grow > hop->link_mtu)
		return 0;
	if (p->ipv6 && p->length <= IP6_LEAST_MTU)
		p->dont_fragment = 0;
	return !p->dont_fragment;
}

static __always_inline int forward_tunnel(struct xdp_md *ctx, struct packet *p, const struct backend *backend,
					  const struct next_hop *hop)
{
	int outer4 = is_ipv4(&backend->address);
	__u16 gue = gue_port(backend);
	__u32 header = outer4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	__u32 others = gue && names_others(p, backend) ? others_bytes(outer4) : 0;
	__u32 grow = header + (gue ? sizeof(struct udphdr) : 0) + others;

	if (p->length + grow > hop->mtu && !may_be_parted(p, hop, outer4, grow))
		return answer_too_big(ctx, p, &p->target, hop->mtu - grow);
	int failed = wrap(ctx, p, backend, hop, gue, others, grow);
	if (failed)
		return failed;
	if (others && !write_others(ctx, p, backend))
		return DROPPED(DROP_MALFORMED);
	return send(ctx, p, hop, p->ifindex);
}
