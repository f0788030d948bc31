// The other end of a veth pair takes what XDP_TX sends only if it has a program, too. This one does
// nothing, so its run time is that of the kernel's statistics themselves.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int empty(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
