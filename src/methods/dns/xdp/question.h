/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Reads a query. Whatever is not the plain case is the workers' to judge: they know what is malformed, and how. */
#pragma once
#include "names.h"
#include "span.h"
#include "wire.h"

/* Octets of a message's header (RFC 1035, 4.1.1). */
#define DNS_HEADER 12
/* Octets of OPT without options (RFC 6891, 6.1.2). */
#define OPT_BYTES 11
/* Types of records (RFC 1035, RFC 3596, RFC 6891). */
#define TYPE_A 1
#define TYPE_AAAA 28
#define TYPE_OPT 41
/* Options of OPT (RFC 5001, RFC 7871, RFC 7873). */
#define OPTION_NSID 3
#define OPTION_SUBNET 8
#define OPTION_COOKIE 10
/* Octets of UDP payload that every client takes (RFC 1035, 4.2.1). */
#define CLASSIC_SIZE 512

struct dns_header {
	__u16 id;
	__u8 flags[2];
	__u16 questions;
	__u16 answers;
	__u16 authority;
	__u16 additional;
};

/* Where the message lies in the frame, and what it asks. */
struct question {
	__u32 ip; /* octet of the frame */
	__u32 udp;
	__u32 dns;
	__u32 message; /* octets behind the header */
	__u8 ipv6;
	__u8 edns;
	__u8 dnssec_ok;
	__u8 spare;
	__u32 name; /* octets */
	__u32 type;
	__u32 room; /* octets of UDP payload that the client takes */
	struct dns_hash hash;
	__u64 sum; /* of the question as it came, unfolded */
};

static __always_inline __u32 two(const __u8 *at)
{
	return (__u32)at[0] << 8 | at[1];
}

/* Folds, hashes and sums the name in one pass. False: it has no end within the message. */
static __always_inline int read_name(struct xdp_md *ctx, struct question *q, struct dns_scratch *scratch, __u32 seed)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct dns_hash h = { seed, ~seed };
	__u64 sum = 0;

	for (__u32 w = 0; w < DNS_WORDS; w++) {
		int left = (int)q->message - (int)w * 8;
		/* The name's end, type and class. */
		if (left < 5)
			return 0;
		/* No octet behind the message is read: zeros stand for those. */
		__u32 beyond = left < 8 ? 8 - left : 0;
		__u32 at = (q->dns & 127) + DNS_HEADER + w * 8 - (beyond & 3);
		asm volatile("" : "+r"(at));
		const __u64 *from = data + (at & 511);
		if ((void *)(from + 1) > end)
			return 0;
		__u64 word = *from >> (beyond & 3) * 8, zero = first_zero(word);
		if (zero)
			word &= (zero << 1) - 1;
		sum += (__u32)word;
		sum += word >> 32;
		word = fold_word(word);
		hash_word(&h, word);
		scratch->name[w] = word;
		if (!zero)
			continue;
		scratch->name[w + 1] = 0;
		q->name = w * 8 + (((((zero >> 7) - 1) & ONES) * ONES) >> 56) + 1;
		q->sum = sum;
		q->hash = h;
		return q->name <= 255 && q->name > 1 && q->name + 4 <= q->message;
	}
	return 0;
}

/* RFC 7871 6: family, source and scope in front of the address. What is malformed is the workers' to refuse. */
static __always_inline int good_subnet(const __u8 *data, __u32 bytes)
{
	__u32 family = two(data), source = data[2], octets = (source + 7) / 8;

	if (bytes < 4 || data[3] || bytes != 4 + octets || family > 2 || (source && !family) ||
	    source > (family == 2 ? 128 : 32))
		return 0;
	/* Bits behind the prefix. */
	return !(source & 7) || !(data[(3 + octets) & 31] & (0xff >> (source & 7)));
}

/* Options that the answer hangs on, or that are malformed, pass; the others mean nothing (RFC 6891 6.1.2). What is found is
 * kept in the scratch, where it does not multiply the verifier's states. */
__noinline int plain_options(struct xdp_md *ctx, __u32 message, __u32 at, __u32 end, __u32 flags)
{
	struct dns_scratch *scratch = dns_scratch();

	if (!scratch || !end || end > DNS_MESSAGE_MOST ||
	    bpf_xdp_load_bytes(ctx, message, scratch->raw, copy_length(end, DNS_MESSAGE_MOST)))
		return 0;
	for (__u32 i = 0; i < DNS_OPTIONS; i++) {
		if (at == end)
			return 1;
		if (at + 4 > end)
			return 0;
		const __u8 *option = scratch->raw + (at & (DNS_MESSAGE_MOST - 1));
		__u32 code = two(option), bytes = two(option + 2);
		if (code == OPTION_COOKIE || (code == OPTION_NSID && flags & DNS_FLAG_NSID))
			return 0;
		if (code == OPTION_SUBNET && flags & DNS_FLAG_SUBNET) {
			if (scratch->subnet || !good_subnet(option + 4, bytes))
				return 0;
			scratch->subnet = at + 4;
			scratch->subnet_bytes = bytes;
			scratch->opt_bytes = OPT_BYTES + 4 + bytes;
		}
		at += 4 + bytes;
	}
	return at == end;
}

/* An OPT that fills the rest of the message. */
static __always_inline int read_opt(struct xdp_md *ctx, struct question *q, const __u8 *opt, struct dns_scratch *scratch,
				    const struct dns_control *control)
{
	__u32 at = q->name + 4;

	if (at + OPT_BYTES > q->message || (void *)opt + OPT_BYTES > (void *)(long)ctx->data_end)
		return 0;
	if (opt[0] || two(opt + 1) != TYPE_OPT || opt[6])
		return 0;
	__u32 data = two(opt + 9), size = two(opt + 3);
	if (at + OPT_BYTES + data != q->message)
		return 0;
	q->edns = 1;
	q->dnssec_ok = opt[7] >> 7;
	if (size > q->room)
		q->room = size;
	scratch->opt_bytes = OPT_BYTES;
	return !data || plain_options(ctx, q->dns + DNS_HEADER, at + OPT_BYTES, q->message, control->flags);
}

/* What keeps the message from being answered here, as a counter; -1: nothing. Global, and so verified by itself: else
 * every length of a name is followed to the end of the program, which is too much for kernel 6.1. */
__noinline int read_message(struct xdp_md *ctx, struct question *q)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!q || !control || !scratch)
		return DNS_COUNT_MESSAGE;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct dns_header *header = data + (q->dns & 127);

	if ((void *)(header + 1) > end)
		return DNS_COUNT_MESSAGE;
	/* A query (QR 0, opcode 0) with one question and at most one record more. */
	if (header->flags[0] & 0xf8 || header->questions != bpf_htons(1) || header->answers || header->authority ||
	    bpf_ntohs(header->additional) > 1)
		return DNS_COUNT_MESSAGE;
	int opt = !!header->additional;
	__u32 length = q->message;
	if (length < 5 || length > DNS_MESSAGE_MOST)
		return DNS_COUNT_MESSAGE;
	if (!read_name(ctx, q, scratch, control->seed))
		return DNS_COUNT_MESSAGE;
	const __u8 *rest = (void *)(header + 1) + (q->name & 255);
	if ((void *)(rest + 4) > end)
		return DNS_COUNT_MESSAGE;
	q->type = two(rest);
	if (two(rest + 2) != 1)
		return DNS_COUNT_TYPE;
	const __u16 *words = (const void *)rest;
	__u64 tail = (__u64)words[0] + words[1];
	q->sum += q->name & 1 ? tail << 8 : tail;
	q->room = CLASSIC_SIZE;
	scratch->subnet = 0;
	scratch->scope = 0;
	scratch->opt_bytes = 0;
	if (opt)
		return read_opt(ctx, q, rest + 4, scratch, control) ? -1 : DNS_COUNT_EDNS;
	return q->name + 4 == q->message ? -1 : DNS_COUNT_MESSAGE;
}
