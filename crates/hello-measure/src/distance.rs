use hello_proto::Token;

/// Returns how many probes before the `next` one a token was sent, at least 1; `None` if it is none of
/// the `sent` ones. Sequence numbers wrap at 2^32.
pub(crate) fn distance(next: Token, sent: u64, token: Token) -> Option<u64> {
    let distance = match next.seq.wrapping_sub(token.seq) {
        0 => 1 << u32::BITS,
        distance => u64::from(distance),
    };
    (token.run_id == next.run_id && distance <= sent).then_some(distance)
}
