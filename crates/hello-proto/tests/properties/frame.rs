use hello_proto::{BufferTooSmall, DecodeError, Frame, MAX_NAME_LEN, OVERHEAD, Request};
use proptest::prelude::*;

use super::{config, name};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn frame_and_encode_agree(name in name(), spare in 0..4_usize, behind in 0..3_usize) {
        // From three bytes too small to one byte to spare, followed by unrelated memory.
        let len = (name.len() + OVERHEAD + 1).saturating_sub(spare);
        let mut memory = vec![0xa5; len + behind];
        let mut expected = memory.clone();
        let encoded = Request::decode(&name)?.reply().encode(&mut expected[..len]);

        match Frame::new(&mut memory[..len]) {
            Err(error) => {
                prop_assert!(len < OVERHEAD);
                prop_assert_eq!(error, BufferTooSmall { needed: OVERHEAD, available: len });
            }
            Ok(mut frame) => {
                let max = frame.max_name_len();
                prop_assert_eq!(max, (len - OVERHEAD).min(MAX_NAME_LEN));
                let space = frame.recv_buf();
                let received = name.len().min(space.len());
                space[..received].copy_from_slice(&name[..received]);

                match frame.reply(name.len()) {
                    Ok(reply) => prop_assert_eq!(encoded, Ok(reply)),
                    Err(error) => {
                        prop_assert_eq!(error, DecodeError::TooLong { len: name.len(), max });
                        prop_assert!(encoded.is_err());
                    }
                }
            }
        }
        prop_assert_eq!(&memory[len..], vec![0xa5; behind]);
    }

    #[test]
    fn frame_can_be_reused(names in prop::collection::vec(name(), 1..5)) {
        let mut buf = vec![0xa5; MAX_NAME_LEN + OVERHEAD];
        let mut frame = Frame::new(&mut buf)?;
        for name in names {
            frame.recv_buf()[..name.len()].copy_from_slice(&name);
            prop_assert_eq!(frame.request(name.len())?.name(), &name[..]);
            prop_assert_eq!(frame.reply(name.len())?, super::greeting(&name));
            prop_assert_eq!(frame.reply(name.len())?, super::greeting(&name));
        }
    }
}
