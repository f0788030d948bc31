use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use hello_proto::Rate;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::server::rate_limit::RateLimit;
use crate::sys::RawSockAddr;
use crate::sys::batch::Destination;
use crate::sys::transmit::LocalAddr;

const GREETED: &[u8] = b"Hello, Hello, M!";
const NAME: &[u8] = b"Michael, Jackson";

fn source() -> RawSockAddr {
    RawSockAddr::new(([192, 0, 2, 7], 40_001).into())
}

fn bound() -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, 9999).into()
}

fn limiter(burst: u32, dry_run: bool) -> SharedLimiter {
    let rate = Rate::new(NonZeroU32::MIN, NonZeroU32::new(burst).expect("not zero"));
    SharedLimiter::new(RateLimit::new(rate.expect("a low rate")).dry_run(dry_run))
}

/// Returns the verdicts on the datagrams of a train.
fn verdicts(classifier: &mut Classifier<'_>, names: &[&[u8]]) -> Vec<Verdict> {
    let bytes = names.concat();
    let (len, segment) = (bytes.len(), names[0].len());
    let meta = RecvMeta { segment, ..RecvMeta::new(source(), len) };
    let mut runs = vec![Run { message: 9, names: Segments::one(0), verdict: Verdict::OverLimit }];
    classifier.begin_batch();
    classifier.begin_flow(&meta);
    classifier.classify((3, &meta), &bytes, &mut runs);
    let mut verdicts = Vec::new();
    let mut end = 0;
    for Run { message, names, verdict } in runs {
        assert_eq!((message, names.start), (3, end), "side by side");
        end = names.range().end;
        verdicts.extend(std::iter::repeat_n(verdict, names.count));
    }
    assert_eq!(end, len);
    verdicts
}

#[test]
fn refused_datagrams_cost_nothing_and_stay_refused() {
    let (guard, limiter) = (Guard::new(), limiter(2, false));
    let mut classifier = Classifier::new(&guard, Some(&limiter), bound());
    let refused = Verdict::Refuse(Refusal::GreetedTwice);
    let expected = [refused, Verdict::Answer, refused, Verdict::Answer, refused];
    assert_eq!(verdicts(&mut classifier, &[GREETED, NAME, GREETED, NAME, GREETED]), expected);
    let [over, ..] = verdicts(&mut classifier, &[NAME, GREETED])[..] else { panic!("none") };
    assert!(matches!(over, Verdict::OverLimit | Verdict::AnswerOverLimit));
}

#[test]
fn dry_run_refuses_nothing_and_tells_what_exceeds_the_limit() {
    let (guard, limiter) = (Guard::new(), limiter(2, true));
    let mut classifier = Classifier::new(&guard, Some(&limiter), bound());
    let over = Verdict::AnswerOverLimit;
    let expected = [Verdict::Answer, Verdict::Answer, over, over];
    assert_eq!(verdicts(&mut classifier, &[NAME; 4]), expected);
    assert_eq!(classifier.classify_alone(NAME), over);
}

#[test]
fn a_refused_flow_has_no_bucket() {
    let (guard, limiter) = (Guard::new(), limiter(1, false));
    let mut classifier = Classifier::new(&guard, Some(&limiter), bound());
    for (port, refusal) in [(40_001, None), (0, Some(Refusal::SourcePortZero)), (40_001, None)] {
        let source = RawSockAddr::new(([192, 0, 2, 7], port).into());
        classifier.begin_flow(&RecvMeta::new(source, 5));
        assert_eq!((classifier.refusal, classifier.bucket.is_none()), (refusal, refusal.is_some()));
    }
}

#[test]
fn time_passes_between_batches_and_not_within_one() {
    let rate =
        NonZeroU32::new(Rate::MAX_RATE).and_then(|rate| Rate::new(rate, NonZeroU32::MIN).ok());
    let limiter = SharedLimiter::new(RateLimit::new(rate.expect("one each nanosecond")));
    let guard = Guard::new();
    let mut classifier = Classifier::new(&guard, Some(&limiter), bound());
    classifier.begin_flow(&RecvMeta::new(source(), 5));
    for _ in 0..3 {
        let conforms = (0..1_000_000).any(|_| {
            classifier.begin_batch();
            classifier.classify_alone(NAME) == Verdict::Answer
        });
        assert!(conforms, "no nanosecond passes");
        assert_ne!(classifier.classify_alone(NAME), Verdict::Answer);
    }
}

#[test]
fn destination_decides_if_it_is_known_and_else_the_bound_address() {
    let guard = Guard::new();
    let reply_from = LocalAddr { address: [192, 0, 2, 1].into(), interface: 0 };
    let to = |address: [u8; 4]| Some(Destination { address: address.into(), reply_from });
    let broadcast = Verdict::Refuse(Refusal::DestinationBroadcast);
    for (bound, destination, expected) in [
        (bound(), None, Verdict::Answer),
        (bound(), to([192, 0, 2, 1]), Verdict::Answer),
        (bound(), to([192, 0, 2, 255]), broadcast),
        ((Ipv4Addr::BROADCAST, 9999).into(), None, broadcast),
        ((Ipv4Addr::BROADCAST, 9999).into(), to([192, 0, 2, 1]), Verdict::Answer),
    ] {
        let mut classifier = Classifier::new(&guard, None, bound);
        classifier.begin_flow(&RecvMeta { destination, ..RecvMeta::new(source(), 5) });
        assert_eq!(classifier.classify_alone(b"Tracy"), expected, "{bound}, {destination:?}");
    }
}

proptest! {
    /// A train is classified as its datagrams would be that arrive alone.
    #[test]
    fn trains_are_classified_name_by_name(
        greeted in vec(any::<bool>(), 2..200),
        last in 0..NAME.len(),
        burst in proptest::option::of(1..300_u32),
    ) {
        let mut names = Vec::from_iter(greeted.iter().map(|twice| if *twice { GREETED } else { NAME }));
        if last > 0 {
            names.push(&GREETED[..last]);
        }
        let guard = Guard::new();
        let [limiter, other] = [(); 2].map(|()| burst.map(|burst| limiter(burst, false)));
        let mut classifier = Classifier::new(&guard, limiter.as_ref(), bound());
        let together = verdicts(&mut classifier, &names);
        let mut classifier = Classifier::new(&guard, other.as_ref(), bound());
        classifier.begin_flow(&RecvMeta::new(source(), 5));
        // No time passes.
        classifier.now = Some(Duration::ZERO);
        let singly = Vec::from_iter(names.iter().map(|name| classifier.classify_alone(name)));
        prop_assert_eq!(together.len(), singly.len());
        for (one, other) in together.into_iter().zip(singly) {
            // Which ones leak is a matter of chance.
            let is_over = |verdict| matches!(verdict, Verdict::OverLimit | Verdict::AnswerOverLimit);
            prop_assert!(one == other || is_over(one) && is_over(other), "{:?}, {:?}", one, other);
        }
    }
}
