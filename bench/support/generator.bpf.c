/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Makes packets out of nothing. Live frames of a test run come round again as the last program left them, so the whole
 * frame is written each time: Ethernet, IP and TCP headers with checksums that hold. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Flow i has source port 1024 + i % 4096 and source address base + i / 4096. */
#define PORT_BITS 12
/* Two cables have turns of 1,024 packets, A B B A: what else the machine does changes more slowly. */
#define TURN_BITS 10
/* Bytes that every frame of a turn has too many, and loses before it is sent. The kernel puts right what a program has changed
 * when it takes a frame up again, which costs some ns; so it does that for both cables, not for those frames alone that the
 * director has made longer. */
#define SPARE 4

struct order {
	__u8 target_mac[6];
	__u8 source_mac[6];
	__u32 source[4]; /* base; the last word counts up, network order */
	__u32 target[4];
	__u16 target_port; /* host order; service i of several listens on target_port + i */
	__u16 source_port; /* 0: by the flow */
	__u32 flows;
	__u32 services;
	__u32 ipv6;
	__u32 flood; /* n > 0: of n packets one is a flow's, the others are SYNs of flows taken at random */
	__u32 other; /* the second cable's device; 0: all go by the first */
	__u32 sent;
	__u32 next[2]; /* the flow whose turn it is, of each cable */
	__u64 began; /* ns at which the turn began */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct order);
} orders SEC(".maps");

/* ns that each turn took, the latest TURNS of them. */
#define TURNS 16384
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TURNS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} turns SEC(".maps");

static __always_inline __u16 fold(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u64 sum_words(const void *data, const int bytes)
{
	const __u16 *word = data;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < bytes / 2; i++)
		sum += word[i];
	return sum;
}

static __always_inline void write_tcp(struct tcphdr *tcp, const struct order *order, __u32 flow, __u32 random, __u64 pseudo)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = bpf_htons(order->source_port ? order->source_port : 1024 + (flow & ((1 << PORT_BITS) - 1)));
	tcp->dest = bpf_htons(order->target_port + (order->services > 1 ? flow % order->services : 0));
	if (order->source_port)
		tcp->dest = bpf_htons(1024 + (flow & ((1 << PORT_BITS) - 1)));
	tcp->seq = bpf_htonl(random ? bpf_get_prandom_u32() : 1);
	tcp->ack_seq = random ? 0 : bpf_htonl(1);
	tcp->doff = 5;
	tcp->ack = !random;
	tcp->syn = !!random;
	tcp->window = bpf_htons(64240);
	tcp->check = fold(pseudo + bpf_htons(IPPROTO_TCP) + bpf_htons(sizeof(*tcp)) + sum_words(tcp, sizeof(*tcp)));
}

static __always_inline int write_ipv4(void *next, void *end, const struct order *order, __u32 flow, __u32 random)
{
	struct iphdr *ip = next;
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = order->source_port ? order->source[3] : bpf_htonl(bpf_ntohl(order->source[3]) + (flow >> PORT_BITS));
	ip->daddr = order->target[3];
	ip->check = fold(sum_words(ip, sizeof(*ip)));
	write_tcp(tcp, order, flow, random, sum_words(&ip->saddr, 8));
	return XDP_TX;
}

static __always_inline int write_ipv6(void *next, void *end, const struct order *order, __u32 flow, __u32 random)
{
	struct ipv6hdr *ip = next;
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(*tcp));
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = 64;
	__builtin_memcpy(&ip->saddr, order->source, 16);
	__builtin_memcpy(&ip->daddr, order->target, 16);
	if (!order->source_port)
		ip->saddr.in6_u.u6_addr32[3] = bpf_htonl(bpf_ntohl(order->source[3]) + (flow >> PORT_BITS));
	write_tcp(tcp, order, flow, random, sum_words(&ip->saddr, 32));
	return XDP_TX;
}

/* Whose turn it is: 1 is the second cable's. At its end a turn's time is written down. */
static __always_inline __u32 turn_of(struct order *order)
{
	__u32 sent = order->sent++, turn = sent >> TURN_BITS, before = (turn - 1) & (TURNS - 1);

	if (sent & ((1 << TURN_BITS) - 1))
		return (turn + 1) >> 1 & 1;
	__u64 now = bpf_ktime_get_ns(), *took = bpf_map_lookup_elem(&turns, &before);
	if (took)
		*took = now - order->began;
	order->began = now;
	return (turn + 1) >> 1 & 1;
}

SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 zero = 0;
	struct order *order = bpf_map_lookup_elem(&orders, &zero);

	if (!order || (void *)(eth + 1) > end)
		return XDP_ABORTED;
	__u32 other = order->other ? turn_of(order) : 0;
	__u32 flow = order->next[other];
	order->next[other] = flow + 1 >= order->flows ? 0 : flow + 1;
	__u32 random = order->flood && flow % order->flood;
	if (random)
		flow = bpf_get_prandom_u32();
	__builtin_memcpy(eth->h_dest, order->target_mac, ETH_ALEN);
	__builtin_memcpy(eth->h_source, order->source_mac, ETH_ALEN);
	eth->h_proto = order->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	int verdict = order->ipv6 ? write_ipv6(eth + 1, end, order, flow, random)
				  : write_ipv4(eth + 1, end, order, flow, random);
	if (!order->other || verdict != XDP_TX)
		return verdict;
	/* Both cables the same way: a redirect is a call, 9 ns more than XDP_TX. */
	__u32 device = other ? order->other : ctx->ingress_ifindex;
	return bpf_xdp_adjust_tail(ctx, -SPARE) ? XDP_ABORTED : bpf_redirect(device, 0);
}

/* Takes what comes back, or all that comes. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	return XDP_DROP;
}

/* The least a director can do. */
SEC("xdp")
int bounce(struct xdp_md *ctx)
{
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
