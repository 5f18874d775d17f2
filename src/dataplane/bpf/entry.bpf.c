/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The one XDP program of an interface. It decides nothing: it asks the places in their order. */
#include "places.h"

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	return ask_places(ctx, PLACE_GUARD);
}

char _license[] SEC("license") = "GPL";
