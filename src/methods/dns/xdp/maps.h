/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Written by the supervisor as plain memory. Sizes are set when a revision is loaded. */
#pragma once
#include "array.h"
#include "types.h"

/* Of the message under way: the name in lower case, zero behind its end; and with options, all behind its header. */
struct dns_scratch {
	__u64 name[2 * DNS_WORDS + 2];
	__u8 raw[DNS_MESSAGE_MOST + 24];
	__u64 client[2]; /* an address as it is sent; of IPv4 the first four octets */
	__u8 opt[64]; /* of the answer, with a client subnet */
	__u32 subnet; /* where a client subnet is in `raw`; 0: nowhere */
	__u32 subnet_bytes;
	__u32 scope; /* bits of the client's address that the answer hangs on */
	__u32 opt_bytes; /* of the answer */
};

struct dns_page {
	__u8 bytes[DNS_PAGE];
};

/* What every query is held against; one. */
ARRAY(dns_controls, struct dns_control, 1, BPF_F_MMAPABLE);
/* Names by hash, open addressing: a power of two. */
ARRAY(dns_slots, struct dns_slot, 2, BPF_F_MMAPABLE);
/* The store that references point into: 80 KiB each. */
ARRAY(dns_pages, struct dns_page, 1, BPF_F_MMAPABLE);
/* Answers, of each CPU: sluice_dns_count, then those of sets. */
ARRAY(dns_counters, __u64, DNS_COUNTS, BPF_F_MMAPABLE);
/* MAC in the low 48 bits, above it the VLAN of its frames (0: untagged), by ifindex; 0: an interface of no concern. */
ARRAY(dns_devices, __u64, DNS_DEVICES, BPF_F_MMAPABLE);
/* Tables of networks, as a tree of four bits a step. */
ARRAY(dns_regions, struct dns_stride, 1, BPF_F_MMAPABLE);
/* What is left to each network, by hash (rate.h): DNS_BUCKETS of them, or 1 that is not asked. */
ARRAY(dns_buckets, __u64, 1, 0);
/* The message under way: no room on the stack, of which there are 512 bytes. */
PERCPU(dns_scratches, struct dns_scratch, 1);

static __always_inline struct dns_control *dns_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dns_controls, &zero);
}

static __always_inline struct dns_scratch *dns_scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dns_scratches, &zero);
}

/* The record at a reference: at least 16 KiB may be read behind it. */
static __always_inline void *dns_at(__u32 reference)
{
	__u32 page = reference >> DNS_PAGE_SHIFT;
	struct dns_page *found = bpf_map_lookup_elem(&dns_pages, &page);

	if (!found)
		return 0;
	return found->bytes + ((__u64)(reference << 3) & DNS_PAGE_MASK);
}

/* Has the CPU fetch a line of memory while it goes on with something else. */
static __always_inline void fetch(const void *line)
{
	if (line)
		(void)*(const volatile __u8 *)line;
}

static __always_inline __u64 *dns_counter(const struct dns_control *control, __u32 counter)
{
	__u32 index = bpf_get_smp_processor_id() * control->counters + counter;

	return bpf_map_lookup_elem(&dns_counters, &index);
}

/* One more, of this CPU, and how many these are. No atomics: nothing else counts here at the same time. */
static __always_inline __u64 dns_count(const struct dns_control *control, __u32 counter)
{
	__u64 *count = dns_counter(control, counter);

	return count ? ++*count : 0;
}
