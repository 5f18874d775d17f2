/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* How long a frame is. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The barriers keep both pointers whole: the verifier refuses a spilled half of one. */
static __always_inline __u32 frame_bytes(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	asm volatile("" : "+r"(data), "+r"(end));
	return end - data;
}
