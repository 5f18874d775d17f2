/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the guard keeps: of constant size, whoever sends what. It exists only where a service has limits or there are
 * lists. */
#pragma once
#include "maps.h"

/* Is there a list, and the secrets of hashes and challenges. */
ARRAY(guard_words, struct guard, 1, BPF_F_MMAPABLE);
/* By the plane's number of a service; 64 B each: 64 KiB. */
ARRAY(limits, struct limits, MAX_SERVICES, BPF_F_MMAPABLE);
/* Buckets of sources, by hash; a source that comes new to one takes it over. */
ARRAY(sources, __u64, SOURCES, 0);
/* Addresses that have answered a challenge, likewise. */
ARRAY(proofs, __u64, PROOFS, 0);

/* Networks that are let through or kept out, IPv4 mapped; the longest prefix decides. */
struct list_trie {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, LIST_ENTRIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	/* by size: clang 14 leaves an inner map's types out of the BTF */
	__uint(key_size, sizeof(struct list_key));
	__uint(value_size, sizeof(__u32));
};

/* The lists in force: a new trie is filled beside the old one and takes its place in one step. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct list_trie);
} lists SEC(".maps");

/* Of an address, for whoever cannot know the secret unforeseeable. */
static __always_inline __u64 source_hash(const struct guard *guard, const struct address *source, __u32 salt)
{
	__u64 h = (__u64)guard->secret[0] << 32 | guard->secret[1];

	h = (h ^ source->low ^ salt) * 0x9e3779b97f4a7c15ull;
	h ^= h >> 32;
	h = (h ^ source->high) * 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	h *= 0x94d049bb133111ebull;
	return h ^ h >> 31;
}
