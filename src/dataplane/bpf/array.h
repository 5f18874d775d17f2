/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The two commonest shapes of a map. */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define ARRAY(NAME, VALUE, ENTRIES, FLAGS) \
	struct { \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(max_entries, ENTRIES); \
		__uint(map_flags, FLAGS); \
		__type(key, __u32); \
		__type(value, VALUE); \
	} NAME SEC(".maps")

#define PERCPU(NAME, VALUE, ENTRIES) \
	struct { \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); \
		__uint(max_entries, ENTRIES); \
		__type(key, __u32); \
		__type(value, VALUE); \
	} NAME SEC(".maps")
