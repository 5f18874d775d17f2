/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Later fragments carry no ports: they follow what the first one of their datagram was given. */
#pragma once
#include "verdict.h"

static __always_inline void fragment_key(struct fragment_key *key, const struct packet *p)
{
	*key = (struct fragment_key){
		.source = { 0, 0, MAPPED, p->source },
		.target = { 0, 0, MAPPED, p->target },
		.id = p->id,
		.protocol = p->protocol,
	};
}

static __always_inline void remember_fragment(const struct packet *p, __u32 kind, __u32 backend, __u32 vip)
{
	struct fragment_key key;
	struct fragment value = { .kind = kind, .backend = backend, .vip = { 0, 0, MAPPED, vip } };

	if (p->part != FIRST)
		return;
	fragment_key(&key, p);
	bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

static __always_inline struct fragment *recall_fragment(const struct packet *p)
{
	struct fragment_key key;

	fragment_key(&key, p);
	return bpf_map_lookup_elem(&fragments, &key);
}
