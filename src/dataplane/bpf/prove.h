/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Proof of a source ("safe reset", as in TCP-AO-less SYN proxies since Cisco Guard; RFC 4987 lists it): a SYN is answered
 * with a SYN-ACK whose acknowledgement is wrong. Who really sits at that address answers with a reset that carries the
 * wrong number (RFC 9293, 3.10.7.3), and sends its SYN again. Nothing is kept for who does not answer. */
#pragma once
#include "checksum.h"
#include "guard-maps.h"
#include "verdict.h"

/* Of a proven address: tag:32 << 32 | tick:32. */
static __always_inline __u64 *proof_of(const struct guard *guard, const struct address *source, __u32 *tag)
{
	__u64 hash = source_hash(guard, source, 0);
	__u32 index = hash & (PROOFS - 1);

	*tag = hash >> 32 | 1;
	return bpf_map_lookup_elem(&proofs, &index);
}

static __always_inline int has_proved(const struct guard *guard, const struct packet *p)
{
	__u32 tag;
	__u64 *proof = proof_of(guard, &p->source, &tag);

	return proof && *proof >> 32 == tag && now_ticks() - (__u32)*proof <= PROOF_TICKS;
}

/* The number that a flow is challenged with in this epoch; its highest bit is free. */
static __always_inline __u32 challenge(const struct guard *guard, const struct packet *p, __u32 epoch)
{
	__u64 h = (__u64)guard->secret[2] << 32 | guard->secret[3];

	h = (h ^ p->source.low) * 0x9e3779b97f4a7c15ull;
	h ^= h >> 32;
	h = (h ^ p->source.high) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h = (h ^ p->target.low) * 0xbf58476d1ce4e5b9ull;
	h ^= h >> 29;
	h = (h ^ ((__u64)epoch << 32 | (__u32)p->source_port << 16 | p->target_port)) * 0x94d049bb133111ebull;
	return (h ^ h >> 31) & 0x7fffffff;
}

/* Does this reset answer a challenge? Then its source is remembered for a while. */
static __always_inline int take_proof(const struct guard *guard, const struct packet *p)
{
	__u32 epoch = now_ticks() >> EPOCH_SHIFT, number = p->sequence & 0x7fffffff, tag;

	if (number != challenge(guard, p, epoch) && number != challenge(guard, p, epoch - 1))
		return 0;
	__u64 *proof = proof_of(guard, &p->source, &tag);
	if (!proof)
		return 0;
	*proof = (__u64)tag << 32 | now_ticks();
	return 1;
}

static __always_inline void write_challenge(struct tcphdr *tcp, const struct packet *p, __u32 number)
{
	__u32 expected = p->sequence + 1;

	/* Whatever the client has sent with its SYN, this must not acknowledge it. */
	if (number - expected < 0x10000)
		number ^= 0x80000000;
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = p->target_port;
	tcp->dest = p->source_port;
	tcp->seq = bpf_get_prandom_u32();
	tcp->ack_seq = bpf_htonl(number);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->syn = 1;
	tcp->ack = 1;
}

/* Turns the SYN at hand into its own wrong answer: no longer than the SYN was, so nobody is flooded through us. */
__noinline int answer_syn(struct xdp_md *ctx, const struct packet *p, __u32 number)
{
	if (!p)
		return DROPPED(DROP_UNPROVEN);
	__u32 header = p->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	__u32 length = sizeof(struct ethhdr) + header + sizeof(struct tcphdr);
	/* Options or extensions in the way: such a client proves itself by another packet. */
	if (p->header != header || bpf_xdp_adjust_tail(ctx, (int)length - (int)frame_bytes(ctx)))
		return DROPPED(DROP_UNPROVEN);
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)ip;
	struct tcphdr *tcp;
	__u8 target[ETH_ALEN];
	__u64 sum = bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp));
	if ((void *)(ip + 1) + sizeof(*tcp) > end)
		return DROPPED(DROP_UNPROVEN);
	__builtin_memcpy(target, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, target, ETH_ALEN);
	if (p->ipv6) {
		tcp = (void *)(ip6 + 1);
		if ((void *)(tcp + 1) > end)
			return DROPPED(DROP_UNPROVEN);
		ip6->payload_len = bpf_htons(sizeof(*tcp));
		ip6->hop_limit = OUTER_TTL;
		write6(&ip6->saddr, &p->target);
		write6(&ip6->daddr, &p->source);
		sum += (__u32)bpf_csum_diff(0, 0, (void *)&ip6->saddr, 2 * sizeof(ip6->saddr), 0);
	} else {
		tcp = (void *)(ip + 1);
		ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
		ip->id = 0;
		ip->frag_off = bpf_htons(IP_DF);
		ip->ttl = OUTER_TTL;
		ip->saddr = address4(&p->target);
		ip->daddr = address4(&p->source);
		ip->check = 0;
		ip->check = checksum_header(ip);
		sum += (__u32)bpf_csum_diff(0, 0, (void *)&ip->saddr, 2 * sizeof(ip->saddr), 0);
	}
	write_challenge(tcp, p, number);
	sum += (__u32)bpf_csum_diff(0, 0, (void *)tcp, sizeof(*tcp), 0);
	tcp->check = checksum_fold(sum);
	return back(ctx, p);
}
