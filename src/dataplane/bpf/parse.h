/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reads one Ethernet frame as far as balancing needs. Whatever it does not understand is not ours: it passes untouched. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "maps.h"
#include "wire.h"


enum fragment_part { WHOLE = 0, FIRST = 1, LATER = 2 };

/* The flow as the client sees it: source is the client, target the VIP. For an ICMP error it is the inner packet's flow,
 * turned round, so that the error finds the backend of the flow it is about. */
struct packet {
	__u32 source; /* network order, as in the packet */
	__u32 target;
	__u16 source_port;
	__u16 target_port;
	__u8 protocol;
	__u8 tcp_flags; /* byte 13 of the TCP header */
	__u8 icmp_error;
	__u8 part; /* fragment_part */
	__u32 sequence; /* host order */
	__u16 header; /* bytes of the IP header */
	__u16 length; /* bytes of the IP packet */
	__u16 id; /* network order */
	__u8 dont_fragment;
	__u8 truncated; /* ports are there, the rest of the header is not */
};

/* The barriers keep both pointers whole: the verifier refuses a spilled half of one. */
static __always_inline __u32 frame_bytes(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	asm volatile("" : "+r"(data), "+r"(end));
	return end - data;
}

/* False when the frame is for another host: a switch floods what it has not learnt, and it must not be sent twice. */
static __always_inline int meant_for_us(struct xdp_md *ctx, const struct ethhdr *eth)
{
	__u32 index = ctx->ingress_ifindex;
	struct device *device = bpf_map_lookup_elem(&devices, &index);

	if (!device || !device->known)
		return 1;
	/* Two loads: there is no memcmp to call here. */
	return *(__u32 *)eth->h_dest == *(__u32 *)device->mac && *(__u16 *)(eth->h_dest + 4) == *(__u16 *)(device->mac + 4);
}

static __always_inline int parse_tcp(struct packet *p, const struct tcphdr *tcp, const void *end)
{
	if ((void *)tcp + 4 > end)
		return 0;
	p->source_port = tcp->source;
	p->target_port = tcp->dest;
	if ((void *)(tcp + 1) > end || p->length < p->header + sizeof(*tcp)) {
		p->truncated = 1;
		return 1;
	}
	p->sequence = bpf_ntohl(tcp->seq);
	p->tcp_flags = ((const __u8 *)tcp)[13];
	return 1;
}

static __always_inline int parse_udp(struct packet *p, const struct udphdr *udp, const void *end)
{
	if ((void *)udp + 4 > end)
		return 0;
	p->source_port = udp->source;
	p->target_port = udp->dest;
	p->truncated = (void *)(udp + 1) > end || p->length < p->header + sizeof(*udp);
	return 1;
}

/* Errors only (RFC 792): an echo to the VIP is the kernel's to answer. */
static __always_inline int parse_icmp(struct packet *p, const struct icmphdr *icmp, const void *end)
{
	const struct iphdr *inner = (const void *)(icmp + 1);

	if ((void *)(inner + 1) > end)
		return 0;
	if (icmp->type != ICMP_DEST_UNREACH && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETERPROB)
		return 0;
	if (inner->version != 4 || inner->ihl < 5 || (inner->frag_off & bpf_htons(IP_OFFSET)))
		return 0;
	if (inner->protocol != IPPROTO_TCP && inner->protocol != IPPROTO_UDP)
		return 0;
	const __u16 *ports = (const void *)inner + (inner->ihl & 15) * 4;
	if ((void *)(ports + 2) > end)
		return 0;
	p->icmp_error = 1;
	p->protocol = inner->protocol;
	p->source = inner->daddr;
	p->target = inner->saddr;
	p->source_port = ports[1];
	p->target_port = ports[0];
	return 1;
}

/* 1: `p` is filled (of a later fragment only the addresses). 0: not ours. */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || !meant_for_us(ctx, eth))
		return 0;
	p->header = (ip->ihl & 15) * 4;
	p->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || p->length < p->header || p->length + sizeof(*eth) > frame_bytes(ctx))
		return 0;
	p->source = ip->saddr;
	p->target = ip->daddr;
	p->protocol = ip->protocol;
	p->id = ip->id;
	p->dont_fragment = !!(ip->frag_off & bpf_htons(IP_DF));
	if (ip->frag_off & bpf_htons(IP_OFFSET)) {
		p->part = LATER;
		return 1;
	}
	p->part = ip->frag_off & bpf_htons(IP_MF) ? FIRST : WHOLE;
	void *next = (void *)ip + p->header;
	if (p->protocol == IPPROTO_TCP)
		return parse_tcp(p, next, end);
	if (p->protocol == IPPROTO_UDP)
		return parse_udp(p, next, end);
	if (p->protocol == IPPROTO_ICMP && p->part == WHOLE)
		return parse_icmp(p, next, end);
	return 0;
}
