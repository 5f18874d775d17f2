/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Headers on the wire and their constants. */
#pragma once
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff
/* Word 2 of an IPv4-mapped address; words 0 and 1 are zero. */
#define MAPPED bpf_htonl(0xffff)

/* Of our own: <linux/icmp.h> draws in the C library's socket headers, which have no face for this target. */
#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_FRAG_NEEDED 4

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
