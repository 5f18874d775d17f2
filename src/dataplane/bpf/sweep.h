/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The supervisor's look at the flow table: which slots still hold flows of an older backend, how many flows each backend
 * has. Dead cells and those of settled slots are freed on the way. Run by BPF_PROG_TEST_RUN, step by step. */
#pragma once
#include "pick.h"

static __always_inline void free_cell(struct flow_bucket *b, int i, __u16 cell, __u16 seen)
{
	__u32 counted = 0;

	bpf_spin_lock(&b->lock);
	/* Only what was judged: a packet may have refreshed or replaced it since. */
	if (b->cell[i] == cell && b->seen[i] == seen) {
		counted = b->life[i] & LIFE_COUNTED;
		b->cell[i] = 0;
	}
	__u32 service = b->service[i];
	bpf_spin_unlock(&b->lock);
	if (counted)
		uncount(service, (cell & CELL_BACKEND) - 1);
}

static __always_inline void mark_live(struct table *table, __u32 service, __u32 slot, __u32 local, __u32 word)
{
	if ((word & SLOT_MASK) != local) {
		struct busy *busy = bpf_map_lookup_elem(&busy_slots, &service);
		__u32 at = slot >> 6;
		if (busy && at < BUSY_WORDS)
			__sync_fetch_and_or(&busy->word[at], 1ull << (slot & 63));
	}
	asm volatile("" : "+r"(local));
	if (local >= MAX_LOCAL)
		return;
	__u32 number = table->backends[local] & STATE_NUMBER_MASK;
	__u64 *live = bpf_map_lookup_elem(&live_flows, &number);
	if (live)
		__sync_fetch_and_add(live, 1);
}

static __always_inline void sweep_cell(struct flow_bucket *b, int i, __u32 now)
{
	__u16 cell = b->cell[i], seen = b->seen[i];
	__u32 number = b->service[i], slot = b->slot[i], local = (cell & CELL_BACKEND) - 1;

	if (!(cell & CELL_BACKEND))
		return;
	struct service *service = bpf_map_lookup_elem(&services, &number);
	if (!service || !service->used)
		return free_cell(b, i, cell, seen);
	struct table *table = find_table(service);
	/* clang would test a copy, which an older verifier does not follow back */
	asm volatile("" : "+r"(slot));
	if (!table || slot >= MAX_SLOTS)
		return free_cell(b, i, cell, seen);
	__u32 word = slot_word(table, slot), state = state_of(table, local);
	if ((__u16)(now - seen) > life_ticks(b->life[i]) || state == STATE_GONE || state == STATE_EMPTY ||
	    word >> PHASE_SHIFT == PHASE_SETTLED)
		return free_cell(b, i, cell, seen);
	mark_live(table, number, slot, local, word);
}

static long sweep_bucket(__u32 step, struct sweep_order *order)
{
	__u32 index = order->first + step, now = now_ticks();
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flows, &index);

	if (!bucket)
		return 1;
#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++)
		sweep_cell(bucket, i, now);
	return 0;
}
