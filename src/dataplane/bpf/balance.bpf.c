/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* The balancer: what arrives for a VIP goes to a backend, what comes back through us is put right, all else passes. */
#include "arrivals.h"
#include "deliver.h"
#include "explain.h"
#include "near.h"
#include "pick.h"
#include "places.h"
#include "quick.h"
#include "quic.h"
#include "sweep.h"
#include "trace-packet.h"

/* The next place's, as it came. */
static __always_inline int not_ours(struct xdp_md *ctx, const struct packet *p)
{
	if (p->tag && !push_tag(ctx, p->tag & 0xffff))
		return XDP_DROP;
	return ask_places(ctx, PLACE_BALANCE + 1);
}

/* of a second */
#define NANOSECONDS 1000000000ull

/* From here on a drop is this service's. */
static __always_inline void belongs(struct packet *p, __u32 service)
{
	p->service = service;
	p->of_service = 1;
}

/* A reply of a translated service, seen by its source. Global, like the other cold paths: verified once, by itself. */
__noinline int reply(struct xdp_md *ctx, struct packet *p, const struct arrival *way)
{
	if (!p || !way)
		return PASSED_ON;
	__u32 number = way->backend;
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	/* A range keeps ports as they are. */
	int keeps = way->kind == ARRIVAL_REVERSE_RANGE;
	struct translation t = { .old = way->address, .new = way->vip, .old_port = p->source_port,
				 .new_port = keeps ? p->source_port : way->vip_port };
	int own = 0;
	belongs(p, way->service);
	p->backend = number + 1;
	if (!backend)
		return DROPPED(DROP_NO_BACKEND);
	int verdict = return_nat(ctx, p, &t, &backend->source, &own);
	if (own)
		return PASSED_ON;
	if (verdict >= 0) {
		remember_fragment(p, FRAGMENT_REVERSE, number, &t.new);
		count_out(&number, p->frame);
	}
	return verdict;
}

/* The answer of a real server to a check of the VIP: into the namespace where the checker lives. */
static __noinline int into_checks(struct xdp_md *ctx)
{
	struct next_hop inner = {};

	__builtin_memcpy(inner.target, control.check_inner_mac, ETH_ALEN);
	__builtin_memcpy(inner.source, control.check_outer_mac, ETH_ALEN);
	return set_macs(ctx, &inner) ? XDP_DROP : bpf_redirect(control.check_ifindex, 0);
}

/* Is the director's own address `own`, with this port, the source of checks of some backend? */
static __always_inline int is_checker(__u16 port, const struct address *own)
{
	__u32 at = bpf_ntohs(port);
	__u64 *checked = bpf_map_lookup_elem(&check_ports, &at);

	if (!checked || !*checked)
		return 0;
	__u32 number = *checked - 1;
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	return backend && same_address(&backend->source, own);
}

static __always_inline int is_check_answer(const struct packet *p)
{
	return control.flags & CONTROL_CHECKS && !p->icmp_error && p->part == WHOLE &&
	       is_checker(p->target_port, &p->target) && find_vip(&p->source, p->source_port, p->protocol);
}

/* A real server that lacks the VIP but forwards sends our own check back to us. Balanced once more it would be answered
 * by another, and the one that lacks the VIP would pass its check. */
static __always_inline int is_returned_check(const struct packet *p)
{
	return has_check_port(p) && is_checker(p->source_port, &p->source);
}

__noinline int later_fragment(struct xdp_md *ctx, struct packet *p)
{
	if (!p)
		return PASSED_ON;
	struct fragment *first = recall_fragment(p);
	if (!first) {
		/* Of what the kernel serves itself, a long echo say, no part is ours. */
		if (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP)
			return PASSED_ON;
		struct arrival *known = find_arrival(&p->target, 0, 0, ARRIVAL_ADDRESS);
		if (!known)
			return PASSED_ON;
		belongs(p, known->service);
		return DROPPED(DROP_FRAGMENT);
	}
	__u32 number = first->backend;
	struct backend *backend = bpf_map_lookup_elem(&backends, &number);
	if (first->kind == FRAGMENT_PASS || !backend)
		return PASSED_ON;
	belongs(p, backend->service);
	p->backend = number + 1;
	if (first->kind == FRAGMENT_FORWARD)
		return deliver(ctx, p, number);
	struct translation t = { .old = p->source, .new = first->vip };
	int own = 0;
	int verdict = return_nat(ctx, p, &t, &backend->source, &own);
	if (own)
		return PASSED_ON;
	if (verdict >= 0)
		count_out(&number, p->frame);
	return verdict;
}

static __always_inline struct arrival *find_way_back(const struct packet *p)
{
	struct arrival *way = find_arrival(&p->source, p->source_port, p->protocol, ARRIVAL_REVERSE);

	if (way || !(control.flags & CONTROL_RANGES))
		return way;
	__u32 index = find_range(&p->source, bpf_ntohs(p->source_port), p->protocol, ARRIVAL_REVERSE_RANGE);
	if (index-- == 0)
		return 0;
	return bpf_map_lookup_elem(&arrivals, &index);
}

/* Not for a VIP: a reply, an answer to a check, or nothing to do with us. */
__noinline int other(struct xdp_md *ctx, struct packet *p)
{
	if (!p)
		return PASSED_ON;
	if (control.flags & CONTROL_REVERSE) {
		struct arrival *way = find_way_back(p);
		if (way)
			return p->truncated ? finish(way->service, DROPPED(DROP_MALFORMED)) : reply(ctx, p, way);
	}
	if (is_check_answer(p))
		return into_checks(ctx);
	remember_fragment(p, FRAGMENT_PASS, 0, &p->target);
	return PASSED_ON;
}

/* An XDP action, PASSED_ON or a named drop. */
static __always_inline int decide(struct xdp_md *ctx, struct packet *p)
{
	if (!parse(ctx, p)) {
		count_tagged(ctx, p);
		return PASSED_ON;
	}
	if (p->part == LATER)
		return later_fragment(ctx, p);
	struct arrival *arrival = find_vip(&p->target, p->target_port, p->protocol);
	if (!arrival)
		return other(ctx, p);
	__u32 number;
	struct service *service = serving(&arrival->service, &p->source, &number);
	if (!service)
		return PASSED_ON;
	belongs(p, number);
	if (p->truncated)
		return DROPPED(DROP_MALFORMED);
	if (is_returned_check(p))
		return DROPPED(DROP_CHECK_RETURNED);
	int backend = -1;
	if (service->flags & SERVICE_QUIC) {
		backend = named_backend(ctx, p, service);
		p->hash = flow_hash(service, p);
	}
	if (backend < 0)
		backend = pick(service, p);
	if (backend < 0)
		return backend;
	p->backend = backend + 1;
	remember_fragment(p, FRAGMENT_FORWARD, backend, &p->target);
	return deliver(ctx, p, backend);
}

/* Every packet may go here, and what is out of the ordinary must. */
static __always_inline int go_long(struct xdp_md *ctx)
{
	struct packet p = {};

	if (control.tracing)
		trace_begin(ctx, &control.tracing);
	p.tag = has_tag(ctx) ? pull_tag(ctx) : 0;
	int verdict = decide(ctx, &p);
	if (control.tracing)
		trace_packet(ctx, &p, PLACE_BALANCE, verdict);
	return verdict == PASSED_ON ? not_ours(ctx, &p) : finish(p.service, verdict);
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	int verdict = UNLIKELY(is_ipv6_frame(ctx)) ? go_quick(ctx, 1) : go_quick(ctx, 0);

	return LIKELY(verdict != LONG_WAY) ? verdict : go_long(ctx);
}

/* On the director's end of the check veth: the source port says which backend is probed. Nothing else gets out. */
SEC("xdp")
int check_entry(struct xdp_md *ctx)
{
	struct packet p = {};

	if (!parse(ctx, &p) || p.part != WHOLE || p.icmp_error || p.truncated)
		return XDP_PASS;
	__u32 port = bpf_ntohs(p.source_port);
	__u64 *backend = bpf_map_lookup_elem(&check_ports, &port);
	if (!backend || !*backend)
		return XDP_DROP;
	__u32 number = *backend - 1;
	struct backend *found = bpf_map_lookup_elem(&backends, &number);
	if (!found || !found->used)
		return XDP_DROP;
	const struct next_hop *hop = find_hop(ctx, found);
	if (!hop)
		return XDP_DROP;
	int verdict = found->forward == FORWARD_TUNNEL ? forward_tunnel(ctx, &p, found, hop) : forward_direct(ctx, &p, hop);
	return verdict < 0 ? XDP_DROP : verdict & 0xff;
}

/* Not attached anywhere: the supervisor's sign of life. It runs here because only a program can read jiffies. */
SEC("xdp")
int beat(struct xdp_md *ctx)
{
	__u32 jiffies = bpf_jiffies64(), passed = jiffies - control.heartbeat;
	__u64 ns = bpf_ktime_get_coarse_ns(), since = ns - control.heartbeat_ns;
	if (!control.patience)
		control.patience = FIRST_PATIENCE;
	/* Between half a second and an hour: long enough to be exact, short enough not to overflow. */
	else if (since > NANOSECONDS / 2 && since < 3600 * NANOSECONDS && passed)
		control.patience = (__u64)passed * PATIENCE_SECONDS * NANOSECONDS / since;
	control.heartbeat_ns = ns;
	control.heartbeat = jiffies;
	return XDP_PASS;
}

/* Not attached anywhere: answers what would become of the packet it is given. */
SEC("xdp")
int explain(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct decision found = {}, *answer = bpf_map_lookup_elem(&decisions, &zero);

	if (!answer)
		return XDP_ABORTED;
	found.known = explain_packet(ctx, &found);
	*answer = found;
	return XDP_PASS;
}

/* Not attached anywhere: its output is what would leave, of the packet that `explain` was given last. */
SEC("xdp")
int rewrite(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct decision *answer = bpf_map_lookup_elem(&decisions, &zero);

	if (!answer)
		return XDP_ABORTED;
	struct decision found = *answer;
	rewrite_packet(ctx, &found);
	*answer = found;
	return XDP_PASS;
}

/* Not attached anywhere. The order stands in the packet's first bytes. */
SEC("xdp")
int sweep(struct xdp_md *ctx)
{
	struct sweep_order *told = (void *)(long)ctx->data, order;

	if ((void *)(told + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	order = *told;
	__u32 count = order.count > SWEEP_STEP ? SWEEP_STEP : order.count;
	bpf_loop(count, sweep_bucket, &order, 0);
	return XDP_PASS;
}

/* Keeps the numbers in the object's BTF: the TypeScript view is generated from there. */
#define IN_BTF(NAME) const enum NAME *in_btf_##NAME __attribute__((unused))
IN_BTF(sluice_limit);
IN_BTF(sluice_place);
IN_BTF(sluice_forward);
IN_BTF(sluice_slot);
IN_BTF(sluice_state);
IN_BTF(sluice_service_flag);
IN_BTF(sluice_used);
IN_BTF(sluice_control_flag);
IN_BTF(sluice_arrival);
IN_BTF(sluice_cell);
IN_BTF(sluice_choice);
IN_BTF(sluice_life);
IN_BTF(sluice_fragment);
IN_BTF(sluice_drop);
IN_BTF(sluice_icmp_error);
IN_BTF(sluice_list);
IN_BTF(sluice_trace_term);
IN_BTF(sluice_trace_verdict);
const struct slot_orders *in_btf_slot_orders __attribute__((unused));
const struct table *in_btf_table __attribute__((unused));
const struct sweep_order *in_btf_sweep_order __attribute__((unused));
const struct decap_config *in_btf_decap_config __attribute__((unused));
const struct decap_count *in_btf_decap_count __attribute__((unused));
const struct limits *in_btf_limits __attribute__((unused));
const struct guard *in_btf_guard __attribute__((unused));
const struct list_key *in_btf_list_key __attribute__((unused));

char _license[] SEC("license") = "GPL";
