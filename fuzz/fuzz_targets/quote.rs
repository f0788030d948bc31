#![no_main]

use std::num::NonZeroU32;
use std::time::Duration;

use hello_measure::{Attribution, Cause, Ledger};
use hello_proto::Token;
use libfuzzer_sys::fuzz_target;

// What an error quotes: any bytes, or a name with a change, a cut or padding.
fuzz_target!(|input: (u8, u8, u8, &[u8])| {
    let (sent, back, cut, bytes) = input;
    let first = Token { run_id: 0xbeef, seq: u32::MAX - 7 };
    let second = Duration::from_secs(1);
    let mut ledger = Ledger::new(first, NonZeroU32::new(16).expect("not zero"), second);
    let mut names = Vec::new();
    for token in ledger.tokens().take((sent % 16).into()) {
        let mut name = vec![0; Token::MIN_LEN + usize::from(token.seq as u8 % 32)];
        token.encode(&mut name).expect("long enough");
        names.push((token.seq, name));
    }
    names.iter().for_each(|(_, name)| ledger.handle_sent(name.len(), Duration::ZERO));
    let before = ledger.counts();
    if let Attribution::Probe { seq, .. } = ledger.handle_error(bytes, |_| false, Cause::SILENT) {
        let (_, name) = names.iter().find(|(sent, _)| *sent == seq).expect("it was sent");
        let len = name.len().min(bytes.len());
        assert!(len >= Token::MIN_LEN && name[..len] == bytes[..len]);
    }
    if let Some((seq, name)) = names.get(usize::from(back)) {
        let cut = usize::from(cut).min(name.len());
        let padded =
            [&name[..cut], &bytes[..bytes.len().min(if cut < name.len() { 0 } else { 128 })]];
        let expected = (cut >= Token::MIN_LEN).then_some(*seq);
        assert_eq!(ledger.handle_error(&padded.concat(), |_| false, Cause::SILENT).seq(), expected);
    }
    assert_eq!(ledger.counts(), before, "an error is evidence and no verdict");
});
