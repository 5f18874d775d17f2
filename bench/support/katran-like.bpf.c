/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What Katran's balancer does for a packet of a VIP by IP in IP, in its order and with its kinds of maps (commit 19f08fe of
 * facebookincubator/katran), and nothing else: parse, find the VIP, count, ask this CPU's LRU table of flows, else the ring
 * and write a new entry, count, encapsulate. IPv4 and TCP alone, so it is rather cheaper than the real one. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Slots of a VIP's ring. */
#define RING 65537
/* VIPs (Katran: 512, whose rings take 256 MiB), and backends of all. */
#define VIPS 16
#define REALS 4096
/* Where in `stats` what is counted for all packets stands: behind those of the VIPs. */
#define LRU_STATS (VIPS + 0)
#define NEW_FLOWS (VIPS + 1)
/* New flows of one CPU in a second beyond which none is remembered. */
#define MOST_NEW_FLOWS 125000
#define SECOND 1000000000ull

struct vip_key {
	__u32 address[4];
	__u16 port;
	__u8 protocol;
	__u8 spare;
};

struct vip {
	__u32 flags;
	__u32 number;
};

struct flow_key {
	__u32 source[4];
	__u32 target[4];
	__u16 ports[2];
	__u8 protocol;
	__u8 spare[3];
};

struct flow {
	__u32 real;
	__u64 seen;
};

struct real {
	__u32 address[4];
	__u8 flags;
};

struct counted {
	__u64 first;
	__u64 second;
};

struct way {
	__u8 mac[8];
};

#define MAP(NAME, TYPE, KEY, VALUE, ENTRIES) \
	struct { \
		__uint(type, TYPE); \
		__uint(max_entries, ENTRIES); \
		__type(key, KEY); \
		__type(value, VALUE); \
	} NAME SEC(".maps")

MAP(vips, BPF_MAP_TYPE_HASH, struct vip_key, struct vip, VIPS);
MAP(rings, BPF_MAP_TYPE_ARRAY, __u32, __u32, VIPS * RING);
MAP(reals, BPF_MAP_TYPE_ARRAY, __u32, struct real, REALS);
MAP(ways, BPF_MAP_TYPE_ARRAY, __u32, struct way, 1);
MAP(stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counted, 2 * VIPS);
MAP(real_stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counted, REALS);

/* By CPU; made by whoever loads this, one for each. Katran divides 8,000,000 entries among its CPUs. */
struct flow_table {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1000000);
	__uint(key_size, sizeof(struct flow_key));
	__uint(value_size, sizeof(struct flow));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 128);
	__type(key, __u32);
	__array(values, struct flow_table);
} flow_tables SEC(".maps");

static __always_inline struct counted *count_of(__u32 number)
{
	return bpf_map_lookup_elem(&stats, &number);
}

static __always_inline __u32 rotate(__u32 word, __u32 bits)
{
	return word << bits | word >> (32 - bits);
}

/* Bob Jenkins' lookup3 of two words, as the kernel's jhash_2words. */
static __always_inline __u32 jhash2(__u32 a, __u32 b)
{
	__u32 c = 0xdeadbeef + (2 << 2);

	a += c;
	b += c;
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	return (c ^ b) - rotate(b, 24);
}

/* More new flows than a table should turn over? */
static __always_inline int is_flooded(__u64 now)
{
	struct counted *fresh = count_of(NEW_FLOWS);

	if (!fresh)
		return 1;
	if (now - fresh->second > SECOND) {
		fresh->first = 1;
		fresh->second = now;
		return 0;
	}
	return ++fresh->first > MOST_NEW_FLOWS;
}

/* The backend by the flow's table, else by the ring; -1: none. */
static __always_inline int choose(const struct vip *vip, const struct flow_key *key, const struct tcphdr *tcp)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *table = bpf_map_lookup_elem(&flow_tables, &cpu);

	if (!table)
		return -1;
	if (!tcp->syn) {
		struct flow *known = bpf_map_lookup_elem(table, key);
		if (known)
			return known->real;
		struct counted *missed = count_of(LRU_STATS);
		if (missed)
			missed->second++;
	}
	__u32 hash = jhash2(jhash2(key->source[0], 0), *(const __u32 *)key->ports);
	__u32 at = vip->number * RING + hash % RING;
	__u32 *real = bpf_map_lookup_elem(&rings, &at);
	if (!real)
		return -1;
	struct flow fresh = { .real = *real };
	if (!is_flooded(bpf_ktime_get_ns()))
		bpf_map_update_elem(table, key, &fresh, BPF_ANY);
	return fresh.real;
}

static __always_inline int encapsulate(struct xdp_md *ctx, const struct real *real, __u32 client, __u16 port, __u16 length)
{
	__u32 zero = 0;
	struct way *way = bpf_map_lookup_elem(&ways, &zero);

	if (!way || bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return XDP_DROP;
	struct ethhdr *eth = (void *)(long)ctx->data, *old = (void *)eth + sizeof(struct iphdr);
	struct iphdr *ip = (void *)(eth + 1);
	if ((void *)(old + 1) > (void *)(long)ctx->data_end || (void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, way->mac, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	__u32 *word = (void *)ip, first = bpf_htonl(0x45000000 | (length + sizeof(*ip)));
	__u32 third = bpf_htonl(64 << 24 | IPPROTO_IPIP << 16), target = real->address[0];
	/* A source that differs with the flow, for the receivers' queues. */
	__u32 source = bpf_htonl(0xac100000) | ((client ^ port << 16) & bpf_htonl(0xffff));
	__u64 sum = (__u64)first + third + source + target;
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	word[0] = first;
	word[1] = 0;
	word[2] = third | (~sum & 0xffff) << 16;
	word[3] = source;
	word[4] = target;
	return XDP_TX;
}

SEC("xdp")
int katran_like(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->frag_off & bpf_htons(0x3fff) || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	struct vip_key vip_key = { .address = { ip->daddr }, .port = tcp->dest, .protocol = ip->protocol };
	struct vip *vip = bpf_map_lookup_elem(&vips, &vip_key);
	if (!vip)
		return XDP_PASS;
	struct flow_key key = {
		.source = { ip->saddr },
		.target = { ip->daddr },
		.ports = { tcp->source, tcp->dest },
		.protocol = ip->protocol,
	};
	__u32 length = bpf_ntohs(ip->tot_len), number = vip->number;
	struct counted *all = count_of(LRU_STATS);
	if (all)
		all->first++;
	int chosen = choose(vip, &key, tcp);
	__u32 real_number = chosen;
	struct real *real = bpf_map_lookup_elem(&reals, &real_number);
	if (chosen < 0 || !real)
		return XDP_DROP;
	struct counted *of_vip = count_of(number), *of_real = bpf_map_lookup_elem(&real_stats, &real_number);
	if (of_vip) {
		of_vip->first++;
		of_vip->second += length;
	}
	if (of_real) {
		of_real->first++;
		of_real->second += length;
	}
	return encapsulate(ctx, real, ip->saddr, tcp->source, length);
}

char _license[] SEC("license") = "GPL";
