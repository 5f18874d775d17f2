/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Answers the plain questions of the name server where they arrive: one question over UDP for a name that is held, or for one
 * that is certainly absent. All else, and whatever is odd, is passed on as it came; nothing is ever dropped. */
#include "places.h"
#include "reply.h"

#define TYPE_A 1
#define TYPE_AAAA 28
#define GOLDEN 0x9e3779b1

/* Which variant of a set a random number means. `control.ts` says the same. */
static __always_inline __u32 choose(const struct dns_block *block, const struct dns_first *firsts, __u32 random,
				    __u32 *counter)
{
	__u32 first = ((random & 0xffff) * block->firsts) >> 16;
	__u32 ring = (((random * GOLDEN) >> 16) * block->rings) >> 16;

	first &= 255;
	if ((random >> 16) >= firsts[first].keep)
		first = firsts[first].other & 255;
	*counter = firsts[first].counter;
	return ring * block->firsts + first;
}

/* The addresses of a set: -1, or why they are not given here. */
static __always_inline int take_set(struct body *body, __u32 reference, __u32 random, __u32 *counter)
{
	const struct dns_block *block = dns_at(reference);

	if (!block)
		return DNS_COUNT_CLIENT;
	const struct dns_first *firsts = (const void *)(block + 1);
	__u32 variant = choose(block, firsts, random, counter);
	const struct dns_variant *variants = (const void *)firsts + (__u64)(block->firsts & 255) * sizeof(*firsts);
	variants += variant & 1023;
	body->from = (const void *)block + (variants->at & (DNS_SET_MOST - 1));
	body->bytes = block->bytes;
	body->sum = variants->sum;
	body->counts[0] = bpf_htons(block->count);
	body->authoritative = 1;
	return -1;
}

/* A ready answer; its pointers are written once it is in place. */
static __always_inline const struct dns_ready *take_ready(struct body *body, __u32 reference)
{
	const struct dns_ready *ready = reference ? dns_at(reference) : 0;

	if (!ready)
		return 0;
	body->from = ready + 1;
	body->bytes = ready->bytes;
	body->sum = ready->sum;
	body->counts[0] = ready->counts[0];
	body->counts[1] = ready->counts[1];
	body->counts[2] = ready->counts[2];
	body->rcode = ready->rcode & 15;
	body->authoritative = ready->authoritative;
	return ready;
}

static __always_inline __u16 pointer_at(const struct dns_ready *ready, __u32 i, __u32 apex)
{
	return bpf_htons(0xc000 | (ready->pointer[i].target + apex));
}

/* What the pointers add to the sum of the records, whose place for them is zero. */
static __always_inline __u64 sum_pointers(const struct dns_ready *ready, __u32 apex)
{
	__u64 sum = 0;

	for (__u32 i = 0; i < DNS_POINTERS; i++) {
		if (i >= ready->pointers)
			break;
		sum += shifted(pointer_at(ready, i, apex), ready->pointer[i].at & 1);
	}
	return sum;
}

static __always_inline int write_pointers(struct xdp_md *ctx, const struct question *q, const struct dns_ready *ready,
					  __u32 apex)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 body = q->dns + DNS_HEADER + q->name + 4;

	for (__u32 i = 0; i < DNS_POINTERS; i++) {
		if (i >= ready->pointers)
			break;
		__u16 *at = data + ((body + ready->pointer[i].at) & 0x7ff);
		if ((void *)(at + 1) > end)
			return 0;
		*at = pointer_at(ready, i, apex);
	}
	return 1;
}

/* Where the answer of a question to an existing name is. */
struct found {
	__u32 ready; /* reference of a ready answer */
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
	found->apex = DNS_HEADER + node->apex;
	found->ready = node->nodata;
	if (node->set) {
		__u32 number = node->set - 1;
		const struct dns_set *set = bpf_map_lookup_elem(&dns_sets, &number);
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

/* The longest name above that exists says whether the queried one can (RFC 4592 3.3.1). */
static __always_inline int above(const struct question *q, const struct dns_scratch *scratch, struct found *found)
{
	const __u8 *name = (const void *)scratch->name;
	__u32 start = 0;

	for (__u32 i = 0; i < DNS_DEPTH; i++) {
		__u32 length = name[start & 255];
		if (!length || length > 63)
			return DNS_COUNT_NAME;
		start += length + 1;
		if (start + 1 >= q->name)
			return DNS_COUNT_NAME;
		__u32 reference = find_above(start, q->name);
		if (!reference)
			continue;
		const struct dns_node *node = dns_at(reference - 1);
		if (!node || node->flags & (DNS_NODE_PASS | DNS_NODE_OPEN) || q->type >= 128 || q->type == 41)
			return DNS_COUNT_NAME;
		if (q->dnssec_ok && node->flags & DNS_NODE_SIGNED)
			return DNS_COUNT_EDNS;
		found->ready = node->nxdomain;
		found->apex = DNS_HEADER + start + node->apex;
		return -1;
	}
	return DNS_COUNT_NAME;
}

static __always_inline int find_answer(const struct question *q, const struct dns_scratch *scratch, struct found *found)
{
	__u32 reference = find_name(q->hash.a, q->hash.b, 0, q->name);

	if (!reference)
		return above(q, scratch, found);
	const struct dns_node *node = dns_at(reference - 1);
	return node ? at_node(q, node, found) : DNS_COUNT_NAME;
}

/* The verdict, or why the packet passes, as a counter with PASSED set; nothing was changed then. */
#define PASSED 0x100

/* Some drivers (veth) leave hardly any room behind a frame, all leave some before it: headers and question move forward. */
static __always_inline int grow_front(struct xdp_md *ctx, const struct question *q, struct dns_scratch *scratch, int grow)
{
	__u32 head = q->dns + DNS_HEADER, question = q->name + 4;

	if (head < 1 || head > sizeof(scratch->head) || question < 1 || question > DNS_MESSAGE_MOST)
		return 0;
	return !bpf_xdp_adjust_head(ctx, -grow) &&
	       !bpf_xdp_load_bytes(ctx, grow, scratch->head, copy_length(head, sizeof(scratch->head))) &&
	       !bpf_xdp_store_bytes(ctx, 0, scratch->head, copy_length(head, sizeof(scratch->head))) &&
	       !bpf_xdp_store_bytes(ctx, head, scratch->raw, copy_length(question, DNS_MESSAGE_MOST));
}

/* Global for the same reason as `read_message`. */
__noinline int give(struct xdp_md *ctx, const struct question *q, const struct found *found, __u32 random)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!q || !found || !control || !scratch)
		return PASSED | DNS_COUNT_NAME;
	const struct dns_ready *ready = 0;
	struct body body = {};
	__u32 counter = 0, kind = DNS_COUNT_SERVICE;

	if (found->set) {
		int why = take_set(&body, found->set, random, &counter);
		if (why >= 0)
			return PASSED | why;
	} else {
		ready = take_ready(&body, found->ready);
		if (!ready)
			return PASSED | DNS_COUNT_TYPE;
		body.sum += sum_pointers(ready, found->apex);
		kind = body.rcode ? DNS_COUNT_NXDOMAIN : found->counter ? DNS_COUNT_SERVICE : DNS_COUNT_ZONE;
	}
	if (!fits(q, control, body.bytes))
		return PASSED | DNS_COUNT_SIZE;
	int grow = (int)(q->name + 4 + body.bytes + (q->edns ? OPT_BYTES : 0)) - (int)q->message;
	/* Behind a short packet the wire has padding; it goes too. */
	int padding = (int)frame_bytes(ctx) - (int)(q->dns + DNS_HEADER + q->message);
	grow -= padding;
	if (bpf_xdp_adjust_tail(ctx, grow) && (grow < 0 || !grow_front(ctx, q, scratch, grow)))
		return PASSED | DNS_COUNT_SIZE;
	if (!write_reply(ctx, q, &body, control) || (ready && !write_pointers(ctx, q, ready, found->apex)))
		return XDP_ABORTED;
	dns_count(control, kind);
	if (found->counter)
		dns_count(control, found->counter + counter);
	return XDP_TX;
}

static __always_inline int answer(struct xdp_md *ctx, int fixed)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();
	struct question q = {};
	struct found found = {};

	if (!control || !scratch)
		return PASSED;
	int kind = read_frame(ctx, &q, control);
	if (kind == FRAME_OTHER)
		return PASSED;
	int why = DNS_COUNT_PACKET;
	if (kind == FRAME_QUESTION)
		why = bpf_ktime_get_coarse_ns() < control->fresh_until ? -1 : DNS_COUNT_STALE;
	if (why < 0)
		why = read_message(ctx, &q);
	if (why < 0)
		why = find_answer(&q, scratch, &found);
	if (why < 0) {
		int verdict = give(ctx, &q, &found, fixed ? control->fixed : bpf_get_prandom_u32());
		if (!(verdict & PASSED))
			return verdict;
		why = verdict & ~PASSED;
	}
	dns_count(control, why);
	return PASSED;
}

SEC("xdp")
int dns(struct xdp_md *ctx)
{
	int verdict = answer(ctx, 0);

	return verdict == PASSED ? ask_places(ctx, PLACE_DNS + 1) : verdict;
}

/* Not attached anywhere: what `dns` does when the random number is the one in the control. */
SEC("xdp")
int dns_fixed(struct xdp_md *ctx)
{
	int verdict = answer(ctx, 1);

	return verdict == PASSED ? XDP_PASS : verdict;
}

/* Not attached anywhere: the supervisor's sign of life. */
SEC("xdp")
int dns_beat(struct xdp_md *ctx)
{
	struct dns_control *control = dns_control();

	if (!control)
		return XDP_ABORTED;
	control->fresh_until = bpf_ktime_get_coarse_ns() + DNS_PATIENCE * 1000000000ULL;
	return XDP_PASS;
}

#define IN_BTF(NAME) const enum NAME *in_btf_##NAME __attribute__((unused))
IN_BTF(sluice_dns_limit);
IN_BTF(sluice_dns_count);
IN_BTF(sluice_dns_flag);
IN_BTF(sluice_dns_node);
IN_BTF(sluice_dns_set);
const struct dns_node *in_btf_dns_node __attribute__((unused));
const struct dns_kind *in_btf_dns_kind __attribute__((unused));
const struct dns_block *in_btf_dns_block __attribute__((unused));
const struct dns_first *in_btf_dns_first __attribute__((unused));
const struct dns_variant *in_btf_dns_variant __attribute__((unused));
const struct dns_ready *in_btf_dns_ready __attribute__((unused));

char _license[] SEC("license") = "GPL";
