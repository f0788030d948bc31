use hello_proto::{BufferTooSmall, DecodeError, MAX_DATAGRAM_LEN, MAX_NAME_LEN, OVERHEAD};
use hello_proto::{Reply, Request};
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{config, datagram, greeting, name, request};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn encoded_reply_decodes_to_the_same_name(name in name()) {
        let reply = Request::decode(&name)?.reply();
        let mut buf = vec![0xa5; reply.encoded_len()];
        let bytes = reply.encode(&mut buf)?;

        prop_assert_eq!(bytes, &greeting(&name)[..]);
        prop_assert_eq!(Reply::decode(bytes)?.name(), &name[..]);
        prop_assert_eq!(Reply::decode(bytes)?, reply);
        prop_assert_eq!(reply.parts().concat(), bytes);
        prop_assert!(reply.answers(request(&name)));
    }

    #[test]
    fn decoded_datagram_is_rebuilt_byte_for_byte(datagram in datagram()) {
        if let Ok(reply) = Reply::decode(&datagram) {
            let mut buf = vec![0xa5; reply.encoded_len()];
            prop_assert_eq!(reply.encode(&mut buf)?, &datagram[..]);
        }
        if let Ok(request) = Request::decode(&datagram) {
            prop_assert_eq!(request.encode(), &datagram[..]);
        }
    }

    #[test]
    fn reply_decoding_agrees_with_the_specification(datagram in datagram()) {
        let len = datagram.len();
        let looks_like_one = datagram.starts_with(b"Hello, ")
            && datagram.ends_with(b"!")
            && (OVERHEAD..=MAX_DATAGRAM_LEN).contains(&len);
        prop_assert_eq!(Reply::decode(&datagram).is_ok(), looks_like_one);
        prop_assert_eq!(Request::decode(&datagram).is_ok(), len <= MAX_NAME_LEN);
    }

    #[test]
    fn unexpected_byte_error_names_the_first_difference(datagram in datagram()) {
        if let Err(DecodeError::UnexpectedByte { at, found, expected }) = Reply::decode(&datagram) {
            let closest = greeting(&datagram[7..datagram.len() - 1]);
            prop_assert_eq!(&datagram[..at], &closest[..at]);
            prop_assert_eq!((datagram[at], closest[at]), (found, expected));
            prop_assert_ne!(found, expected);
        }
    }

    #[test]
    fn bytes_after_the_reply_stay_untouched(name in name(), extra in 0..64_usize) {
        let reply = request(&name).reply();
        let mut buf = vec![0xa5; reply.encoded_len() + extra];
        prop_assert_eq!(reply.encode(&mut buf)?.len(), reply.encoded_len());
        prop_assert_eq!(&buf[reply.encoded_len()..], vec![0xa5; extra]);
    }

    #[test]
    fn short_buffer_fails_with_both_lengths_and_stays_untouched(
        name in name(),
        lengths in vec(any::<Index>(), 8),
    ) {
        let reply = request(&name).reply();
        let needed = reply.encoded_len();
        let shorter = lengths.iter().map(|at| at.index(needed));
        // All of them for short names, a sample for long ones, and always the nearest.
        for available in shorter.chain(0..needed.min(64)).chain([needed - 1]) {
            let mut buf = vec![0xa5; needed];
            let error = BufferTooSmall { needed, available };
            prop_assert_eq!(reply.encode(&mut buf[..available]), Err(error));
            prop_assert!(buf.iter().all(|byte| *byte == 0xa5));
        }
    }

    #[test]
    fn late_duplicate_or_reordered_reply_never_answers_another_request(
        (names, asked, arriving) in hash_set(name(), 1..8).prop_flat_map(|names| {
            let names = Vec::from_iter(names);
            let one = 0..names.len();
            let arriving = vec(one.clone(), 0..24);
            (Just(names), one, arriving)
        }),
    ) {
        // One request is outstanding; replies to any of the names arrive, in any order and number.
        // number of times.
        let outstanding = request(&names[asked]);
        for sender in arriving {
            let datagram = greeting(&names[sender]);
            let reply = Reply::decode(&datagram)?;
            prop_assert_eq!(reply.answers(outstanding), sender == asked);
        }
    }
}

#[cfg(feature = "bytes")]
proptest! {
    #![proptest_config(config())]

    #[test]
    fn put_and_encode_agree(name in name(), room in any::<Index>()) {
        let reply = request(&name).reply();
        let len = room.index(reply.encoded_len() + 2);
        let (mut by_put, mut by_encode) = (vec![0xa5; len], vec![0xa5; len]);
        let encoded = reply.encode(&mut by_encode).map(|_| ());
        prop_assert_eq!(reply.put(&mut &mut by_put[..]), encoded);
        prop_assert_eq!(by_put, by_encode);
    }

    #[test]
    fn decoding_bytes_and_slices_agrees(datagram in datagram()) {
        let bytes = bytes::Bytes::from(datagram.clone());
        let by_bytes = Reply::decode_name(&bytes).map(|name| name.to_vec());
        let by_slice = Reply::decode(&datagram).map(|reply| reply.name().to_vec());
        prop_assert_eq!(by_bytes, by_slice);
    }
}
