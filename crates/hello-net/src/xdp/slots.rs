use std::collections::HashSet;

use super::services::Endpoint;
use crate::sys::xdp::program::SLOT_BITS;

/// Returns the slot of a service, as `find_slot` does in `hello.bpf.c`.
pub(super) fn slot(seed: u64, endpoint: &Endpoint) -> u32 {
    let (words, _) = endpoint.as_chunks();
    let hash = words.iter().fold(0_u64, |hash, word| {
        (hash ^ hash >> 32).wrapping_add(u64::from_le_bytes(*word)).wrapping_mul(seed)
    });
    u32::try_from(hash >> (64 - SLOT_BITS)).unwrap_or(0)
}

/// Returns a seed by which each of these endpoints has a slot of its own, the present one if possible.
/// With more than some six hundred endpoints that have nothing in common, there may be none among those
/// that are tried. Some endpoints then share a slot.
pub(super) fn seed(endpoints: &[Endpoint], present: u64) -> u64 {
    // Odd numbers, or bits would get lost.
    let others = (0..TRIES).map(|i: u64| (2 * i + 1).wrapping_mul(GOLDEN_RATIO));
    let mut taken = HashSet::new();
    let mut suits = |seed: &u64| {
        taken.clear();
        endpoints.iter().all(|endpoint| taken.insert(slot(*seed, endpoint)))
    };
    let found = [present].into_iter().filter(|seed| *seed != 0).chain(others).find(&mut suits);
    found.unwrap_or(GOLDEN_RATIO)
}

/// 2^64 divided by the golden ratio, which spreads numbers well (Knuth, The Art of Computer Programming,
/// section 6.4).
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The most seeds that are tried.
const TRIES: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(number: u32) -> Vec<Endpoint> {
        let endpoint = |i: u32| {
            let mut endpoint = Endpoint::default();
            endpoint[0] = 2;
            endpoint[6..8].copy_from_slice(&[0x27, 0x0f]);
            // Addresses at equal distances would have different slots by any seed.
            endpoint[20..].copy_from_slice(&i.pow(2).to_be_bytes());
            endpoint
        };
        (0..number).map(endpoint).collect()
    }

    fn taken(seed: u64, endpoints: &[Endpoint]) -> usize {
        HashSet::<u32>::from_iter(endpoints.iter().map(|at| slot(seed, at))).len()
    }

    #[test]
    fn hundreds_of_endpoints_have_a_slot_each_and_keep_it() {
        let all = endpoints(500);
        let first = seed(&all[..300], 0);
        assert_ne!(first, 0);
        assert_eq!(taken(first, &all[..300]), 300);
        let other = first.wrapping_mul(3);
        assert_eq!(seed(&all[..50], other), other, "what suits stays");
        assert_eq!(taken(seed(&all, first), &all), 500);
    }

    #[test]
    fn thousands_share_some_slots() {
        let all = endpoints(5000);
        let seed = seed(&all, 0);
        assert!((4500..4800).contains(&taken(seed, &all)));
    }

    #[test]
    fn each_byte_of_an_endpoint_matters() {
        let seed = seed(&[], 0);
        for at in 0..Endpoint::default().len() {
            let slots = (0..=u8::MAX).map(|byte| {
                let mut endpoint = Endpoint::default();
                endpoint[at] = byte;
                slot(seed, &endpoint)
            });
            // By chance, some share one.
            assert!(HashSet::<u32>::from_iter(slots).len() > 128, "{at}");
        }
    }
}
