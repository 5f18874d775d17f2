/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Turns the query in the frame into its answer: headers the other way round, records behind the question, OPT last. */
#pragma once
#include "frame.h"

/* Hops of an answer (RFC 1700's default). */
#define REPLY_TTL 64

/* What goes behind the question. */
struct body {
	const void *from; /* NULL: they are in place */
	__u32 bytes;
	__u64 sum; /* as if it began on an even octet */
	__u16 counts[3]; /* network order */
	__u8 rcode;
	__u8 authoritative;
	__u8 truncated;
};

/* The one's complement sum of the same octets one place further (RFC 1071, 2 (B)). */
static __always_inline __u64 shifted(__u64 sum, __u32 odd)
{
	__u16 folded = ~checksum_fold(sum);

	return odd ? (__u16)(folded << 8 | folded >> 8) : folded;
}

/* Does the answer fit the client and us, OPT included? */
static __always_inline int fits(const struct question *q, const struct dns_scratch *scratch,
				const struct dns_control *control, __u32 bytes)
{
	__u32 room = q->room < control->udp_size ? q->room : control->udp_size;

	return DNS_HEADER + q->name + 4 + bytes + scratch->opt_bytes <= room && bytes <= DNS_BODY_MOST;
}

static __always_inline __u64 write_header(struct dns_header *header, const struct question *q, const struct body *body)
{
	/* From the query: RD and CD (RFC 1035 4.1.1, RFC 4035 3.1.6). */
	header->flags[0] = 0x80 | (body->authoritative ? 4 : 0) | (body->truncated ? 2 : 0) | (header->flags[0] & 1);
	header->flags[1] = (header->flags[1] & 0x10) | body->rcode;
	header->answers = body->counts[0];
	header->authority = body->counts[1];
	header->additional = bpf_htons(bpf_ntohs(body->counts[2]) + q->edns);
	__u64 sum = 0;
	const __u16 *word = (const void *)header;
#pragma unroll
	for (int i = 0; i < DNS_HEADER / 2; i++)
		sum += word[i];
	return sum;
}

/* RFC 6891 6.1.2: version 0, DO echoed (RFC 3225 3), no options. */
static __always_inline __u64 write_opt(__u8 *opt, const struct question *q, const struct dns_control *control)
{
	__u8 high = control->udp_size >> 8, low = control->udp_size, flags = q->dnssec_ok ? 0x80 : 0;

	opt[0] = 0;
	opt[1] = 0;
	opt[2] = TYPE_OPT;
	opt[3] = high;
	opt[4] = low;
	opt[5] = 0;
	opt[6] = 0;
	opt[7] = flags;
	opt[8] = 0;
	opt[9] = 0;
	opt[10] = 0;
	return (TYPE_OPT | (__u32)high << 8) + low + ((__u32)flags << 8);
}

/* The same with the client subnet as it came and the scope of the answer (RFC 7871 7.2.1), in the scratch. */
__noinline __u64 prepare_opt(__u32 dnssec_ok)
{
	const struct question q = { .dnssec_ok = dnssec_ok };
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();
	__u64 sum = 0;

	if (!control || !scratch)
		return 0;
	__u32 bytes = scratch->subnet_bytes;
	__u8 *opt = scratch->opt, *option = opt + OPT_BYTES;
	const __u8 *data = scratch->raw + (scratch->subnet & (DNS_MESSAGE_MOST - 1));
	const __u16 *words = (const void *)opt;

	write_opt(opt, &q, control);
	opt[10] = 4 + bytes;
	option[0] = 0;
	option[1] = OPTION_SUBNET;
	option[2] = 0;
	option[3] = bytes;
	for (__u32 i = 0; i < DNS_SUBNET_MOST + 1; i++)
		option[4 + i] = i < bytes ? data[i] : 0;
	option[7] = scratch->scope;
	for (__u32 i = 0; i < (OPT_BYTES + 5 + DNS_SUBNET_MOST) / 2; i++)
		sum += words[i];
	return sum;
}

/* Puts it in place; the frame has its final length. False only where the verifier wants a way out. */
static __always_inline int write_subnet(struct xdp_md *ctx, const struct question *q, struct dns_scratch *scratch, __u32 at,
					__u64 *sum)
{
	__u32 bytes = scratch->opt_bytes;

	*sum = prepare_opt(q->dnssec_ok);
	return !bpf_xdp_store_bytes(ctx, at, scratch->opt, copy_length(bytes, sizeof(scratch->opt)));
}

static __always_inline void turn_ethernet(void *data)
{
	__u32 *word = data;
	__u16 *half = data;
	__u32 first = word[0];
	__u16 last = half[2];

	word[0] = *(__u32 *)(data + ETH_ALEN);
	half[2] = half[5];
	*(__u32 *)(data + ETH_ALEN) = first;
	half[5] = last;
}

/* The sum of the pseudo header. */
static __always_inline __u64 turn_ipv4(struct iphdr *ip, __u32 udp_bytes)
{
	__u32 client = ip->saddr;

	ip->tos = 0;
	ip->tot_len = bpf_htons(sizeof(*ip) + udp_bytes);
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = REPLY_TTL;
	ip->check = 0;
	ip->saddr = ip->daddr;
	ip->daddr = client;
	ip->check = checksum_header(ip);
	return (__u64)ip->saddr + client;
}

static __always_inline __u64 turn_ipv6(struct ipv6hdr *ip, __u32 udp_bytes)
{
	__u64 sum = 0;

	*(__u32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(udp_bytes);
	ip->hop_limit = REPLY_TTL;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u32 client = ip->saddr.in6_u.u6_addr32[i], own = ip->daddr.in6_u.u6_addr32[i];
		sum += (__u64)client + own;
		ip->saddr.in6_u.u6_addr32[i] = own;
		ip->daddr.in6_u.u6_addr32[i] = client;
	}
	return sum;
}

/* The frame has its final length. False only where the verifier wants a way out. */
static __always_inline int write_reply(struct xdp_md *ctx, const struct question *q, const struct body *body,
				       struct dns_scratch *scratch, const struct dns_control *control)
{
	__u32 records = q->name + 4, udp_bytes = sizeof(struct udphdr) + DNS_HEADER + records + body->bytes;
	__u32 bytes = body->bytes;

	__u64 subnet_sum = 0;

	udp_bytes += scratch->opt_bytes;
	if (scratch->subnet && !write_subnet(ctx, q, scratch, q->dns + DNS_HEADER + records + bytes, &subnet_sum))
		return 0;
	if (body->from && bytes && bytes <= DNS_BODY_MOST &&
	    bpf_xdp_store_bytes(ctx, q->dns + DNS_HEADER + records, (void *)body->from,
				copy_length(bytes, DNS_BODY_ROOM)))
		return 0;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct udphdr *udp = data + (q->udp & 127);
	struct dns_header *header = (void *)(udp + 1);
	void *ip = data + (q->ip & 31);
	if (data + sizeof(struct ethhdr) > end || (void *)(header + 1) > end || ip + sizeof(struct ipv6hdr) > end)
		return 0;
	__u64 sum = write_header(header, q, body) + q->sum + shifted(body->sum, q->name & 1);
	if (scratch->subnet) {
		sum += shifted(subnet_sum, (q->name + bytes) & 1);
	} else if (q->edns) {
		__u32 at = q->dns + DNS_HEADER + records + bytes;
		__u8 *opt = data + (at & 0x7ff);
		if ((void *)(opt + OPT_BYTES) > end)
			return 0;
		sum += shifted(write_opt(opt, q, control), (q->name + bytes) & 1);
	}
	turn_ethernet(data);
	sum += q->ipv6 ? turn_ipv6(ip, udp_bytes) : turn_ipv4(ip, udp_bytes);
	__u16 client = udp->source;
	udp->source = udp->dest;
	udp->dest = client;
	udp->len = bpf_htons(udp_bytes);
	sum += (__u64)udp->source + client + udp->len + udp->len + bpf_htons(IPPROTO_UDP);
	__u16 check = checksum_fold(sum);
	/* Zero would mean none (RFC 768). */
	udp->check = check ? check : 0xffff;
	return 1;
}
