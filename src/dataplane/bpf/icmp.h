/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Errors back to the sender (RFC 792, RFC 1191, RFC 4443): path MTU discovery and traceroute must work through the plane. */
#pragma once
#include "checksum.h"
#include "rate.h"
#include "verdict.h"

/* Bytes quoted where only the flow must be known again: a header without options or extensions, and eight more. */
#define QUOTE4_SHORT (sizeof(struct iphdr) + 8)
#define QUOTE6_SHORT (sizeof(struct ipv6hdr) + 8)
/* As much as fits the least MTU (RFC 4443, 3.2). A packet that is too big is longer than that. */
#define QUOTE6_LONG (IP6_LEAST_MTU - sizeof(struct ipv6hdr) - sizeof(struct icmphdr))
/* One sum of the helper takes at most 512 bytes. */
#define SUM_STEP 496

/* May one more error of this kind be sent? Unless told otherwise `rate` a second and CPU, `burst` at once. */
static __always_inline int may_tell(const __u32 kind, __u32 rate, __u32 burst)
{
	struct rate measure = control.errors[kind];
	__u64 *bucket = bpf_map_lookup_elem(&error_buckets, &kind);

	if (!measure.interval)
		measure = (struct rate){ RATE_SECOND / rate, (burst - 1) * (RATE_SECOND / rate) };
	return bucket && rate_take(bucket, 0, rate_now(), &measure);
}

/* Leaves the first `quote` bytes of the packet, with room for headers of `grow` bytes before them, and turns the MACs. */
static __always_inline int make_room(struct xdp_md *ctx, const __u32 quote, const __u32 grow, __u16 type)
{
	struct ethhdr old;
	void *data = (void *)(long)ctx->data;

	if (data + sizeof(old) > (void *)(long)ctx->data_end)
		return 0;
	__builtin_memcpy(&old, data, sizeof(old));
	int tail = (int)(sizeof(old) + quote) - (int)frame_bytes(ctx);
	if (tail > 0 || bpf_xdp_adjust_tail(ctx, tail) || bpf_xdp_adjust_head(ctx, -(int)grow))
		return 0;
	data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;
	if (data + sizeof(old) > (void *)(long)ctx->data_end)
		return 0;
	__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
	eth->h_proto = bpf_htons(type);
	return 1;
}

/* `kind`: type and code; `rest`: the message's second word, network order; `from`: the error's sender. */
static __always_inline int answer4(struct xdp_md *ctx, const struct packet *p, const struct address *from, __u16 kind,
				   __u32 rest, const __u32 quote)
{
	const __u32 grow = sizeof(struct iphdr) + sizeof(struct icmphdr);

	if (!make_room(ctx, quote, grow, ETH_P_IP))
		return DROPPED(DROP_TOO_BIG);
	struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	struct icmphdr *icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) + quote > (void *)(long)ctx->data_end)
		return DROPPED(DROP_TOO_BIG);
	const struct iphdr *inner = (void *)(icmp + 1);
	__u32 asker = inner->saddr;
	__builtin_memset(ip, 0, grow);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(grow + quote);
	ip->ttl = OUTER_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = address4(from);
	ip->daddr = asker;
	ip->check = checksum_header(ip);
	icmp->type = kind >> 8;
	icmp->code = kind;
	icmp->un.rest = rest;
	icmp->checksum = checksum_fold((__u32)bpf_csum_diff(0, 0, (void *)icmp, sizeof(*icmp) + quote, 0));
	return back(ctx, p);
}

static __always_inline int answer6(struct xdp_md *ctx, const struct packet *p, const struct address *from, __u16 kind,
				   __u32 rest, const __u32 quote)
{
	const __u32 grow = sizeof(struct ipv6hdr) + sizeof(struct icmphdr), message = sizeof(struct icmphdr) + quote;

	if (!make_room(ctx, quote, grow, ETH_P_IPV6))
		return DROPPED(DROP_TOO_BIG);
	struct ipv6hdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	struct icmphdr *icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) + quote > (void *)(long)ctx->data_end)
		return DROPPED(DROP_TOO_BIG);
	const struct ipv6hdr *inner = (void *)(icmp + 1);
	struct address asker = address6(&inner->saddr);
	__builtin_memset(ip, 0, grow);
	ip->version = 6;
	ip->payload_len = bpf_htons(message);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = OUTER_TTL;
	write6(&ip->saddr, from);
	write6(&ip->daddr, &asker);
	icmp->type = kind >> 8;
	icmp->code = kind;
	icmp->un.rest = rest;
	__u64 sum = (__u32)bpf_csum_diff(0, 0, (void *)&ip->saddr, 2 * sizeof(ip->saddr), 0);
	sum += (__u64)bpf_htonl(message) + bpf_htonl(IPPROTO_ICMPV6);
#pragma unroll
	for (__u32 at = 0; at < message; at += SUM_STEP)
		sum += (__u32)bpf_csum_diff(0, 0, (void *)icmp + at, message - at < SUM_STEP ? message - at : SUM_STEP, 0);
	icmp->checksum = checksum_fold(sum);
	return back(ctx, p);
}

/* "Too big, `mtu` would fit". A packet that does not fit is always longer than the quote (no link has an MTU under 68, RFC
 * 791). Errors about errors are never sent, nor about what may be fragmented. */
static __noinline int answer_too_big(struct xdp_md *ctx, const struct packet *p, const struct address *from, __u32 mtu)
{
	if (!p || !from || !p->dont_fragment || p->icmp_error)
		return DROPPED(DROP_TOO_BIG);
	if (!may_tell(ERROR_TOO_BIG, TOO_BIG_RATE, TOO_BIG_BURST))
		return DROPPED(DROP_ERROR_RATE);
	if (p->ipv6)
		return answer6(ctx, p, from, ICMP6_TOO_BIG << 8, bpf_htonl(mtu < IP6_LEAST_MTU ? IP6_LEAST_MTU : mtu),
			       QUOTE6_LONG);
	return answer4(ctx, p, from, ICMP_DEST_UNREACH << 8 | ICMP_FRAG_NEEDED, bpf_htonl(mtu), ICMP_QUOTE);
}

/* "Its hops were used up." Not for errors and later fragments (RFC 1122, 3.2.2), nor where a short quote is no whole header. */
static __noinline int answer_expired(struct xdp_md *ctx, const struct packet *p, const struct address *from)
{
	if (!p || !from || p->icmp_error || p->part == LATER ||
	    p->header != (p->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)))
		return DROPPED(DROP_TTL);
	if (!may_tell(ERROR_EXPIRED, EXPIRED_RATE, EXPIRED_BURST))
		return DROPPED(DROP_ERROR_RATE);
	int verdict = p->ipv6 ? answer6(ctx, p, from, ICMP6_TIME_EXCEEDED << 8, 0, QUOTE6_SHORT)
			      : answer4(ctx, p, from, ICMP_TIME_EXCEEDED << 8, 0, QUOTE4_SHORT);
	return verdict < 0 ? DROPPED(DROP_TTL) : verdict;
}
