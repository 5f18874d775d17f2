/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What the answering program reads: names, sets of addresses and ready answers, laid out by the supervisor. */
#pragma once
#include <linux/types.h>

enum sluice_dns_limit {
	/* 64-bit words of the longest name, 255 octets. */
	DNS_WORDS = 32,
	/* slots looked at before a name is taken to be unknown; the supervisor picks a seed under which all lie within. */
	DNS_PROBES = 8,
	/* names above the queried one that are looked for; deeper questions pass. Bounds what a hostile name costs. */
	DNS_DEPTH = 8,
	/* a page of the store: records begin in its first 64 KiB, on 8 bytes, and may reach into the rest. */
	DNS_PAGE = 81920,
	DNS_PAGE_MASK = 0xfff8,
	/* units of 8 bytes in those 64 KiB: a reference is page << DNS_PAGE_SHIFT | unit. */
	DNS_PAGE_SHIFT = 13,
	/* addresses of a set. */
	DNS_SET_ADDRESSES = 255,
	/* octets of the largest set, of that many addresses of IPv6. */
	DNS_SET_MOST = 6128,
	/* octets of a tree before its last set; a multiple of 8. */
	DNS_TREE_MOST = 8192,
	/* rows of a tree: places, and none. */
	DNS_TREE_ROWS = 1024,
	/* octets of the records of one answer. */
	DNS_BODY_MOST = 1000,
	/* the power of two above it. */
	DNS_BODY_ROOM = 1024,
	/* addresses of one answer: what of IPv4 fits. */
	DNS_SHOWN_MOST = 62,
	/* octets of a message behind its header that are read: the longest question, OPT and its options. */
	DNS_MESSAGE_MOST = 512,
	/* addresses of the server that are answered for. */
	DNS_ENDPOINTS = 16,
	/* places in a ready answer that point into the question. */
	DNS_POINTERS = 6,
	/* interfaces whose MAC is known, by ifindex. */
	DNS_DEVICES = 4096,
	/* options of one query that are looked at. */
	DNS_OPTIONS = 4,
	/* seconds without a sign of life of the supervisor after which all is passed to the workers. */
	DNS_PATIENCE = 10,
	/* first types of a name that have ready answers; names with more pass. */
	DNS_KINDS = 8,
	/* octets of a client subnet option, behind code and length. */
	DNS_SUBNET_MOST = 20,
	/* steps of four bits in the longest address. */
	DNS_STRIDES = 32,
	/* an entry of a table of networks that says what there is: (value + 1) << 8 | bits that decide it. */
	DNS_LEAF = 0x40000000,
	/* where the networks of places begin, of IPv4 and of IPv6; and those that no rate limits. */
	DNS_ROOT_PLACES = 0,
	DNS_ROOT_EXCEPT = 2,
	/* lengths of prefixes whose answers are bounded, per family. */
	DNS_LEVELS = 5,
	/* buckets of answers per network, 8 bytes each. */
	DNS_BUCKETS = 131072,
};

/* Counted per CPU, before the counters of services. */
enum sluice_dns_count {
	/* answered */
	DNS_COUNT_SERVICE = 0,
	DNS_COUNT_ZONE = 1,
	DNS_COUNT_NXDOMAIN = 2,
	/* passed to the workers */
	DNS_COUNT_PACKET = 3,
	DNS_COUNT_MESSAGE = 4,
	DNS_COUNT_EDNS = 5,
	DNS_COUNT_NAME = 6,
	DNS_COUNT_TYPE = 7,
	DNS_COUNT_CLIENT = 8,
	DNS_COUNT_SIZE = 9,
	DNS_COUNT_STALE = 10,
	/* not answered */
	DNS_COUNT_LIMITED = 11,
	DNS_COUNTS = 16,
};

enum sluice_dns_flag {
	/* control: options that change the answer */
	DNS_FLAG_NSID = 1,
	DNS_FLAG_SUBNET = 2,
	/* control: some networks are never limited */
	DNS_FLAG_EXCEPT = 4,
};

enum sluice_dns_node {
	/* nothing at this name is answered here */
	DNS_NODE_PASS = 1,
	/* names below that do not exist are not simply absent: a delegation, DNAME */
	DNS_NODE_OPEN = 2,
	/* the zone is signed: questions with DO pass */
	DNS_NODE_SIGNED = 4,
};

enum sluice_dns_set {
	/* in the place of a reference: no addresses of this kind */
	DNS_SET_NONE = 0,
	/* the answer hangs on the client, or is an error */
	DNS_SET_PASS = 0x7fffffff,
};

/* Beside where a part's set is, a multiple of 8; 0: it has no addresses of this kind. */
enum sluice_dns_part {
	/* another part might have been given to a client of another place */
	DNS_PART_PLACE = 1,
	/* the workers know what it is given */
	DNS_PART_PASS = 2,
};

struct dns_endpoint {
	__u64 high, low;
	__u16 port; /* network order */
	__u16 spare[3];
};

/* Of networks of one length: its bits, and how fast their answers may come. */
struct dns_level {
	__u64 mask[2];
	__u32 interval; /* struct rate; 0: no more levels */
	__u32 burst;
};

struct dns_control {
	__u64 fresh_until; /* coarse monotonic ns */
	__u32 slot_mask;
	__u32 seed;
	__u32 endpoint_count;
	__u32 flags; /* sluice_dns_flag */
	__u32 counters; /* of one CPU */
	__u32 fixed; /* the random number of the program that tests run */
	__u32 udp_size;
	__u32 slip; /* every how manieth limited answer is a truncated one; 0: none */
	__u64 secret; /* of the buckets' hash */
	struct dns_level levels[2 * DNS_LEVELS]; /* IPv4, then IPv6 */
	struct dns_endpoint endpoints[DNS_ENDPOINTS];
};

struct dns_slot {
	__u32 tag;
	__u32 node; /* reference + 1; 0: free */
	/* the node's set, and its first counter of a backend: to be fetched beside the node */
	__u32 set;
	__u32 counter;
};

/* A name that exists. Behind it the name, zero-padded to 8, then its kinds. */
struct dns_node {
	__u8 length; /* octets of the name, root included */
	__u8 flags; /* sluice_dns_node */
	__u8 zone; /* octets of the name of its zone's apex */
	__u8 kinds;
	__u32 set; /* reference of the service's set; 0: none */
	__u32 nodata; /* reference of a ready answer */
	__u32 nxdomain; /* the same, for names below */
	__u32 wildcard; /* reference + 1 of the node for those; 0: none */
	__u32 spare;
};

struct dns_kind {
	__u32 type;
	__u32 ready;
};

/* Of one service; behind it, in one line of the cache if they fit, the addresses it began with. Each reference is flipped by
 * one store. */
struct dns_set {
	__u32 v4;
	__u32 v6;
	__u32 counter; /* its first counter: answers without an address; then one per backend */
	__u32 spare;
};

/* The addresses of one kind: behind it they stand, 4 or 16 octets each, then Walker's alias table over who stands first. */
struct dns_block {
	__u8 shown; /* addresses of an answer; 0: a tree */
	__u8 count; /* of the set */
	__u8 steps[2]; /* the others follow the first one by one, or by these; 0: no more */
	__u32 ttl; /* s */
};

struct dns_first {
	__u16 keep; /* of 65,536 */
	__u16 other;
	__u16 counter;
};

/* In the place of a set where the answer hangs on the client's place, or is drawn from groups of backends: behind it, for
 * clients of no place and then for those of each, where their draw is; then draws and sets. Places are octets of the tree. */
struct dns_tree {
	__u16 none; /* where a set says how many it shows: 0 */
	__u16 rows; /* 1: all clients are alike */
	__u16 spare[2];
};

/* Its parts follow, an alias table over groups. */
struct dns_draw {
	__u32 parts;
	__u32 spare;
};

struct dns_part {
	__u32 keep; /* of 65,536 */
	__u16 other;
	__u16 at; /* where its set is, and sluice_dns_part */
};

/* Networks by the next four bits of an address: DNS_LEAF, or the next table. */
struct dns_stride {
	__u32 entry[16];
};

/* A ready answer: its records, with pointers counted from the octet where the zone's apex begins in the question. */
struct dns_ready {
	__u16 bytes;
	__u16 sum;
	__u8 rcode;
	__u8 authoritative;
	__u8 pointers;
	__u8 spare;
	__u16 counts[3]; /* network order: answers, authority, additional */
	__u16 spare2;
	struct {
		__u16 at;
		__u16 target;
	} pointer[DNS_POINTERS];
};
