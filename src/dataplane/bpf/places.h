/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The places of the entry program. A place that has nothing to say to a packet asks the next one; the last word is pass. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "limits.h"

/* Programs by sluice_place: one store puts another in force for all interfaces. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, __u32);
} places SEC(".maps");

/* Asks every place from `first` on; an empty one costs a failed tail call. Returns only when none took the packet. */
static __always_inline int ask_places(struct xdp_md *ctx, const __u32 first)
{
#pragma unroll
	for (__u32 place = 0; place < PLACES; place++)
		if (place >= first)
			bpf_tail_call(ctx, &places, place);
	return XDP_PASS;
}
