/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Passes everything. A veth delivers what its peer transmits by XDP only while it runs a native program itself. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
