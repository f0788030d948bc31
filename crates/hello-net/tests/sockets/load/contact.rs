//! What is known about the server during a run.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use hello_net::{Contact, ErrorClass, LoadGenerator};

use super::{closed, greeting, run_one};
use crate::network::{peer, receive};

/// Returns a load that is in its warm-up for as long as any test takes.
fn warming_up(server: SocketAddr, timeout: Duration) -> LoadGenerator {
    let plan = closed(3, 1).warm_up(Duration::from_secs(3600)).timeout(timeout);
    plan.connect(server).expect("a port")
}

/// Runs a load until something is known.
fn run_until(generator: LoadGenerator, is_known: impl Fn(&Contact) -> bool + Send) {
    let (stopper, contact) = (generator.stopper(), generator.contact());
    thread::scope(|scope| {
        scope.spawn(move || {
            while !is_known(&contact) {
                thread::yield_now();
            }
            stopper.abort();
        });
        assert_eq!(run_one(generator).1.0, [], "the warm-up has no events");
    });
}

#[test]
fn refusal_is_known_in_the_warm_up() {
    let nobody = peer().local_addr().expect("bound");
    let generator = warming_up(nobody, Duration::from_secs(20));
    let contact = generator.contact();
    run_until(generator, |contact| contact.error().is_some());
    let class = contact.error().map(|error| error.class);
    assert_eq!((class, contact.has_answer()), (Some(ErrorClass::ConnectionRefused), false));
}

#[test]
fn answer_is_known_in_the_warm_up_even_if_it_is_late() {
    let (prompt, late) = (Duration::from_secs(20), Duration::from_millis(1));
    for timeout in [prompt, late] {
        let server = peer();
        let generator = warming_up(server.local_addr().expect("bound"), timeout);
        let contact = generator.contact();
        thread::scope(|scope| {
            scope.spawn(|| {
                let (name, source) = receive(&server);
                assert!(!contact.has_answer());
                if timeout == late {
                    // Requests go on once the first are lost.
                    (0..9).for_each(|_| drop(receive(&server)));
                }
                server.send_to(&greeting(&name), source).expect("sent");
            });
            run_until(generator, Contact::has_answer);
        });
        assert!(contact.has_answer() && contact.error().is_none());
    }
}
