//! What is remembered of one target's advice, and how it is scored.
//!
//! An answer is scored once, one horizon after the tick at which it was first used. With the HPA's
//! answer before its tolerance then (`b`) and one horizon later (`b'`), and the change `d`:
//!
//! - `d` other than zero is right where `|b + d − b'| <= |b − b'|`: the changed number was as near
//!   to what came as the plain one, or nearer. Where nothing moved no change is right.
//! - `d` of zero is right where `|b' − b|` is at most `tolerancePercent` of `b`.
//!
//! The two are counted apart, and trust rests on changes alone: whoever always says zero is right
//! whenever nothing happens, and has shown nothing about the day on which he says two. An answer
//! for which `b'` cannot be read in time is not scored at all.
//!
//! Trust is the lower end of Wilson's one-sided 90 % interval of the hit rate over the newest
//! `window` changes: eight of ten give 60 %, five of ten 31 %, twenty-nine of fifty 48 %.

use std::collections::VecDeque;

use foresail_core::propose::delta::{Record, Standing};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::Replicas;
use serde::{Deserialize, Serialize};

/// Answers that wait to be scored at most; further ones are not scored.
const WAITING_MAX: usize = 256;

/// The normal quantile of a one-sided 90 % interval.
const Z: f64 = 1.281_551_565_544_6;

/// How answers are scored.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    pub(super) horizon: Span,
    pub(super) tolerance_percent: f64,
    /// Scored changes, and scored answers of none, that are remembered.
    pub(super) window: u32,
    /// Changes that must be scored before any is believed.
    pub(super) needed: u32,
    pub(super) hit_percent_min: f64,
}

impl Scores {
    /// Whether an answer was right.
    fn is_right(&self, waiting: &Waiting, later: Replicas) -> bool {
        let baseline = waiting.baseline.as_i64();
        let moved = later.as_i64() - baseline;
        let delta = i64::from(waiting.delta);
        if delta == 0 {
            return moved.abs() as f64 <= self.tolerance_percent / 100.0 * baseline as f64;
        }
        (delta - moved).abs() <= moved.abs()
    }

    /// What a record is worth.
    pub(super) fn standing(&self, record: &Record) -> Standing {
        let trust = 100.0 * wilson(record.hits, record.changes);
        match () {
            () if record.changes < self.needed => Standing::Learning,
            () if trust < self.hit_percent_min => Standing::Doubted,
            () => Standing::Trusted,
        }
    }
}

/// The lower end of Wilson's interval of a share, 0 to 1; zero before the first trial.
fn wilson(hits: u32, trials: u32) -> f64 {
    if trials == 0 {
        return 0.0;
    }
    let n = f64::from(trials);
    let share = f64::from(hits) / n;
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half) / (1.0 + Z * Z / n)).clamp(0.0, 1.0)
}

/// An answer that waits for what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Waiting {
    due: Timestamp,
    baseline: Replicas,
    delta: i32,
}

/// What is remembered of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Kept {
    pub(super) target: TargetId,
    /// When the newest answer that is to be scored was given.
    seen: Option<Timestamp>,
    waiting: VecDeque<Waiting>,
    /// Newest scores of changes, oldest first.
    changes: VecDeque<bool>,
    /// Newest scores of answers of none, oldest first.
    steady: VecDeque<bool>,
    /// The HPA's answer at the last tick.
    last: Option<Replicas>,
    /// When it rose, unless it has fallen since.
    rose_at: Option<Timestamp>,
}

impl Kept {
    pub(super) fn new(target: &TargetId) -> Self {
        Self {
            target: target.clone(),
            seen: None,
            waiting: VecDeque::new(),
            changes: VecDeque::new(),
            steady: VecDeque::new(),
            last: None,
            rose_at: None,
        }
    }

    /// Scores what is due; `need` is the HPA's answer before its tolerance, where it can be read.
    pub(super) fn settle(&mut self, scores: &Scores, need: Option<Replicas>, now: Timestamp) {
        let grace = Span::from_nanos(scores.horizon.nanos() / 2);
        while let Some(waiting) = self.waiting.front().copied().filter(|w| w.due <= now) {
            let late = now > waiting.due + grace;
            match need {
                Some(later) if !late => self.score(scores, &waiting, later),
                None if !late => return,
                _ => {}
            }
            self.waiting.pop_front();
        }
    }

    fn score(&mut self, scores: &Scores, waiting: &Waiting, later: Replicas) {
        let right = scores.is_right(waiting, later);
        let all = if waiting.delta == 0 {
            &mut self.steady
        } else {
            &mut self.changes
        };
        all.push_back(right);
        while all.len() > scores.window as usize {
            all.pop_front();
        }
    }

    /// Lets an answer wait for its score, once.
    pub(super) fn await_score(
        &mut self,
        scores: &Scores,
        given: Timestamp,
        now: Timestamp,
        (baseline, delta): (Replicas, i32),
    ) {
        let is_new = self.seen.is_none_or(|seen| given > seen);
        if !is_new || self.waiting.len() >= WAITING_MAX {
            return;
        }
        self.seen = Some(given);
        self.waiting.push_back(Waiting {
            due: now + scores.horizon,
            baseline,
            delta,
        });
    }

    /// Takes in the HPA's answer at this tick.
    pub(super) fn baseline(&mut self, baseline: Option<Replicas>, now: Timestamp) {
        let Some(baseline) = baseline else { return };
        match self.last {
            Some(last) if baseline > last => self.rose_at = Some(now),
            Some(last) if baseline < last => self.rose_at = None,
            _ => {}
        }
        self.last = Some(baseline);
    }

    /// `true` where the HPA's last move within the horizon was upwards.
    pub(super) fn has_risen(&self, horizon: Span, now: Timestamp) -> bool {
        self.rose_at.is_some_and(|at| now - at <= horizon)
    }

    /// How often the adviser was right.
    pub(super) fn record(&self, scores: &Scores) -> Record {
        let count = |all: &VecDeque<bool>| all.len() as u32;
        let hits = |all: &VecDeque<bool>| all.iter().filter(|hit| **hit).count() as u32;
        let (changes, right) = (count(&self.changes), hits(&self.changes));
        Record {
            changes,
            hits: right,
            steady: count(&self.steady),
            steady_hits: hits(&self.steady),
            trust_percent: (100.0 * wilson(right, changes)) as u8,
            needed: scores.needed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        Scores {
            horizon: Span::from_seconds(300),
            tolerance_percent: 10.0,
            window: 50,
            needed: 10,
            hit_percent_min: 50.0,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn an_answer_is_right_where_it_was_nearer_to_what_came() {
        // Baseline, change, what came: right or not.
        for (baseline, delta, later, want) in [
            (10, 1, 10, false),
            (10, 1, 11, true),
            (10, 1, 9, false),
            (10, 2, 11, true),
            (10, 2, 12, true),
            (10, 2, 30, true),
            (10, -1, 9, true),
            (10, -2, 9, true),
            (10, -2, 10, false),
            (10, -1, 11, false),
            (10, 0, 10, true),
            (10, 0, 11, true),
            (10, 0, 12, false),
            (10, 0, 8, false),
            (5, 0, 6, false),
            (0, 0, 0, true),
            (0, 0, 1, false),
            (0, 1, 1, true),
        ] {
            let waiting = Waiting {
                due: at(0),
                baseline: Replicas::new(baseline),
                delta,
            };
            let right = scores().is_right(&waiting, Replicas::new(later));
            assert_eq!(right, want, "{baseline} {delta} {later}");
        }
    }

    #[test]
    fn the_lower_end_is_wilsons() {
        // By its definition: the share from which the measured one is Z standard errors away.
        for (hits, trials) in [(5, 10), (8, 10), (10, 10), (29, 50), (1, 1), (999, 1000)] {
            let low = wilson(hits, trials);
            let n = f64::from(trials);
            let away = f64::from(hits) / n - low;
            let error = Z * (low * (1.0 - low) / n).sqrt();
            assert!((away - error).abs() < 1e-12, "{hits} of {trials}: {low}");
            assert!(low > 0.0 && away > 0.0);
        }
        assert!(wilson(0, 10) <= 0.0);
        let percent = |hits, trials| (100.0 * wilson(hits, trials)) as u8;
        assert_eq!(
            [percent(8, 10), percent(5, 10), percent(29, 50)],
            [60, 31, 48]
        );
        assert!(wilson(0, 0) <= 0.0);
    }

    #[test]
    fn one_who_always_says_zero_gains_no_trust() {
        let (scores, mut kept) = (scores(), Kept::new(&TargetId::new("a/Deployment/b")));
        for i in 0..100 {
            let need = Some(Replicas::new(5));
            kept.settle(&scores, need, at(60 * i));
            kept.await_score(&scores, at(60 * i), at(60 * i), (Replicas::new(5), 0));
        }
        let record = kept.record(&scores);
        assert_eq!(
            (record.changes, record.hits, record.trust_percent),
            (0, 0, 0)
        );
        assert_eq!((record.steady, record.steady_hits), (50, 50));
        assert_eq!(scores.standing(&record), Standing::Learning);
    }

    #[test]
    fn what_cannot_be_read_in_time_is_not_scored() {
        let (scores, mut kept) = (scores(), Kept::new(&TargetId::new("a/Deployment/b")));
        let five = Replicas::new(5);
        kept.await_score(&scores, at(0), at(0), (five, 1));
        // The same answer again is the same answer.
        kept.await_score(&scores, at(0), at(15), (five, 1));
        kept.settle(&scores, Some(Replicas::new(6)), at(299));
        assert_eq!(kept.record(&scores).changes, 0);
        kept.settle(&scores, None, at(300));
        kept.settle(&scores, Some(Replicas::new(6)), at(450));
        assert_eq!(kept.record(&scores).hits, 1);
        kept.await_score(&scores, at(500), at(500), (five, 1));
        kept.settle(&scores, None, at(900));
        kept.settle(&scores, Some(Replicas::new(6)), at(951));
        assert_eq!(kept.record(&scores).changes, 1);
        assert!(kept.waiting.is_empty());
    }

    #[test]
    fn it_rises_from_a_move_up_until_a_move_down_or_the_horizon() {
        let (horizon, mut kept) = (
            Span::from_seconds(300),
            Kept::new(&TargetId::new("a/Deployment/b")),
        );
        for (seconds, replicas, want) in [
            (0, Some(3), false),
            (15, Some(4), true),
            (30, Some(4), true),
            (45, None, true),
            (60, Some(3), false),
            (75, Some(5), true),
            (375, Some(5), true),
            (376, Some(5), false),
        ] {
            kept.baseline(replicas.map(Replicas::new), at(seconds));
            assert_eq!(kept.has_risen(horizon, at(seconds)), want, "{seconds}");
        }
    }
}
