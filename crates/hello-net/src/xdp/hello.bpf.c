// The answer in the driver: an XDP program that turns a plain request into its reply.
//
// It only ever says yes. What is certainly to be answered leaves as a reply; what exceeds the rate
// limit is dropped here, where that is cheapest; everything else is passed to the server's socket,
// unchanged. So all that is refused, and every odd case, is decided in one place: `Guard`.
//
// A reply needs eight bytes more. All of them come from before the packet: a call for one more behind it
// would cost more than moving the name by a byte.
//
//           ethernet  ip  udp  name      a request
//   ethernet  ip  udp  Hello, name!      its reply
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
#define MAX_NAME_LEN 1472 // in an Ethernet frame; `driver.rs` has it, too
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
	struct endpoint to;
	struct in6_addr from;
	__be16 from_port;
	__be16 checksum, reply_checksum; // UDP's
	bool is_ipv4;
	__u32 ip_at, udp_at; // where these headers are in the packet
	__u32 name_len;
	__u64 addresses; // their sum
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
	request->to.interface = ctx->ingress_ifindex;
	request->to.vlan = is_tagged ? link->type[1] & bpf_htons(VLAN_ID_MASK) : 0;
	request->ip_at = is_tagged ? sizeof(*link) : ETH_HLEN;

	if (type == bpf_htons(ETH_P_IP)) {
		const struct iphdr *ip = data + request->ip_at;
		if ((void *)(ip + 1) > end || *(__u8 *)ip != 0x45 || ip->protocol != IPPROTO_UDP ||
		    ip->frag_off & bpf_htons(~IP_DF) ||
		    fold(sum_words((void *)ip, sizeof(*ip) / 4)) != 0xffff)
			return false;
		request->is_ipv4 = true;
		request->to.address = MAPPED(ip->daddr);
		request->from = MAPPED(ip->saddr);
		request->addresses = (__u64)ip->daddr + ip->saddr;
		request->udp_at = request->ip_at + sizeof(*ip);
		len = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	} else if (type == bpf_htons(ETH_P_IPV6)) {
		const struct ipv6hdr *ip = data + request->ip_at;
		if ((void *)(ip + 1) > end || *(__u8 *)ip >> 4 != 6 || ip->nexthdr != IPPROTO_UDP ||
		    is_mapped(&ip->saddr) || is_mapped(&ip->daddr))
			return false;
		request->to.address = ip->daddr;
		request->from = ip->saddr;
		request->addresses = sum_words(ip->daddr.s6_addr32, 4) + sum_words(ip->saddr.s6_addr32, 4);
		request->udp_at = request->ip_at + sizeof(*ip);
		len = bpf_ntohs(ip->payload_len);
	} else {
		return false;
	}

	const struct udphdr *udp = data + request->udp_at;
	if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) != len || len < sizeof(*udp) ||
	    (void *)udp + len > end)
		return false;
	request->to.port = udp->dest;
	request->from_port = udp->source;
	request->checksum = udp->check;
	request->link = link;
	request->name = (void *)(udp + 1);
	request->name_len = len - sizeof(*udp);
	request->end = end;
	return true;
}

// ---- Whether it is answered ----

// Finds the slot of an endpoint, as `slots.rs` does.
static __always_inline __u32 find_slot(const struct endpoint *to)
{
	const __u32 *address = to->address.s6_addr32;
	__u64 words[] = {
		to->interface | (__u64)to->vlan << 32 | (__u64)to->port << 48,
		address[0] | (__u64)address[1] << 32,
		address[2] | (__u64)address[3] << 32,
	};
	__u64 hash = 0, seed = slot_seed;
	for (int i = 0; i < 3; i++)
		hash = ((hash ^ hash >> 32) + words[i]) * seed;
	return hash >> (64 - SLOT_BITS);
}

static __always_inline bool is_same(const struct endpoint *one, const struct endpoint *other)
{
	const __u32 *address = one->address.s6_addr32, *other_address = other->address.s6_addr32;

	return one->interface == other->interface && one->vlan == other->vlan &&
	       one->port == other->port && address[0] == other_address[0] &&
	       address[1] == other_address[1] && address[2] == other_address[2] &&
	       address[3] == other_address[3];
}

static __always_inline bool find_service(struct request *request)
{
	__u32 slot = find_slot(&request->to);
	const struct service *service = bpf_map_lookup_elem(&services, &slot);

	if (!service || !is_same(&service->at, &request->to))
		return false;
	request->service = service;
	const __be16 *mac = (const __be16 *)service->mac, *to = request->link->to;
	// The frame may be longer than its datagram.
	__u64 len = request->end - (void *)request->link - request->ip_at;
	return mac[0] == to[0] && mac[1] == to[1] && mac[2] == to[2] && len + OVERHEAD <= service->mtu;
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
	const struct {
		__u16 words[PREFIX_LEN];
	} *twice = (const void *)PREFIX PREFIX, *name = (const void *)request->name;

	if (request->name_len < sizeof(*name) || (void *)(name + 1) > request->end)
		return false;
	for (int i = 0; i < PREFIX_LEN; i++)
		if (name->words[i] != twice->words[i])
			return false;
	return true;
}

// Charges a request to the bucket of its network, as `Limiter` does. Returns whether it conforms.
static __always_inline bool conforms(const struct in6_addr *network)
{
	// The count of ticks is cheaper than a clock. A tick, 10 ms at most, matters only to shorter bursts.
	__u64 now = limits.burst_tolerance < SECOND ? bpf_ktime_get_ns()
						    : bpf_jiffies64() * tick;
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

enum verdict {
	WITHIN,
	LEAKED, // over the limit, and answered nevertheless
	OVER,
};

static __always_inline enum verdict apply_limit(const struct request *request, __u32 properties)
{
	struct in6_addr network = request->from;

	if (properties & SOURCE_EXEMPT)
		return WITHIN;
	if (request->is_ipv4)
		network.s6_addr[15] = 0; // a /24
	else if (!(properties & SOURCE_SHARED))
		network.s6_addr32[2] = network.s6_addr32[3] = 0; // a /64
	if (conforms(&network))
		return WITHIN;
	return limits.dry_run || bpf_get_prandom_u32() % limits.leak_one_in == 0 ? LEAKED : OVER;
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
	for (__u32 i = 0; i < MAX_NAME_LEN && i < request->name_len; i++) {
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
	__u64 pseudo = request->addresses + bpf_htons(IPPROTO_UDP) + len;
	__u64 headers = pseudo + request->from_port + request->to.port + len;
	__u64 name;

	request->reply_checksum = 0;
	// IPv4 may do without one. A reply that may be fragmented needs one, because nothing else shows
	// that fragments of two replies were mixed.
	if (!request->checksum)
		return request->is_ipv4 && !is_fragmentable(request);
	if (request->checksum != fold(pseudo))
		name = (__u16)~request->checksum + (__u64)(__u16)~fold(headers);
	else if (request->service->completes_checksums)
		name = sum_name(request); // a partial one, and no hardware that adds the rest (a veth pair)
	else
		return false;
	__u16 sum = fold(headers + 2 * bpf_htons(OVERHEAD) + WORD('H', 'e') + WORD('l', 'l') +
			 WORD('o', ',') + WORD(' ', 0) + __builtin_bswap16(fold(name)) +
			 (request->name_len % 2 ? WORD('!', 0) : WORD(0, '!')));
	request->reply_checksum = sum == 0xffff ? sum : ~sum; // zero stands for none
	return true;
}

static __always_inline void write_ipv4(struct iphdr *ip, const struct request *request)
{
	const struct iphdr *asked = (void *)ip + OVERHEAD;
	__be32 from = asked->saddr, to = asked->daddr;
	bool may_be_fragments = is_fragmentable(request);
	__be16 start = WORD(4 << 4 | sizeof(*ip) / 4, 0); // version, header length, no type of service
	__be16 len = bpf_htons(sizeof(*ip) + sizeof(struct udphdr) + request->name_len + OVERHEAD);
	__be16 id = may_be_fragments ? bpf_get_prandom_u32() : 0;
	__be16 flags = may_be_fragments ? 0 : bpf_htons(IP_DF);
	__be16 hop_limit_and_protocol = WORD(request->service->hop_limit, IPPROTO_UDP);
	__be16 *words = (__be16 *)ip;

	words[0] = start;
	words[1] = len;
	words[2] = id;
	words[3] = flags;
	words[4] = hop_limit_and_protocol;
	words[5] = ~fold(request->addresses + start + len + id + flags + hop_limit_and_protocol);
	ip->saddr = to;
	ip->daddr = from;
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct request *request)
{
	const struct ipv6hdr *asked = (void *)ip + OVERHEAD;
	struct in6_addr from = asked->saddr, to = asked->daddr;

	*ip = (struct ipv6hdr){
		.version = 6,
		.payload_len = bpf_htons(sizeof(struct udphdr) + request->name_len + OVERHEAD),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = request->service->hop_limit,
		.saddr = to,
		.daddr = from,
	};
}

// Moves a name of `len` bytes to where it stands in the reply, a byte earlier: from `to + 1` to `to`.
// Returns whether the packet has all of it, which only the verifier doubts.
static __always_inline bool move_name(__u8 *to, __u8 *to_end, __u32 len, const void *end)
{
#define MOVE(word)                                             \
	do {                                                   \
		if ((void *)(to + 1 + sizeof(word)) > end)     \
			return false;                          \
		*(word *)to = *(const word *)(to + 1);         \
		to += sizeof(word);                            \
	} while (0)

	if (len < 8) {
		if (len & 4)
			MOVE(__u32);
		if (len & 2)
			MOVE(__u16);
		if (len & 1)
			MOVE(__u8);
		return true;
	}
	// The last eight bytes overlap those before them, unless the length is a multiple of eight.
	__u64 last = *(__u64 *)(to_end + 1 - 8);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < MAX_NAME_LEN / 8 && i < len / 8; i++)
		MOVE(__u64);
	*(__u64 *)(to_end - 8) = last;
	return true;
}

// Writes a reply into its request's packet, which begins OVERHEAD earlier now. Returns whether there is
// room for it, which only the verifier doubts.
static __always_inline bool write_reply(const struct xdp_md *ctx, const struct request *request)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct link *asked = data + OVERHEAD;
	struct udphdr *udp = data + request->udp_at;
	__u8 *greeting = (void *)(udp + 1), *name = greeting + PREFIX_LEN;
	__u8 *suffix = name + request->name_len;

	if ((void *)(asked + 1) > end || (void *)(greeting + OVERHEAD) > end ||
	    (void *)(suffix + 1) > end)
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
	udp->source = request->to.port;
	udp->dest = request->from_port;
	udp->len = bpf_htons(sizeof(*udp) + request->name_len + OVERHEAD);
	udp->check = request->reply_checksum;
	__builtin_memcpy(greeting, PREFIX, PREFIX_LEN);
	if (!move_name(name, suffix, request->name_len, end))
		return false;
	*suffix = '!';
	return true;
}

static __always_inline enum outcome answer(struct xdp_md *ctx)
{
	struct request request = {};

	if (!read_headers(ctx, &request) || !find_service(&request))
		return PASSED_OTHER;
	__u32 properties = find_properties(&request);
	if (properties & SOURCE_REFUSED || is_service_port(bpf_ntohs(request.from_port)) ||
	    request.from_port == request.to.port)
		return PASSED_SOURCE;
	if (request.name_len > limits.max_name_len || is_greeted_twice(&request))
		return PASSED_NAME;
	if (!find_checksum(&request))
		return PASSED_CHECKSUM;
	enum verdict verdict = apply_limit(&request, properties);
	if (verdict == OVER)
		return OVER_LIMIT;
	if (bpf_xdp_adjust_head(ctx, -OVERHEAD) || !write_reply(ctx, &request))
		return PASSED_ROOM;
	if (verdict == LEAKED)
		count(OVER_LIMIT_ANSWERED);
	return request.is_ipv4 ? ANSWERED_IPV4 : ANSWERED_IPV6;
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
