/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* On a real server of `tunnel`: takes off the outer headers and passes the inner packet to the kernel, which holds the VIP.
 * For hosts without the kernel's ipip, ip6tnl or fou; the packet still arrives on its own interface, so rp_filter has no
 * say. */
#include "array.h"
#include "addresses.h"
#include "places.h"
#include "trace.h"
#include "types.h"
#include "wire.h"

ARRAY(decap_settings, struct decap_config, 1, 0);
PERCPU(decap_counts, struct decap_count, 1);

/* Networks of senders whose tunnels are taken: a director may take a source of its own for each flow. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, DECAP_SOURCES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct list_key);
	__type(value, __u32);
} decap_networks SEC(".maps");

/* VIPs that this host serves: only they may be inside. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_SOURCES);
	__type(key, struct address);
	__type(value, __u32);
} decap_vips SEC(".maps");

/* What the outer headers say. */
struct tunnel {
	struct address sender;
	__u8 protocol; /* of what follows the outer IP header */
	__u32 bytes; /* of the outer headers */
};

/* False when this is no whole packet with something inside that we know. */
static __always_inline int read_outer(void *data, void *end, struct tunnel *t)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)ip;

	if ((void *)(ip + 1) > end)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (ip->version != 4 || ip->ihl != 5 || (ip->frag_off & bpf_htons(IP_MF | IP_OFFSET)))
			return 0;
		t->sender = mapped(ip->saddr);
		t->protocol = ip->protocol;
		t->bytes = sizeof(*ip);
	} else {
		if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > end || ip6->version != 6)
			return 0;
		t->sender = address6(&ip6->saddr);
		t->protocol = ip6->nexthdr;
		t->bytes = sizeof(*ip6);
	}
	if (t->protocol == IPPROTO_IPIP || t->protocol == IPPROTO_IPV6)
		return 1;
	if (t->protocol != IPPROTO_UDP)
		return 0;
	struct udphdr *udp = (void *)ip + t->bytes;
	__u8 *first = (void *)(udp + 1);
	if ((void *)(first + 1) > end || udp->dest != bpf_htons(GUE_PORT))
		return 0;
	/* Variant 1: its two bits are the first of the packet's own version. */
	t->protocol = *first >> 4 == 4 ? IPPROTO_IPIP : *first >> 4 == 6 ? IPPROTO_IPV6 : 0;
	t->bytes += sizeof(*udp);
	return t->protocol != 0;
}

static __always_inline int listened_to(const struct address *sender)
{
	struct list_key key = { .bits = 128 };

	__builtin_memcpy(key.address, sender, sizeof(key.address));
	return bpf_map_lookup_elem(&decap_networks, &key) != 0;
}

/* Is the packet inside for a VIP of ours, from somebody we listen to? */
static __always_inline int allowed(const struct decap_config *config, void *inner, void *end, const struct tunnel *t)
{
	struct address target;

	if (t->protocol == IPPROTO_IPIP) {
		struct iphdr *ip = inner;
		if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
			return 0;
		target = mapped(ip->daddr);
	} else {
		struct ipv6hdr *ip = inner;
		if ((void *)(ip + 1) > end || ip->version != 6)
			return 0;
		target = address6(&ip->daddr);
	}
	if (!config->any_source && !listened_to(&t->sender))
		return 0;
	return bpf_map_lookup_elem(&decap_vips, &target) != 0;
}

/* The packet that was inside, as its client sees it; its frame is the one at hand. */
static __noinline int trace_inner(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct trace_record *r = trace_record();
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)ip;

	if (!r || (void *)(ip + 1) > end)
		return 0;
	__u32 header = (ip->ihl & 15) * 4;
	r->part = 0;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
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
	r->verdict = TRACE_FORWARDED;
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

	if (!count || !config || !read_outer(data, end, &t))
		return ask_places(ctx, PLACE_DECAP + 1);
	if (!allowed(config, data + sizeof(*eth) + (t.bytes & 63), end, &t)) {
		/* Not ours to open: the kernel may have a tunnel of its own. */
		count->refused++;
		return ask_places(ctx, PLACE_DECAP + 1);
	}
	if (config->tracing)
		trace_begin(ctx, &config->tracing);
	/* To the verifier a call may have moved the packet. */
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
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
		trace_inner(ctx);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
