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

/* Two long loads, or stores: a packet's words need not lie at multiples of eight. On the stack they must. */
static __always_inline struct address address6(const struct in6_addr *from)
{
	const __u64 *half = (const void *)from;

	return (struct address){ half[0], half[1] };
}

static __always_inline void write6(struct in6_addr *to, const struct address *from)
{
	__u64 *half = (void *)to;

	half[0] = from->high;
	half[1] = from->low;
}

/* The IPv4 address inside, network order. */
static __always_inline __u32 address4(const struct address *from)
{
	return ((const __u32 *)&from->low)[1];
}

static __always_inline int is_ipv4(const struct address *a)
{
	return a->high == 0 && (__u32)a->low == MAPPED;
}

static __always_inline int same_address(const struct address *a, const struct address *b)
{
	return a->low == b->low && a->high == b->high;
}
