use crate::BufferTooSmall;

/// A tag inside a name, to recognise its reply: the run and the sequence number of a probe.
///
/// The name is printable ASCII of any length from [`MIN_LEN`](Self::MIN_LEN) up. It repeats eight
/// base64url digits (RFC 4648 section 5): the 16 bits of the run, then the 32 of the sequence number,
/// the most significant first. Names of 16 bytes and more hold every digit twice, so no single changed
/// byte makes another token.
///
/// ```
/// use hello_proto::Token;
///
/// let token = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
/// let mut name = [0; 20];
/// token.encode(&mut name)?;
/// assert_eq!(&name, b"vu8AAAABvu8AAAABvu8A");
/// assert_eq!(Token::decode(&name), Some(token));
/// # Ok::<(), hello_proto::BufferTooSmall>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// The run, drawn at random once.
    pub run_id: u16,
    /// The sequence number of the probe, from [`FIRST_SEQ`](Self::FIRST_SEQ). It wraps at 2^32.
    pub seq: u32,
}

impl Token {
    /// The sequence number of the first probe of a run, as ping(8) prints it.
    pub const FIRST_SEQ: u32 = 1;

    /// The shortest name that holds a token, in bytes.
    pub const MIN_LEN: usize = (u16::BITS + u32::BITS).div_ceil(BITS_PER_DIGIT) as usize;

    /// Fills the whole of `name` with this token.
    ///
    /// # Errors
    ///
    /// [`BufferTooSmall`] if `name` is shorter than [`MIN_LEN`](Self::MIN_LEN).
    pub fn encode(self, name: &mut [u8]) -> Result<(), BufferTooSmall> {
        let available = name.len();
        if available < Self::MIN_LEN {
            return Err(BufferTooSmall { needed: Self::MIN_LEN, available });
        }
        let digits = self.digits();
        let mut repeated = name.chunks_exact_mut(Self::MIN_LEN);
        for part in &mut repeated {
            part.copy_from_slice(&digits);
        }
        let rest = repeated.into_remainder();
        rest.copy_from_slice(&digits[..rest.len()]);
        Ok(())
    }

    /// Reads the token of a name. Accepts only what [`encode`](Self::encode) writes.
    pub fn decode(name: &[u8]) -> Option<Self> {
        let mut repeated = name.chunks_exact(Self::MIN_LEN);
        let (digits, rest) = (repeated.next()?, repeated.remainder());
        if repeated.any(|other| other != digits) || !digits.starts_with(rest) {
            return None;
        }
        let mut bits = 0;
        for digit in digits {
            bits = bits << BITS_PER_DIGIT | u64::from(VALUES[usize::from(*digit)]?);
        }
        let [.., run_high, run_low, a, b, c, d] = bits.to_be_bytes();
        Some(Self {
            run_id: u16::from_be_bytes([run_high, run_low]),
            seq: u32::from_be_bytes([a, b, c, d]),
        })
    }

    fn digits(self) -> [u8; Self::MIN_LEN] {
        let mut digits = [0; Self::MIN_LEN];
        let mut rest = u64::from(self.run_id) << u32::BITS | u64::from(self.seq);
        for digit in digits.iter_mut().rev() {
            let [lowest, ..] = rest.to_le_bytes();
            *digit = ALPHABET[usize::from(lowest) % ALPHABET.len()];
            rest >>= BITS_PER_DIGIT;
        }
        digits
    }
}

/// The digits of base64url, by their values (RFC 4648 section 5).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const BITS_PER_DIGIT: u32 = ALPHABET.len().ilog2();

/// The value of each byte that is a digit, the inverse of `ALPHABET`.
const VALUES: [Option<u8>; 1 << u8::BITS] = {
    let (mut values, mut value) = ([None; 1 << u8::BITS], 0_u8);
    while (value as usize) < ALPHABET.len() {
        values[ALPHABET[value as usize] as usize] = Some(value);
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_has_its_place_as_its_value_and_no_other_byte_has_any() {
        for byte in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|digit| *digit == byte);
            assert_eq!(VALUES[usize::from(byte)].map(usize::from), place);
        }
    }

    #[test]
    fn the_shortest_token_has_eight_bytes() {
        let token = Token { run_id: u16::MAX, seq: u32::MAX };
        let mut name = [0xa5; 8];
        assert_eq!(token.encode(&mut name[..7]), Err(BufferTooSmall { needed: 8, available: 7 }));
        assert_eq!(name, [0xa5; 8]);
        assert_eq!(token.encode(&mut name), Ok(()));
        assert_eq!(&name, b"________");
        assert_eq!(Token::decode(&name), Some(token));
    }

    #[test]
    fn near_misses_are_no_tokens() {
        for name in
            [&b""[..], b"AAAAAAA", b"AAAAAAA=", b"AAAAAAA\xff", b"AAAAAAAAB", b"AAAAAAABAAAAAAAA"]
        {
            assert_eq!(Token::decode(name), None, "{}", name.escape_ascii());
        }
    }
}
