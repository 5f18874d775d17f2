/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The guard: what arrives for a VIP is measured against lists and limits before anybody works for it. All else passes by. */
#include "arrivals.h"
#include "prove.h"
#include "places.h"
#include "rate.h"
#include "trace-packet.h"

/* LIST_ALLOWED, LIST_BLOCKED, or 0: no network on the lists holds it. */
static __always_inline __u32 listed(const struct address *source)
{
	__u32 zero = 0;
	void *trie = bpf_map_lookup_elem(&lists, &zero);
	struct list_key key = { .bits = 128 };

	if (!trie)
		return 0;
	__builtin_memcpy(key.address, source, sizeof(key.address));
	__u32 *found = bpf_map_lookup_elem(trie, &key);
	return found ? *found : 0;
}

/* One packet, or one connection, of a source: of an IPv6 one its /64 counts, since a host has that many addresses. */
static __always_inline int source_may(const struct guard *guard, const struct address *source, __u32 salt,
				      const struct rate *rate)
{
	struct address counted = *source;

	if (!rate->interval)
		return 1;
	if (!is_ipv4(source))
		counted.low = 0;
	__u64 hash = source_hash(guard, &counted, salt);
	__u32 index = hash & (SOURCES - 1);
	__u64 *bucket = bpf_map_lookup_elem(&sources, &index);
	return !bucket || rate_take(bucket, hash >> RATE_BITS, rate_now(), rate);
}

/* A SYN: within what the service takes, or from somebody who has shown that it is there. */
static __always_inline int judge_syn(struct xdp_md *ctx, const struct guard *guard, struct limits *limits,
				     struct packet *p)
{
	if (!source_may(guard, &p->source, p->service << 1 | 1, &limits->source_connections))
		return DROPPED(DROP_SOURCE_CONNECTIONS);
	if (!limits->connections.interval)
		return PASSED_ON;
	if (limits->prove && has_proved(guard, p))
		return PASSED_ON;
	if (rate_take(&limits->bucket, 0, rate_now(), &limits->connections))
		return PASSED_ON;
	if (!limits->prove)
		return DROPPED(DROP_CONNECTIONS);
	return answer_syn(ctx, p, challenge(guard, p, now_ticks() >> EPOCH_SHIFT));
}

static __always_inline int judge(struct xdp_md *ctx, struct packet *p)
{
	__u32 zero = 0, later;
	struct guard *guard = bpf_map_lookup_elem(&guard_words, &zero);

	if (!guard || !parse(ctx, p))
		return PASSED_ON;
	later = p->part == LATER;
	struct arrival *arrival = later ? find_arrival(&p->target, 0, 0, ARRIVAL_ADDRESS)
					: find_vip(&p->target, p->target_port, p->protocol);
	if (!arrival)
		return PASSED_ON;
	p->service = arrival->service;
	p->of_service = 1;
	struct limits *limits_of = bpf_map_lookup_elem(&limits, &arrival->service);
	/* Who sent it: of an error that is not the flow's other end. */
	struct address from = sender_of(ctx, p), *sender = &from;
	if (guard->lists) {
		__u32 word = listed(sender);
		if (word == LIST_ALLOWED)
			return PASSED_ON;
		if (word == LIST_BLOCKED)
			return DROPPED(DROP_BLOCKED);
	}
	if (!limits_of || !limits_of->used)
		return PASSED_ON;
	if (!source_may(guard, sender, p->service << 1, &limits_of->source_packets))
		return DROPPED(DROP_SOURCE_PACKETS);
	if (p->protocol != IPPROTO_TCP || p->icmp_error || p->truncated || later)
		return PASSED_ON;
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
		return judge_syn(ctx, guard, limits_of, p);
	if (limits_of->prove && p->tcp_flags & TCP_RST && take_proof(guard, p))
		return DROPPED(DROP_PROOF);
	return PASSED_ON;
}

SEC("xdp")
int guard(struct xdp_md *ctx)
{
	struct packet p = {};

	if (control.tracing)
		trace_begin(ctx, &control.tracing);
	p.tag = has_tag(ctx) ? pull_tag(ctx) : 0;
	int verdict = judge(ctx, &p);
	if (verdict == PASSED_ON) {
		if (p.tag && !push_tag(ctx, p.tag & 0xffff))
			return XDP_DROP;
		return ask_places(ctx, PLACE_GUARD + 1);
	}
	if (control.tracing)
		trace_packet(ctx, &p, PLACE_GUARD, verdict);
	/* A challenge took the SYN's place. */
	if (verdict >= 0)
		count_drop(p.service, DROP_UNPROVEN);
	return finish(p.service, verdict);
}

char _license[] SEC("license") = "GPL";
