/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* direct: the frame's MAC addresses change, nothing else. The real server holds the VIP and answers by itself. */
#pragma once
#include "icmp.h"
#include "verdict.h"

/* What came by the link that it leaves by fits there, whatever its length: several packets of TCP may come as one where the
 * other end of a veth leaves it to us to part them. */
static __always_inline int stays_on_link(const struct packet *p, const struct next_hop *hop)
{
	return hop->ifindex == p->ifindex && hop->vlan == (p->tag & VLAN_ID);
}

static __always_inline int forward_direct(struct xdp_md *ctx, const struct packet *p, const struct next_hop *hop)
{
	if (p->length > hop->mtu && !stays_on_link(p, hop))
		return answer_too_big(ctx, p, &p->target, hop->mtu);
	int failed = set_macs(ctx, hop);

	return failed ? failed : send(ctx, p, hop, p->ifindex);
}
