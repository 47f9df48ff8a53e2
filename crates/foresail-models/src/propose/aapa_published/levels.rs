//! uncertainty.py: three levels of doubt, each with its own margin.

use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::larger;

use super::{Answer, Now};

/// One row of the published table.
struct Row {
    target: f64,
    cooldown_minutes: f64,
    min: u32,
    max: u32,
    margin: f64,
}

/// Source: src/models/uncertainty.py as described in specs/aapa_aquatope.md 1.5 (c).
const fn row(by: Archetype) -> Row {
    let (target, cooldown_minutes, min, max, margin) = match by {
        Archetype::Spike => (0.4, 20.0, 2, 100, 0.30),
        Archetype::Periodic => (0.7, 5.0, 1, 50, 0.10),
        Archetype::Ramp => (0.6, 10.0, 1, 75, 0.20),
        Archetype::Stationary | Archetype::Idle => (0.6, 15.0, 1, 30, 0.15),
    };
    Row {
        target,
        cooldown_minutes,
        min,
        max,
        margin,
    }
}

/// Place of a confidence among low, medium and high doubt.
fn level(confidence: f64) -> usize {
    match confidence {
        c if c >= 0.8 => 0,
        c if c >= 0.6 => 1,
        _ => 2,
    }
}

/// The published number for replicas whose CPU is said to become `ahead`.
fn replicas(by: Archetype, confidence: f64, current: u32, ahead: f64) -> u32 {
    let (row, level) = (row(by), level(confidence));
    let target = row.target * [1.0, 0.9, 0.8][level];
    let margin = row.margin * [1.0, 1.5, 2.0][level];
    let current = f64::from(current);
    let mut wanted = current * ahead / target * (1.0 + margin);
    let mut min = row.min;
    if by == Archetype::Spike {
        wanted = larger(wanted, current * [1.2, 1.5, 2.0][level]);
        min = [row.min, row.min.max(2), (row.min * 3 / 2).max(2)][level];
    }
    ((wanted - 1e-9).ceil() as u32).clamp(min, row.max)
}

/// The number for what is there now: nothing in the published code says what is ahead.
pub(super) fn answer(by: Archetype, confidence: f64, now: &Now) -> Answer {
    let (row, level) = (row(by), level(confidence));
    let minutes = (row.cooldown_minutes * [1.0, 1.2, 1.5][level]) as i64;
    Answer {
        replicas: replicas(by, confidence, now.current.max(1), now.cpu),
        target: row.target,
        adjusted_target: row.target * [1.0, 0.9, 0.8][level],
        multiplier: 1.0 + row.margin * [1.0, 1.5, 2.0][level],
        cooldown: Span::from_seconds(minutes * 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: specs/aapa_aquatope.md 3.4, its function as executed.
    #[test]
    fn it_answers_as_the_published_code_did_when_it_was_run() {
        use Archetype::{Periodic, Ramp, Spike};
        for (by, confidence, current, ahead, want) in [
            (Spike, 0.9, 5, 2.0, 33),
            (Spike, 0.5, 5, 2.0, 50),
            (Periodic, 0.85, 10, 0.8, 13),
            (Periodic, 0.4, 10, 0.8, 18),
            (Ramp, 0.7, 8, 0.9, 18),
        ] {
            assert_eq!(
                replicas(by, confidence, current, ahead),
                want,
                "{by} {confidence}"
            );
        }
    }
}
