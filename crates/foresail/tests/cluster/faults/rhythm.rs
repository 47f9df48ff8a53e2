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

fn high(gaps: &[Duration]) -> Duration {
    gaps[(gaps.len() * 99).div_ceil(100) - 1]
}

/// Passes of those that are named come as often beside the fault as before it.
///
/// The bound is wider than on a machine of one's own: rows run side by side on two cores.
pub fn not_delayed(controller: &Controller, names: &[&str], quiet: Stretch, beside: Stretch) {
    let (before, under) = (
        gaps(controller, names, quiet),
        gaps(controller, names, beside),
    );
    assert!(before.len() >= names.len() && under.len() >= names.len());
    let (before, under) = (high(&before), high(&under));
    println!(
        "{}: passes of the others, 99 %: {before:?} before, {under:?} beside",
        controller.start.namespace
    );
    assert!(under <= 2 * before + Duration::from_millis(500));
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
