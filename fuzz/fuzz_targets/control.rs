#![no_main]

use hello_net::fuzzing::read_control;
use libfuzzer_sys::fuzz_target;

const HEADER_LEN: usize = size_of::<usize>() + 2 * size_of::<i32>();

fuzz_target!(|bytes: &[u8]| {
    let (segment, tos, destination) = read_control(bytes);
    assert!(i32::try_from(segment).is_ok());
    if let Some((address, own, interface)) = destination {
        assert_eq!(own.is_ipv6(), address.is_ipv6());
        assert!(own == address || own.is_ipv4() || address.is_multicast());
        assert!(interface == 0 || address.is_ipv6());
    }
    let unknown = [&HEADER_LEN.to_ne_bytes()[..], &[0xff; 8], bytes].concat();
    assert_eq!(read_control(&unknown), (segment, tos, destination));
    // The data of IP_TOS is a single byte.
    let mark =
        [&(HEADER_LEN + 1).to_ne_bytes()[..], &0i32.to_ne_bytes(), &1i32.to_ne_bytes(), &[0xb8]];
    assert_eq!(read_control(&mark.concat()), (0, Some(0xb8), None));
});
