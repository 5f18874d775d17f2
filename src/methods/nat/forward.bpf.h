/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* nat: on the way in the target address and port become the backend's, on the way back the source becomes the VIP's.
 * Checksums are patched, never recomputed (RFC 1624), so a packet that was broken stays broken. */
#pragma once
#include "checksum.h"
#include "icmp.h"
#include "verdict.h"

/* One end of a packet that becomes another: the VIP's to the backend's, or back. */
struct translation {
	struct address old;
	struct address new;
	__u16 old_port;
	__u16 new_port;
	__u32 source; /* 1: the packet's source, 0: its target */
};

/* Port and checksum of the transport header at `l4`. A UDP checksum of 0 means "none" and stays. */
static __always_inline int translate_transport(void *l4, void *end, __u8 protocol, const struct translation *t,
					       __u64 change)
{
	__u16 *ports = l4;

	change += change2(t->old_port, t->new_port);
	if (protocol == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return DROPPED(DROP_MALFORMED);
		checksum_apply(&((struct tcphdr *)l4)->check, change);
	} else {
		if (l4 + sizeof(struct udphdr) > end)
			return DROPPED(DROP_MALFORMED);
		__u16 *checksum = &((struct udphdr *)l4)->check;
		if (*checksum) {
			checksum_apply(checksum, change);
			if (*checksum == 0)
				*checksum = 0xffff;
		}
	}
	ports[t->source ? 0 : 1] = t->new_port;
	return 0;
}

/* An ICMP error names the flow the other way round: what is the packet's source to the outside is the quote's target. The
 * quote must be put right too, or its reader does not know its own packet. `outer`: the outer address changes as well. */
static __noinline int translate_error(struct xdp_md *ctx, const struct packet *p, const struct translation *t,
				      __u32 outer)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (!p || !t)
		return DROPPED(DROP_MALFORMED);
	struct icmphdr *icmp = data + sizeof(struct ethhdr) + (p->header & MAX_HEADER);
	void *inner = icmp + 1;
	if (inner + sizeof(struct ipv6hdr) > end && (p->ipv6 || inner + sizeof(struct iphdr) > end))
		return DROPPED(DROP_MALFORMED);
	__u64 addresses = change_address(&t->old, &t->new, p->ipv6), change = addresses;
	if (p->ipv6) {
		struct ipv6hdr *ip = inner;
		if ((void *)(ip + 1) > end)
			return DROPPED(DROP_MALFORMED);
		write6(t->source ? &ip->daddr : &ip->saddr, &t->new);
		/* ICMPv6 covers the outer addresses too. */
		if (outer)
			change += addresses;
	} else {
		struct iphdr *ip = inner;
		if ((void *)(ip + 1) > end)
			return DROPPED(DROP_MALFORMED);
		__u16 old = ip->check;
		if (t->source)
			ip->daddr = address4(&t->new);
		else
			ip->saddr = address4(&t->new);
		checksum_apply(&ip->check, addresses);
		change += change2(old, ip->check);
	}
	__u16 *ports = inner + p->quoted * 4;
	if ((void *)(ports + 2) > end)
		return DROPPED(DROP_MALFORMED);
	ports[t->source ? 1 : 0] = t->new_port;
	checksum_apply(&icmp->checksum, change + change2(t->old_port, t->new_port));
	return 0;
}

/* The IP header's own part, one hop less included; `rewrite`: the address changes. The caller has seen that hops are left. */
static __always_inline int translate_header(struct xdp_md *ctx, const struct packet *p, const struct translation *t,
					    __u64 change, int rewrite)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct ipv6hdr *ip6 = (void *)ip;

	if (p->ipv6) {
		if ((void *)(ip6 + 1) > end)
			return DROPPED(DROP_MALFORMED);
		if (rewrite)
			write6(t->source ? &ip6->saddr : &ip6->daddr, &t->new);
		ip6->hop_limit--;
		return 0;
	}
	if ((void *)(ip + 1) > end)
		return DROPPED(DROP_MALFORMED);
	if (rewrite && t->source)
		ip->saddr = address4(&t->new);
	else if (rewrite)
		ip->daddr = address4(&t->new);
	checksum_apply(&ip->check, (rewrite ? change : 0) + decrease_ttl(ip));
	return 0;
}

/* Of a packet that is no error. */
static __always_inline int translate_ports(struct xdp_md *ctx, const struct packet *p, const struct translation *t,
					   __u64 change)
{
	void *l4 = (void *)(long)ctx->data + sizeof(struct ethhdr) + (p->header & MAX_HEADER);

	return p->part == LATER ? 0 : translate_transport(l4, (void *)(long)ctx->data_end, p->protocol, t, change);
}

/* All of it. `rewrite` is false for an error that a router on the way has sent: only its quote names the flow. */
static __always_inline int translate(struct xdp_md *ctx, const struct packet *p, const struct translation *t, int rewrite)
{
	__u64 change = change_address(&t->old, &t->new, p->ipv6);
	int failed = p->icmp_error ? translate_error(ctx, p, t, rewrite) : translate_ports(ctx, p, t, change);

	return failed ? failed : translate_header(ctx, p, t, change, rewrite);
}

static __always_inline struct translation towards(const struct backend *backend, const struct packet *p)
{
	return (struct translation){ .old = p->target, .new = backend->address, .old_port = p->target_port,
				     .new_port = backend->port ? backend->port : p->target_port };
}

/* What is no error, fits, and has hops left. */
static __always_inline int translate_plain(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
					   const struct next_hop *hop)
{
	struct translation t = towards(backend, p);
	__u64 change = change_address(&t.old, &t.new, p->ipv6);
	int failed = translate_ports(ctx, p, &t, change);

	if (!failed)
		failed = translate_header(ctx, p, &t, change, 1);
	return failed ? failed : set_macs(ctx, hop);
}

static __always_inline int forward_nat(struct xdp_md *ctx, const struct packet *p, const struct backend *backend,
				       const struct next_hop *hop)
{
	if (p->length > hop->mtu)
		return answer_too_big(ctx, p, &p->target, hop->mtu);
	if (p->ttl <= 1)
		return answer_expired(ctx, p, &p->target);
	int failed;
	if (p->icmp_error) {
		struct translation t = towards(backend, p);
		failed = translate_error(ctx, p, &t, 1);
		if (!failed)
			failed = translate_header(ctx, p, &t, change_address(&t.old, &t.new, p->ipv6), 1);
		if (!failed)
			failed = set_macs(ctx, hop);
	} else {
		failed = translate_plain(ctx, p, backend, hop);
	}
	return failed ? failed : send(ctx, p, hop, p->ifindex);
}

/* The way back: `t` makes the backend's end the VIP's again. Where the FIB says "not for forwarding" the packet is for the
 * director itself: `*own` is set, nothing was changed, and it passes (its checks, and whoever talks to the backend
 * directly from here). `us`: the director's address towards the backend, the sender of errors. */
static __always_inline int return_nat(struct xdp_md *ctx, const struct packet *p, struct translation *t,
				      const struct address *us, int *own)
{
	struct next_hop hop = {};
	struct address client = p->target;
	int rewrite = !p->icmp_error || p->from_end;

	t->source = 1;
	int found = ask_fib(ctx, &t->new, &client, p->length, &hop);
	if (found == BPF_FIB_LKUP_RET_NO_NEIGH)
		return DROPPED(DROP_NO_NEIGHBOUR);
	if (found == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return answer_too_big(ctx, p, us, hop.mtu);
	if (found != BPF_FIB_LKUP_RET_SUCCESS) {
		*own = 1;
		return XDP_PASS;
	}
	if (p->ttl <= 1)
		return answer_expired(ctx, p, us);
	int failed = translate(ctx, p, t, rewrite);
	if (!failed)
		failed = set_macs(ctx, &hop);
	return failed ? failed : send(ctx, p, &hop, p->ifindex);
}
