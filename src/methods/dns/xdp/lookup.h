/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Where the answer to a question is (RFC 1034 4.3.2): at the name itself, else by what its closest encloser says. */
#pragma once
#include "question.h"

struct found {
	__u32 ready; /* reference of a ready answer; beside a set: for when that has no address */
	__u32 set; /* reference of a set; 0: `ready` */
	__u32 apex; /* octet of the message where its pointers count from */
	__u32 counter; /* of the service; 0: none */
};

static __always_inline int at_node(const struct question *q, const struct dns_node *node, struct found *found)
{
	const struct dns_kind *kinds;

	if (node->flags & DNS_NODE_PASS)
		return DNS_COUNT_NAME;
	if (q->dnssec_ok && node->flags & DNS_NODE_SIGNED)
		return DNS_COUNT_EDNS;
	/* RRSIG to DNSKEY, CDS, CDNSKEY and DS belong to signing, those from 128 on are no records. */
	if (q->type >= 128 || (q->type >= 41 && q->type <= 51) || q->type == 59 || q->type == 60)
		return DNS_COUNT_TYPE;
	found->apex = DNS_HEADER + q->name - node->zone;
	found->ready = node->nodata;
	if (node->set) {
		const struct dns_set *set = dns_at(node->set);
		if (!set)
			return DNS_COUNT_NAME;
		found->counter = set->counter;
		if (q->type == TYPE_A)
			found->set = set->v4;
		else if (q->type == TYPE_AAAA)
			found->set = set->v6;
		if (found->set == DNS_SET_PASS)
			return DNS_COUNT_CLIENT;
		if (found->set)
			return -1;
	}
	kinds = (const void *)(node + 1) + (((__u64)node->length + 7) & 0x1f8);
	for (__u32 i = 0; i < DNS_KINDS; i++) {
		if (i >= node->kinds)
			break;
		if (kinds[i].type == q->type)
			found->ready = kinds[i].ready;
	}
	return -1;
}

/* What the closest encloser says of a name that does not exist: its wildcard's answer, or NXDOMAIN (RFC 4592 3.3.1). */
static __always_inline int below_node(const struct question *q, const struct dns_node *node, struct found *found)
{
	if (node->flags & DNS_NODE_OPEN)
		return DNS_COUNT_NAME;
	if (node->wildcard) {
		const struct dns_node *wildcard = dns_at(node->wildcard - 1);
		return wildcard ? at_node(q, wildcard, found) : DNS_COUNT_NAME;
	}
	if (q->type >= 128 || q->type == TYPE_OPT)
		return DNS_COUNT_NAME;
	if (q->dnssec_ok && node->flags & DNS_NODE_SIGNED)
		return DNS_COUNT_EDNS;
	found->ready = node->nxdomain;
	found->apex = DNS_HEADER + q->name - node->zone;
	return -1;
}

/* Looks for it among the names above, the longest first. */
static __always_inline const struct dns_node *find_encloser(const struct question *q, const struct dns_scratch *scratch)
{
	const __u8 *name = (const void *)scratch->name;
	__u32 start = 0;

	for (__u32 i = 0; i < DNS_DEPTH; i++) {
		__u32 length = name[start & 255];
		if (!length || length > 63)
			return 0;
		start += length + 1;
		if (start + 1 >= q->name)
			return 0;
		__u32 reference = find_above(start, q->name);
		if (reference)
			return dns_at(reference - 1);
	}
	return 0;
}

/* -1, or why the query passes. */
static __always_inline int find_answer(const struct question *q, const struct dns_scratch *scratch, struct found *found)
{
	__u32 reference = find_name(q->hash.a, q->hash.b, 0, q->name);
	const struct dns_node *node = reference ? dns_at(reference - 1) : find_encloser(q, scratch);

	if (!node)
		return DNS_COUNT_NAME;
	return reference ? at_node(q, node, found) : below_node(q, node, found);
}
