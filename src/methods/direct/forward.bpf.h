/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* direct: the frame's MAC addresses change, nothing else. The real server holds the VIP and answers by itself. */
#pragma once
#include "verdict.h"

static __always_inline int forward_direct(struct xdp_md *ctx, const struct packet *p, const struct next_hop *hop)
{
	int failed = set_macs(ctx, hop);

	return failed ? failed : send(ctx, p, hop);
}
