/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* How long a frame is, how much is copied at once, and which way is the usual one. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What almost every packet does stands in one line: a jump that is taken costs more than one that is not. */
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* The barriers keep both pointers whole: the verifier refuses a spilled half of one. */
static __always_inline __u32 frame_bytes(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	asm volatile("" : "+r"(data), "+r"(end));
	__u64 bytes = end - data;
	/* At once: else both pointers would be laid aside until somebody asks. */
	asm volatile("" : "+r"(bytes));
	return bytes;
}

/* A length that is known to be 1 to `most`, a power of two, said so that kernel 6.1 sees it too: there the verifier learns
 * nothing from "is not 0", and a helper may not copy nothing. */
static __always_inline __u32 copy_length(__u32 bytes, __u32 most)
{
	bytes--;
	/* The compiler knows it too, and would leave the rest out. */
	asm volatile("" : "+r"(bytes));
	return (bytes & (most - 1)) + 1;
}
