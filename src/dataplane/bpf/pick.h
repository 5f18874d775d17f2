/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Which backend. A settled slot answers by itself; one that a change has opened asks the flow table first. */
#pragma once
#include "hash.h"
#include "parse.h"
#include "remember.h"
#include "verdict.h"

/* What the rules need of one slot, read before the bucket is locked: no helper may be called under the lock. */
struct slot_view {
	__u32 current;
	__u32 base;
	__u32 number;
	__u32 service;
	__u32 now;
	__u32 tag;
	__u32 chosen;
	__u16 begun; /* out: local + 1 of whose count of open flows grows */
	__u16 ended; /* out: CELL_BACKEND of a counted flow that is no more */
	__u16 ended_service;
	__u8 window; /* 1: window, 0: sparse */
	__u8 base_state;
	__u8 life; /* of the packet's protocol */
	__u8 remembers; /* the service does */
	__u8 was_full; /* a flow found no room within that life */
	__u8 begins; /* UDP: a QUIC Initial */
	__u8 asked; /* somebody has been asked who gets it: `chosen`, or nobody */
	__u8 asks; /* out: it is a new flow of a service that remembers, and nobody has been asked */
	__u8 full; /* out: a put found no room */
	__u8 frozen; /* cells are being copied: a new one would be lost, so there is room for none */
};

static __always_inline int cell_live(const struct flow_bucket *b, const struct table *table, int i,
				     const struct slot_view *v)
{
	__u32 local = (b->cell[i] & CELL_BACKEND) - 1;

	if (!(b->cell[i] & CELL_BACKEND) || (__u16)(v->now - b->seen[i]) > life_ticks(b->life[i]))
		return 0;
	/* A cell of another service is judged by its life alone: its table is not at hand. */
	if (b->service[i] != v->service)
		return 1;
	__u32 state = state_of(table, local);
	return state != STATE_GONE && state != STATE_EMPTY;
}

/* The cell's flow is no more one of its backend's open ones. */
static __always_inline void end_count(struct flow_bucket *b, int i, struct slot_view *v)
{
	if (!(b->cell[i] & CELL_BACKEND) || !(b->life[i] & LIFE_COUNTED))
		return;
	v->ended = b->cell[i] & CELL_BACKEND;
	v->ended_service = b->service[i];
	b->life[i] &= LIFE_BITS;
}

static __always_inline void put(struct flow_bucket *b, int i, struct slot_view *v, __u32 local, __u16 flags, __u16 isn)
{
	end_count(b, i, v);
	b->tag[i] = v->tag;
	b->service[i] = v->service;
	b->slot[i] = v->number;
	b->cell[i] = ((local + 1) & CELL_BACKEND) | flags;
	b->isn[i] = isn;
	b->seen[i] = v->now;
	b->life[i] = v->life;
	if (!v->remembers)
		return;
	if (flags & CELL_CLOSED) {
		b->life[i] = LIFE_CLOSED;
		return;
	}
	b->life[i] = (flags & CELL_TENTATIVE ? LIFE_TENTATIVE : v->life) | LIFE_COUNTED;
	v->begun = local + 1;
}

/* A new flow, of a service that remembers, for which there is a cell: the one chosen for it, or SLOT_NONE. */
static __always_inline __u32 chosen_for(struct slot_view *v)
{
	v->asks = !v->asked;
	return v->chosen;
}

/* Verdict of a SYN; `own` is its cell or -1, `room` a cell it may take or -1. */
static __always_inline __u32 pick_syn(struct flow_bucket *b, const struct table *table, struct slot_view *v,
				      const struct packet *p, int own, int own_live, int room)
{
	__u16 isn = (p->sequence + 1) >> 16;

	if (own >= 0 && own_live && (!(b->cell[own & 3] & CELL_CLOSED) || v->frozen)) {
		int i = own & 3;
		__u32 local = (b->cell[i] & CELL_BACKEND) - 1;
		int tentative = b->cell[i] & CELL_TENTATIVE;
		/* A handshake that never ended at a backend that is down: nothing is lost by a new choice. */
		if (!tentative || state_of(table, local) != STATE_DOWN) {
			if (tentative)
				b->isn[i] = isn;
			b->seen[i] = v->now;
			return local;
		}
	}
	int place = own >= 0 ? own : room;
	if (v->current == SLOT_NONE)
		return SLOT_NONE;
	if (v->remembers && place >= 0) {
		__u32 chosen = chosen_for(v);
		if (v->asks)
			return SLOT_NONE;
		if (chosen != SLOT_NONE) {
			put(b, place & 3, v, chosen, CELL_TENTATIVE, isn);
			return chosen;
		}
	}
	v->full = v->remembers && place < 0;
	if (v->window) {
		if (place >= 0) {
			put(b, place & 3, v, v->current, CELL_TENTATIVE, isn);
			return v->current;
		}
		v->full = 1;
		/* Not recorded, so its later packets go to base: it must begin there. */
		return v->base_state == STATE_UP || v->base_state == STATE_DRAINING ? v->base : SLOT_NONE;
	}
	if (own >= 0)
		put(b, own & 3, v, v->current, CELL_TENTATIVE, isn);
	return v->current;
}

static __always_inline __u32 unknown_base(const struct slot_view *v)
{
	return v->base_state == STATE_GONE || v->base_state == STATE_EMPTY ? v->current : v->base;
}

static __always_inline __u32 pick_tcp(struct flow_bucket *b, struct slot_view *v, const struct packet *p, int own,
				      int own_live, int room)
{
	__u16 closed = p->tcp_flags & (TCP_FIN | TCP_RST) ? CELL_CLOSED : 0;

	if (own >= 0 && own_live) {
		int i = own & 3;
		__u16 distance = (__u16)(p->sequence >> 16) - b->isn[i];
		if (!(b->cell[i] & CELL_TENTATIVE) || distance <= 1) {
			if (closed)
				end_count(b, i, v);
			if ((b->cell[i] | closed) & CELL_CLOSED && v->remembers)
				b->life[i] = LIFE_CLOSED;
			else
				b->life[i] = (b->life[i] & LIFE_COUNTED) | v->life;
			b->cell[i] = (b->cell[i] & ~CELL_TENTATIVE) | closed;
			b->seen[i] = v->now;
			return (b->cell[i] & CELL_BACKEND) - 1;
		}
	}
	if (!v->window)
		return v->current;
	__u32 local = unknown_base(v);
	int place = own >= 0 ? own : room;
	if (p->tcp_flags & TCP_RST || local == SLOT_NONE)
		return local;
	if (place >= 0)
		put(b, place & 3, v, local, closed, 0);
	else
		v->full = 1;
	return local;
}

/* Of a UDP flow without a cell. While the table is full, flows go by their slots; they stay there when room comes. */
static __always_inline __u32 unknown_udp(struct slot_view *v, int place)
{
	if (v->remembers && place >= 0 && !v->was_full) {
		__u32 chosen = chosen_for(v);
		if (v->asks || chosen != SLOT_NONE)
			return chosen;
	}
	/* A QUIC Initial is new work, as a SYN is. */
	if (v->begins)
		return v->current;
	return v->window && (v->base_state == STATE_UP || v->base_state == STATE_DRAINING) ? v->base : v->current;
}

static __always_inline __u32 pick_udp(struct flow_bucket *b, const struct table *table, struct slot_view *v, int own,
				      int own_live, int room)
{
	int place = own >= 0 ? own : room, lost = 0;

	if (own >= 0 && own_live) {
		int i = own & 3;
		__u32 kept = (b->cell[i] & CELL_BACKEND) - 1;
		if (state_of(table, kept) != STATE_DOWN) {
			b->seen[i] = v->now;
			return kept;
		}
		lost = 1;
	} else if (!v->window && !v->remembers) {
		return v->current;
	}
	__u32 local = lost && !v->remembers ? v->current : unknown_udp(v, place);
	if (local == SLOT_NONE || v->asks)
		return SLOT_NONE;
	if (place >= 0)
		put(b, place & 3, v, local, CELL_UDP, 0);
	else
		v->full = 1;
	return local;
}

/* Of an error: the flow's cell when it is sure, else as for an unknown flow; nothing is written. */
static __always_inline __u32 pick_icmp(struct flow_bucket *b, const struct slot_view *v, int own, int own_live)
{
	if (own >= 0 && own_live && !(b->cell[own & 3] & CELL_TENTATIVE))
		return (b->cell[own & 3] & CELL_BACKEND) - 1;
	return v->window ? unknown_base(v) : v->current;
}

/* The rules of an open slot. The caller holds the bucket's lock, or a copy of the bucket. */
static __always_inline __u32 choose(struct flow_bucket *b, const struct table *table, struct slot_view *v,
				       const struct packet *p)
{
	int own = -1, own_live = 0, room = -1;

#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++) {
		int live = cell_live(b, table, i, v);
		if (b->tag[i] == v->tag && b->service[i] == v->service && b->slot[i] == v->number &&
		    (b->cell[i] & CELL_BACKEND)) {
			own = i;
			own_live = live;
		} else if (!live) {
			room = i;
		}
	}
	if (v->frozen) {
		room = -1;
		if (!own_live)
			own = -1;
	}
	if (p->icmp_error)
		return pick_icmp(b, v, own, own_live);
	if (p->protocol == IPPROTO_UDP)
		return pick_udp(b, table, v, own, own_live, room);
	if ((p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN)
		return pick_syn(b, table, v, p, own, own_live, room);
	return pick_tcp(b, v, p, own, own_live, room);
}

static __always_inline struct slot_view slot_view(const struct service *service, const struct table *table,
						  const struct packet *p, __u64 hash, __u32 word)
{
	struct slot_view view = {
		.current = word & SLOT_MASK,
		.base = word >> SLOT_BITS & SLOT_MASK,
		.number = p->slot,
		.service = p->service,
		.life = p->protocol == IPPROTO_UDP ? service->udp_life : service->tcp_life,
		.remembers = !!(service->flags & SERVICE_REMEMBERS),
		.begins = p->protocol == IPPROTO_UDP && p->tcp_flags & TCP_SYN,
		.frozen = !!(control.flags & CONTROL_FROZEN),
		.chosen = SLOT_NONE,
		.now = now_ticks(),
		.tag = hash >> 20,
	};

	view.was_full = view.now - service->last_full <= life_ticks(view.life);

	view.window = word >> PHASE_SHIFT == PHASE_WINDOW && view.current != view.base;
	view.base_state = state_of(table, view.base);
	return view;
}

/* Must the flow table be asked? */
static __always_inline int is_open(const struct service *service, const struct packet *p, __u32 word)
{
	return word >> PHASE_SHIFT != PHASE_SETTLED &&
	       !(service->flags & SERVICE_ONE_SHOT && p->protocol == IPPROTO_UDP);
}

/* True when `choose` must be run once more: it is a new flow, and now it is known whose. */
static __always_inline int ask_new(struct slot_view *v, __u32 service, __u32 peek)
{
	if (!v->asks)
		return 0;
	v->chosen = choose_new(service, peek);
	v->asks = 0;
	v->asked = 1;
	return 1;
}

/* Of a slot that a change has opened, or of a service that remembers: the local number, or SLOT_NONE; FULL when the flow
 * found no room. Not static: a global function is verified once and by itself. With every way to its call, kernel 6.1
 * gives up at a million steps. */
#define FULL 0x10000
__noinline __u32 open_slot(struct service *service, struct table *table, const struct packet *p, __u64 hash,
				  __u32 word)
{
	if (!service || !table || !p)
		return SLOT_NONE;
	hash = cell_hash(service, p, hash);
	__u32 index = (__u32)hash & control.flow_mask;
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flows, &index);
	if (!bucket)
		return SLOT_NONE;
	struct slot_view view = slot_view(service, table, p, hash, word);
	__u32 local = SLOT_NONE;
#pragma clang loop unroll(disable)
	for (int pass = 0; pass < 2; pass++) {
		/* From look-up to put: two packets of one flow on two CPUs must agree. */
		bpf_spin_lock(&bucket->lock);
		local = choose(bucket, table, &view, p);
		bpf_spin_unlock(&bucket->lock);
		if (!ask_new(&view, p->service, 0))
			break;
	}
	if (view.ended)
		uncount(view.ended_service, view.ended - 1);
	if (view.begun)
		count_begun(table, view.begun - 1);
	if (!view.full)
		return local;
	service->last_full = view.now;
	if (view.remembers)
		__sync_fetch_and_add(&service->no_room, 1);
	return local | FULL;
}

/* The slot that the packet's flow has; MAX_SLOTS or more: the service says that its table is longer than any. */
static __always_inline __u32 find_slot(const struct service *service, struct packet *p, __u64 hash)
{
	__u32 slot = (hash >> 32) * service->slots >> 32;

	/* clang would forget the bound over the shift */
	asm volatile("" : "+r"(slot));
	p->hash = hash;
	p->slot = slot;
	return slot;
}

/* The plane's number of a backend by the service's own, or a named drop. */
static __always_inline int backend_of(const struct table *table, __u32 local)
{
	asm volatile("" : "+r"(local));
	if (local >= MAX_LOCAL)
		return DROPPED(DROP_NO_BACKEND);
	__u32 found = table->backends[local], state = found >> STATE_SHIFT;
	return state < STATE_UP || state > STATE_DOWN ? DROPPED(DROP_NO_BACKEND) : (int)(found & STATE_NUMBER_MASK);
}

/* The plane's number of the backend for this packet, or a named drop. */
static __always_inline int pick(struct service *service, struct packet *p)
{
	struct table *table = find_table(service);
	__u64 hash = flow_hash(service, p);
	__u32 slot = find_slot(service, p, hash);

	if (!table || slot >= MAX_SLOTS)
		return DROPPED(DROP_NO_BACKEND);
	__u32 word = slot_word(table, slot), local = word & SLOT_MASK;
	if (is_open(service, p, word)) {
		local = open_slot(service, table, p, hash, word);
		if (local == (SLOT_NONE | FULL))
			return DROPPED(DROP_TABLE_FULL);
		local &= SLOT_MASK;
	}
	return backend_of(table, local);
}
