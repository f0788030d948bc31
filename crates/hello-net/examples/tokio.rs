//! The protocol under an async runtime. `hello-proto` uses no sockets, so any runtime works.
//!
//! Run `cargo run --package hello-net --example tokio`, and in another terminal
//! `cargo run --bin hello-client`.

use std::io;
use std::net::Ipv4Addr;

use hello_proto::{DEFAULT_PORT, Frame, Guard, OVERHEAD};
use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, DEFAULT_PORT)).await?;
    let local = socket.local_addr()?;
    println!("listening on {local}");

    let guard = Guard::new();
    let mut buf = [0; Guard::DEFAULT_MAX_NAME_LEN + OVERHEAD];
    let mut frame = Frame::new(&mut buf).map_err(io::Error::other)?;
    loop {
        let (len, source) = socket.recv_from(frame.recv_buf()).await?;
        if let Err(refusal) = guard.check(source, local, &frame.recv_buf()[..len]) {
            println!("{source} refused: {refusal}");
        } else if let Ok(reply) = frame.reply(len)
            && let Err(error) = socket.send_to(reply, source).await
        {
            println!("{source} send failed: {error}");
        }
    }
}
