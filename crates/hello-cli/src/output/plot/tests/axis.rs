use crate::output::plot::axis::{Axis, plain, short};

#[test]
fn labels_are_round_numbers_with_as_few_digits_as_distinguish_them() {
    let labels = |axis: Axis, label| {
        Vec::from_iter(axis.ticks(7, label).into_iter().map(|(_, label)| label))
    };
    for (axis, expected) in [
        (Axis::log(0.13, 90.0), "0.1 1 10 100"),
        (Axis::log(3.0, 30.0), "2 5 10 20 50"),
        (Axis::linear(0.0, 0.3), "0.00 0.05 0.10 0.15 0.20 0.25 0.30"),
        (Axis::rounded(99.97, 100.04), "99.96 99.98 100.00 100.02 100.04"),
    ] {
        assert_eq!(labels(axis, plain).join(" "), expected);
    }
    for (most, expected) in [
        (2000.0, "0 500 1k 1.5k 2k"),
        (2.4e6, "0 500k 1M 1.5M 2M"),
        (7e9, "0 1G 2G 3G 4G 5G 6G 7G"),
    ] {
        assert_eq!(labels(Axis::linear(0.0, most), short).join(" "), expected);
    }
}
