//! Which archetype is in force for one target: windows, verdicts, and hysteresis between them.

use std::collections::VecDeque;

use foresail_core::history::Point;
use foresail_core::propose::archetype::Archetype;
use foresail_core::propose::plan::TargetId;
use serde::{Deserialize, Serialize};

use crate::classify::{Classifier, Verdict, WINDOW, Window};
use crate::propose::on_forecast::STEP;
use crate::refit::step_of;

/// Missing steps of a window that are bridged, one twentieth of it; with more there is no verdict.
const GAPS_MAX: usize = 3;

/// Steps after which a verdict that could not be renewed says nothing any more: its whole window has
/// passed.
const AGE_MAX: i64 = WINDOW as i64;

/// An archetype with its probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Force {
    pub(crate) archetype: Archetype,
    pub(crate) confidence: f64,
}

/// When a target is judged anew, and what it takes to change its archetype.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Steps between two verdicts.
    pub(crate) stride: i64,
    /// Lead in probability with which another archetype takes over at once.
    pub(crate) margin: f64,
}

/// What is remembered of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Memory {
    pub(crate) target: TargetId,
    /// Number of the last step of the window that was judged last.
    judged: Option<i64>,
    force: Option<Force>,
    /// Another archetype that won the last verdict, but not by the margin.
    challenger: Option<Archetype>,
}

impl Memory {
    pub(crate) fn new(target: TargetId) -> Self {
        Self {
            target,
            judged: None,
            force: None,
            challenger: None,
        }
    }

    /// The archetype in force at the last of `points`, after a verdict where one is due; `None`
    /// while there was no whole window within the last hour.
    pub(crate) fn look(
        &mut self,
        points: &VecDeque<Point>,
        classifier: &dyn Classifier,
        rule: Rule,
    ) -> Option<Force> {
        let last = step_of(points.back()?.at, STEP);
        if self
            .judged
            .is_none_or(|judged| last - judged >= rule.stride)
            && let Some(window) = window(points, last)
        {
            self.judge(&classifier.verdict(&window), rule.margin);
            self.judged = Some(last);
        }
        let fresh = self.judged.is_some_and(|judged| last - judged < AGE_MAX);
        self.force.filter(|_| fresh)
    }

    /// Takes a verdict in: another archetype must win twice in a row, or by the margin; from and to
    /// Idle there is nothing to doubt.
    fn judge(&mut self, verdict: &Verdict, margin: f64) {
        let won = Force {
            archetype: verdict.archetype,
            confidence: verdict.confidence,
        };
        let held = self.force.filter(|held| {
            let place = |a: Archetype| a.place().map(|p| verdict.scores[p]);
            let scores = (place(held.archetype), place(won.archetype));
            let (Some(old), Some(new)) = scores else {
                return false;
            };
            let twice = self.challenger == Some(won.archetype);
            held.archetype != won.archetype && !twice && new - old < margin
        });
        self.challenger = held.map(|_| won.archetype);
        self.force = Some(held.map_or(won, |held| Force {
            confidence: held.archetype.place().map_or(0.0, |p| verdict.scores[p]),
            ..held
        }));
    }
}

/// The hour that ends with step `last`, in counts a minute; `None` where its ends or too many of its
/// steps are missing.
///
/// Up to [`GAPS_MAX`] missing steps are put on the line between their neighbours: a gap is not zero.
fn window(points: &VecDeque<Point>, last: i64) -> Option<Window> {
    let first = last + 1 - WINDOW as i64;
    let mut steps = [None; WINDOW];
    let from = points.partition_point(|p| step_of(p.at, STEP) < first);
    for point in points.range(from..) {
        let place = usize::try_from(step_of(point.at, STEP) - first).ok()?;
        steps
            .get_mut(place)?
            .get_or_insert(point.value * STEP.seconds());
    }
    bridged(steps)
}

fn bridged(steps: [Option<f64>; WINDOW]) -> Option<Window> {
    let gaps = steps.iter().filter(|s| s.is_none()).count();
    if gaps > GAPS_MAX || steps[0].is_none() || steps[WINDOW - 1].is_none() {
        return None;
    }
    let mut window = [0.0; WINDOW];
    let mut before = 0;
    for (place, value) in steps.iter().enumerate() {
        let Some(value) = *value else { continue };
        window[place] = value;
        let (from, width) = (window[before], (place - before) as f64);
        let between = window.iter_mut().enumerate().take(place).skip(before + 1);
        for (gap, missing) in between {
            *missing = from + (value - from) * (gap - before) as f64 / width;
        }
        before = place;
    }
    Some(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(archetype: Archetype, scores: [f64; 4]) -> Verdict {
        let confidence = archetype.place().map_or(1.0, |p| scores[p]);
        Verdict {
            archetype,
            scores,
            confidence,
        }
    }

    fn force_after(verdicts: &[Verdict]) -> Vec<(Archetype, f64)> {
        let mut memory = Memory::new(TargetId::new("web"));
        let told = |v| {
            memory.judge(v, 0.3);
            let force = memory.force?;
            Some((force.archetype, force.confidence))
        };
        verdicts.iter().filter_map(told).collect()
    }

    #[test]
    fn another_archetype_must_win_twice_or_by_the_margin() {
        use Archetype::{Periodic, Spike, Stationary};
        let periodic = verdict(Periodic, [0.1, 0.7, 0.1, 0.1]);
        let barely = verdict(Spike, [0.5, 0.4, 0.0, 0.1]);
        let clearly = verdict(Stationary, [0.0, 0.1, 0.1, 0.8]);
        let got = force_after(&[periodic, barely, barely, clearly]);
        let want = [
            (Periodic, 0.7),
            (Periodic, 0.4),
            (Spike, 0.5),
            (Stationary, 0.8),
        ];
        assert_eq!(got, want);
        // A challenger that loses in between begins anew.
        let got = force_after(&[periodic, barely, periodic, barely]);
        assert_eq!(got.last(), Some(&(Periodic, 0.4)));
    }

    #[test]
    fn an_hour_without_demand_and_its_end_are_taken_at_once() {
        let idle = verdict(Archetype::Idle, [0.25; 4]);
        let ramp = verdict(Archetype::Ramp, [0.1, 0.2, 0.4, 0.3]);
        let got: Vec<_> = force_after(&[ramp, idle, ramp])
            .into_iter()
            .map(|(a, _)| a)
            .collect();
        assert_eq!(got, [Archetype::Ramp, Archetype::Idle, Archetype::Ramp]);
    }

    #[test]
    fn few_missing_steps_are_bridged_and_more_give_no_window() {
        let whole: [Option<f64>; WINDOW] = std::array::from_fn(|i| Some(3.0 * i as f64));
        let without = |gaps: &[usize]| {
            let mut steps = whole;
            gaps.iter().for_each(|gap| steps[*gap] = None);
            bridged(steps)
        };
        let line: Window = std::array::from_fn(|i| 3.0 * i as f64);
        for gaps in [&[][..], &[5], &[7, 8, 30]] {
            let got = without(gaps).unwrap();
            let near = got.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-9);
            assert!(near, "{gaps:?} {got:?}");
        }
        for gaps in [&[0][..], &[59], &[1, 2, 3, 4]] {
            assert_eq!(without(gaps), None, "{gaps:?}");
        }
    }
}
