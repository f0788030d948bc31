use hello_proto::Token;

/// Reads the token of the probe that an ICMP error quotes.
///
/// `quote` is what the error quotes of the payload of the datagram: cut at any byte, or padded and
/// followed by extensions (RFC 4884 sections 3 to 5). Of a name of `name_len` bytes, every byte that is
/// quoted must be right, because a forger may know some. Returns `None` if fewer bytes of the name are
/// quoted than a token has, or if they are those of no token.
///
/// ```
/// use hello_measure::quoted_token;
/// use hello_proto::Token;
///
/// let token = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
/// let mut quote = [0; 100];
/// token.encode(&mut quote[..16])?;
/// assert_eq!(quoted_token(&quote, 16), Some(token));
/// assert_eq!(quoted_token(&quote, 17), None);
/// assert_eq!(quoted_token(&quote[..9], 16), Some(token));
/// # Ok::<(), hello_proto::BufferTooSmall>(())
/// ```
pub fn quoted_token(quote: &[u8], name_len: usize) -> Option<Token> {
    Token::decode(&quote[..quote.len().min(name_len)])
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        fn token_is_read_wherever_the_quote_is_cut_and_whatever_is_behind_the_name(
            (run_id, seq) in any::<(u16, u32)>(),
            len in Token::MIN_LEN..40,
            behind in vec(any::<u8>(), 0..140),
            cut in 0..180_usize,
        ) {
            let token = Token { run_id, seq };
            let mut quote = vec![0; len];
            token.encode(&mut quote).expect("long enough");
            quote.extend(behind);
            quote.truncate(cut);
            prop_assert_eq!(quoted_token(&quote, len), (quote.len() >= Token::MIN_LEN).then_some(token));
        }

        #[test]
        fn every_quoted_byte_of_the_name_counts(
            len in 2 * Token::MIN_LEN..40,
            wrong in any::<prop::sample::Index>(),
            flip in 1..=u8::MAX,
        ) {
            let mut quote = vec![0; len];
            Token { run_id: 0xbeef, seq: 7 }.encode(&mut quote).expect("long enough");
            quote[wrong.index(len)] ^= flip;
            prop_assert_eq!(quoted_token(&quote, len), None);
        }
    }
}
