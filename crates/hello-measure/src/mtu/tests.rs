mod lossy;

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// A path with one router, and a server.
#[derive(Clone, Debug)]
struct Path {
    link: u32,
    router: u32,
    report: Report,
    /// Replies are 8 bytes longer than requests.
    back: u32,
    server: Server,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Report {
    Mtu,
    NoMtu,
    Nothing,
    /// The MTU of a report that is wrong.
    Wrong(u32),
}

/// What a server does with a name that is longer than it likes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Server {
    Answers,
    /// Does not answer longer names.
    Refuses(u32),
    /// Answers the start.
    Cuts(u32),
}

const ROUTER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 80, 2, 2)));

impl Path {
    const WIDE: Self = Self {
        link: 1500,
        router: 1500,
        report: Report::Mtu,
        back: 65_575,
        server: Server::Answers,
    };

    fn evidence(&self, plan: &MtuPlan, size: u32) -> MtuEvidence {
        let name_len = plan.name_len(size);
        if size > self.link {
            return MtuEvidence::TooLongForLink;
        }
        if size > self.router {
            let mtu = match self.report {
                Report::Nothing => return MtuEvidence::Silent,
                Report::Mtu => Some(self.router),
                Report::NoMtu => None,
                Report::Wrong(mtu) => Some(mtu),
            };
            let kind = CauseKind::TooBig { mtu };
            return MtuEvidence::Reported(Cause { kind, reporter: ROUTER });
        }
        match self.server {
            Server::Refuses(len) if name_len > len => MtuEvidence::Silent,
            Server::Cuts(len) if name_len > len && plan.headers + len + 8 <= self.back => {
                MtuEvidence::Cut { name_len: len }
            }
            _ if size + 8 > self.back => MtuEvidence::Silent,
            _ => MtuEvidence::Answered,
        }
    }

    /// Returns the longest request that gets any reply.
    fn longest(&self, plan: &MtuPlan) -> u32 {
        let there = self.link.min(self.router).min(plan.max);
        match self.server {
            Server::Answers => there.min(self.back - 8),
            Server::Refuses(len) => there.min(self.back - 8).min(plan.headers + len),
            Server::Cuts(len) if plan.headers + len + 8 <= self.back => there,
            Server::Cuts(_) => there.min(self.back - 8),
        }
    }
}

/// Runs a search over a path that loses what `lose` says, and returns the sizes tried.
fn run(
    search: &mut MtuSearch,
    path: &Path,
    mut lose: impl FnMut(u32) -> bool,
) -> Result<Vec<u32>, TestCaseError> {
    let mut sizes = Vec::new();
    let plan = search.plan;
    while let Some(size) = search.next_size() {
        sizes.push(size);
        prop_assert!(sizes.len() < MAX_PROBES, "{path:?}: {sizes:?}");
        let evidence = match path.evidence(&plan, size) {
            MtuEvidence::TooLongForLink => MtuEvidence::TooLongForLink,
            _ if lose(size) => MtuEvidence::Silent,
            evidence => evidence,
        };
        search.handle(size, evidence);
    }
    Ok(sizes)
}

/// More than any search needs: halving 65,536 sizes, the smallest and the largest one, two hints, the sizes
/// above these, and the last one again, with all tries of each.
const MAX_PROBES: usize = 40 * (17 + 2 + 2 + 2 + 1) + 1;

fn searched(plan: MtuPlan, path: &Path) -> (Vec<u32>, MtuOutcome) {
    let mut search = MtuSearch::new(plan);
    let sizes = run(&mut search, path, |_| false).expect("it ends");
    (sizes, search.outcome())
}

fn plan() -> MtuPlan {
    MtuPlan { link_mtu: Some(1500), ..MtuPlan::ipv4() }
}

#[test]
fn path_that_takes_what_the_link_takes_needs_three_probes() {
    let (sizes, outcome) = searched(plan(), &Path::WIDE);
    assert_eq!(sizes, [44, 1500, 1501]);
    assert_eq!((outcome.passed, outcome.limit), (Some(1500), MtuLimit::Link));
    // The link's MTU is a hint only.
    for link_mtu in [None, Some(40), Some(1400), Some(9000), Some(u32::MAX)] {
        let (_, outcome) = searched(MtuPlan { link_mtu, ..plan() }, &Path::WIDE);
        assert_eq!((outcome.passed, outcome.limit), (Some(1500), MtuLimit::Link), "{link_mtu:?}");
    }
}

#[test]
fn router_without_an_mtu_in_its_report_is_found_by_halving() {
    let path = Path { router: 1006, report: Report::NoMtu, ..Path::WIDE };
    let (sizes, outcome) = searched(plan(), &path);
    assert_eq!(sizes[..4], [44, 1500, 772, 1136]);
    assert_eq!(outcome.passed, Some(1006));
    assert_eq!((outcome.limit, outcome.reported), (MtuLimit::Router { reporter: ROUTER }, None));
}

#[test]
fn black_hole_is_tried_as_often_again_at_the_end() {
    let path = Path { router: 1400, report: Report::Nothing, ..Path::WIDE };
    let (sizes, outcome) = searched(plan(), &path);
    assert_eq!(sizes.iter().filter(|size| **size == 1401).count(), 6);
    assert_eq!(sizes.iter().filter(|size| **size == 1500).count(), 3);
    assert_eq!(outcome.passed, Some(1400));
    assert_eq!(outcome.limit, MtuLimit::NoReply { cause: Cause::SILENT });
}

#[test]
fn report_of_a_router_is_kept_if_the_server_ends_the_search_first() {
    let path = Path { router: 1400, server: Server::Refuses(1024), ..Path::WIDE };
    let (_, outcome) = searched(plan(), &path);
    assert_eq!(outcome.passed, Some(1024 + 28));
    assert_eq!(outcome.limit, MtuLimit::NoReply { cause: Cause::SILENT });
    assert_eq!(outcome.reported, Some(ReportedMtu { mtu: 1400, reporter: ROUTER }));
    assert_eq!(outcome.suspected_name_limit(&plan()), Some(1024));
    for limit in [1023, 1025] {
        let (_, outcome) = searched(plan(), &Path { server: Server::Refuses(limit), ..path });
        assert_eq!(outcome.suspected_name_limit(&plan()), None);
    }
}

#[test]
fn server_that_cuts_names_shows_what_arrives_but_not_what_returns() {
    let path = Path { router: 1400, server: Server::Cuts(1024), ..Path::WIDE };
    let (_, outcome) = searched(plan(), &path);
    assert_eq!((outcome.passed, outcome.cut_to), (Some(1400), Some(1024)));
    assert!(outcome.answered.is_some_and(|answered| answered <= 1052));
    assert_eq!(outcome.limit, MtuLimit::Router { reporter: ROUTER });
}

#[test]
fn router_that_reports_only_once_is_named_all_the_same() {
    let mut search = MtuSearch::new(plan());
    let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: ROUTER };
    search.handle(44, MtuEvidence::Answered);
    search.handle(1500, MtuEvidence::Reported(too_big));
    search.handle(1400, MtuEvidence::Answered);
    for _ in 0..3 {
        assert_eq!(search.next_size(), Some(1401));
        search.handle(1401, MtuEvidence::Silent);
    }
    assert_eq!(search.next_size(), None);
    assert_eq!(search.outcome().limit, MtuLimit::Router { reporter: ROUTER });
}

#[test]
fn target_that_never_answers_ends_the_search_after_the_tries_of_the_smallest_size() {
    let refused = Cause { kind: CauseKind::Refused, reporter: ROUTER };
    for cause in [Cause::SILENT, refused] {
        let mut search = MtuSearch::new(plan());
        for _ in 0..3 {
            assert_eq!((search.next_size(), search.outcome().limit), (Some(44), MtuLimit::Open));
            search.handle(44, MtuEvidence::Reported(cause));
        }
        let outcome = search.outcome();
        assert_eq!((search.next_size(), outcome.passed), (None, None));
        assert_eq!(outcome.limit, MtuLimit::NoReply { cause });
    }
}

#[test]
fn late_reply_refutes_a_failure_and_a_report() {
    let mut search = MtuSearch::new(plan());
    let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(600) }, reporter: ROUTER };
    search.handle(44, MtuEvidence::Answered);
    search.handle(1500, MtuEvidence::Reported(too_big));
    assert_eq!(search.next_size(), Some(600));
    search.handle(1500, MtuEvidence::Answered);
    assert_eq!((search.outcome().passed, search.outcome().reported), (Some(1500), None));
    assert_eq!(search.next_size(), Some(1501));
    // Nor is a report that comes after the reply believed.
    search.handle(1500, MtuEvidence::Reported(too_big));
    assert_eq!(search.next_size(), Some(1501));
}

#[test]
fn size_whose_report_is_refuted_is_tried_again_before_it_limits_the_path() {
    let too_big = Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: ROUTER };
    let silent = Cause::SILENT;
    for (again, tries, passed, limit) in [
        (MtuEvidence::Answered, 1, 1500, MtuLimit::Link),
        (MtuEvidence::Reported(too_big), 1, 1499, MtuLimit::Router { reporter: ROUTER }),
        (MtuEvidence::Silent, 3, 1499, MtuLimit::NoReply { cause: silent }),
    ] {
        let (mut search, mut sizes) = (MtuSearch::new(plan()), Vec::new());
        while let Some(size) = search.next_size() {
            let evidence = match size {
                1501.. => MtuEvidence::TooLongForLink,
                1500 if sizes.contains(&size) => again,
                1500 => MtuEvidence::Reported(too_big),
                _ => MtuEvidence::Answered,
            };
            sizes.push(size);
            search.handle(size, evidence);
        }
        assert_eq!(sizes[..5], [44, 1500, 1400, 1401, 1450]);
        assert_eq!(sizes.iter().filter(|size| **size == 1500).count(), 1 + tries);
        let outcome = search.outcome();
        assert_eq!((outcome.passed, outcome.limit), (Some(passed), limit));
        assert_eq!(outcome.reported, None);
    }
}

#[test]
fn sizes_outside_the_plan_are_ignored() {
    let mut search = MtuSearch::new(MtuPlan { max: 100, ..plan() });
    search.handle(43, MtuEvidence::Answered);
    search.handle(101, MtuEvidence::Answered);
    assert_eq!(search.next_size(), Some(44));
    search.handle(100, MtuEvidence::Answered);
    assert_eq!((search.next_size(), search.outcome().limit), (None, MtuLimit::Max));
    let mut single = MtuSearch::new(MtuPlan { min: 50, max: 40, ..plan() });
    single.handle(50, MtuEvidence::Answered);
    assert_eq!((single.next_size(), single.outcome().limit), (None, MtuLimit::Max));
}

#[test]
fn sizes_up_to_the_largest_number_end_the_search_as_others_do() {
    for (min, max) in [(44, u32::MAX), (u32::MAX, u32::MAX), (u32::MAX, 0)] {
        let mut search = MtuSearch::new(MtuPlan { min, max, ..MtuPlan::ipv4() });
        while let Some(size) = search.next_size() {
            search.handle(size, MtuEvidence::Answered);
        }
        let outcome = search.outcome();
        assert_eq!((outcome.passed, outcome.limit), (Some(u32::MAX - 1), MtuLimit::Max));
    }
}

fn paths() -> impl Strategy<Value = Path> {
    let sizes = || prop_oneof![100..1600u32, 100..70_000u32];
    let report = prop_oneof![
        Just(Report::Mtu),
        Just(Report::NoMtu),
        Just(Report::Nothing),
        (0..2000u32).prop_map(Report::Wrong)
    ];
    let server = prop_oneof![
        Just(Server::Answers),
        (16..2000u32).prop_map(Server::Refuses),
        (16..2000u32).prop_map(Server::Cuts)
    ];
    (sizes(), sizes(), report, sizes(), server).prop_map(|(link, router, report, back, server)| {
        Path { link, router, report, back, server }
    })
}

fn plans() -> impl Strategy<Value = MtuPlan> {
    let base = prop_oneof![Just(MtuPlan::ipv4()), Just(MtuPlan::ipv6())];
    (base, prop::option::of(0..70_000u32)).prop_map(|(base, link_mtu)| MtuPlan { link_mtu, ..base })
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    fn longest_packet_is_found_on_any_path_that_loses_less_than_all_tries(
        path in paths(),
        plan in plans(),
        losses in prop::collection::vec(any::<bool>(), 1..64),
    ) {
        let mut search = MtuSearch::new(plan);
        let mut losses = losses.into_iter().cycle();
        let mut row = (0, 0);
        let lose = |size| {
            if row.0 != size {
                row = (size, 0);
            }
            // The last try of each size arrives.
            row.1 += 1;
            losses.next() == Some(true) && row.1 % plan.tries.get() != 0
        };
        run(&mut search, &path, lose)?;
        let outcome = search.outcome();
        let longest = path.longest(&plan);
        prop_assert_eq!(outcome.passed, Some(longest));
        let next = path.evidence(&plan, longest + 1);
        match outcome.limit {
            MtuLimit::Max => prop_assert_eq!(longest, plan.max),
            MtuLimit::Link => prop_assert_eq!(next, MtuEvidence::TooLongForLink),
            MtuLimit::Router { reporter } => {
                prop_assert_eq!(reporter, ROUTER);
                let named = outcome.reported.is_some_and(|reported| reported.mtu == longest);
                prop_assert!(named || matches!(next, MtuEvidence::Reported(_)));
            }
            MtuLimit::NoReply { cause } => prop_assert_eq!(cause, Cause::SILENT),
            MtuLimit::Open => prop_assert!(false, "it is over"),
        }
    }

    #[test]
    fn no_loss_and_no_report_makes_the_result_longer_than_the_path(
        path in paths(),
        plan in plans(),
        losses in prop::collection::vec(prop::bool::weighted(0.3), 1..64),
    ) {
        let mut search = MtuSearch::new(plan);
        let mut losses = losses.into_iter().cycle();
        let mut probes = 0;
        while let Some(size) = search.next_size() {
            probes += 1;
            prop_assert!(probes < 1000, "{path:?}");
            let evidence = match path.evidence(&plan, size) {
                MtuEvidence::TooLongForLink => MtuEvidence::TooLongForLink,
                _ if losses.next() == Some(true) => MtuEvidence::Silent,
                evidence => evidence,
            };
            search.handle(size, evidence);
        }
        let outcome = search.outcome();
        prop_assert!(outcome.passed.is_none_or(|passed| passed <= path.longest(&plan)));
        prop_assert!(outcome.answered <= outcome.passed);
    }

    #[test]
    fn evidence_in_any_order_neither_hangs_the_search_nor_makes_it_grow(
        evidence in prop::collection::vec((0..2000u32, 0..6u8), 0..200),
    ) {
        let mut search = MtuSearch::new(MtuPlan { max: 1500, ..MtuPlan::ipv4() });
        for (size, kind) in evidence {
            let mtu = Some(size / 2);
            search.handle(size, match kind {
                0 => MtuEvidence::Answered,
                1 => MtuEvidence::Cut { name_len: size / 2 },
                2 => MtuEvidence::TooLongForLink,
                3 => MtuEvidence::Reported(Cause { kind: CauseKind::TooBig { mtu }, reporter: ROUTER }),
                4 => MtuEvidence::Reported(Cause { kind: CauseKind::Refused, reporter: ROUTER }),
                _ => MtuEvidence::Silent,
            });
            let MtuOutcome { passed, .. } = search.outcome();
            prop_assert!(search.next_size().is_none_or(|next| Some(next) > passed));
            prop_assert!(search.failed.len() <= 1500);
        }
        run(&mut search, &Path::WIDE, |_| false)?;
    }
}
