/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* On a real server of `tunnel`: takes off the outer header and passes the inner packet to the kernel, which holds the VIP.
 * For hosts without the kernel's ipip; the packet still arrives on its own interface, so rp_filter has no say. */
#include "array.h"
#include "places.h"
#include "types.h"
#include "wire.h"

ARRAY(decap_settings, struct decap_config, 1, 0);
PERCPU(decap_counts, struct decap_count, 1);

/* Senders whose tunnels are taken. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_SOURCES);
	__type(key, struct { __u32 word[4]; });
	__type(value, __u32);
} decap_sources SEC(".maps");

/* VIPs that this host serves: only they may be inside. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_SOURCES);
	__type(key, struct { __u32 word[4]; });
	__type(value, __u32);
} decap_vips SEC(".maps");

static __always_inline int allowed(const struct iphdr *outer, const struct iphdr *inner)
{
	__u32 zero = 0, address[4] = { 0, 0, MAPPED, outer->saddr };
	struct decap_config *config = bpf_map_lookup_elem(&decap_settings, &zero);

	if (!config || (!config->any_source && !bpf_map_lookup_elem(&decap_sources, address)))
		return 0;
	address[3] = inner->daddr;
	return bpf_map_lookup_elem(&decap_vips, address) != 0;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data, kept;
	struct iphdr *outer = (void *)(eth + 1), *inner = outer + 1;
	__u32 zero = 0;
	struct decap_count *count = bpf_map_lookup_elem(&decap_counts, &zero);

	if ((void *)(inner + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) || !count)
		return ask_places(ctx, PLACE_DECAP + 1);
	if (outer->version != 4 || outer->ihl != 5 || outer->protocol != IPPROTO_IPIP ||
	    (outer->frag_off & bpf_htons(IP_MF | IP_OFFSET)))
		return ask_places(ctx, PLACE_DECAP + 1);
	if (inner->version != 4 || inner->ihl < 5 || !allowed(outer, inner)) {
		/* Not ours to open: the kernel may have a tunnel of its own. */
		count->refused++;
		return ask_places(ctx, PLACE_DECAP + 1);
	}
	__builtin_memcpy(&kept, eth, sizeof(kept));
	if (bpf_xdp_adjust_head(ctx, sizeof(*outer)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth, &kept, sizeof(kept));
	count->packets++;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
