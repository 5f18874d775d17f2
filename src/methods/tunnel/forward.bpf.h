/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* tunnel: the packet, untouched, travels inside a second IP header (RFC 2003) to a real server in any network. */
#pragma once
#include "checksum.h"
#include "icmp.h"
#include "verdict.h"

static __always_inline int forward_tunnel(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
					  const struct next_hop *hop)
{
	__u32 length = p->length + sizeof(struct iphdr);

	if (length > hop->mtu)
		return answer_too_big(ctx, p, hop->mtu - sizeof(struct iphdr));
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return DROPPED(DROP_TOO_BIG);
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *outer = (void *)(eth + 1), *inner = outer + 1;
	if ((void *)(inner + 1) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	__builtin_memcpy(eth->h_dest, hop->target, ETH_ALEN);
	__builtin_memcpy(eth->h_source, hop->source, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__builtin_memset(outer, 0, sizeof(*outer));
	outer->version = 4;
	outer->ihl = 5;
	outer->tos = inner->tos; /* DSCP and ECN, RFC 6040 normal mode */
	outer->tot_len = bpf_htons(length);
	/* An identification matters only to what may be fragmented (RFC 6864). */
	outer->id = p->dont_fragment ? 0 : (__u16)bpf_get_prandom_u32();
	outer->frag_off = p->dont_fragment ? bpf_htons(IP_DF) : 0;
	outer->ttl = OUTER_TTL;
	outer->protocol = IPPROTO_IPIP;
	outer->saddr = backend->source[3];
	outer->daddr = backend->address[3];
	outer->check = checksum_header(outer);
	return send(ctx, hop->ifindex);
}
