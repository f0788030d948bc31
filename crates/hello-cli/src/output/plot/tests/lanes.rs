//! Lanes of losses, and bands of outages.

use super::*;

#[test]
fn run_that_lost_everything_has_a_lane_without_gaps() {
    for probes in [1, 2, 40, 50, 300] {
        let mut sample = Sample::of(&[]);
        (0..probes).for_each(|number| sample.lost(number));
        let svg = drawn(&[sample]);
        let bars = rectangles(&svg, canvas::VERMILLION);
        let gaps = bars.windows(2).map(|pair| pair[1].0 - pair[0].1);
        assert!(!bars.is_empty() && gaps.fold(0.0, f64::max) < 1.0, "{probes}: {bars:?}");
    }
}

/// Returns the left and the right end of each rectangle of a colour.
fn rectangles(svg: &str, color: &str) -> Vec<(f64, f64)> {
    let fill = format!("fill=\"{color}\"");
    let number = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        rest.split('"').next()?.parse::<f64>().ok()
    };
    let rectangles = svg.lines().filter(|line| line.starts_with("<rect") && line.contains(&fill));
    let ends = rectangles.filter_map(|line| Some((number(line, "x")?, number(line, "width")?)));
    ends.map(|(x, width)| (x, x + width)).collect()
}

#[test]
fn lane_of_losses_shows_when_the_lost_were_sent_and_others_have_marks_of_their_own() {
    let mut sample = Sample::of(&[Duration::from_millis(10); 10]);
    let paths = |sample: &Sample, color: &str| {
        let svg = drawn(std::slice::from_ref(sample));
        let paths = svg.lines().filter(|line| line.starts_with("<path"));
        let of_color = paths.filter(|path| path.contains(&format!("stroke=\"{color}\"")));
        // Without the one in the legend.
        Vec::from_iter(of_color.skip(1).map(str::to_owned))
    };
    assert_eq!(paths(&sample, canvas::ORANGE), [""; 0]);
    let bars = |sample: &Sample, color| rectangles(&drawn(std::slice::from_ref(sample)), color);
    for color in [canvas::VERMILLION, canvas::INK] {
        assert_eq!(bars(&sample, color), [], "{color}");
    }
    sample.lost(9);
    sample.timeline.late(at(9), Duration::from_millis(1500));
    sample.timeline.not_sent(at(5), 1);
    let (lost, not_sent) = (bars(&sample, canvas::VERMILLION), bars(&sample, canvas::INK));
    assert_eq!((lost.len(), not_sent.len(), paths(&sample, canvas::ORANGE).len()), (1, 1, 1));
    // The lost one was the last.
    assert!(not_sent[0].1 < lost[0].0, "{not_sent:?} {lost:?}");
    let names = texts(&drawn(&[sample]));
    for name in ["lost", "not sent", "late reply"] {
        assert!(names.iter().any(|text| text == name), "{name} {names:?}");
    }
}

#[test]
fn outage_has_a_band_over_its_time_and_a_single_loss_has_none() {
    let bands = |sample: &Sample| {
        let svg = drawn(std::slice::from_ref(sample));
        let has_entry = texts(&svg).iter().any(|text| text == "outage");
        (rectangles(&svg, canvas::PALE_VERMILLION), has_entry)
    };
    let mut sample = Sample::of(&[Duration::from_millis(10); 20]);
    sample.lost(20);
    sample.answered(21, Duration::from_millis(10));
    assert_eq!(bands(&sample), (vec![], false));
    (22..=31).for_each(|number| sample.lost(number));
    (32..=40).for_each(|number| sample.answered(number, Duration::from_millis(10)));
    let (found, has_entry) = bands(&sample);
    assert!(found.len() == 1 && has_entry, "{found:?}");
    // From probe 22 to probe 32 of 40, between the same pixels as the losses of these.
    let losses = rectangles(&drawn(&[sample.clone()]), canvas::VERMILLION);
    let (first, last) = (losses[1], losses[losses.len() - 1]);
    let bar = first.1 - first.0;
    assert!((found[0].0 - first.0).abs() < bar && (found[0].1 - last.1).abs() < 2.0 * bar);
    let share = (found[0].1 - found[0].0) / (last.1 - losses[0].0);
    assert!((0.7..0.95).contains(&share), "{share}");
}

#[test]
fn outages_of_several_flows_are_called_those_of_a_flow() {
    for (flows, expected) in [(1, "outage"), (3, "outage of a flow")] {
        let names = texts(&drawn(&[Sample::eventful("here", flows, 2000)]));
        let found = Vec::from_iter(names.iter().filter(|text| text.starts_with("outage")));
        assert_eq!(found, [expected], "{flows}");
    }
}

#[test]
fn short_outage_at_the_end_of_a_long_run_is_seen() {
    let mut sample = Sample::of(&[Duration::from_millis(10); 5000]);
    [5000, 5001].iter().for_each(|number| sample.lost(*number));
    let bands = rectangles(&drawn(&[sample]), canvas::PALE_VERMILLION);
    assert!(matches!(bands[..], [(from, to)] if to - from >= 2.0), "{bands:?}");
}
