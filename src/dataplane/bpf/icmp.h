/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* "Fragmentation needed" back to the sender (RFC 792, RFC 1191): path MTU discovery must work through the plane. */
#pragma once
#include "checksum.h"
#include "verdict.h"

#define ICMP_FRAME (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct icmphdr) + ICMP_QUOTE)

/* Turns the packet into the error and sends it back where it came from. A packet that does not fit is always longer than
 * the quote (no link has an MTU under 68, RFC 791). Errors about errors are never sent. */
static __always_inline int answer_too_big(struct xdp_md *ctx, const struct packet *p, __u32 mtu)
{
	struct ethhdr old;

	if (!p->dont_fragment || p->icmp_error)
		return DROPPED(DROP_TOO_BIG);
	void *data = (void *)(long)ctx->data;
	if (data + sizeof(old) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	__builtin_memcpy(&old, data, sizeof(old));
	int tail = (int)(sizeof(old) + ICMP_QUOTE) - (int)frame_bytes(ctx);
	if (bpf_xdp_adjust_tail(ctx, tail) || bpf_xdp_adjust_head(ctx, -(int)(sizeof(struct iphdr) + sizeof(struct icmphdr))))
		return DROPPED(DROP_TOO_BIG);
	data = (void *)(long)ctx->data;
	if (data + ICMP_FRAME > (void *)(long)ctx->data_end)
		return DROPPED(DROP_TOO_BIG);
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct icmphdr *icmp = (void *)(ip + 1);
	__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
	eth->h_proto = old.h_proto;
	__builtin_memset(ip, 0, sizeof(*ip) + sizeof(*icmp));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(ICMP_FRAME - sizeof(*eth));
	ip->ttl = OUTER_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = p->target;
	ip->daddr = p->source;
	ip->check = checksum_header(ip);
	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = ICMP_FRAG_NEEDED;
	icmp->un.frag.mtu = bpf_htons(mtu);
	icmp->checksum = checksum_fold(bpf_csum_diff(0, 0, (void *)icmp, sizeof(*icmp) + ICMP_QUOTE, 0));
	return XDP_TX;
}
