/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Services that remember every flow: who gets a new one, and how many each backend has. */
#pragma once
#include "maps.h"

static __always_inline __u32 state_of(const struct table *table, __u32 local)
{
	/* clang would test a copy, which an older verifier does not follow back */
	asm volatile("" : "+r"(local));
	/* SLOT_NONE and everything beyond the table is "gone". */
	return local < MAX_LOCAL ? table->backends[local] >> STATE_SHIFT : STATE_GONE;
}

/* Ticks of a cell's life. */
static __always_inline __u32 life_ticks(__u8 life)
{
	__u32 code = life & LIFE_BITS;

	return code < 8 ? code : (8 + (code & 7)) << ((code >> 3) - 1);
}

/* The load of a backend, by its service's numbering; NULL once the number names nobody. */
static __always_inline struct load *load_of(const struct table *table, __u32 local)
{
	asm volatile("" : "+r"(local));
	__u32 word = local < MAX_LOCAL ? table->backends[local] : 0;
	if (word >> STATE_SHIFT == STATE_EMPTY)
		return 0;
	__u32 number = word & STATE_NUMBER_MASK;
	return bpf_map_lookup_elem(&loads, &number);
}

/* A counted cell of any service is no more: its flow has ended, or another took its place. */
__noinline int uncount(__u32 number, __u32 local)
{
	struct service *service = bpf_map_lookup_elem(&services, &number);

	if (!service || !service->used)
		return 0;
	struct table *table = find_table(service);
	struct load *load = table ? load_of(table, local) : 0;
	if (load)
		__sync_fetch_and_add(&load->open, -1);
	return 0;
}

static __always_inline void count_begun(const struct table *table, __u32 local)
{
	struct load *load = load_of(table, local);

	if (!load)
		return;
	__sync_fetch_and_add(&load->open, 1);
	__sync_fetch_and_add(&load->begun, 1);
}

/* The best so far of a comparison, and where it goes on. */
struct comparison {
	__u32 number; /* of the service */
	__u32 start;
	__u32 top;
	__u32 best;
	__u32 open;
	__u32 weight;
};

static long compare_backend(__u32 step, struct comparison *c)
{
	__u32 number = c->number;
	struct service *service = bpf_map_lookup_elem(&services, &number);
	struct table *table = service ? find_table(service) : 0;
	__u32 local = c->start + step;

	if (local >= c->top)
		local -= c->top;
	if (!table || state_of(table, local) != STATE_UP)
		return 0;
	struct load *load = load_of(table, local);
	if (!load)
		return 0;
	__u32 open = load->open, weight = load->weight;
	/* open / weight, without a division */
	if (!weight || (c->weight && (__u64)open * c->weight >= (__u64)c->open * weight))
		return 0;
	c->best = local;
	c->open = open;
	c->weight = weight;
	return 0;
}

/* Fewest open flows for its weight. `turn`: who wins among equals; the others are looked at from there on. The comparison
 * starts with what the turn's backend has, read from its load: kernel 6.1 verifies the callback of bpf_loop once, with what it
 * starts with, and cuts away as dead what a constant of the start rules out. */
static __always_inline __u32 least_loaded(const struct table *table, __u32 number, __u32 turn, __u32 top)
{
	const struct load *first = load_of(table, turn);

	if (!first)
		return turn;
	struct comparison c = {
		.number = number,
		.start = turn < top ? turn : 0,
		.top = top,
		.best = turn,
		.open = first->open,
		.weight = state_of(table, turn) == STATE_UP ? first->weight : 0,
	};
	bpf_loop(top > COMPARED ? COMPARED : top, compare_backend, &c, 0);
	return c.best;
}

/* Local number of the one who gets a new flow, SLOT_NONE: nobody may. `peek`: the turn is not used up. Not static: verified
 * once, by itself. */
__noinline __u32 choose_new(__u32 number, __u32 peek)
{
	struct service *service = bpf_map_lookup_elem(&services, &number);

	if (!service)
		return SLOT_NONE;
	__u32 copy = number * 2 + (service->table & 1);
	struct turns *turns_of = bpf_map_lookup_elem(&turns, &copy);
	struct table *table = find_table(service);
	if (!turns_of || !table || !turns_of->count)
		return SLOT_NONE;
	__u32 at = peek ? turns_of->cursor : __sync_fetch_and_add(&turns_of->cursor, 1);
	at %= turns_of->count;
	asm volatile("" : "+r"(at));
	if (at >= TURNS)
		return SLOT_NONE;
	__u32 local = turns_of->turn[at];
	if (service->choice == CHOICE_LEAST)
		local = least_loaded(table, number, local, turns_of->top);
	/* Only while a table is changed may it name one that is up no more. */
	return state_of(table, local) == STATE_UP ? local : SLOT_NONE;
}
