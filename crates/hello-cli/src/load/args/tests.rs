use hello_measure::SearchPlan;

use super::*;

fn args<const N: usize>(args: [&str; N]) -> Args {
    Args::parse_from([&["hello-load"], &args[..]].concat())
}

fn refused<const N: usize>(args: [&str; N]) -> String {
    let error = Args::try_parse_from([&["hello-load"], &args[..]].concat());
    error.err().map_or_else(String::new, |error| error.to_string())
}

fn plan<const N: usize>(list: [&str; N]) -> LoadPlan {
    checked(&args(list).builder().expect("valid options"))
}

fn checked(builder: &LoadBuilder) -> LoadPlan {
    builder.check(([127, 0, 0, 1], 9999).into()).expect("a valid plan")
}

fn load(load: u64) -> NonZeroU64 {
    NonZeroU64::new(load).expect("not zero")
}

#[test]
fn default_is_a_closed_loop_of_ten_seconds() {
    let plan = plan([]);
    assert_eq!(plan, checked(&LoadGenerator::builder().warm_up(Duration::from_secs(1))));
    assert_eq!(args([]).mode(), Mode::Single);
}

#[test]
fn each_thread_has_at_least_a_message_outstanding() {
    let outstanding = |list: [&str; 2]| match plan(list).pacing {
        Pacing::Closed { outstanding } => outstanding.get(),
        open => panic!("{open:?}"),
    };
    assert_eq!(outstanding(["--train=8", "--threads=2"]), 512);
    assert_eq!(outstanding(["--outstanding=10k", "--threads=2"]), 10_000);
    let error =
        args(["--train=8", "--threads=2", "--outstanding=15"]).builder().expect_err("too few");
    assert_eq!(error.to_string(), "--outstanding must be at least --train times --threads (16)");
}

#[test]
fn default_warm_up_is_a_tenth_or_none_with_a_count_alone() {
    let times = |plan: LoadPlan| (plan.warm_up.as_millis(), plan.duration.as_millis());
    assert_eq!(times(plan(["--duration", "5"])), (500, 5000));
    assert_eq!(times(plan(["--duration", "5", "--warm-up", "0"])), (0, 5000));
    assert_eq!(times(plan(["--find-max"])), (200, 2000));
    assert_eq!(times(plan(["--duration", "1h"])), (5000, 3_600_000));
    assert_eq!(times(plan(["--count", "9", "--duration", "5"])), (500, 5000));
    let endless = plan(["--count", "9"]);
    assert_eq!((endless.warm_up, endless.count), (Duration::ZERO, Some(9)));
    assert_eq!(endless.duration, UNLIMITED);
}

#[test]
fn poisson_requires_an_open_loop() {
    let open = |arrivals| Pacing::Open { rate: load(10_000), arrivals };
    assert_eq!(plan(["--rate", "10k"]).pacing, open(ArrivalProcess::Constant));
    for list in
        [["--rate=10k", "--poisson"], ["--find-max", "--poisson"], ["--sweep=1..2", "--poisson"]]
    {
        assert_eq!(plan(list).pacing, open(ArrivalProcess::Poisson), "{list:?}");
        let trial = args(list).trial(&args(list).builder().expect("valid options"), load(7));
        let trial = checked(&trial);
        assert_eq!(trial.pacing, Pacing::Open { rate: load(7), arrivals: ArrivalProcess::Poisson });
    }
    let error = args(["--poisson"]).builder().expect_err("a closed loop");
    assert_eq!(error.to_string(), "--poisson requires --rate, --sweep or --find-max");
}

#[test]
fn default_is_one_source_per_thread() {
    let sources = |list: [&str; 2]| plan(list).sources;
    let number = |number| NonZeroU32::new(number).expect("not zero");
    assert_eq!(sources(["--threads", "3"]), Sources::Ports(number(3)));
    assert_eq!(sources(["--sources", "5k"]), Sources::Ports(number(5000)));
    assert_eq!(
        plan(["--sources=9", "--sources-by=addresses"]).sources,
        Sources::Addresses(number(9))
    );
}

#[test]
fn loads_of_a_sweep_are_evenly_spaced_with_both_ends() {
    for (list, expected) in [
        (["--sweep=10..50", "--steps=5"], vec![10, 20, 30, 40, 50]),
        (["--sweep=1..10", "--steps=3"], vec![1, 5, 10]),
        (["--sweep=1..2", "--steps=2"], vec![1, 2]),
        (["--sweep=5..6", "--steps=10"], vec![5, 6]),
    ] {
        assert_eq!(args(list).mode(), Mode::Sweep(expected.into_iter().map(load).collect()));
    }
}

#[test]
fn search_starts_at_the_given_rate() {
    let Mode::FindMax(plan, tolerance) =
        args(["--find-max", "--tolerance=0.5", "--rate=3k"]).mode()
    else {
        panic!("a search")
    };
    let (start, min, max) = (load(3000), load(1), load(100_000_000));
    let trials = NonZeroU32::new(3).expect("not zero");
    assert_eq!(plan, SearchPlan { start, min, max, trials, resolution: 0.02 });
    assert_eq!(tolerance, 0.005);
    let short = args(["--find-max", "--duration=0.1", "--train=4"]).mode();
    assert!(matches!(short, Mode::FindMax(plan, _) if plan.min == load(40)), "{short:?}");
}

#[test]
fn target_beyond_the_loopback_requires_remote() {
    let error = args(["192.0.2.1"]).destination().expect_err("not this machine").to_string();
    assert!(
        error.starts_with("192.0.2.1:9999 is not a loopback address") && error.contains("--remote")
    );
    for list in [
        ["192.0.2.1", "--remote"],
        ["127.0.0.2:1", "-4"],
        ["[::1]:1", "-6"],
        ["[::ffff:127.0.0.1]:1", "-6"],
    ] {
        assert!(args(list).destination().is_ok(), "{list:?}");
    }
    assert!(args(["127.0.0.1", "-6"]).destination().is_err());
}

#[test]
fn contradictory_options_are_errors() {
    for (list, advice) in [
        (["--rate=1", "--outstanding=1"], "cannot be used with"),
        (["--find-max", "--outstanding=1"], "cannot be used with"),
        (["--find-max", "--sweep=1..2"], "cannot be used with"),
        (["--find-max", "--count=1"], "cannot be used with"),
        (["--sweep=1..2", "--rate=1"], "cannot be used with"),
        (["--sweep=1..2", "--count=1"], "cannot be used with"),
        (["--rate=1", "--tolerance=1"], "--find-max"),
        (["--rate=1", "--trials=1"], "--find-max"),
        (["--rate=1", "--resolution=1"], "--find-max"),
        (["--rate=1", "--max-rate=1"], "--find-max"),
        (["--rate=1", "--steps=3"], "cannot be used with"),
        (["--outstanding=1", "--tolerance=1"], "cannot be used with"),
        (["--json", "--steps=3"], "--sweep"),
        (["--rate=2G", "--train=1"], "must be between 1 and 1,000,000,000"),
        (["--find-max", "--max-rate=2G"], "must be between 1 and 1,000,000,000"),
        (["--sweep=1..2G", "--steps=3"], "must be between 1 and 1,000,000,000"),
        (["--rate=1", "--train=65"], "must be between 1 and 64"),
        (["--rate=1", "--train=0"], "must be between 1 and 64"),
        (["--rate=1", "--sources=0"], "must be between 1 and"),
        (["-4", "-6"], "cannot be used with"),
    ] {
        let error = refused(list);
        assert!(error.contains(advice), "{list:?}: {error}");
    }
}
