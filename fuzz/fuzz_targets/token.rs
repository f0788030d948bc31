#![no_main]

use hello_proto::Token;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|name: &[u8]| {
    if let Some(token) = Token::decode(name) {
        let mut rebuilt = vec![0xa5; name.len()];
        token.encode(&mut rebuilt).expect("as long as a token");
        assert_eq!(rebuilt, name);
    }
});
