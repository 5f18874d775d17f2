/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Headers on the wire and their constants. */
#pragma once
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

/* Of the IPv4 header's seventh and eighth bytes (RFC 791, 3.1), host order: may not be parted, more parts follow, place of
 * this one in units of 8 bytes. */
#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff
/* Of the IPv6 fragment header's third and fourth bytes (RFC 8200, 4.5), host order. */
#define IP6_OFFSET 0xfff8
#define IP6_MORE 0x0001
/* Bytes of that header. */
#define IP6_FRAGMENT 8
/* Bytes that every link of IPv6 carries (RFC 8200, 5). */
#define IP6_LEAST_MTU 1280
/* Congestion bits of a class of service (RFC 3168): none, the flow does not know them; both, a router has marked. */
#define ECN_BITS 0x03
/* The same in the second byte of an IPv6 header. */
#define ECN6_BITS 0x30
/* Of byte 13 of a TCP header (RFC 9293, 3.1). */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10
/* Bytes of an 802.1Q tag. */
#define VLAN_BYTES 4
/* Bits of its control word that name the network, host order. */
#define VLAN_ID 0x0fff
/* Word 2 of an IPv4-mapped address; words 0 and 1 are zero. */
#define MAPPED bpf_htonl(0xffff)

/* Of our own: <linux/icmp.h> draws in the C library's socket headers, which have no face for this target. */
#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_FRAG_NEEDED 4
/* RFC 4443 */
#define ICMP6_DEST_UNREACH 1
#define ICMP6_TOO_BIG 2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_PARAMETERPROB 4

/* GUE, variant 0 (draft-ietf-intarea-gue): then as many words as it says. Ours are private data: `kind`, which of the
 * others is next, how many there are, and their addresses, of the outer header's family. */
struct gue {
	__u8 words; /* version:2 | control:1 | words after the first:5 */
	__u8 protocol;
	__u16 flags;
	__u16 kind; /* GUE_OTHERS */
	__u8 next;
	__u8 count;
};

struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	union {
		__u32 rest;
		struct {
			__u16 unused;
			__u16 mtu;
		} frag;
	} un;
};

/* 802.1Q, between the MACs and the type. */
struct tag {
	__u16 type;
	__u16 control;
};
