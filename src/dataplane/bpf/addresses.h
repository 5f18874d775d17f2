/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Addresses of both families in one shape. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "types.h"
#include "wire.h"

static __always_inline struct address mapped(__u32 address)
{
	return (struct address){ 0, (__u64)address << 32 | MAPPED };
}

static __always_inline struct address address6(const struct in6_addr *from)
{
	const __u32 *word = from->in6_u.u6_addr32;

	return (struct address){ (__u64)word[1] << 32 | word[0], (__u64)word[3] << 32 | word[2] };
}

static __always_inline void write6(struct in6_addr *to, const struct address *from)
{
	to->in6_u.u6_addr32[0] = from->high;
	to->in6_u.u6_addr32[1] = from->high >> 32;
	to->in6_u.u6_addr32[2] = from->low;
	to->in6_u.u6_addr32[3] = from->low >> 32;
}

/* The IPv4 address inside, network order. */
static __always_inline __u32 address4(const struct address *from)
{
	return from->low >> 32;
}

static __always_inline int is_ipv4(const struct address *a)
{
	return a->high == 0 && (__u32)a->low == MAPPED;
}

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->low == b->low && a->high == b->high;
}
