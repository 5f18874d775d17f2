/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* nat: on the way in the target address and port become the backend's, on the way back the source becomes the VIP's.
 * Checksums are patched, never recomputed (RFC 1624), so a packet that was broken stays broken. */
#pragma once
#include "checksum.h"
#include "icmp.h"
#include "verdict.h"

/* Patches the transport checksum at `l4` for one address and one port. A UDP checksum of 0 means "none" and stays. */
static __always_inline int patch_transport(void *l4, void *end, __u8 protocol, __u32 old_address, __u32 new_address,
					   __u16 old_port, __u16 new_port)
{
	__u16 *checksum;

	if (protocol == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return DROPPED(DROP_MALFORMED);
		checksum = &((struct tcphdr *)l4)->check;
	} else {
		if (l4 + sizeof(struct udphdr) > end)
			return DROPPED(DROP_MALFORMED);
		checksum = &((struct udphdr *)l4)->check;
		if (*checksum == 0)
			return 0;
	}
	checksum_replace4(checksum, old_address, new_address);
	checksum_replace2(checksum, old_port, new_port);
	if (protocol == IPPROTO_UDP && *checksum == 0)
		*checksum = 0xffff;
	return 0;
}

/* An ICMP error about a packet that left with the VIP as source: its quote must name the backend again, or the backend
 * does not know its own packet. `l4` is the ICMP header. */
static __always_inline int translate_quote(void *l4, void *end, __u32 old_address, __u32 new_address, __u16 old_port,
					   __u16 new_port)
{
	struct icmphdr *icmp = l4;
	struct iphdr *inner = (void *)(icmp + 1);

	if ((void *)(inner + 1) > end)
		return DROPPED(DROP_MALFORMED);
	__u16 *ports = (void *)inner + (inner->ihl & 15) * 4;
	if ((void *)(ports + 2) > end)
		return DROPPED(DROP_MALFORMED);
	__u16 header = inner->check;
	inner->saddr = new_address;
	ports[0] = new_port;
	checksum_replace4(&inner->check, old_address, new_address);
	checksum_replace4(&icmp->checksum, old_address, new_address);
	checksum_replace2(&icmp->checksum, header, inner->check);
	checksum_replace2(&icmp->checksum, old_port, new_port);
	return 0;
}

static __always_inline int forward_nat(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
				       const struct next_hop *hop)
{
	if (p->length > hop->mtu)
		return answer_too_big(ctx, p, hop->mtu);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > end)
		return DROPPED(DROP_MALFORMED);
	if (ip->ttl <= 1)
		return DROPPED(DROP_TTL);
	__u32 old = ip->daddr, new = backend->address[3];
	int failed = 0;
	void *l4 = (void *)ip + (ip->ihl & 15) * 4;
	if (p->icmp_error) {
		failed = translate_quote(l4, end, old, new, p->target_port, backend->port);
	} else if (p->part != LATER) {
		failed = patch_transport(l4, end, p->protocol, old, new, p->target_port, backend->port);
		if (!failed && l4 + 4 <= end)
			((__u16 *)l4)[1] = backend->port;
	}
	if (failed)
		return failed;
	ip->daddr = new;
	checksum_replace4(&ip->check, old, new);
	decrease_ttl(ip);
	failed = set_macs(ctx, hop);
	return failed ? failed : send(ctx, hop->ifindex);
}

/* The way back. Where the FIB says "not for forwarding" the packet is for the director itself: `*own` is set, nothing
 * was changed, and it passes (its checks, and whoever talks to the backend directly from here). */
static __always_inline int return_nat(struct xdp_md *ctx, const struct packet *p, __u32 vip, __u16 vip_port, int *own)
{
	struct next_hop hop = {};
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > end)
		return DROPPED(DROP_MALFORMED);
	__u32 old = ip->saddr;
	int found = ask_fib(ctx, vip, ip->daddr, p->length, &hop);
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH)
		return DROPPED(DROP_NO_NEIGHBOUR);
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return DROPPED(DROP_TOO_BIG);
	if (found != BPF_FIB_LKUP_RET_SUCCESS) {
		*own = 1;
		return XDP_PASS;
	}
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = data + sizeof(struct ethhdr);
	if ((void *)(ip + 1) > end)
		return DROPPED(DROP_MALFORMED);
	if (ip->ttl <= 1)
		return DROPPED(DROP_TTL);
	if (p->part != LATER) {
		void *l4 = (void *)ip + (ip->ihl & 15) * 4;
		int failed = patch_transport(l4, end, p->protocol, old, vip, p->source_port, vip_port);
		if (failed)
			return failed;
		if (l4 + 4 <= end)
			((__u16 *)l4)[0] = vip_port;
	}
	ip->saddr = vip;
	checksum_replace4(&ip->check, old, vip);
	decrease_ttl(ip);
	int failed = set_macs(ctx, &hop);
	return failed ? failed : send(ctx, hop.ifindex);
}
