/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* QUIC: packets follow the server ID in their connection ID, whatever address the client has by now. The scheme is that of
 * docs/quic.md: plain text, configuration 0, four octets (draft-ietf-quic-load-balancers). */
#pragma once
#include "arrivals.h"
#include "pick.h"

/* Bit of the first octet: a long header, which has a version (RFC 8999, 5.1). */
#define QUIC_LONG 0x80
/* Versions whose Initial packets are known (RFC 9000, RFC 9369), host order. */
#define QUIC_V1 1
#define QUIC_V2 0x6b3343cf
/* First octet, version and length of the destination connection ID (RFC 8999, 5.1). */
#define QUIC_LONG_HEAD 6
/* First octet and server ID. */
#define QUIC_ID_BYTES 5

/* Initial packets (RFC 9000, 17.2.2; RFC 9369, 3.2) carry an ID that the client has made up, until the server has named one. */
static __always_inline int is_initial(const __u8 *head)
{
	__u32 version = (__u32)head[1] << 24 | head[2] << 16 | head[3] << 8 | head[4], type = head[0] >> 4 & 3;

	return (version == QUIC_V1 && type == 0) || (version == QUIC_V2 && type == 1);
}

/* The destination connection ID, NULL when it is too short to name anybody. */
static __always_inline const __u8 *connection_id(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const __u8 *head = data + sizeof(struct ethhdr) + (p->header & MAX_HEADER) + sizeof(struct udphdr);

	if ((void *)(head + 1) > end)
		return 0;
	if (!(head[0] & QUIC_LONG))
		return (void *)(head + 1 + QUIC_ID_BYTES) > end ? 0 : head + 1;
	if ((void *)(head + QUIC_LONG_HEAD + QUIC_ID_BYTES) > end)
		return 0;
	if (is_initial(head))
		p->tcp_flags = TCP_SYN;
	return head[QUIC_LONG_HEAD - 1] < QUIC_ID_BYTES ? 0 : head + QUIC_LONG_HEAD;
}

/* The plane's number of the backend that a packet's connection ID names, -1: nobody, and the flow decides. */
static __noinline int named_backend(struct xdp_md *ctx, struct packet *p, const struct service *service)
{
	if (!service || !p || p->protocol != IPPROTO_UDP || p->icmp_error || p->part != WHOLE)
		return -1;
	const __u8 *id = connection_id(ctx, p);
	/* The top three bits are the configuration; only 0 is ours. */
	if (!id || id[0] >> 5)
		return -1;
	__u32 server = (__u32)id[1] | id[2] << 8 | id[3] << 16 | (__u32)id[4] << 24;
	struct address key = { .high = bpf_htonl(0xff710000) | (__u64)bpf_htonl(p->service) << 32,
			       .low = (__u64)server << 32 };
	struct arrival *named = find_arrival(&key, 0, IPPROTO_UDP, ARRIVAL_QUIC);
	if (!named)
		return -1;
	__u32 local = named->local;
	struct table *table = find_table(service);
	if (!table)
		return -1;
	asm volatile("" : "+r"(local));
	__u32 found = local < MAX_LOCAL ? table->backends[local] : 0, state = found >> STATE_SHIFT;
	/* One that is found down keeps its connections for the grace of TCP, then they go on to another. */
	return state == STATE_EMPTY || state == STATE_GONE ? -1 : (int)(found & STATE_NUMBER_MASK);
}
