/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Counting: per CPU, per backend; a service's sums are made of its backends' by the supervisor. */
#pragma once
#include "maps.h"

/* Where a backend's packets are counted. Its line is fetched at once, so that it is on its way together with the backend's
 * own. `backend`: where the number stands already; a copy on the stack could not be read back at once. */
static __always_inline struct backend_count *counts_of(const __u32 *backend)
{
	struct backend_count *count = bpf_map_lookup_elem(&backend_counts, backend);

	if (count)
		touch(count);
	return count;
}

static __always_inline void count_in(struct backend_count *count, __u32 bytes)
{
	if (!count)
		return;
	count->packets_in++;
	count->bytes_in += bytes;
}

static __always_inline void count_out(const __u32 *backend, __u32 bytes)
{
	struct backend_count *count = bpf_map_lookup_elem(&backend_counts, backend);

	if (!count)
		return;
	count->packets_out++;
	count->bytes_out += bytes;
}

static __always_inline void count_drop(__u32 service, __u32 reason)
{
	struct drop_count *count = bpf_map_lookup_elem(&drop_counts, &service);

	if (count)
		count->reason[reason & (DROP_REASONS - 1)]++;
}
