/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* On a real server of `tunnel`: takes off the outer headers and passes the inner packet to the kernel, which holds the VIP.
 * For hosts without the kernel's ipip, ip6tnl or fou; the packet still arrives on its own interface, so rp_filter has no
 * say. */
#include "outer.h"
#include "places.h"
#include "second-chance.h"
#include "trace.h"

/* The packet that is inside, as its client sees it: behind `outer` bytes of headers that still stand before it. */
static __noinline int trace_inner(struct xdp_md *ctx, __u32 outer, __u32 protocol, __u32 verdict)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct trace_record *r = trace_record();
	struct iphdr *ip = data + sizeof(struct ethhdr) + (outer & OUTER_BYTES);
	struct ipv6hdr *ip6 = (void *)ip;

	if (!r || (void *)(ip + 1) > end)
		return 0;
	__u32 header = (ip->ihl & 15) * 4;
	r->part = 0;
	if (protocol == IPPROTO_IPIP) {
		r->source = mapped(ip->saddr);
		r->target = mapped(ip->daddr);
		r->protocol = ip->protocol;
		if (ip->frag_off & bpf_htons(IP_OFFSET | IP_MF))
			r->part = ip->frag_off & bpf_htons(IP_OFFSET) ? 2 : 1;
	} else {
		if ((void *)(ip6 + 1) > end)
			return 0;
		r->source = address6(&ip6->saddr);
		r->target = address6(&ip6->daddr);
		r->protocol = ip6->nexthdr;
		header = sizeof(*ip6);
	}
	struct tcphdr *l4 = (void *)ip + header;
	int ported = r->protocol == IPPROTO_TCP || r->protocol == IPPROTO_UDP;
	int read = ported && r->part != 2 && (void *)l4 + 4 <= end;
	r->source_port = read ? l4->source : 0;
	r->target_port = read ? l4->dest : 0;
	r->tcp_flags = read && r->protocol == IPPROTO_TCP && (void *)(l4 + 1) <= end ? ((__u8 *)l4)[13] : 0;
	r->icmp_error = 0;
	r->service = TRACE_NOBODY;
	r->backend = TRACE_NOBODY;
	r->reason = TRACE_NO_REASON;
	r->place = PLACE_DECAP;
	r->verdict = verdict;
	return trace_end(ctx);
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, kept;
	struct tunnel t = {};
	__u32 zero = 0;
	struct decap_count *count = bpf_map_lookup_elem(&decap_counts, &zero);
	struct decap_config *config = bpf_map_lookup_elem(&decap_settings, &zero);

	if (!count || !config)
		return ask_places(ctx, PLACE_DECAP + 1);
	if (!read_outer(data, end, &t)) {
		if (parted_tunnel(data, end))
			count->parted++;
		return ask_places(ctx, PLACE_DECAP + 1);
	}
	if (!allowed(config, data + sizeof(*eth) + (t.bytes & OUTER_BYTES), end, &t)) {
		/* Not ours to open: the kernel may have a tunnel of its own. */
		count->refused++;
		return ask_places(ctx, PLACE_DECAP + 1);
	}
	if (config->tracing)
		trace_begin(ctx, &config->tracing);
	/* Whom we listen to are directors, unless we listen to everybody. */
	if (t.others && config->second_chance && !config->any_source && may_go_on(ctx, &t) && !has_socket(ctx, &t)) {
		/* As it is: `second_chance`, behind us, sends it on. */
		if (config->tracing)
			trace_inner(ctx, t.bytes, t.protocol, TRACE_SECOND_CHANCE);
		return XDP_PASS;
	}
	/* To the verifier a call may have moved the packet. */
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(eth + 1) > end)
		return XDP_DROP;
	if (!keep_mark((void *)(eth + 1) + (t.bytes & OUTER_BYTES), end, &t)) {
		count->refused++;
		return XDP_DROP;
	}
	__builtin_memcpy(&kept, eth, sizeof(kept));
	kept.h_proto = t.protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (bpf_xdp_adjust_head(ctx, t.bytes))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth, &kept, sizeof(kept));
	count->packets++;
	if (config->tracing)
		trace_inner(ctx, 0, t.protocol, TRACE_FORWARDED);
	return XDP_PASS;
}

/* At the device's ingress, behind the program above: what comes here from a director, names another and is for a VIP of
 * ours has found no socket. Here since only here a packet can be sent to whom the kernel's own routes and neighbours lead
 * without making the host a router. */
SEC("tc")
int second_chance(struct __sk_buff *skb)
{
	__u32 zero = 0, wanted = sizeof(struct ethhdr) + OUTER_BYTES;
	struct decap_config *config = bpf_map_lookup_elem(&decap_settings, &zero);
	struct decap_count *count = bpf_map_lookup_elem(&decap_counts, &zero);
	struct tunnel t = {};

	if (!config || !count || !config->second_chance || config->any_source)
		return TC_ACT_OK;
	bpf_skb_pull_data(skb, skb->len < wanted ? skb->len : wanted);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (!read_outer(data, end, &t) || !t.others ||
	    !allowed(config, data + sizeof(struct ethhdr) + (t.bytes & OUTER_BYTES), end, &t))
		return TC_ACT_OK;
	if (!to_next(data, end, &t))
		return TC_ACT_SHOT;
	count->sent_on++;
	return bpf_redirect_neigh(skb->ifindex, 0, 0, 0);
}

char _license[] SEC("license") = "GPL";
