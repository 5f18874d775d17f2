/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What becomes of a packet. Inside the plane a result >= 0 is an XDP action and DROPPED(reason) a named drop. */
#pragma once
#include <bpf/bpf_helpers.h>
#include "counters.h"
#include "parse.h"
#include "tags.h"

#define DROPPED(reason) (-1 - (reason))
/* Besides them: it is not ours, pass it on; and an answer of ours goes back in its place. */
#define PASSED_ON 0x100
#define ANSWERED (0x200 | XDP_TX)
#define AF_INET 2
#define AF_INET6 10

static __always_inline __u32 now_ticks(void)
{
	/* The coarse clock: the exact one costs 28 ns. */
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

/* Out of the interface it `came` in by when that is the one: XDP_TX is cheaper than a redirect. */
static __always_inline int send(struct xdp_md *ctx, const struct packet *p, const struct next_hop *hop, __u32 came)
{
	__u32 ifindex = hop->ifindex;

	if (UNLIKELY(hop->vlan) && !push_tag(ctx, hop->vlan | (p->tag & VLAN_PRIORITY)))
		return DROPPED(DROP_TOO_BIG);
	return LIKELY(ifindex == came) ? XDP_TX : bpf_redirect(ifindex, 0);
}

/* The way it came, as an answer of ours. */
static __always_inline int back(struct xdp_md *ctx, const struct packet *p)
{
	return p->tag && !push_tag(ctx, p->tag & 0xffff) ? DROPPED(DROP_TOO_BIG) : ANSWERED;
}

static __always_inline int finish(__u32 service, int verdict)
{
	if (verdict >= 0)
		return verdict & 0xff;
	count_drop(service, DROPPED(verdict));
	return XDP_DROP;
}

/* Both MACs stand in a next hop as in a frame: twelve bytes in two stores. The caller has checked the frame's length. */
static __always_inline void write_macs(void *eth, const struct next_hop *hop)
{
	*(__u64 *)eth = *(const __u64 *)hop->target;
	*(__u32 *)(eth + 8) = *(const __u32 *)(hop->target + 8);
}

static __always_inline int set_macs(struct xdp_md *ctx, const struct next_hop *hop)
{
	void *data = (void *)(long)ctx->data;

	if (data + sizeof(struct ethhdr) > (void *)(long)ctx->data_end)
		return DROPPED(DROP_MALFORMED);
	write_macs(data, hop);
	return 0;
}

/* XDP cannot transmit on a VLAN device: its parent takes the frame, tagged. */
static __always_inline void take_device(struct next_hop *hop, __u32 ifindex)
{
	struct device *device = bpf_map_lookup_elem(&devices, &ifindex);

	hop->ifindex = device && device->parent ? device->parent : ifindex;
	hop->vlan = device && device->parent ? device->vlan : 0;
}

/* The kernel's own answer; it answers only while forwarding is on for the interface. 0 or a BPF_FIB_LKUP_RET_ value. */
static __noinline int ask_fib(struct xdp_md *ctx, const struct address *source, const struct address *target,
			      __u32 length, struct next_hop *hop)
{
	struct bpf_fib_lookup fib __attribute__((aligned(8))) = {};

	if (!source || !target || !hop)
		return BPF_FIB_LKUP_RET_BLACKHOLE;
	fib.ifindex = ctx->ingress_ifindex;
	fib.tot_len = length;
	if (is_ipv4(target)) {
		fib.family = AF_INET;
		fib.ipv4_src = address4(source);
		fib.ipv4_dst = address4(target);
	} else {
		fib.family = AF_INET6;
		write6((struct in6_addr *)fib.ipv6_src, source);
		write6((struct in6_addr *)fib.ipv6_dst, target);
	}
	int result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	take_device(hop, fib.ifindex);
	hop->mtu = result == BPF_FIB_LKUP_RET_FRAG_NEEDED ? fib.mtu_result : 0xffff;
	hop->link_mtu = hop->mtu;
	__builtin_memcpy(hop->target, fib.dmac, ETH_ALEN);
	__builtin_memcpy(hop->source, fib.smac, ETH_ALEN);
	if (result == BPF_FIB_LKUP_RET_NO_NEIGH) {
		/* The kernel has put the next hop in the target's place. */
		struct wanted_key key = { .ifindex = fib.ifindex };
		__u32 tick = now_ticks();
		key.address = fib.family == AF_INET ? mapped(fib.ipv4_dst) : address6((struct in6_addr *)fib.ipv6_dst);
		bpf_map_update_elem(&wanted, &key, &tick, BPF_ANY);
	}
	return result;
}

/* Nobody has resolved the hop, or nobody has kept it fresh: the kernel is asked, the cache is the second best. False when
 * neither knows. */
static __always_inline int resolve(struct xdp_md *ctx, const struct backend *backend, struct next_hop *hop)
{
	if (!backend || !hop)
		return 0;
	const struct next_hop *cached = bpf_map_lookup_elem(&next_hops, &backend->next_hop);
	__builtin_memset(hop, 0, sizeof(*hop));
	int asked = ask_fib(ctx, &backend->source, &backend->address, 0, hop);
	if (!cached || !cached->ifindex)
		return asked == BPF_FIB_LKUP_RET_SUCCESS;
	if (asked == BPF_FIB_LKUP_RET_SUCCESS) {
		hop->mtu = cached->mtu;
		hop->link_mtu = cached->link_mtu;
	} else {
		*hop = *cached;
	}
	return 1;
}

/* Jiffies: a load that the kernel writes into the program, where even the coarse clock is a call of 10 ns. */
static __always_inline int supervisor_lives(void)
{
	return (__u32)bpf_jiffies64() - control.heartbeat <= control.patience;
}

/* Cached MACs while the supervisor lives. NULL: the kernel must be asked. */
static __always_inline const struct next_hop *cached_hop(const struct backend *backend)
{
	const struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &backend->next_hop);

	return hop && hop->ifindex && supervisor_lives() ? hop : 0;
}

/* NULL: nobody knows the way. */
static __always_inline const struct next_hop *find_hop(struct xdp_md *ctx, const struct backend *backend)
{
	__u32 zero = 0;
	const struct next_hop *hop = cached_hop(backend);

	if (hop)
		return hop;
	struct next_hop *room = bpf_map_lookup_elem(&hop_rooms, &zero);
	return room && resolve(ctx, backend, room) ? room : 0;
}
