/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What becomes of a packet. Inside the plane a result >= 0 is an XDP action and DROPPED(reason) a named drop. */
#pragma once
#include <bpf/bpf_helpers.h>
#include "counters.h"
#include "parse.h"

#define DROPPED(reason) (-1 - (reason))

static __always_inline __u32 now_ticks(void)
{
	/* The coarse clock costs under 1 ns, the exact one 28. */
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

/* Out of the interface it came in by when that is the one: XDP_TX is cheaper than a redirect. */
static __always_inline int send(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline int finish(__u32 service, int verdict)
{
	if (verdict >= 0)
		return verdict;
	count_drop(service, DROPPED(verdict));
	return XDP_DROP;
}

static __always_inline int set_macs(struct xdp_md *ctx, const struct next_hop *hop)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	__builtin_memcpy(eth->h_dest, hop->target, ETH_ALEN);
	__builtin_memcpy(eth->h_source, hop->source, ETH_ALEN);
	return 0;
}

/* The kernel's own answer; it answers only while forwarding is on for the interface. 0 or a BPF_FIB_LKUP_RET_ value. */
static __always_inline int ask_fib(struct xdp_md *ctx, __u32 source, __u32 target, __u32 length, struct next_hop *hop)
{
	struct bpf_fib_lookup fib = { .family = 2 /* AF_INET */ };

	fib.ifindex = ctx->ingress_ifindex;
	fib.ipv4_src = source;
	fib.ipv4_dst = target;
	fib.tot_len = length;
	int result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	hop->ifindex = fib.ifindex;
	hop->mtu = 0xffff;
	__builtin_memcpy(hop->target, fib.dmac, ETH_ALEN);
	__builtin_memcpy(hop->source, fib.smac, ETH_ALEN);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		struct wanted_key key = { .address = { 0, 0, MAPPED, fib.ipv4_dst }, .ifindex = fib.ifindex };
		__u32 tick = now_ticks();
		bpf_map_update_elem(&wanted, &key, &tick, BPF_ANY);
	}
	return result;
}

/* Cached MACs while the supervisor lives; without its heartbeat the kernel is asked first, the cache is the second best. */
static __always_inline int find_hop(struct xdp_md *ctx, const struct control *control, const struct backend *backend,
				    struct next_hop *hop)
{
	__u32 number = backend->next_hop;
	struct next_hop *cached = bpf_map_lookup_elem(&next_hops, &number);
	int known = cached && cached->ifindex;

	if (known)
		*hop = *cached;
	if (known && now_ticks() - control->heartbeat <= HEARTBEAT_TICKS)
		return 0;
	struct next_hop asked = {};
	if (ask_fib(ctx, backend->source[3], backend->address[3], 0, &asked) == BPF_FIB_LKUP_RET_SUCCESS) {
		asked.mtu = known ? hop->mtu : asked.mtu;
		*hop = asked;
		return 0;
	}
	return known ? 0 : DROPPED(DROP_NO_NEIGHBOUR);
}
