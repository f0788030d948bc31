#![no_main]

use hello_net::fuzzing::read_control;
use libfuzzer_sys::fuzz_target;

const HEADER_LEN: usize = size_of::<usize>() + 2 * size_of::<i32>();

fuzz_target!(|bytes: &[u8]| {
    let (segment, destination) = read_control(bytes);
    assert!(segment.is_none_or(|segment| i32::try_from(segment).is_ok()));
    if let Some((address, own, interface)) = destination {
        assert_eq!(own.is_ipv6(), address.is_ipv6());
        assert!(own == address || own.is_ipv4() || address.is_multicast());
        assert!(interface == 0 || address.is_ipv6());
    }
    let unknown = [&HEADER_LEN.to_ne_bytes()[..], &[0xff; 8], bytes].concat();
    assert_eq!(read_control(&unknown), (segment, destination));
});
