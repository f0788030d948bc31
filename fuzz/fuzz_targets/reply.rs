#![no_main]

use hello_proto::{DecodeError, MAX_DATAGRAM_LEN, OVERHEAD, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    match Reply::decode(datagram) {
        Ok(reply) => assert_eq!(reply.parts().concat(), datagram),
        Err(DecodeError::UnexpectedByte { at, found, expected }) => {
            assert_eq!(datagram[at], found);
            assert_ne!(found, expected);
        }
        Err(_) => assert!(!(OVERHEAD..=MAX_DATAGRAM_LEN).contains(&datagram.len())),
    }
});
