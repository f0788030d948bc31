#![no_main]

use hello_proto::{Frame, MAX_NAME_LEN, Reply, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(request) = Request::decode(datagram) else {
        return assert!(datagram.len() > MAX_NAME_LEN);
    };
    let mut buf = vec![0xa5; request.reply().encoded_len()];
    let bytes = request.reply().encode(&mut buf).expect("as long as the reply");
    let reply = Reply::decode(bytes).expect("a reply was encoded");
    assert_eq!(reply.name(), datagram);
    assert!(reply.answers(request));

    let mut in_place = vec![0xa5; bytes.len()];
    let mut frame = Frame::new(&mut in_place).expect("as long as the reply");
    frame.recv_buf()[..datagram.len()].copy_from_slice(datagram);
    assert_eq!(frame.reply(datagram.len()), Ok(bytes));
});
