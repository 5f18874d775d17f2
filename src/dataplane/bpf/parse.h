/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reads one Ethernet frame as far as balancing needs. Whatever it does not understand is not ours: it passes untouched. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "addresses.h"
#include "maps.h"
#include "span.h"

enum fragment_part { WHOLE = 0, FIRST = 1, LATER = 2 };

/* The flow as the client sees it: source is the client, target the VIP. For an ICMP error it is the inner packet's flow,
 * turned round, so that the error finds the backend of the flow it is about. 88 bytes: with more, the deepest chain of
 * calls would need more stack than kernel 6.1 allows (512 bytes, each frame rounded up to 32). */
struct packet {
	struct address source;
	struct address target;
	__u16 source_port;
	__u16 target_port;
	__u8 protocol;
	__u8 tcp_flags; /* byte 13 of the TCP header */
	__u8 icmp_error;
	__u8 part; /* fragment_part */
	__u32 sequence; /* host order */
	__u32 id; /* of its fragments, network order; 16 bits in IPv4 */
	__u16 header; /* bytes from the IP header to the transport's; at most MAX_HEADER */
	__u16 length; /* bytes of the IP packet */
	__u8 dont_fragment;
	__u8 from_end; /* an ICMP error of the flow's other end itself, of no router between */
	__u8 truncated; /* ports are there, the rest of the header is not */
	__u8 ipv6;
	__u8 ttl;
	__u8 tos; /* class of service and congestion bits */
	__u8 of_service; /* 1: `service` holds */
	__u8 quoted; /* of an ICMP error: words of 4 bytes from the quoted IP header to the quoted ports */
	__u32 ifindex; /* where it came in */
	__u32 hash; /* of the flow, for whoever spreads it further */
	__u32 frame; /* bytes without a tag, Ethernet header included */
	__u32 tag; /* 802.1Q control word | TAGGED of a tag that was taken off; 0: none */
	__u32 service; /* number, of a VIP's packet or a reply */
	__u32 slot;
	__u32 backend; /* number + 1, once it is known */
};

/* Tells a tag of zeros from none. */
#define TAGGED 0x10000

/* A power of two less one: masks a header's length for the verifier. In words of 4 bytes it fits one byte. */
#define MAX_HEADER 511

/* Most bytes from an IPv6 header to the packet that an ICMPv6 error behind it quotes. */
#define MAX_QUOTE (MAX_HEADER + 8)

/* Extension headers that are looked through. */
#define MAX_EXTENSIONS 5

/* What stands between an IPv6 packet's fixed header and its transport's. */
struct chain {
	__u32 id; /* of its fragments, network order */
	__u16 header; /* bytes of the fixed header and of those behind it */
	__u8 next; /* going in what the fixed header names, coming out the transport */
	__u8 part; /* fragment_part */
};

/* False when the frame is for another host: a switch floods what it has not learnt, and it must not be sent twice. */
static __always_inline int meant_for_us(const __u32 *index, const void *eth)
{
	struct device *device = bpf_map_lookup_elem(&devices, index);

	if (!device || !device->known)
		return 1;
	/* Two loads: there is no memcmp to call here. */
	return *(__u32 *)eth == *(__u32 *)device->mac && *(__u16 *)(eth + 4) == *(__u16 *)(device->mac + 4);
}

/* Bytes of the two ports at the head of TCP and UDP. */
#define PORTS 4

static __always_inline int parse_tcp(struct packet *p, const struct tcphdr *tcp, const void *end)
{
	if ((void *)(tcp + 1) > end || p->length < p->header + sizeof(*tcp)) {
		if ((void *)tcp + PORTS > end || p->length < p->header + PORTS)
			return 0;
		p->truncated = 1;
	} else {
		p->sequence = bpf_ntohl(tcp->seq);
		p->tcp_flags = ((const __u8 *)tcp)[13];
	}
	p->source_port = tcp->source;
	p->target_port = tcp->dest;
	return 1;
}

static __always_inline int parse_udp(struct packet *p, const struct udphdr *udp, const void *end)
{
	if ((void *)udp + PORTS > end)
		return 0;
	p->source_port = udp->source;
	p->target_port = udp->dest;
	p->truncated = (void *)(udp + 1) > end || p->length < p->header + sizeof(*udp);
	/* What stands behind the packet's end are no ports. */
	return !p->truncated || p->length >= p->header + PORTS;
}

/* Turns the quoted flow round; its ports stand `header` bytes, whole words, behind the quoted IP header. False unless the
 * error is honest: it goes to whoever sent what it quotes, and the ports are its own to tell. */
static __always_inline int about_flow(struct packet *p, const struct address *asker, const struct address *end,
				      __u8 protocol, __u32 header)
{
	if (!same_address(&p->target, asker) || p->length < p->header + sizeof(struct icmphdr) + header + PORTS)
		return 0;
	p->icmp_error = 1;
	p->quoted = header / 4;
	p->from_end = same_address(&p->source, end);
	p->source = *end;
	p->protocol = protocol;
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
	struct address asker = mapped(inner->saddr), other = mapped(inner->daddr);
	if ((void *)(ports + 2) > end || !about_flow(p, &asker, &other, inner->protocol, (inner->ihl & 15) * 4))
		return 0;
	p->source_port = ports[1];
	p->target_port = ports[0];
	return 1;
}

/* Hop-by-hop, routing and destination headers are stepped over, a fragment header is read (RFC 8200, 4), of the IPv6 packet
 * that begins `from` bytes, at most MAX_QUOTE, behind the Ethernet header. False: longer than MAX_HEADER, or a header that
 * hides what follows. Global: verified once, by itself. */
__noinline int skip_extensions(struct xdp_md *ctx, struct chain *c, __u32 from)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 at = sizeof(struct ipv6hdr);

	if (!c || from > MAX_QUOTE)
		return 0;
	__u8 next = c->next;
#pragma unroll
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6)
			break;
		__u8 *head = data + sizeof(struct ethhdr) + from + (at & MAX_HEADER);
		if ((void *)(head + 8) > end)
			return 0;
		if (next == IPPROTO_FRAGMENT) {
			__u16 place = bpf_ntohs(*(__u16 *)(head + 2));
			c->id = *(__u32 *)(head + 4);
			if (place & (IP6_OFFSET | IP6_MORE))
				c->part = place & IP6_OFFSET ? LATER : FIRST;
			at += IP6_FRAGMENT;
		} else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
			at += (head[1] + 1) * 8;
		} else {
			return 0;
		}
		next = head[0];
		if (at > MAX_HEADER)
			return 0;
		if (c->part == LATER)
			break;
	}
	c->next = next;
	c->header = at;
	return 1;
}

/* Errors only (RFC 4443): neighbour discovery, multicast listeners and echoes are the kernel's. What is forwarded with
 * extension headers is known by them in a quote too. */
static __always_inline int parse_icmp6(struct xdp_md *ctx, struct packet *p, const struct icmphdr *icmp, const void *end)
{
	const struct ipv6hdr *inner = (const void *)(icmp + 1);

	if ((void *)(inner + 1) > end || icmp->type < ICMP6_DEST_UNREACH || icmp->type > ICMP6_PARAMETERPROB)
		return 0;
	struct address asker = address6(&inner->saddr), other = address6(&inner->daddr);
	struct chain c = { .next = inner->nexthdr };
	if (inner->version != 6 || is_ipv4(&other) || !skip_extensions(ctx, &c, p->header + sizeof(*icmp)))
		return 0;
	/* Later parts have no ports. */
	if (c.part == LATER || (c.next != IPPROTO_TCP && c.next != IPPROTO_UDP))
		return 0;
	const __u16 *ports = (const void *)inner + (c.header & MAX_HEADER);
	if ((void *)(ports + 2) > end || !about_flow(p, &asker, &other, c.next, c.header))
		return 0;
	p->source_port = ports[1];
	p->target_port = ports[0];
	return 1;
}

/* What only forwarding asks for. */
static __always_inline void read_ipv4(struct packet *p, const struct iphdr *ip)
{
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->dont_fragment = !!(ip->frag_off & bpf_htons(IP_DF));
}

static __always_inline int parse_ipv4(struct packet *p, const struct iphdr *ip, const void *end)
{
	if ((void *)(ip + 1) > end)
		return 0;
	p->header = (ip->ihl & 15) * 4;
	p->length = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || ip->ihl < 5 || p->length < p->header || p->length + sizeof(struct ethhdr) > p->frame)
		return 0;
	p->source = mapped(ip->saddr);
	p->target = mapped(ip->daddr);
	p->protocol = ip->protocol;
	p->id = ip->id;
	read_ipv4(p, ip);
	if (ip->frag_off & bpf_htons(IP_OFFSET | IP_MF))
		p->part = ip->frag_off & bpf_htons(IP_OFFSET) ? LATER : FIRST;
	return 1;
}

/* What only forwarding asks for. */
static __always_inline void read_ipv6(struct packet *p, const struct ipv6hdr *ip)
{
	p->ttl = ip->hop_limit;
	p->tos = bpf_ntohs(*(const __u16 *)ip) >> 4;
	p->dont_fragment = 1;
}

/* The header alone: `protocol` may be that of an extension. */
static __always_inline int parse_ipv6_header(struct packet *p, const struct ipv6hdr *ip, const void *end)
{
	if ((void *)(ip + 1) > end)
		return 0;
	__u32 length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (ip->version != 6 || length > 0xffff || (const void *)ip + length > end)
		return 0;
	p->ipv6 = 1;
	p->header = sizeof(*ip);
	p->length = length;
	p->source = address6(&ip->saddr);
	p->target = address6(&ip->daddr);
	p->protocol = ip->nexthdr;
	read_ipv6(p, ip);
	/* Never on a wire (RFC 4291, 2.5.5.2 is for hosts): else it would be taken for the IPv4 address. */
	return !is_ipv4(&p->source) && !is_ipv4(&p->target);
}

static __always_inline int parse_ipv6(struct xdp_md *ctx, struct packet *p, const struct ipv6hdr *ip, const void *end)
{
	if (!parse_ipv6_header(p, ip, end))
		return 0;
	if (p->protocol == IPPROTO_TCP || p->protocol == IPPROTO_UDP || p->protocol == IPPROTO_ICMPV6)
		return 1;
	struct chain c = { .next = p->protocol };
	if (!skip_extensions(ctx, &c, 0))
		return 0;
	p->id = c.id;
	p->header = c.header;
	p->protocol = c.next;
	p->part = c.part;
	return p->length >= p->header;
}

/* May it be a check of ours that comes back? */
static __always_inline int has_check_port(const struct packet *p)
{
	__u16 port = bpf_ntohs(p->source_port);

	return control.flags & CONTROL_CHECKS && port >= control.check_low && port <= control.check_high;
}

/* 1: `p` is filled (of a later fragment only the addresses). 0: not ours. */
static __always_inline int parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *type = data + 2 * ETH_ALEN;
	void *ip = data + sizeof(struct ethhdr);

	p->ifindex = ctx->ingress_ifindex;
	p->frame = frame_bytes(ctx);
	if (ip > end || !meant_for_us(&p->ifindex, data))
		return 0;
	if (*type == bpf_htons(ETH_P_IP)) {
		if (!parse_ipv4(p, ip, end))
			return 0;
	} else if (*type != bpf_htons(ETH_P_IPV6) || !parse_ipv6(ctx, p, ip, end)) {
		return 0;
	}
	if (p->part == LATER)
		return 1;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	void *next = data + sizeof(struct ethhdr) + (p->header & MAX_HEADER);
	if (p->protocol == IPPROTO_TCP)
		return parse_tcp(p, next, end);
	if (p->protocol == IPPROTO_UDP)
		return parse_udp(p, next, end);
	if (p->part != WHOLE)
		return 0;
	if (p->protocol == IPPROTO_ICMP && !p->ipv6)
		return parse_icmp(p, next, end);
	return p->protocol == IPPROTO_ICMPV6 && p->ipv6 ? parse_icmp6(ctx, p, next, end) : 0;
}

/* Who sent a packet that was parsed: of an error the flow's other end, or a router between. Read once more: kept, it would
 * cost every packet 16 bytes of stack, of which the deepest chain of calls has none to spare. */
static __always_inline struct address sender_of(struct xdp_md *ctx, const struct packet *p)
{
	struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	struct ipv6hdr *ip6 = (void *)ip;

	if (p->icmp_error && p->ipv6 && (void *)(ip6 + 1) <= (void *)(long)ctx->data_end)
		return address6(&ip6->saddr);
	if (p->icmp_error && !p->ipv6 && (void *)(ip + 1) <= (void *)(long)ctx->data_end)
		return mapped(ip->saddr);
	return p->source;
}
