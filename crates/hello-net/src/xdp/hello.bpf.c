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

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#include "maps.bpf.h"

#define PREFIX "Hello, "
#define PREFIX_LEN 7
#define OVERHEAD 8 // the prefix and "!"
#define MAX_NAME_LEN 0x3fff // the longest name that any interface could carry
#define MAX_SUMMED 1472     // the longest name whose checksum is made anew: that of an Ethernet frame
#define CAS_TRIES 4
#define SECOND 1000000000 // in nanoseconds
#define VLAN_ID_MASK 0x0fff
#define GROUP_BIT 0x0100 // of the first word of an Ethernet address
#define IP_DF 0x4000
#define IPV4_ANY_PATH 576 // bytes that every path takes in one piece (RFC 791 section 3.1)

static __always_inline void count(enum outcome outcome)
{
	struct counters *counters = bpf_map_lookup_elem(&outcomes, &(__u32){0});
	if (counters)
		++counters->of[outcome];
}

// ---- A request, of either family ----

// The Ethernet header with room for a tag, in words that a packet's alignment allows.
struct link {
	__be16 to[ETH_ALEN / 2], from[ETH_ALEN / 2];
	__be16 type[3]; // of what follows; with a tag: ETH_P_8021Q, the tag, the type
};

struct request {
	__be16 vlan; // as in `service_key`
	bool is_ipv4, is_over_limit;
	__u32 ip_at, udp_at; // where these headers are in the packet
	struct in6_addr from, to;
	__be16 from_port, to_port;
	__be16 checksum, reply_checksum; // UDP's
	__u32 name_len;
	const struct link *link;
	const __u8 *name;
	const void *end; // of the packet
	const struct service *service;
};

#define MAPPED(ipv4) ((struct in6_addr){.s6_addr32 = {0, 0, bpf_htonl(0xffff), (ipv4)}})

// An IPv6 packet with such an address is none of IPv4.
static __always_inline bool is_mapped(const struct in6_addr *address)
{
	return !address->s6_addr32[0] && !address->s6_addr32[1] &&
	       address->s6_addr32[2] == bpf_htonl(0xffff);
}

// A sum of up to 16 words of 32 bits, in 16 bits, as the Internet checksum has it (RFC 1071).
static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

static __always_inline __u64 sum_words(const __u32 *words, int len)
{
	__u64 sum = 0;
	for (int i = 0; i < len; i++)
		sum += words[i];
	return sum;
}

// Reads the headers of a packet. Returns whether it is a plain UDP datagram.
static __always_inline bool read_headers(const struct xdp_md *ctx, struct request *request)
{
	const void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct link *link = data;
	__u32 len; // of the UDP datagram, says the IP header

	if ((void *)(link + 1) > end)
		return false;
	// A group sends nothing; what claims to be from one would be answered to all of it.
	if (link->from[0] & bpf_htons(GROUP_BIT))
		return false;
	bool is_tagged = link->type[0] == bpf_htons(ETH_P_8021Q);
	__be16 type = is_tagged ? link->type[2] : link->type[0];
	request->vlan = is_tagged ? link->type[1] & bpf_htons(VLAN_ID_MASK) : 0;
	request->ip_at = is_tagged ? sizeof(*link) : ETH_HLEN;

	if (type == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = data + request->ip_at;
		if ((void *)(ip + 1) > end || *(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP ||
		    ip->frag_off & bpf_htons(~IP_DF) ||
		    fold(sum_words((void *)ip, sizeof(*ip) / 4)) != 0xffff)
			return false;
		request->is_ipv4 = true;
		request->to = MAPPED(ip->daddr);
		request->from = MAPPED(ip->saddr);
		request->udp_at = request->ip_at + sizeof(*ip);
		len = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip = data + request->ip_at;
		if ((void *)(ip + 1) > end || *(__u8 *)ip >> 4 != 6 || ip->nexthdr != IPPROTO_UDP ||
		    is_mapped(&ip->saddr) || is_mapped(&ip->daddr))
			return false;
		request->to = ip->daddr;
		request->from = ip->saddr;
		request->udp_at = request->ip_at + sizeof(*ip);
		len = bpf_ntohs(ip->payload_len);
	} else {
		return false;
	}

	const struct udphdr *udp = data + request->udp_at;
	if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) != len || len < sizeof(*udp) ||
	    (void *)udp + len > end)
		return false;
	request->to_port = udp->dest;
	request->from_port = udp->source;
	request->checksum = udp->check;
	request->link = link;
	request->name = (void *)(udp + 1);
	request->name_len = len - sizeof(*udp);
	request->end = end;
	return true;
}

// ---- Whether it is answered ----

static __always_inline bool find_service(const struct xdp_md *ctx, struct request *request)
{
	struct service_key key = {ctx->ingress_ifindex, request->vlan, request->to_port, request->to};

	request->service = bpf_map_lookup_elem(&services, &key);
	if (!request->service)
		return false;
	const __be16 *mac = (const __be16 *)request->service->mac, *to = request->link->to;
	__u32 headers_len = request->udp_at - request->ip_at + sizeof(struct udphdr);
	return mac[0] == to[0] && mac[1] == to[1] && mac[2] == to[2] &&
	       headers_len + request->name_len + OVERHEAD <= request->service->mtu;
}

// Finds what is special about the source.
static __always_inline __u32 find_properties(const struct request *request)
{
	const struct source_blocks *blocks = bpf_map_lookup_elem(&source_blocks, &(__u32){0});
	if (!blocks)
		return SOURCE_REFUSED;
	__u32 properties = request->is_ipv4 ? blocks->ipv4[bpf_ntohs(request->from.s6_addr16[6])]
					    : blocks->ipv6[bpf_ntohs(request->from.s6_addr16[0])];
	if (!(properties & SOURCE_DIFFERS))
		return properties;
	struct source_key key = {128, request->from};
	__u32 *found = bpf_map_lookup_elem(&sources, &key);
	return found ? *found : 0;
}

// Ports of services that answer any sender, as `Refusal` has them; below 1024 are such services only.
static __always_inline bool is_service_port(__u16 port)
{
	return port < 1024 || port == 1900 || port == 3702 || port == 5353 || port == 5355 ||
	       port == 5683 || port == 11211;
}

static __always_inline bool is_greeted_twice(const struct request *request)
{
	const char twice[] = PREFIX PREFIX;
	const __u8 *name = request->name;

	if (request->name_len < 2 * PREFIX_LEN || (void *)(name + 2 * PREFIX_LEN) > request->end)
		return false;
	for (int i = 0; i < 2 * PREFIX_LEN; i++)
		if (name[i] != twice[i])
			return false;
	return true;
}

// Charges a request to the bucket of its network, as `Limiter` does. Returns whether it conforms.
static __always_inline bool conforms(const struct in6_addr *network)
{
	// The clock that advances with the kernel's tick is cheaper. A tick, 10 ms at most, matters only
	// to shorter bursts.
	__u64 now = limits.burst_tolerance < SECOND ? bpf_ktime_get_ns() : bpf_ktime_get_coarse_ns();
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
	// Each time, another request of this network was charged. No network gets less than its limit.
	return true;
}

// Applies the limit. Returns the outcome: OVER_LIMIT, or that of a reply.
static __always_inline enum outcome limit(struct request *request, __u32 properties)
{
	enum outcome answered = request->is_ipv4 ? ANSWERED_IPV4 : ANSWERED_IPV6;
	struct in6_addr network = request->from;

	if (properties & SOURCE_EXEMPT)
		return answered;
	if (request->is_ipv4)
		network.s6_addr[15] = 0; // a /24
	else if (!(properties & SOURCE_SHARED))
		network.s6_addr32[2] = network.s6_addr32[3] = 0; // a /64
	if (conforms(&network))
		return answered;
	if (!limits.dry_run && bpf_get_prandom_u32() % limits.leak_one_in)
		return OVER_LIMIT;
	request->is_over_limit = true;
	return answered;
}

// ---- Its reply ----

// Two bytes as they stand in memory.
#define WORD(first, second) ((first) | (second) << 8)

// As the server's socket: a router on a narrow path may fragment what not every path takes. The rest is
// never fragmented, so it needs no identification (RFC 6864).
static __always_inline bool is_fragmentable(const struct request *request)
{
	__u32 len = sizeof(struct iphdr) + sizeof(struct udphdr) + request->name_len + OVERHEAD;

	return len > IPV4_ANY_PATH;
}

// The sum of a name, for a request whose checksum its sender's kernel left to the hardware.
static __always_inline __u64 sum_name(const struct request *request)
{
	__u64 sum = 0;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < MAX_SUMMED && i < request->name_len; i++) {
		const __u8 *byte = request->name + i;
		if ((void *)(byte + 1) > request->end)
			break;
		sum += i % 2 ? *byte << 8 : *byte;
	}
	return sum;
}

// Finds the UDP checksum of the reply (RFC 1624); returns whether it is known.
//
// Both datagrams have the same addresses and ports, and a length that stands in two places. The name
// moves by an odd number of bytes, so its part of the sum is swapped. If the request was damaged,
// that part is wrong, so the reply's checksum is wrong, too, and the client's kernel drops it.
static __always_inline bool find_checksum(struct request *request)
{
	__be16 len = bpf_htons(sizeof(struct udphdr) + request->name_len);
	__u64 pseudo = sum_words(request->from.s6_addr32, 4) +
		       sum_words(request->to.s6_addr32, 4) + bpf_htons(IPPROTO_UDP) + len;
	__u64 headers = pseudo + request->from_port + request->to_port + len;
	__u64 name;

	request->reply_checksum = 0;
	// IPv4 may do without one. A reply that may be fragmented needs one, because nothing else shows
	// that fragments of two replies were mixed.
	if (!request->checksum)
		return request->is_ipv4 && !is_fragmentable(request);
	if (request->checksum != fold(pseudo))
		name = (__u16)~request->checksum + (__u64)(__u16)~fold(headers);
	else if (request->service->completes_checksums && request->name_len <= MAX_SUMMED)
		name = sum_name(request); // a partial one, and no hardware that adds the rest (a veth pair)
	else
		return false;
	__u16 sum = fold(headers + 2 * bpf_htons(OVERHEAD) + WORD('H', 'e') + WORD('l', 'l') +
			 WORD('o', ',') + WORD(' ', 0) + __builtin_bswap16(fold(name)) +
			 (request->name_len % 2 ? WORD('!', 0) : WORD(0, '!')));
	request->reply_checksum = sum == 0xffff ? sum : ~sum; // zero stands for none
	return true;
}

// Makes room for the prefix before the headers, and for the suffix behind the name. Padding is cut off
// first, and a packet that was padded gets new padding, up to the shortest Ethernet frame. Without
// room, only its padding has changed.
static __always_inline bool make_room(struct xdp_md *ctx, const struct request *request)
{
	int len = ctx->data_end - ctx->data;
	int name_end = request->udp_at + sizeof(struct udphdr) + request->name_len;
	int grow = 1;

	if (len > name_end) {
		if (bpf_xdp_adjust_tail(ctx, name_end - len))
			return false;
		if (name_end + grow < ETH_ZLEN - PREFIX_LEN)
			grow = ETH_ZLEN - PREFIX_LEN - name_end;
	}
	return !bpf_xdp_adjust_tail(ctx, grow) && !bpf_xdp_adjust_head(ctx, -PREFIX_LEN);
}

static __always_inline void write_ipv4(struct iphdr *ip, const struct request *request)
{
	bool may_be_fragments = is_fragmentable(request);
	*ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tot_len = bpf_htons(sizeof(*ip) + sizeof(struct udphdr) + request->name_len + OVERHEAD),
		.id = may_be_fragments ? bpf_get_prandom_u32() : 0,
		.frag_off = may_be_fragments ? 0 : bpf_htons(IP_DF),
		.ttl = request->service->hop_limit,
		.protocol = IPPROTO_UDP,
		.saddr = request->to.s6_addr32[3],
		.daddr = request->from.s6_addr32[3],
	};
	ip->check = ~fold(sum_words((void *)ip, sizeof(*ip) / 4));
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct request *request)
{
	*ip = (struct ipv6hdr){
		.version = 6,
		.payload_len = bpf_htons(sizeof(struct udphdr) + request->name_len + OVERHEAD),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = request->service->hop_limit,
		.saddr = request->to,
		.daddr = request->from,
	};
}

// Writes all of a reply but the name, into a packet with room for it. Returns whether it is as long as
// that, which only the verifier doubts.
static __always_inline bool write_reply(const struct xdp_md *ctx, const struct request *request)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct link *asked = data + PREFIX_LEN;
	struct udphdr *udp = data + request->udp_at;
	__u8 *greeting = (void *)(udp + 1);
	__u8 *suffix = greeting + PREFIX_LEN + (request->name_len & MAX_NAME_LEN);

	if ((void *)(greeting + OVERHEAD) > end || (void *)(suffix + 1) > end ||
	    (void *)(asked + 1) > end)
		return false;
	// Without a tag, the IP header covers the end of this.
	struct link link = *asked, *reply = data;
	__builtin_memcpy(reply->to, link.from, sizeof(link.from));
	__builtin_memcpy(reply->from, link.to, sizeof(link.to));
	__builtin_memcpy(reply->type, link.type, sizeof(link.type));
	if (request->is_ipv4)
		write_ipv4(data + request->ip_at, request);
	else
		write_ipv6(data + request->ip_at, request);
	udp->source = request->to_port;
	udp->dest = request->from_port;
	udp->len = bpf_htons(sizeof(*udp) + request->name_len + OVERHEAD);
	udp->check = request->reply_checksum;
	__builtin_memcpy(greeting, PREFIX, PREFIX_LEN);
	*suffix = '!';
	return true;
}

static __always_inline enum outcome answer(struct xdp_md *ctx)
{
	struct request request = {};

	if (!read_headers(ctx, &request) || !find_service(ctx, &request))
		return PASSED_OTHER;
	__u32 properties = find_properties(&request);
	if (properties & SOURCE_REFUSED || is_service_port(bpf_ntohs(request.from_port)) ||
	    request.from_port == request.to_port)
		return PASSED_SOURCE;
	if (request.name_len > limits.max_name_len || is_greeted_twice(&request))
		return PASSED_NAME;
	if (!find_checksum(&request))
		return PASSED_CHECKSUM;
	enum outcome outcome = limit(&request, properties);
	if (outcome == OVER_LIMIT)
		return OVER_LIMIT;
	if (!make_room(ctx, &request) || !write_reply(ctx, &request))
		return PASSED_ROOM;
	if (request.is_over_limit)
		count(OVER_LIMIT_ANSWERED);
	return outcome;
}

SEC("xdp")
int hello(struct xdp_md *ctx)
{
	enum outcome outcome = answer(ctx);

	count(outcome);
	return outcome < OVER_LIMIT ? XDP_TX : outcome == OVER_LIMIT ? XDP_DROP : XDP_PASS;
}

// Only a program that says so may read the clock on every kernel.
char _license[] SEC("license") = "Dual MIT/GPL";
