/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* 802.1Q tags that stand in the frame itself. They are taken off before anybody looks, and put back before a frame passes,
 * so that everything else sees one shape. A tag that the card has taken off is invisible here: such a frame comes in by
 * its VLAN device. */
#pragma once
#include "parse.h"

/* Bits of the control word, host order: priority (802.1Q), which a packet keeps. */
#define VLAN_PRIORITY 0xe000

/* Moves the MACs four bytes back and writes a tag behind them. False: no room. */
static __noinline int push_tag(struct xdp_md *ctx, __u32 control)
{
	if (bpf_xdp_adjust_head(ctx, -VLAN_BYTES))
		return 0;
	void *data = (void *)(long)ctx->data;
	__u32 *word = data;
	struct tag *tag = data + 2 * ETH_ALEN;
	if (data + 2 * ETH_ALEN + VLAN_BYTES > (void *)(long)ctx->data_end)
		return 0;
	word[0] = word[1];
	word[1] = word[2];
	word[2] = word[3];
	tag->type = bpf_htons(ETH_P_8021Q);
	tag->control = bpf_htons(control);
	return 1;
}

/* Tags of providers, and a second one behind the first, are not read: such a frame passes untouched, and is counted. One for
 * us still has a tag where its type should be. */
static __always_inline void count_tagged(struct xdp_md *ctx, const struct packet *p)
{
	void *data = (void *)(long)ctx->data;
	__u16 *type = data + 2 * ETH_ALEN;
	__u32 zero = 0;

	if ((void *)(type + 1) > (void *)(long)ctx->data_end ||
	    (*type != bpf_htons(ETH_P_8021Q) && *type != bpf_htons(ETH_P_8021AD)) ||
	    !meant_for_us(&p->ifindex, data))
		return;
	__u64 *count = bpf_map_lookup_elem(&tagged_passes, &zero);
	if (count)
		(*count)++;
}

static __always_inline int has_tag(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	return data + sizeof(struct ethhdr) <= (void *)(long)ctx->data_end &&
	       *(__u16 *)(data + 2 * ETH_ALEN) == bpf_htons(ETH_P_8021Q);
}

/* Takes a tag off. Its control word with TAGGED set, or 0 when there is none. */
static __noinline __u32 pull_tag(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 *word = data;
	struct tag *tag = data + 2 * ETH_ALEN;

	/* No frame may become shorter than its header. */
	if (data + sizeof(struct ethhdr) + VLAN_BYTES > (void *)(long)ctx->data_end)
		return 0;
	__u32 control = bpf_ntohs(tag->control) | TAGGED;
	word[3] = word[2];
	word[2] = word[1];
	word[1] = word[0];
	return bpf_xdp_adjust_head(ctx, VLAN_BYTES) ? 0 : control;
}
