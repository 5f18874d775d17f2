/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Later fragments carry no ports: they follow what the first one of their datagram was given. */
#pragma once
#include "verdict.h"

static __always_inline void fragment_key(struct fragment_key *key, const struct packet *p)
{
	*key = (struct fragment_key){
		.source = p->source,
		.target = p->target,
		.id = p->id,
		/* In IPv6 a later fragment names its transport too, but it may stand behind more headers. */
		.protocol = p->ipv6 ? IPPROTO_FRAGMENT : p->protocol,
	};
}

static __noinline int store_fragment(const struct packet *p, __u32 kind, __u32 backend, const struct address *vip)
{
	struct fragment_key key;
	struct fragment value = { .kind = kind, .backend = backend };

	if (!p || !vip)
		return 0;
	value.vip = *vip;
	fragment_key(&key, p);
	return bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

static __always_inline void remember_fragment(const struct packet *p, __u32 kind, __u32 backend,
					      const struct address *vip)
{
	if (p->part == FIRST)
		store_fragment(p, kind, backend, vip);
}

static __always_inline struct fragment *recall_fragment(const struct packet *p)
{
	struct fragment_key key;

	fragment_key(&key, p);
	return bpf_map_lookup_elem(&fragments, &key);
}
