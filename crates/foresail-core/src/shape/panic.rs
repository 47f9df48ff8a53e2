//! In a panic nothing goes down.

use super::Wish;
use crate::explain::why::Why;
use crate::history::PanicEpisode;
use crate::quantity::units::Replicas;

/// The episode that a wish begins, arms again or is still in; `None` without one.
///
/// A wish of at least `panicPercent` of the ready pods begins a panic that lasts `panicSeconds`
/// after the last such wish.
/// Source: knative/serving:pkg/autoscaler/scaling/autoscaler.go, whose panic mode this follows.
pub(super) fn armed(wished: Replicas, wish: &Wish<'_>) -> Option<PanicEpisode> {
    let percent = i64::from(wish.spec.panic_percent?);
    let over = wished.as_i64() * 100 >= wish.state.ready.as_i64().max(1) * percent;
    let running = wish.episode.filter(|e| wish.now < e.until);
    let most = running.map_or(wished, |e| e.most.max(wished));
    if over {
        Some(PanicEpisode {
            until: wish.now + wish.spec.panic,
            most,
        })
    } else {
        running.map(|e| PanicEpisode { most, ..e })
    }
}

/// Lifts a wish to the largest one of the episode.
pub(super) fn step(replicas: Replicas, wish: &Wish<'_>) -> Option<(Replicas, Why)> {
    let episode = wish.episode?;
    (replicas < episode.most).then_some((episode.most, Why::Panic(episode.most)))
}
