// The answer in the driver: an XDP program that turns a plain request into its reply.
//
// It only ever says yes. What is certainly to be answered leaves as a reply; what exceeds the rate
// limit is dropped here, where that is cheapest; everything else is passed to the server's socket,
// unchanged. So all that is refused, and every odd case, is decided in one place: `Guard`.
//
// A reply is made as in `Frame`: the headers move down by the length of the prefix, `Hello, ` fills
// the gap before the name, and `!` follows it. The name is neither moved nor read.
//
//            ethernet  ip  udp  name            a request
//   ethernet  ip  udp  Hello,   name  !         its reply
//
// `build` beside this file makes `hello.bpf.o` of it, which is what the server loads.

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PREFIX_LEN 7 // "Hello, "
#define OVERHEAD 8   // "Hello, " and "!"
#define MAX_NAME_LEN 0x3fff // the longest name that any interface could carry
#define MAX_SUMMED 1472     // the longest name whose checksum is made anew: that of an Ethernet frame
#define CAS_TRIES 4
#define VLAN_ID_MASK 0x0fff
#define IP_DF 0x4000

// ---- What the server sets, in `program.rs` ----

// The limits, which are fixed when the program is loaded.
const volatile struct {
	__u64 emission_interval; // nanoseconds between requests at the limit (GCRA)
	__u64 burst_tolerance;   // emission intervals of a burst, in nanoseconds
	__u32 leak_one_in;       // over the limit, one in this many is answered
	__u16 max_name_len;      // the guard's, in bytes
	__u16 dry_run;           // whether requests over the limit are only counted
} limits = {0};

// Where the server can be reached: an address of an interface, and a port that is bound to it. IPv4
// addresses are in their IPv4-mapped form, here and below.
struct service_key {
	__u32 interface; // its index
	__be16 vlan;     // the tag's 12 bits; 0 without a tag
	__be16 port;
	struct in6_addr address;
};

struct service {
	__u8 mac[ETH_ALEN]; // the interface's own
	__u16 mtu;
	__u8 hop_limit; // of replies
	// Whether a partial checksum is completed. Where packets of a flow are merged before they get
	// here, as in generic mode, it may stand for several of them.
	__u8 completes_checksums;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

// What is special about a source. Each prefix has the properties of all that contain it.
enum { SOURCE_REFUSED = 1, SOURCE_EXEMPT = 2, SOURCE_SHARED = 4 };

struct source_key {
	__u32 prefix_len;
	struct in6_addr address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_key);
	__type(value, __u32);
} sources SEC(".maps");

// When the bucket of each network is full again, by the kernel's monotonic clock, in nanoseconds.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, __u64);
} buckets SEC(".maps");

// ---- What the server reads ----

// The outcome of each packet; `counters.rs` has the same order.
enum outcome {
	ANSWERED_IPV4,
	ANSWERED_IPV6,
	OVER_LIMIT,          // dropped
	OVER_LIMIT_ANSWERED, // counted as answered, too
	PASSED_OTHER,        // no plain UDP datagram to a served address
	PASSED_SOURCE,       // its source is none that is answered
	PASSED_NAME,         // too long, or greeted twice
	PASSED_CHECKSUM,     // none where there must be one, or a partial one
	PASSED_ROOM,         // the driver has no room for a longer packet
	OUTCOMES,
};

struct counters {
	__u64 of[OUTCOMES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} outcomes SEC(".maps");

static __always_inline void count(enum outcome outcome)
{
	struct counters *counters = bpf_map_lookup_elem(&outcomes, &(__u32){0});
	if (counters)
		++counters->of[outcome];
}

static __always_inline int pass(enum outcome why)
{
	count(why);
	return XDP_PASS;
}

// ---- Sums of 16-bit words, as the Internet checksum has them (RFC 1071) ----

// The sum of a few words, in 16 bits.
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u64 sum_address(const struct in6_addr *address)
{
	return (__u64)address->s6_addr32[0] + address->s6_addr32[1] + address->s6_addr32[2] +
	       address->s6_addr32[3];
}

// The sum of a name, for a request whose checksum its sender's kernel left to the hardware.
static __always_inline __u64 sum_name(const __u8 *name, __u32 len, const void *end)
{
	__u64 sum = 0;
#pragma clang loop unroll(disable)
	for (__u32 at = 0; at < MAX_SUMMED && at < len; at += 2) {
		const __u8 *word = name + at;
		if ((void *)(word + 1) > end)
			break;
		sum += word[0];
		if (at + 1 < len && (void *)(word + 2) <= end)
			sum += word[1] << 8;
	}
	return sum;
}

// Two bytes as they stand in memory.
#define WORD(first, second) ((first) | (second) << 8)

// ---- A request, of either family ----

struct request {
	struct service_key to;
	struct source_key from;
	__be16 source_port;
	__be16 checksum; // UDP's
	__be16 reply_checksum;
	__u16 name_len;
	const __u8 *name;
	const void *end;
	const struct service *service;
	bool is_ipv4;
};

#define MAPPED(ipv4) {.s6_addr32 = {0, 0, bpf_htonl(0xffff), (ipv4)}}

// An IPv6 packet with such an address is none of IPv4.
static __always_inline bool is_mapped(const struct in6_addr *address)
{
	return !address->s6_addr32[0] && !address->s6_addr32[1] &&
	       address->s6_addr32[2] == bpf_htonl(0xffff);
}

// Ports of services that answer any sender, as `Refusal` has them; below 1024 are such services only.
static __always_inline bool is_service_port(__u16 port)
{
	return port < 1024 || port == 1900 || port == 3702 || port == 5353 || port == 5355 ||
	       port == 5683 || port == 11211;
}

static __always_inline bool is_greeted_twice(const struct request *request)
{
	const char twice[] = "Hello, Hello, ";
	const __u8 *name = request->name;

	if (request->name_len < 2 * PREFIX_LEN || (void *)(name + 2 * PREFIX_LEN) > request->end)
		return false;
	for (int i = 0; i < 2 * PREFIX_LEN; i++)
		if (name[i] != twice[i])
			return false;
	return true;
}

// Finds the UDP checksum of the reply (RFC 1624); returns whether it is known.
//
// Both datagrams have the same addresses and ports, and a length that stands in two places. The name
// moves by an odd number of bytes, so its part of the sum is swapped. If the request was damaged,
// that part is wrong, so the reply's checksum is wrong, too, and the client's kernel drops it.
static __always_inline bool find_checksum(struct request *request)
{
	__u16 name_len = request->name_len;
	__be16 len = bpf_htons(sizeof(struct udphdr) + name_len);
	__u64 pseudo = sum_address(&request->from.address) + sum_address(&request->to.address) +
		       bpf_htons(IPPROTO_UDP) + len;
	__u64 headers = pseudo + request->source_port + request->to.port + len;
	__u64 name;

	request->reply_checksum = 0;
	if (!request->checksum)
		return request->is_ipv4; // which may do without one
	if (request->checksum == fold(pseudo)) {
		// A partial one: the hardware that adds the rest is not there (a veth pair).
		if (!request->service->completes_checksums || name_len > MAX_SUMMED)
			return false;
		name = sum_name(request->name, name_len, request->end);
	} else {
		name = (__u16)~request->checksum + (__u64)(__u16)~fold(headers);
	}
	__u64 sum = headers + 2 * bpf_htons(OVERHEAD) + WORD('H', 'e') + WORD('l', 'l') +
		    WORD('o', ',') + WORD(' ', 0) + __builtin_bswap16(fold(name)) +
		    (name_len % 2 ? WORD('!', 0) : WORD(0, '!'));
	request->reply_checksum = ~fold(sum);
	if (!request->reply_checksum)
		request->reply_checksum = 0xffff; // zero stands for none
	return true;
}

// Charges a request to the bucket of its network, as `Limiter` does. Returns whether it conforms.
static __always_inline bool conforms(struct in6_addr *network)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 *bucket = bpf_map_lookup_elem(&buckets, network);
	if (!bucket) {
		__u64 full_at = now + limits.emission_interval;
		bpf_map_update_elem(&buckets, network, &full_at, BPF_ANY);
		return true;
	}
	for (int i = 0; i < CAS_TRIES; i++) {
		__u64 full_at = *bucket;
		__u64 charged = (full_at > now ? full_at : now) + limits.emission_interval;
		if (charged > now + limits.burst_tolerance)
			return false;
		if (__sync_val_compare_and_swap(bucket, full_at, charged) == full_at)
			return true;
	}
	return false;
}

// Decides as the server would: XDP_TX is yes.
static __always_inline int decide(struct request *request)
{
	__u32 *known = bpf_map_lookup_elem(&sources, &request->from);
	__u32 properties = known ? *known : 0;

	if (properties & SOURCE_REFUSED || is_service_port(bpf_ntohs(request->source_port)) ||
	    request->source_port == request->to.port)
		return pass(PASSED_SOURCE);
	if (request->name_len > limits.max_name_len || is_greeted_twice(request))
		return pass(PASSED_NAME);
	if (!find_checksum(request))
		return pass(PASSED_CHECKSUM);
	if (properties & SOURCE_EXEMPT)
		return XDP_TX;

	struct in6_addr network = request->from.address;
	if (request->is_ipv4)
		network.s6_addr[15] = 0; // a /24
	else if (!(properties & SOURCE_SHARED))
		network.s6_addr32[2] = network.s6_addr32[3] = 0; // a /64
	if (conforms(&network))
		return XDP_TX;
	if (!limits.dry_run && bpf_get_prandom_u32() % limits.leak_one_in) {
		count(OVER_LIMIT);
		return XDP_DROP;
	}
	count(OVER_LIMIT_ANSWERED);
	return XDP_TX;
}

// ---- The packet ----

// The Ethernet header with room for a tag, in words that a packet's alignment allows.
struct link {
	__be16 to[ETH_ALEN / 2], from[ETH_ALEN / 2];
	__be16 type[3]; // of what follows; with a tag: ETH_P_8021Q, the tag, the type
};

// Copies the link header of a request, and finds the service it is for. Returns whether there is one.
static __always_inline bool find_service(const struct link *packet, struct link *link, __u32 link_len,
					 struct request *request)
{
	for (__u32 i = 0; i < link_len / 2; i++)
		((__be16 *)link)[i] = ((const __be16 *)packet)[i];
	request->service = bpf_map_lookup_elem(&services, &request->to);
	if (!request->service)
		return false;
	const __be16 *mac = (const __be16 *)request->service->mac;
	return mac[0] == link->to[0] && mac[1] == link->to[1] && mac[2] == link->to[2];
}

// Makes room for the prefix before the headers, and for the suffix behind the name. Padding is cut off
// first, and a packet that was padded gets new padding, up to the shortest Ethernet frame. Without
// room, the packet stays as it was, except for its padding.
static __always_inline bool make_room(struct xdp_md *ctx, __u32 headers_len, __u32 name_len)
{
	__u32 padding = bpf_xdp_get_buff_len(ctx) - headers_len - name_len;
	int grow = 1;

	if (padding) {
		int missing = ETH_ZLEN - (int)(headers_len + PREFIX_LEN + name_len);
		if (missing > grow)
			grow = missing;
		if (bpf_xdp_adjust_tail(ctx, -padding))
			return false;
	}
	if (bpf_xdp_adjust_tail(ctx, grow))
		return false;
	if (bpf_xdp_adjust_head(ctx, -PREFIX_LEN)) {
		bpf_xdp_adjust_tail(ctx, -grow);
		return false;
	}
	return true;
}

// Writes the link header of a reply.
static __always_inline void write_link(void *packet, const struct link *link, __u32 link_len)
{
	struct link *reply = packet;
	for (int i = 0; i < ETH_ALEN / 2; i++) {
		reply->to[i] = link->from[i];
		reply->from[i] = link->to[i];
	}
	for (__u32 i = 0; i < (link_len - 2 * ETH_ALEN) / 2; i++)
		reply->type[i] = link->type[i];
}

// Writes the UDP header, the prefix and the suffix of a reply. Returns whether they are in the packet,
// which only the verifier doubts.
static __always_inline bool write_udp(struct udphdr *udp, const struct request *request, void *end)
{
	__u8 *greeting = (__u8 *)(udp + 1);
	__u32 name_len = request->name_len & MAX_NAME_LEN;

	__u8 *suffix = greeting + PREFIX_LEN + name_len;

	if ((void *)(greeting + OVERHEAD) > end || (void *)(suffix + 1) > end)
		return false;
	udp->source = request->to.port;
	udp->dest = request->source_port;
	udp->len = bpf_htons(sizeof(*udp) + name_len + OVERHEAD);
	udp->check = request->reply_checksum;
	*(__u32 *)greeting = WORD(WORD('H', 'e'), WORD('l', 'l') << 8);
	*(__u16 *)(greeting + 4) = WORD('o', ',');
	greeting[6] = ' ';
	*suffix = '!';
	return true;
}

// ---- The two families ----

struct ipv4_udp {
	struct iphdr ip;
	struct udphdr udp;
};

static __always_inline int answer_ipv4(struct xdp_md *ctx, __u32 link_len, __be16 vlan)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv4_udp *packet = data + link_len;
	__u32 headers_len = link_len + sizeof(*packet);

	if ((void *)(packet + 1) > end)
		return pass(PASSED_OTHER);
	const __u32 *words = (const __u32 *)packet;
	__u64 sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
	__u32 len = bpf_ntohs(packet->udp.len);
	if (*(__u8 *)packet != 0x45 || packet->ip.protocol != IPPROTO_UDP || fold(sum) != 0xffff ||
	    packet->ip.frag_off & bpf_htons(~IP_DF) || len < sizeof(struct udphdr) ||
	    bpf_ntohs(packet->ip.tot_len) != sizeof(struct iphdr) + len ||
	    (void *)packet + sizeof(struct iphdr) + len > end)
		return pass(PASSED_OTHER);

	struct link link;
	struct request request = {
		.to = {ctx->ingress_ifindex, vlan, packet->udp.dest, MAPPED(packet->ip.daddr)},
		.from = {128, MAPPED(packet->ip.saddr)},
		.source_port = packet->udp.source,
		.checksum = packet->udp.check,
		.name = (const __u8 *)(packet + 1),
		.name_len = len - sizeof(struct udphdr),
		.end = end,
		.is_ipv4 = true,
	};
	if (!find_service(data, &link, link_len, &request) ||
	    sizeof(struct iphdr) + len + OVERHEAD > request.service->mtu)
		return pass(PASSED_OTHER);
	int action = decide(&request);
	if (action != XDP_TX)
		return action;
	if (!make_room(ctx, headers_len, request.name_len))
		return pass(PASSED_ROOM);

	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	packet = data + link_len;
	if ((void *)(packet + 1) > end || !write_udp(&packet->udp, &request, end))
		return XDP_ABORTED;
	write_link(data, &link, link_len);
	// As the server's socket sends it: not to be fragmented, so it needs no identification (RFC 6864).
	packet->ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(struct iphdr) / 4,
		.tot_len = bpf_htons(sizeof(struct iphdr) + len + OVERHEAD),
		.frag_off = bpf_htons(IP_DF),
		.ttl = request.service->hop_limit,
		.protocol = IPPROTO_UDP,
		.saddr = request.to.address.s6_addr32[3],
		.daddr = request.from.address.s6_addr32[3],
	};
	words = (const __u32 *)packet;
	sum = (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
	packet->ip.check = ~fold(sum);
	count(ANSWERED_IPV4);
	return XDP_TX;
}

struct ipv6_udp {
	struct ipv6hdr ip;
	struct udphdr udp;
};

static __always_inline int answer_ipv6(struct xdp_md *ctx, __u32 link_len, __be16 vlan)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6_udp *packet = data + link_len;
	__u32 headers_len = link_len + sizeof(*packet);

	if ((void *)(packet + 1) > end)
		return pass(PASSED_OTHER);
	__u32 len = bpf_ntohs(packet->udp.len);
	if (*(__u8 *)packet >> 4 != 6 || packet->ip.nexthdr != IPPROTO_UDP ||
	    len < sizeof(struct udphdr) || packet->ip.payload_len != packet->udp.len ||
	    (void *)&packet->udp + len > end || is_mapped(&packet->ip.saddr) ||
	    is_mapped(&packet->ip.daddr))
		return pass(PASSED_OTHER);

	struct link link;
	struct request request = {
		.to = {ctx->ingress_ifindex, vlan, packet->udp.dest, packet->ip.daddr},
		.from = {128, packet->ip.saddr},
		.source_port = packet->udp.source,
		.checksum = packet->udp.check,
		.name = (const __u8 *)(packet + 1),
		.name_len = len - sizeof(struct udphdr),
		.end = end,
		.is_ipv4 = false,
	};
	if (!find_service(data, &link, link_len, &request) ||
	    sizeof(struct ipv6hdr) + len + OVERHEAD > request.service->mtu)
		return pass(PASSED_OTHER);
	int action = decide(&request);
	if (action != XDP_TX)
		return action;
	if (!make_room(ctx, headers_len, request.name_len))
		return pass(PASSED_ROOM);

	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	packet = data + link_len;
	if ((void *)(packet + 1) > end || !write_udp(&packet->udp, &request, end))
		return XDP_ABORTED;
	write_link(data, &link, link_len);
	*(__be32 *)packet = bpf_htonl(6 << 28);
	packet->ip.payload_len = packet->udp.len;
	packet->ip.nexthdr = IPPROTO_UDP;
	packet->ip.hop_limit = request.service->hop_limit;
	packet->ip.saddr = request.to.address;
	packet->ip.daddr = request.from.address;
	count(ANSWERED_IPV6);
	return XDP_TX;
}

SEC("xdp")
int hello(struct xdp_md *ctx)
{
	const struct link *link = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (link + 1 > end)
		return pass(PASSED_OTHER);
	switch (link->type[0]) {
	case bpf_htons(ETH_P_IP):
		return answer_ipv4(ctx, ETH_HLEN, 0);
	case bpf_htons(ETH_P_IPV6):
		return answer_ipv6(ctx, ETH_HLEN, 0);
	case bpf_htons(ETH_P_8021Q):
		break;
	default:
		return pass(PASSED_OTHER);
	}
	__be16 vlan = link->type[1] & bpf_htons(VLAN_ID_MASK);
	switch (link->type[2]) {
	case bpf_htons(ETH_P_IP):
		return answer_ipv4(ctx, sizeof(*link), vlan);
	case bpf_htons(ETH_P_IPV6):
		return answer_ipv6(ctx, sizeof(*link), vlan);
	default:
		return pass(PASSED_OTHER);
	}
}

// Only a program that says so may read the clock on every kernel.
char _license[] SEC("license") = "Dual MIT/GPL";
