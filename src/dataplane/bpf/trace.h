/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Live packets for whoever watches: as they came, as they left, and why. fentry is not to be had on every host, so the
 * programs themselves tell. While nobody watches, one word that they read anyway says so. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "array.h"
#include "span.h"
#include "types.h"

/* Who watches, and which packets: one at a time. */
ARRAY(trace_orders, struct trace_order, 1, 0);
/* Where a record is put together; per CPU, and XDP is never preempted by XDP. */
PERCPU(trace_records, struct trace_record, 1);

/* Records on their way to who watches: in order over all CPUs. Bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACE_RING);
} trace_ring SEC(".maps");

static __always_inline struct trace_order *trace_order(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trace_orders, &zero);
}

static __always_inline struct trace_record *trace_record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&trace_records, &zero);
}

/* The frame's first bytes; how many they are. */
static __always_inline __u32 trace_copy(struct xdp_md *ctx, __u8 *to, __u32 length, __u32 limit)
{
	__u32 bytes = length < limit ? length : limit;

	if (!bytes)
		return 0;
	bytes = copy_length(bytes, TRACE_BYTES);
	return bpf_xdp_load_bytes(ctx, 0, to, bytes) ? 0 : bytes;
}

static __always_inline __u32 trace_tick(void)
{
	return bpf_ktime_get_coarse_ns() >> TICK_SHIFT;
}

/* Before anything is changed: keeps the frame as it came. `tracing`: the word that had us called; whoever set it may have
 * been killed, so it is taken back when nobody has renewed the order. */
__noinline int trace_begin(struct xdp_md *ctx, __u32 *tracing)
{
	struct trace_order *order = trace_order();
	struct trace_record *record = trace_record();

	if (!order || !record || !tracing)
		return 0;
	if ((__s32)(order->until - trace_tick()) < 0) {
		*tracing = 0;
		return 0;
	}
	record->begun = 1;
	record->ifindex = ctx->ingress_ifindex;
	record->in_length = bpf_xdp_get_buff_len(ctx);
	record->in_bytes = trace_copy(ctx, record->in, record->in_length, order->bytes);
	return 0;
}

static __always_inline int trace_within(const struct address *address, const struct trace_term *term)
{
	return (address->high & term->mask.high) == term->address.high &&
	       (address->low & term->mask.low) == term->address.low;
}

static __always_inline int trace_term_holds(const struct trace_term *term, const struct trace_record *r)
{
	switch (term->kind) {
	case TRACE_PROTOCOL:
		return r->protocol == term->value;
	case TRACE_SOURCE:
		return trace_within(&r->source, term);
	case TRACE_TARGET:
		return trace_within(&r->target, term);
	case TRACE_HOST:
		return trace_within(&r->source, term) || trace_within(&r->target, term);
	case TRACE_SOURCE_PORT:
		return r->source_port == term->value;
	case TRACE_TARGET_PORT:
		return r->target_port == term->value;
	case TRACE_PORT:
		return r->source_port == term->value || r->target_port == term->value;
	case TRACE_SERVICE:
		return r->service == term->value;
	case TRACE_VERDICT:
		return r->verdict == term->value;
	case TRACE_REASON:
		return r->reason == term->value;
	case TRACE_ERROR:
		return r->icmp_error;
	}
	return 0;
}

/* Terms joined by "and" make a clause, clauses are joined by "or"; no term at all takes everything. */
__noinline int trace_wanted(const struct trace_order *order, const struct trace_record *record)
{
	int clause = 1;

	if (!order || !record || order->terms == 0)
		return 1;
	for (__u32 i = 0; i < TRACE_TERMS; i++) {
		const struct trace_term *term = &order->term[i];
		if (i >= order->terms)
			break;
		clause &= !trace_term_holds(term, record) == !!term->negated;
		if (!term->last)
			continue;
		if (clause)
			return 1;
		clause = 1;
	}
	return 0;
}

/* No more records in a tick than the order allows: what is beyond is only counted. */
static __always_inline int trace_may(struct trace_order *order)
{
	__u32 tick = trace_tick();

	if (order->tick != tick) {
		order->tick = tick;
		order->count = 0;
	}
	if (__sync_fetch_and_add(&order->count, 1) < order->rate)
		return 1;
	__sync_fetch_and_add(&order->lost, 1);
	return 0;
}

/* The caller has filled what the packet is and what becomes of it. */
__noinline int trace_end(struct xdp_md *ctx)
{
	struct trace_order *order = trace_order();
	struct trace_record *record = trace_record();

	if (!order || !record || !record->begun)
		return 0;
	record->begun = 0;
	if (!trace_wanted(order, record) || !trace_may(order))
		return 0;
	record->time = bpf_ktime_get_ns();
	record->out_length = 0;
	record->out_bytes = 0;
	if (record->verdict == TRACE_FORWARDED || record->verdict == TRACE_ANSWERED) {
		record->out_length = bpf_xdp_get_buff_len(ctx);
		record->out_bytes = trace_copy(ctx, record->out, record->out_length, order->bytes);
	}
	if (bpf_ringbuf_output(&trace_ring, record, sizeof(*record), 0))
		__sync_fetch_and_add(&order->lost, 1);
	return 0;
}
