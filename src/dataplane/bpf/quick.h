/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The short way: a whole packet of TCP or UDP, IPv4 without options or IPv6 without extensions, to a settled slot, by a way
 * that is known. Almost every packet is one. Its rules are those of the long way, and so are its functions; but none of them
 * hands the packet on to a call, so that nothing of it has to stand in memory. Whatever is out of the ordinary takes the long
 * way, as it came: nothing is written before that is known. `ipv6` is known to clang: each family has code of its own. */
#pragma once
#include "arrivals.h"
#include "deliver.h"
#include "pick.h"

/* Besides the verdicts: not for the short way. */
#define LONG_WAY 0x300

static __always_inline int parse_ordinary4(struct packet *p, const struct iphdr *ip, const void *end)
{
	if (ip->ihl != 5 || (ip->frag_off & bpf_htons(IP_OFFSET | IP_MF)) || !parse_ipv4(p, ip, end))
		return 0;
	/* Known by now, but not to clang. */
	p->header = sizeof(*ip);
	p->part = WHOLE;
	return 1;
}

/* False: not for the short way. */
static __always_inline int parse_ordinary(struct xdp_md *ctx, struct packet *p, int ipv6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *ip = data + sizeof(struct ethhdr);
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	/* Calls and barriers come first: behind one clang would read the packet once more. */
	if (ip + header > end || !meant_for_us(ctx->ingress_ifindex, data))
		return 0;
	p->frame = frame_bytes(ctx);
	if (*(__u16 *)(data + 2 * ETH_ALEN) != bpf_htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP) ||
	    !(ipv6 ? parse_ipv6_header(p, ip, end) : parse_ordinary4(p, ip, end)))
		return 0;
	if (p->protocol == IPPROTO_TCP)
		return parse_tcp(p, ip + header, end) && !p->truncated;
	return p->protocol == IPPROTO_UDP && parse_udp(p, ip + header, end) && !p->truncated;
}

/* Only what cannot become an answer to the client. What nothing before needed is read here: kept, it would have to be laid
 * aside on the stack. */
static __always_inline int forward_ordinary(struct xdp_md *ctx, struct packet *p, const struct backend *backend,
					    const struct next_hop *hop, int ipv6)
{
	void *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	const __u32 grow = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	p->ifindex = ctx->ingress_ifindex;
	p->frame = frame_bytes(ctx);
	if (backend->forward == FORWARD_DIRECT)
		return p->length > hop->mtu ? LONG_WAY : forward_direct(ctx, p, hop);
	if (ip + grow > (void *)(long)ctx->data_end)
		return LONG_WAY;
	if (ipv6)
		read_ipv6(p, ip);
	else
		read_ipv4(p, ip);
	if (backend->forward == FORWARD_NAT)
		return p->length > hop->mtu || p->ttl <= 1 ? LONG_WAY : forward_nat_plain(ctx, p, backend, hop);
	if (gue_port(backend) || is_ipv4(&backend->address) == ipv6 || p->length + grow > hop->mtu)
		return LONG_WAY;
	int failed = wrap(ctx, p, backend, hop, 0, 0, grow);
	return failed ? failed : send(ctx, p, hop);
}

/* A verdict, or LONG_WAY. */
static __always_inline int go_quick(struct xdp_md *ctx, int ipv6)
{
	struct packet p = {};

	if (control.tracing || !parse_ordinary(ctx, &p, ipv6))
		return LONG_WAY;
	const struct arrival *arrival = first_arrival(&p.target, p.target_port, p.protocol, ARRIVAL_VIP);
	if (!arrival)
		return LONG_WAY;
	struct service *service = bpf_map_lookup_elem(&services, &arrival->service);
	if (!service || service->used != USED_PLAIN || service->flags & ~SERVICE_ONE_SHOT || has_check_port(&p))
		return LONG_WAY;
	struct table *table = find_table(service);
	const __u32 *slot = table ? find_slot(service, table, &p, tuple_hash(arrival->seed, &p)) : 0;
	__u32 word = slot ? *slot : 0;
	if (!slot || word >> PHASE_SHIFT != PHASE_SETTLED)
		return LONG_WAY;
	int chosen = backend_of(table, word & SLOT_MASK);
	if (chosen < 0)
		return LONG_WAY;
	__u32 number = chosen;
	struct backend_count *count = counts_of(&number);
	const struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	const struct next_hop *hop = backend && backend->used ? cached_hop(backend) : 0;
	if (!hop)
		return LONG_WAY;
	int verdict = forward_ordinary(ctx, &p, backend, hop, ipv6);
	if (verdict == LONG_WAY)
		return LONG_WAY;
	if (verdict >= 0)
		count_in(count, p.frame);
	return finish(backend->service, verdict);
}

static __always_inline int is_ipv6_frame(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) <= (void *)(long)ctx->data_end && eth->h_proto == bpf_htons(ETH_P_IPV6);
}
