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
/* An IPv4 header's first byte: version 4, five words long. */
#define PLAIN_IPV4 0x45

/* What `parse_ipv4` reads, of a header without options and of a packet that is not a part. */
static __always_inline int parse_ordinary4(struct packet *p, const struct iphdr *ip, const void *end)
{
	p->length = bpf_ntohs(ip->tot_len);
	if (*(const __u8 *)ip != PLAIN_IPV4 || (ip->frag_off & bpf_htons(IP_OFFSET | IP_MF)) ||
	    (const void *)ip + p->length > end)
		return 0;
	p->header = sizeof(*ip);
	p->source = mapped(ip->saddr);
	p->target = mapped(ip->daddr);
	p->protocol = ip->protocol;
	return 1;
}

/* False: not for the short way. `index`: where it came in. */
static __always_inline int parse_ordinary(struct xdp_md *ctx, struct packet *p, const __u32 *index, int ipv6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *ip = data + sizeof(struct ethhdr);
	const __u32 header = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	/* The call comes first: behind it clang would read the packet once more. */
	if (ip + header > end || !meant_for_us(index, data))
		return 0;
	if (*(__u16 *)(data + 2 * ETH_ALEN) != bpf_htons(ipv6 ? ETH_P_IPV6 : ETH_P_IP) ||
	    !(ipv6 ? parse_ipv6_header(p, ip, end) : parse_ordinary4(p, ip, end)))
		return 0;
	if (LIKELY(p->protocol == IPPROTO_TCP))
		return parse_tcp(p, ip + header, end) && !p->truncated;
	return p->protocol == IPPROTO_UDP && parse_udp(p, ip + header, end) && !p->truncated;
}

/* Where a packet goes: what is known of it once its backend is chosen. */
struct way {
	const struct backend *backend;
	const struct next_hop *hop;
	struct backend_count *count;
	const __u32 *index; /* where it came in */
};

/* What is ready leaves, and is counted as it came: without the `grown` bytes that are ours. `failed`: it is not ready. */
static __always_inline int leave(struct xdp_md *ctx, const struct packet *p, const struct way *way, int failed, __u32 grown)
{
	if (UNLIKELY(failed))
		return finish(way->backend->service, failed);
	__u32 bytes = frame_bytes(ctx) - grown;
	int verdict = send(ctx, p, way->hop, *way->index);
	if (UNLIKELY(verdict < 0))
		return finish(way->backend->service, verdict);
	way->count->packets_in++;
	way->count->bytes_in += bytes;
	return verdict;
}

static __always_inline int tunnel_ordinary(struct xdp_md *ctx, const struct packet *p, const struct way *way, int ipv6)
{
	const __u32 grow = ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const struct backend *backend = way->backend;

	if (gue_port(backend) || is_ipv4(&backend->address) == ipv6 || p->length + grow > way->hop->mtu)
		return LONG_WAY;
	return leave(ctx, p, way, wrap_plain(ctx, p, backend, way->hop, ipv6), grow);
}

/* What nothing before needed is read here: kept, it would have to be laid aside on the stack. */
static __always_inline int translate_ordinary(struct xdp_md *ctx, struct packet *p, const struct way *way, int ipv6)
{
	void *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);

	if (ip + (ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > (void *)(long)ctx->data_end)
		return LONG_WAY;
	if (ipv6)
		read_ipv6(p, ip);
	else
		read_ipv4(p, ip);
	if (p->length > way->hop->mtu || p->ttl <= 1)
		return LONG_WAY;
	return leave(ctx, p, way, translate_plain(ctx, p, way->backend, way->hop), 0);
}

/* Only what cannot become an answer to the client. */
static __always_inline int forward_ordinary(struct xdp_md *ctx, struct packet *p, const struct way *way, int ipv6)
{
	if (way->backend->forward == FORWARD_TUNNEL)
		return tunnel_ordinary(ctx, p, way, ipv6);
	if (way->backend->forward == FORWARD_NAT)
		return translate_ordinary(ctx, p, way, ipv6);
	return p->length > way->hop->mtu ? LONG_WAY : leave(ctx, p, way, set_macs(ctx, way->hop), 0);
}

/* A verdict, or LONG_WAY. */
static __always_inline int go_quick(struct xdp_md *ctx, int ipv6)
{
	struct packet p = {};
	__u32 index = ctx->ingress_ifindex;

	if (control.tracing || !parse_ordinary(ctx, &p, &index, ipv6))
		return LONG_WAY;
	const struct arrival *arrival = first_arrival(&p.target, p.target_port, p.protocol, ARRIVAL_VIP);
	if (UNLIKELY(!arrival))
		return LONG_WAY;
	struct service *service = bpf_map_lookup_elem(&services, &arrival->service);
	if (!service || service->used != USED_PLAIN || service->flags & ~SERVICE_ONE_SHOT || has_check_port(&p))
		return LONG_WAY;
	struct table *table = find_table(service);
	if (!table)
		return LONG_WAY;
	__u32 slot = find_slot(service, &p, tuple_hash(arrival->seed, &p));
	int chosen = slot < MAX_SLOTS ? backend_of(table, settled_backend(table, slot)) : -1;
	if (chosen < 0)
		return LONG_WAY;
	__u32 number = chosen;
	struct way way = { .count = counts_of(&number), .index = &index };
	way.backend = bpf_map_lookup_elem(&backends, &number);
	way.hop = way.backend && way.backend->used ? cached_hop(way.backend) : 0;
	return way.hop && way.count ? forward_ordinary(ctx, &p, &way, ipv6) : LONG_WAY;
}

static __always_inline int is_ipv6_frame(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	return data + sizeof(struct ethhdr) <= (void *)(long)ctx->data_end &&
	       *(__u16 *)(data + 2 * ETH_ALEN) == bpf_htons(ETH_P_IPV6);
}
