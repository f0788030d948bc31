//! The program against [`Guard`](hello_proto::Guard) and [`Frame`](hello_proto::Frame), by
//! BPF_PROG_TEST_RUN (bpf(2)).

use crate::sys::xdp::program::Program;
use crate::sys::xdp_run::Run;

#[test]
fn a_packet_that_is_none_is_passed() {
    let Ok(program) = Program::load(&[0; 24], 1, 1) else {
        println!("SKIPPED: no XDP program can be loaded here");
        return;
    };
    let packet = [0xa5; 64];
    assert_eq!(program.run(&packet), Run::Passed(packet.to_vec()));
}
