/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Answers the plain questions of the name server where they arrive: one question over UDP for a name that is held, or for one
 * that is certainly absent. All else, and whatever is odd, is passed on as it came; only answers beyond a client's rate are
 * not given. */
#include "places.h"
#include "lookup.h"
#include "sets.h"

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

/* The verdict, or why the packet passes, as a counter with PASSED set; nothing was changed then. */
#define PASSED 0x100

/* Some drivers (veth) leave hardly any room behind a frame, all leave some before it: the first `bytes` of it move forward. */
__noinline int grow_front(struct xdp_md *ctx, __u32 grow, __u32 bytes)
{
	if (bytes < 8 || bytes > DNS_MESSAGE_MOST || grow > DNS_BODY_ROOM || bpf_xdp_adjust_head(ctx, -(int)grow))
		return 0;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *to = data, *from = data + grow, *last_to = data + (bytes - 8), *last_from = (void *)from + (bytes - 8);

	if ((void *)(last_to + 1) > end || (void *)(last_from + 1) > end)
		return 0;
	/* It may be written over before its turn. */
	__u64 last = *last_from;
	for (__u32 i = 0; i < DNS_MESSAGE_MOST / 8; i++) {
		if (i * 8 + 8 > bytes)
			break;
		if ((void *)(to + 1) > end || (void *)(from + 1) > end)
			return 0;
		*to++ = *from++;
	}
	*last_to = last;
	return 1;
}

/* Room for the answer, no more and no less. */
static __always_inline int resize(struct xdp_md *ctx, const struct question *q, const struct dns_scratch *scratch, __u32 bytes)
{
	__u32 frame = frame_bytes(ctx), kept = q->dns + DNS_HEADER + q->name + 4;

	/* Pointers are subtracted whole: the verifier has no halves of them. */
	asm volatile("" : "+r"(frame));
	/* Behind a short packet the wire has padding; it goes too. */
	int grow = (int)(kept + bytes + scratch->opt_bytes) - (int)frame;

	return !bpf_xdp_adjust_tail(ctx, grow) || (grow >= 0 && grow_front(ctx, grow, kept));
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
	struct addresses chosen = { .reference = found->set, .ipv6 = q->type == TYPE_AAAA };
	const struct dns_block *block = 0;
	int why = -1;

	if (found->set)
		block = find_set(ctx, q, scratch, &chosen, random, &why);
	if (block) {
		choose(block, random, &chosen, &counter);
		take_set(&body, block, chosen.ipv6);
	} else {
		ready = why < 0 ? take_ready(&body, found->ready) : 0;
		if (!ready)
			return PASSED | (why < 0 ? DNS_COUNT_TYPE : why);
		body.sum += sum_pointers(ready, found->apex);
		kind = body.rcode ? DNS_COUNT_NXDOMAIN : found->counter ? DNS_COUNT_SERVICE : DNS_COUNT_ZONE;
	}
	if (!fits(q, scratch, control, body.bytes) || !resize(ctx, q, scratch, body.bytes))
		return PASSED | DNS_COUNT_SIZE;
	if (block)
		body.sum = write_addresses(ctx, q->dns + DNS_HEADER + q->name + 4, &chosen);
	if (!write_reply(ctx, q, &body, scratch, control) || (ready && !write_pointers(ctx, q, ready, found->apex)))
		return XDP_ABORTED;
	dns_count(control, kind);
	if (found->counter)
		dns_count(control, found->counter + counter);
	return XDP_TX;
}

/* Silence, and now and then a truncated answer: a client that is no forgery comes again over TCP. */
__noinline int refuse(struct xdp_md *ctx, const struct question *q)
{
	struct dns_control *control = dns_control();
	struct dns_scratch *scratch = dns_scratch();

	if (!q || !control || !scratch)
		return XDP_DROP;
	struct body body = { .truncated = 1 };
	__u64 count = dns_count(control, DNS_COUNT_LIMITED);

	/* The workers have not looked at it either when they say this. */
	if (scratch->subnet)
		scratch->opt_bytes = OPT_BYTES;
	scratch->subnet = 0;
	if (!control->slip || count % control->slip || !resize(ctx, q, scratch, 0))
		return XDP_DROP;
	return write_reply(ctx, q, &body, scratch, control) ? XDP_TX : XDP_DROP;
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
		if (limited(ctx, &q, scratch, control))
			return refuse(ctx, &q);
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
IN_BTF(sluice_dns_part);
const struct dns_node *in_btf_dns_node __attribute__((unused));
const struct dns_kind *in_btf_dns_kind __attribute__((unused));
const struct dns_set *in_btf_dns_set __attribute__((unused));
const struct dns_block *in_btf_dns_block __attribute__((unused));
const struct dns_first *in_btf_dns_first __attribute__((unused));
const struct dns_tree *in_btf_dns_tree __attribute__((unused));
const struct dns_draw *in_btf_dns_draw __attribute__((unused));
const struct dns_part *in_btf_dns_part __attribute__((unused));
const struct dns_ready *in_btf_dns_ready __attribute__((unused));

char _license[] SEC("license") = "GPL";
