//! I28: what happens to one object is not felt by the others.

use std::time::{Duration, Instant};

use super::record::Decided;
use crate::process::Controller;

/// A span of time of a row.
pub type Stretch = (Instant, Instant);

/// Times between two passes of one object within a stretch, of all objects that are named, sorted.
/// Passes begin with a read of the object's external metric.
fn gaps(controller: &Controller, names: &[&str], (from, to): Stretch) -> Vec<Duration> {
    let mut gaps = Vec::new();
    for name in names {
        let metric = format!("queue%3D{name}");
        let ends = |path: &str| path.ends_with(&metric) || path.contains(&format!("{metric}&"));
        let reads = controller
            .proxy
            .chosen(|e| e.verb == "GET" && e.at >= from && e.at < to && ends(&e.path));
        gaps.extend(reads.windows(2).map(|w| w[1].at - w[0].at));
    }
    gaps.sort_unstable();
    gaps
}

fn quantile(gaps: &[Duration], percent: usize) -> Duration {
    gaps[(gaps.len() * percent).div_ceil(100) - 1]
}

/// Passes of those that are named come as often beside the fault as before it.
///
/// Who waits for another's answer waits a call's 5 s each time, so nine of ten passes tell it; the
/// slowest tell how busy the machine is, since rows run side by side on two cores.
pub fn not_delayed(controller: &Controller, names: &[&str], quiet: Stretch, beside: Stretch) {
    let (before, under) = (
        gaps(controller, names, quiet),
        gaps(controller, names, beside),
    );
    assert!(before.len() >= names.len() && under.len() >= names.len());
    for percent in [90, 99] {
        let of = |gaps| quantile(gaps, percent);
        println!(
            "{}: passes of the others, {percent} %: {:?} before, {:?} beside",
            controller.start.namespace,
            of(&before),
            of(&under)
        );
    }
    assert!(quantile(&under, 90) <= 2 * quantile(&before, 90) + Duration::from_secs(1));
}

/// Objects with the same demand are decided alike, whatever happens to others.
pub fn decided_alike(decided: &[Decided], names: &[&str]) {
    let of = |name: &str| -> Vec<(i64, i64)> {
        let own = decided.iter().filter(|d| d.object == name);
        let applied = own.filter(|d| d.outcome == "applied");
        applied.map(|d| (d.from, d.to)).collect()
    };
    let first = of(names[0]);
    assert!(!first.is_empty(), "nothing was decided of {}", names[0]);
    for name in &names[1..] {
        assert_eq!(of(name), first, "{name} beside {}", names[0]);
    }
}
