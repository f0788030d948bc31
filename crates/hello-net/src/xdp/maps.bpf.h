// What the program shares with the server. Where the server has it: the limits and the layouts in
// `program.rs` and `driver.rs`, the values in `services.rs`, `sources.rs` and `counters.rs`.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

// ---- What the server sets ----

// The limits, which are fixed when the program is loaded.
const volatile struct {
	__u64 emission_interval; // nanoseconds between requests at the limit (GCRA)
	__u64 burst_tolerance;   // emission intervals of a burst, in nanoseconds
	__u32 leak_one_in;       // over the limit, one in this many is answered
	__u16 max_name_len;      // the guard's, in bytes
	__u16 dry_run;           // whether requests over the limit are only counted
} limits = {0};

const volatile __u64 tick = 0; // the time between two ticks of the kernel, in nanoseconds

// Where a request is for: an address of an interface, and a port that is bound to it. IPv4 addresses
// are in their IPv4-mapped form, here and below.
struct endpoint {
	__u32 interface; // its index
	__be16 vlan;     // the tag's 12 bits; 0 without a tag
	__be16 port;
	struct in6_addr address;
};

struct service {
	struct endpoint at;
	__u8 mac[ETH_ALEN]; // the interface's own
	__u16 mtu;          // of replies
	__u8 hop_limit;     // of replies
	// Whether a partial checksum is completed: in the driver of a veth pair only. Elsewhere, packets of
	// a flow may have been merged before they get here, and it would stand for several of them.
	__u8 completes_checksums;
};

// Each service is in the slot of its endpoint. The server chooses a seed by which no two services share a
// slot. A slot without a service has no interface.
#define SLOT_BITS 15

volatile __u64 slot_seed = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << SLOT_BITS);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

// What is special about a source. Each prefix has the properties of all that contain it.
enum {
	SOURCE_REFUSED = 1,
	SOURCE_EXEMPT = 2,
	SOURCE_SHARED = 4,
	SOURCE_DIFFERS = 8, // of a block: the trie has longer prefixes in it
};

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

// The same by block, which is all addresses with the same first 16 bits, so that few sources take a
// search of the trie.
struct source_blocks {
	__u8 ipv6[1 << 16], ipv4[1 << 16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct source_blocks);
} source_blocks SEC(".maps");

// When the bucket of each network is full again, in nanoseconds, by the clock that `conforms` chooses.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, __u64);
} buckets SEC(".maps");

// ---- What the server reads ----

// The outcome of each packet; `counters.rs` has the same order.
enum outcome {
	ANSWERED_IPV4, // XDP_TX
	ANSWERED_IPV6,
	OVER_LIMIT,          // XDP_DROP
	OVER_LIMIT_ANSWERED, // counted as answered, too
	PASSED_OTHER,        // XDP_PASS: no plain UDP datagram to a served address
	PASSED_SOURCE,       // its source is none that is answered
	PASSED_NAME,         // too long, or greeted twice
	PASSED_CHECKSUM,     // none where there must be one, or a partial one
	PASSED_ROOM,         // the driver left no room before the packet
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
