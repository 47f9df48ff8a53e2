//! What a wish owes to itself: tolerance, readiness, panic, cooldown.
//!
//! Each step sees one wish on one target and no other proposer. A step is one file here and one
//! line in [`STEPS`]; a spec switches it on by its field in `shape`.

mod cooldown;
mod panic;
mod readiness;
mod tolerance;

use crate::explain::why::Why;
use crate::guard::{GuardName, Limit};
use crate::history::{PanicEpisode, TargetHistory};
use crate::observe::TargetState;
use crate::propose::plan::{Axis, TargetId};
use crate::quantity::time::{Span, Timestamp};
use crate::quantity::units::Replicas;
use crate::spec::ShapeSpec;

/// One wish on one target, and what a step may look at.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) spec: &'a ShapeSpec,
    pub(crate) state: &'a TargetState,
    pub(crate) history: &'a TargetHistory,
    pub(crate) episode: Option<PanicEpisode>,
    pub(crate) ratio_milli: Option<i64>,
    /// The cooldown that the wish itself brings.
    pub(crate) cooldown: Option<Span>,
    pub(crate) now: Timestamp,
}

/// A step: the number that it leaves and why, where it moves the wish.
type Step = fn(Replicas, &Wish<'_>) -> Option<(Replicas, Why)>;

/// Every step, in the order in which they run.
static STEPS: [(GuardName, Step); 4] = [
    (GuardName::Tolerance, tolerance::step),
    (GuardName::Readiness, readiness::step),
    (GuardName::Panic, panic::step),
    (GuardName::Cooldown, cooldown::step),
];

/// What shaping left of a wish: the number, the chain, and the panic it is in.
pub(crate) struct Shaped {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "the chain tells it to everyone else")
    )]
    pub(crate) replicas: Replicas,
    pub(crate) limits: Vec<Limit>,
    pub(crate) episode: Option<PanicEpisode>,
}

/// Runs every step over one wish.
pub(crate) fn run(target: &TargetId, wished: Replicas, mut wish: Wish<'_>) -> Shaped {
    wish.episode = panic::armed(wished, &wish);
    let (mut replicas, mut limits) = (wished, Vec::new());
    for (by, step) in STEPS {
        if let Some((to, why)) = step(replicas, &wish).filter(|(to, _)| *to != replicas) {
            let (target, axis) = (target.clone(), Axis::Replicas);
            limits.push(Limit {
                by,
                target,
                axis,
                from: replicas.into(),
                to: to.into(),
                why,
            });
            replicas = to;
        }
    }
    Shaped {
        replicas,
        limits,
        episode: wish.episode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Change;
    use crate::propose::plan::Setting;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn check(
        spec: &ShapeSpec,
        current: u32,
        ready: u32,
        wished: u32,
        ratio: i64,
    ) -> (u32, Vec<GuardName>) {
        let current_setting = Setting::replicas(Replicas::new(current));
        let state = TargetState {
            current: current_setting,
            ready: Replicas::new(ready),
            status_replicas: Replicas::new(current),
            ..TargetState::default()
        };
        let mut history = TargetHistory::default();
        let (from, to) = (Replicas::new(2), Replicas::new(current));
        history.remember_change(Change {
            at: NOW - Span::from_seconds(100),
            from,
            to,
        });
        let wish = Wish {
            spec,
            state: &state,
            history: &history,
            episode: None,
            ratio_milli: Some(ratio),
            cooldown: None,
            now: NOW,
        };
        let shaped = run(&TargetId::new("web"), Replicas::new(wished), wish);
        (
            shaped.replicas.get(),
            shaped.limits.iter().map(|l| l.by).collect(),
        )
    }

    #[test]
    fn without_knobs_nothing_is_shaped() {
        assert_eq!(check(&ShapeSpec::default(), 4, 4, 9, 3000), (9, vec![]));
    }

    #[test]
    fn a_ratio_near_one_changes_nothing() {
        let spec = ShapeSpec {
            tolerance_percent: Some(10),
            ..ShapeSpec::default()
        };
        assert_eq!(check(&spec, 4, 4, 5, 1080), (4, vec![GuardName::Tolerance]));
        assert_eq!(check(&spec, 4, 4, 5, 1101), (5, vec![]));
    }

    #[test]
    fn while_pods_start_that_cover_the_wish_nothing_goes_down() {
        let spec = ShapeSpec {
            readiness: true,
            ..ShapeSpec::default()
        };
        assert_eq!(check(&spec, 6, 3, 5, 0), (6, vec![GuardName::Readiness]));
        assert_eq!(check(&spec, 6, 6, 5, 0), (5, vec![]), "nothing is starting");
        assert_eq!(
            check(&spec, 6, 3, 9, 0),
            (9, vec![]),
            "a rise is never held"
        );
    }

    #[test]
    fn after_a_change_the_way_down_cools() {
        let spec = ShapeSpec {
            cooldown: Span::from_seconds(120),
            ..ShapeSpec::default()
        };
        assert_eq!(check(&spec, 6, 6, 5, 0), (6, vec![GuardName::Cooldown]));
        assert_eq!(check(&spec, 6, 6, 7, 0), (7, vec![]));
        let short = ShapeSpec {
            cooldown: Span::from_seconds(99),
            ..ShapeSpec::default()
        };
        assert_eq!(check(&short, 6, 6, 5, 0), (5, vec![]));
    }

    #[test]
    fn a_wish_may_bring_a_longer_cooldown_than_its_proposer_has() {
        let spec = ShapeSpec {
            cooldown: Span::from_seconds(50),
            ..ShapeSpec::default()
        };
        let brought = |seconds, wished| {
            let mut history = TargetHistory::default();
            let (from, to) = (Replicas::new(2), Replicas::new(6));
            let at = NOW - Span::from_seconds(100);
            history.remember_change(Change { at, from, to });
            let state = TargetState {
                current: Setting::replicas(to),
                ready: to,
                ..TargetState::default()
            };
            let wish = Wish {
                spec: &spec,
                state: &state,
                history: &history,
                episode: None,
                ratio_milli: None,
                cooldown: Some(Span::from_seconds(seconds)),
                now: NOW,
            };
            run(&TargetId::new("web"), Replicas::new(wished), wish)
                .replicas
                .get()
        };
        assert_eq!(brought(180, 5), 6, "180 s have not passed");
        assert_eq!(brought(180, 9), 9, "the way up is free");
        assert_eq!(brought(99, 5), 5);
    }

    #[test]
    fn in_a_panic_nothing_goes_below_its_largest_wish() {
        let spec = ShapeSpec {
            panic_percent: Some(200),
            panic: Span::from_seconds(60),
            ..ShapeSpec::default()
        };
        let state = TargetState {
            ready: Replicas::new(5),
            ..TargetState::default()
        };
        let history = TargetHistory::default();
        let shaped = |wished: u32, episode, now| {
            let ratio_milli = None;
            let wish = Wish {
                spec: &spec,
                state: &state,
                history: &history,
                episode,
                ratio_milli,
                cooldown: None,
                now,
            };
            run(&TargetId::new("web"), Replicas::new(wished), wish)
        };
        let first = shaped(12, None, NOW);
        assert_eq!(first.replicas.get(), 12);
        let next = shaped(6, first.episode, NOW + Span::from_seconds(59));
        assert_eq!(next.replicas.get(), 12, "no way down in a panic");
        let after = shaped(6, first.episode, NOW + Span::from_seconds(61));
        assert_eq!((after.replicas.get(), after.episode), (6, None));
    }
}
