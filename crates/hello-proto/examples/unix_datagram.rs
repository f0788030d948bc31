//! The protocol over Unix datagram sockets: it needs no network, only datagrams.
//!
//! `cargo run --package hello-proto --example unix_datagram`

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::os::unix::net::UnixDatagram;
    use std::{io, thread};

    use hello_proto::{Frame, OVERHEAD, Reply, Request};

    const NAMES: [&str; 3] = ["Michael", "Tracy", "Sarah"];
    const MAX_NAME_LEN: usize = 1024;

    fn serve(socket: &UnixDatagram) -> io::Result<()> {
        let mut buf = [0; MAX_NAME_LEN + OVERHEAD];
        let mut frame = Frame::new(&mut buf).map_err(io::Error::other)?;
        for _ in NAMES {
            let len = socket.recv(frame.recv_buf())?;
            if let Ok(reply) = frame.reply(len) {
                socket.send(reply)?;
            }
        }
        Ok(())
    }

    let (server, client) = UnixDatagram::pair()?;
    let server = thread::spawn(move || serve(&server));

    let mut buf = [0; MAX_NAME_LEN + OVERHEAD];
    for name in NAMES {
        let request = Request::new(name.as_bytes())?;
        client.send(request.encode())?;
        let len = client.recv(&mut buf)?;
        let reply = Reply::decode(&buf[..len])?;
        assert!(reply.answers(request));
        println!("{}", buf[..len].escape_ascii());
    }
    server.join().expect("the server does not panic")?;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("only Unix has Unix datagram sockets");
}
