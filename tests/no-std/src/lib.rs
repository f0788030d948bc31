//! A greeting without std, an allocator or an operating system.

#![no_std]

use core::net::{Ipv4Addr, SocketAddr};
use core::panic::PanicInfo;

use hello_proto::{Frame, Guard, Reply, Request, Retry, Token};

/// Uses the whole crate, and returns the number of bytes written.
pub fn greet() -> usize {
    let mut name = [0; 16];
    let token = Token { run_id: 1, seq: 2 };
    let mut buf = [0; 64];
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 9999));
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_001));
    let mut len = Retry::default().delays().len();

    if token.encode(&mut name).is_ok() && Guard::new().check(there, here, &name).is_ok() {
        if let Ok(request) = Request::decode(&name) {
            len += request.reply().encode(&mut buf).map_or(0, |bytes| {
                Reply::decode(bytes).map_or(0, Reply::encoded_len)
            });
        }
    }
    len + Frame::new(&mut buf).map_or(0, |mut frame| frame.reply(5).map_or(0, <[u8]>::len))
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
