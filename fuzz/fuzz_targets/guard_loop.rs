#![no_main]

use hello_proto::{Guard, PREFIX, SUFFIX};
use libfuzzer_sys::fuzz_target;

// A peer is an echo service, or a greeter without a guard that truncates datagrams to a length.
fuzz_target!(|input: (u16, [Option<u16>; 3], &[u8])| {
    let (max_name_len, peers, first) = input;
    let guard = Guard::new().with_max_name_len(max_name_len.into());
    let (mut datagram, mut replies) = (first.to_vec(), 0);
    while let Ok(request) = guard.check_name(&datagram) {
        replies += 1;
        assert!(replies <= 2, "a loop");
        datagram = request.reply().parts().concat();
        for reads in peers.into_iter().flatten() {
            datagram.truncate(PREFIX.len().max(reads.into()));
            datagram = [PREFIX, &datagram, SUFFIX].concat();
        }
    }
});
