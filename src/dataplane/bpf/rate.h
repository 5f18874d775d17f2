/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Token buckets in one word each, as the generic cell rate algorithm (ITU-T I.371): the time at which the bucket will be
 * full again, and whose it is. A refusal writes nothing, so a flood does not move cache lines between CPUs. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "types.h"

/* tag:24 << 40 | time:40, in units of 64 ns: comes round after 19 hours. */
#define RATE_BITS 40
#define RATE_TIME ((1ull << RATE_BITS) - 1)

static __always_inline __u64 rate_now(void)
{
	return bpf_ktime_get_coarse_ns() >> RATE_SHIFT & RATE_TIME;
}

/* Takes one from the bucket; 0: it is empty. A bucket of somebody else, or one filled long ago, begins anew. */
static __always_inline int rate_take(__u64 *bucket, __u64 tag, __u64 now, const struct rate *rate)
{
	__u64 old = *(volatile __u64 *)bucket;
	__u64 ahead = (old - now) & RATE_TIME;

	/* No bucket that is in use is further ahead than this. */
	if (old >> RATE_BITS != tag || ahead > (__u64)rate->burst + rate->interval)
		ahead = 0;
	if (ahead > rate->burst)
		return 0;
	/* Two CPUs that take at once take one: a limit is no account. */
	__sync_val_compare_and_swap(bucket, old, tag << RATE_BITS | ((now + ahead + rate->interval) & RATE_TIME));
	return 1;
}
