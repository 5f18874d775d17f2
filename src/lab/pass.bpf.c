/* The lab's switch ports: a native XDP program at the peer is what lets veth deliver frames that XDP transmits. */
#define SECTION(name) __attribute__((section(name), used))
/* Of enum xdp_action: this file is compiled without headers. */
#define XDP_PASS 2

SECTION("xdp") int pass(void *context)
{
	return XDP_PASS;
}

SECTION("license") char _license[] = "GPL";
