/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What would become of a packet, decided by the same rules on a copy of its bucket: nothing is written but the answer. */
#pragma once
#include "arrivals.h"
#include "deliver.h"
#include "near.h"
#include "pick.h"
#include "quic.h"

/* Filled by the program `explain`; only its own object has it. */
ARRAY(decisions, struct decision, 1, 0);
struct bucket_copy {
	__u64 bytes[8];
};
/* The copy of a bucket: in a map, since the stacks of all functions together have 512 bytes. */
ARRAY(bucket_copies, struct bucket_copy, 1, 0);

/* The flow's own cell as the rules see it: CELL_ flags and backend + 1, or 0. */
static __always_inline __u32 own_cell(const struct flow_bucket *b, const struct slot_view *v)
{
	__u32 found = 0;

#pragma unroll
	for (int i = 0; i < FLOW_WAYS; i++)
		if (b->tag[i] == v->tag && b->service[i] == v->service && b->slot[i] == v->number &&
		    (b->cell[i] & CELL_BACKEND) && (__u16)(v->now - b->seen[i]) <= life_ticks(b->life[i]))
			found = b->cell[i];
	return found;
}

/* The local number that an open slot would give, or SLOT_NONE; `decision` has the slot's word, and gets the flow's cell.
 * Global, and so verified by itself: with every way to its call kernel 6.1 takes three times the steps of all the balancer. */
__noinline __u32 peek_slot(struct service *service, struct table *table, const struct packet *p, __u64 hash,
			    struct decision *decision)
{
	__u32 zero = 0;
	struct flow_bucket *copy = bpf_map_lookup_elem(&bucket_copies, &zero);

	if (!copy || !service || !table || !p || !decision)
		return SLOT_NONE;
	hash = cell_hash(service, p, hash);
	__u32 index = (__u32)hash & control.flow_mask;
	struct flow_bucket *bucket = bpf_map_lookup_elem(&flows, &index);
	if (!bucket)
		return SLOT_NONE;
	/* All but the lock, which may not be read. A cell under change shows half of it: this is only a look. */
	__builtin_memcpy((void *)copy + sizeof(copy->lock), (void *)bucket + sizeof(copy->lock),
			 sizeof(*copy) - sizeof(copy->lock));
	struct slot_view view = slot_view(service, table, p, hash, decision->word);
	decision->cell = own_cell(copy, &view);
	__u32 local = SLOT_NONE;
#pragma clang loop unroll(disable)
	for (int pass = 0; pass < 2; pass++) {
		local = choose(copy, table, &view, p);
		if (!ask_new(&view, p->service, 1))
			break;
	}
	return local;
}

/* By the server ID in its connection ID: no slot and no cell has a say. */
static __always_inline int explain_named(__u32 number, const struct table *table, struct decision *decision)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);

	if (!backend)
		return 0;
	__u32 local = backend->local;
	decision->named = 1;
	decision->local = local;
	asm volatile("" : "+r"(local));
	decision->backend = local < MAX_LOCAL ? table->backends[local] : 0;
	return 1;
}

/* False when the packet is for no VIP. */
static __always_inline int explain_packet(struct xdp_md *ctx, struct decision *decision)
{
	struct packet p = {};

	if (!parse(ctx, &p) || p.part == LATER)
		return 0;
	struct arrival *arrival = find_vip(&p.target, p.target_port, p.protocol);
	if (!arrival)
		return 0;
	struct service *service = serving(&arrival->service, &p.source, &p.service);
	if (!service)
		return 0;
	struct table *table = find_table(service);
	__u64 hash = flow_hash(service, &p);
	__u32 slot = (hash >> 32) * service->slots >> 32;
	asm volatile("" : "+r"(slot));
	if (!table || slot >= MAX_SLOTS)
		return 0;
	__u32 word = slot_word(table, slot), local = word & SLOT_MASK;
	p.slot = slot;
	decision->service = p.service;
	decision->slot = slot;
	decision->word = word;
	decision->hash = hash;
	int named = service->flags & SERVICE_QUIC ? named_backend(ctx, &p, service) : -1;
	if (named >= 0)
		return explain_named(named, table, decision);
	if (is_open(service, &p, word))
		local = peek_slot(service, table, &p, hash, decision);
	decision->local = local;
	asm volatile("" : "+r"(local));
	decision->backend = local < MAX_LOCAL ? table->backends[local] : 0;
	return 1;
}

/* Makes of a packet what its method would, for the backend that `explain` has just found for it. By the way that control
 * knows: nobody is asked, since asking would leave a trace. */
static __always_inline void rewrite_packet(struct xdp_md *ctx, struct decision *found)
{
	struct packet p = {};
	__u32 number = found->backend & STATE_NUMBER_MASK;
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	const struct next_hop *hop = backend ? bpf_map_lookup_elem(&next_hops, &backend->next_hop) : 0;

	if (!hop || !hop->ifindex || !parse(ctx, &p))
		return;
	p.hash = found->hash;
	p.slot = found->slot;
	p.service = found->service;
	p.of_service = 1;
	p.backend = number + 1;
	found->ifindex = hop->ifindex;
	found->vlan = hop->vlan;
	found->verdict = forward(ctx, &p, backend, hop);
}
