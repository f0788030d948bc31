use hello_proto::{BufferTooSmall, Token};
use proptest::prelude::*;

use super::{config, name};

fn token() -> impl Strategy<Value = Token> {
    let seq = prop_oneof![any::<u32>(), 0..100_u32, u32::MAX - 100..=u32::MAX];
    (any::<u16>(), seq).prop_map(|(run_id, seq)| Token { run_id, seq })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn name_of_any_length_decodes_to_its_token(token in token(), len in 0..2048_usize) {
        let mut name = vec![0xa5; len];
        match token.encode(&mut name) {
            Ok(()) => {
                prop_assert_eq!(Token::decode(&name), Some(token));
                prop_assert!(name.iter().all(u8::is_ascii_graphic));
            }
            Err(error) => {
                let needed = Token::MIN_LEN;
                prop_assert!(len < needed);
                prop_assert_eq!(error, BufferTooSmall { needed, available: len });
                prop_assert_eq!(Token::decode(&name), None);
                prop_assert!(name.iter().all(|byte| *byte == 0xa5));
            }
        }
    }

    #[test]
    fn only_encoded_names_decode(name in prop_oneof![
        name(),
        "[A-Za-z0-9_-]{0,20}".prop_map(String::into_bytes),
        ("[A-Za-z0-9_-]{8}", 0..20_usize).prop_map(|(digits, len)| digits.bytes().cycle().take(8 + len).collect()),
    ]) {
        if let Some(token) = Token::decode(&name) {
            let mut rebuilt = vec![0xa5; name.len()];
            token.encode(&mut rebuilt)?;
            prop_assert_eq!(rebuilt, name);
        }
    }

    #[test]
    fn different_tokens_have_different_names(a in token(), b in token(), len in 8..64_usize) {
        let (mut name_a, mut name_b) = (vec![0; len], vec![0; len]);
        a.encode(&mut name_a)?;
        b.encode(&mut name_b)?;
        prop_assert_eq!(name_a == name_b, a == b);
    }

    #[test]
    fn changed_byte_invalidates_a_token_of_sixteen_bytes_or_more(
        token in token(),
        len in 2 * Token::MIN_LEN..200,
        at in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut name = vec![0; len];
        token.encode(&mut name)?;
        name[at.index(len)] ^= change;
        prop_assert_eq!(Token::decode(&name), None);
    }
}
