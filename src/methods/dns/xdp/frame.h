/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Is the frame a question to this server? Fragments, IP options, extension headers and doubtful sources are not for here. */
#pragma once
#include "question.h"
#include "checksum.h"

/* What of an interface's word in `dns_devices` is its MAC. */
#define MAC_BITS 0xffffffffffffULL

enum frame_kind { FRAME_OTHER = 0, FRAME_ODD = 1, FRAME_QUESTION = 2 };

/* A source that nobody may be answered at: this network, loopback, multicast and beyond (RFC 6890). */
static __always_inline int doubtful4(__u32 address)
{
	__u32 first = bpf_ntohl(address) >> 24;

	return first == 0 || first == 127 || first >= 224;
}

static __always_inline int ours(const struct dns_control *control, __u64 high, __u64 low, __u16 port)
{
	for (__u32 i = 0; i < DNS_ENDPOINTS; i++) {
		if (i >= control->endpoint_count)
			break;
		const struct dns_endpoint *e = &control->endpoints[i];
		if (e->low == low && e->high == high && e->port == port)
			return 1;
	}
	return 0;
}

/* A source that is this server's own: the kernel takes no such packet from outside. */
static __always_inline int own(const struct dns_control *control, __u64 high, __u64 low)
{
	for (__u32 i = 0; i < DNS_ENDPOINTS; i++) {
		if (i >= control->endpoint_count)
			break;
		if (control->endpoints[i].low == low && control->endpoints[i].high == high)
			return 1;
	}
	return 0;
}

/* Payload of the IP packet in `length`, octets. */
static __always_inline int read_udp(struct question *q, const struct udphdr *udp, const void *end, __u32 length)
{
	__u32 bytes = bpf_ntohs(udp->len);

	if (!udp->source || bytes != length || bytes < sizeof(*udp) + DNS_HEADER || (void *)udp + bytes > end)
		return FRAME_ODD;
	q->dns = q->udp + sizeof(*udp);
	q->message = bytes - sizeof(*udp) - DNS_HEADER;
	return FRAME_QUESTION;
}

static __always_inline int read_ipv4(struct question *q, void *data, void *end, const struct dns_control *control)
{
	struct iphdr *ip = data + q->ip;
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || ip->protocol != IPPROTO_UDP || ip->version != 4)
		return FRAME_OTHER;
	if (!ours(control, 0, (__u64)ip->daddr << 32 | MAPPED, udp->dest))
		return FRAME_OTHER;
	if (ip->ihl != 5 || ip->frag_off & bpf_htons(IP_MF | IP_OFFSET) || doubtful4(ip->saddr))
		return FRAME_ODD;
	/* The header was changed on the way: its source is not to be believed. */
	if (checksum_header(ip) || own(control, 0, (__u64)ip->saddr << 32 | MAPPED))
		return FRAME_ODD;
	q->udp = q->ip + sizeof(*ip);
	return read_udp(q, udp, end, bpf_ntohs(ip->tot_len) - sizeof(*ip));
}

static __always_inline int read_ipv6(struct question *q, void *data, void *end, const struct dns_control *control)
{
	struct ipv6hdr *ip = data + q->ip;
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || ip->nexthdr != IPPROTO_UDP || ip->version != 6)
		return FRAME_OTHER;
	const __u32 *to = ip->daddr.in6_u.u6_addr32;
	if (!ours(control, (__u64)to[1] << 32 | to[0], (__u64)to[3] << 32 | to[2], udp->dest))
		return FRAME_OTHER;
	/* Multicast, and ::/8: unspecified, loopback, mapped. */
	if (ip->saddr.in6_u.u6_addr8[0] == 0xff || ip->saddr.in6_u.u6_addr8[0] == 0 || !udp->check)
		return FRAME_ODD;
	const __u32 *from = ip->saddr.in6_u.u6_addr32;
	if (own(control, (__u64)from[1] << 32 | from[0], (__u64)from[3] << 32 | from[2]))
		return FRAME_ODD;
	q->udp = q->ip + sizeof(*ip);
	q->ipv6 = 1;
	return read_udp(q, udp, end, bpf_ntohs(ip->payload_len));
}

/* At most one 802.1Q tag, which stays where it is. */
static __always_inline int read_frame(struct xdp_md *ctx, struct question *q, const struct dns_control *control)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 device = ctx->ingress_ifindex;
	__u64 *known = bpf_map_lookup_elem(&dns_devices, &device);

	if (!known || data + sizeof(*eth) + VLAN_BYTES > end)
		return FRAME_OTHER;
	__u64 mac = *known & MAC_BITS;
	/* A switch floods what it has not learnt: a frame for another host is not answered. Nor is one from a group. */
	if (!mac || (*(__u64 *)data & MAC_BITS) != mac || eth->h_source[0] & 1)
		return FRAME_OTHER;
	__u16 type = eth->h_proto, vlan = 0;
	q->ip = sizeof(*eth);
	if (type == bpf_htons(ETH_P_8021Q)) {
		vlan = bpf_ntohs(*(__u16 *)(data + sizeof(*eth))) & VLAN_ID;
		type = *(__u16 *)(data + sizeof(*eth) + 2);
		q->ip += VLAN_BYTES;
	}
	/* Of another network on the same wire. */
	if (vlan != *known >> 48)
		return FRAME_OTHER;
	if (type == bpf_htons(ETH_P_IP))
		return read_ipv4(q, data, end, control);
	return type == bpf_htons(ETH_P_IPV6) ? read_ipv6(q, data, end, control) : FRAME_OTHER;
}
