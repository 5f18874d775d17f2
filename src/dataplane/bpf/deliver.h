/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* A packet whose backend is chosen goes out by that backend's method. */
#pragma once
#include "direct/forward.bpf.h"
#include "fragments.h"
#include "nat/forward.bpf.h"
#include "tunnel/forward.bpf.h"

static __always_inline int forward(struct xdp_md *ctx, struct packet *p, const struct backend *backend,
				   const struct next_hop *hop)
{
	if (backend->forward == FORWARD_DIRECT)
		return forward_direct(ctx, p, hop);
	if (backend->forward == FORWARD_TUNNEL)
		return forward_tunnel(ctx, p, backend, hop);
	return forward_nat(ctx, p, backend, hop);
}

static __always_inline int deliver(struct xdp_md *ctx, struct packet *p, __u32 number)
{
	struct backend_count *count = counts_of(&number);
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);

	if (!backend || !backend->used)
		return DROPPED(DROP_NO_BACKEND);
	const struct next_hop *hop = find_hop(ctx, backend);
	if (!hop)
		return DROPPED(DROP_NO_NEIGHBOUR);
	int verdict = forward(ctx, p, backend, hop);
	if (verdict >= 0)
		count_in(count, p->frame);
	return verdict;
}
