//! `llm`: the exact HPA's answer, and on top of it the change that a language model asks for.
//!
//! The model's answers come in as advice by `llm` ([`Says::Delta`]), so that a replay needs no
//! model. A change is two replicas at most, and it is believed by how often its like was right, never
//! by what the model says of itself: `kept` scores each answer one horizon later. Until enough
//! changes were right the wish is withheld and only told (knob `untrusted`); without advice there is
//! no wish at all, and the reactive floor decides alone.
//! Source of the idea: alcocuzzi/etp, autoscaler/ollama_predictor.py ("keep the baseline, raise or
//! lower it by 1–2"); the bounds, the scores and the gate are ours.

mod kept;

use foresail_core::history::View;
use foresail_core::propose::advice::{Advice, Says};
use foresail_core::propose::delta::{Delta, Deltas, Standing};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::propose::{
    Absence, Basis, Confidence, Context, Proposal, Proposer, Reactive, RestoreError,
};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::SpecProblem;

use super::one_per_target;
use crate::knobs::{Kind, Knob, Knobs};
use crate::registry::{Build, Built, Entry};
use kept::{Kept, Scores};

/// The adviser whose answers are read, and the proposer's own name.
pub const NAME: &str = "llm";

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "the HPA, plus the change of at most two replicas that a language model advises",
    knobs: &[
        Knob::whole(
            "maxDelta",
            [2, 1, 2],
            "the most replicas that an answer adds or takes away",
        ),
        Knob::flag(
            "floorWhileRising",
            true,
            "nothing is taken away while the HPA's answer has risen within the horizon",
        ),
        Knob::number(
            "horizonSeconds",
            [300.0, 15.0, 3600.0],
            "when an answer is scored, after its first use",
        ),
        Knob::number(
            "tolerancePercent",
            [10.0, 0.0, 100.0],
            "an answer of no change is right where the HPA's answer moved by no more",
        ),
        Knob::whole(
            "window",
            [50, 1, 1000],
            "newest scored changes that trust rests on",
        ),
        Knob::whole(
            "minAnswers",
            [10, 1, 1000],
            "changes that must be scored before any is believed",
        ),
        Knob::number(
            "minHitPercent",
            [50.0, 0.0, 100.0],
            "the lower bound of the hit rate from which on changes are believed",
        ),
        Knob {
            name: "untrusted",
            kind: Kind::Word {
                default: "shadow",
                known: &["shadow", "act"],
            },
            doc: "what is done with a change that is not believed: only told, or wished all the same",
        },
    ],
    build,
};

/// The largest distance of a ratio from one, in thousandths, at which the HPA may have kept the
/// present number for its tolerance; farther off it kept it for another reason.
const HELD_MILLI_MAX: i64 = 500;

fn build(build: &Build<'_>) -> Built {
    let settings = Settings::new(build.knobs);
    if settings.scores.needed > settings.scores.window {
        let why = format!(
            "{}: is above `window` ({}), so that nothing would ever be believed; raise `window`",
            settings.scores.needed, settings.scores.window
        );
        let path = format!("{}.minAnswers", build.path);
        return Err(vec![SpecProblem::new(path, why)]);
    }
    Ok(Box::new(Llm {
        settings,
        kept: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct Settings {
    delta_max: i32,
    floor_while_rising: bool,
    acts_untrusted: bool,
    scores: Scores,
}

impl Settings {
    fn new(knobs: &Knobs) -> Self {
        let whole = |name| u32::try_from(knobs.whole(name)).unwrap_or(u32::MAX);
        Self {
            delta_max: i32::try_from(knobs.whole("maxDelta")).unwrap_or(2),
            floor_while_rising: knobs.flag("floorWhileRising"),
            acts_untrusted: knobs.word("untrusted") == "act",
            scores: Scores {
                horizon: Span::from_seconds(knobs.number("horizonSeconds") as i64),
                tolerance_percent: knobs.number("tolerancePercent"),
                window: whole("window"),
                needed: whole("minAnswers"),
                hit_percent_min: knobs.number("minHitPercent"),
            },
        }
    }

    /// What is wished for a target, and what is told of it.
    fn target(
        &self,
        kept: &Kept,
        asked: i32,
        reactive: Reactive,
        current: Replicas,
        now: foresail_core::quantity::time::Timestamp,
    ) -> Result<(Delta, Replicas), Absence> {
        let baseline = reactive.replicas.ok_or(Absence::NoMetric)?;
        let need = need(reactive, current).ok_or(Absence::NoMetric)?;
        let asked = asked.clamp(-self.delta_max, self.delta_max);
        let rises = self.floor_while_rising && kept.has_risen(self.scores.horizon, now);
        let taken = if rises { asked.max(0) } else { asked };
        let record = kept.record(&self.scores);
        let standing = self.scores.standing(&record);
        let delta = Delta {
            asked,
            taken,
            record,
            standing,
            acts: standing == Standing::Trusted || self.acts_untrusted,
        };
        Ok((delta, wish(baseline, need, taken, self.delta_max)))
    }
}

/// What the HPA would ask for if it had no tolerance.
///
/// Within its tolerance the HPA answers the present number, whatever that is: a replica added on
/// advice would become its answer, and prove the advice right, or be built on once more. So what an
/// answer is scored by and built on is the number before the tolerance.
fn need(reactive: Reactive, current: Replicas) -> Option<Replicas> {
    let replicas = reactive.replicas?;
    let ratio = reactive.ratio_milli;
    let near = 1000 - HELD_MILLI_MAX..=1000 + HELD_MILLI_MAX;
    let is_held = replicas == current && near.contains(&ratio);
    if !is_held {
        return Some(replicas);
    }
    let milli = current.as_i64() * ratio;
    Some(Replicas::saturating((milli + 999).div_euclid(1000)))
}

/// The need with a change on top, at the wrong side of the baseline never, and nowhere farther from
/// it than the most that is allowed. Zero replicas are the baseline's alone to ask for.
fn wish(baseline: Replicas, need: Replicas, taken: i32, most: i32) -> Replicas {
    let (base, most) = (baseline.as_i64(), i64::from(most));
    let moved = need.as_i64() + i64::from(taken);
    let sided = match taken.signum() {
        1 => moved.max(base),
        -1 => moved.min(base),
        _ => base,
    };
    let within = sided.clamp(base - most, base + most);
    Replicas::saturating(within.max(base.min(1)))
}

/// Wishes the reactive floor with a change on top.
#[derive(Debug)]
struct Llm {
    settings: Settings,
    kept: Vec<Kept>,
}

impl Llm {
    /// Takes in what this tick shows, for every target.
    fn remember(&mut self, view: &View<'_>, context: &Context<'_>, deltas: &[(TargetId, i32)]) {
        one_per_target(&mut self.kept, view.spec, |k| &k.target, Kept::new);
        let scores = &self.settings.scores;
        for (index, kept) in self.kept.iter_mut().enumerate() {
            let (Some(reactive), Some(state)) = (context.reactive.get(index), view.state(index))
            else {
                continue;
            };
            let need = need(*reactive, state.current_replicas());
            kept.settle(scores, need, context.now);
            kept.baseline(reactive.replicas, context.now);
            let asked = deltas.iter().find(|(id, _)| *id == kept.target);
            let advice = view.advice(NAME).zip(asked).zip(need);
            if let Some(((advice, (_, delta)), need)) = advice {
                let most = self.settings.delta_max;
                let delta = (*delta).clamp(-most, most);
                kept.await_score(scores, advice.at, context.now, (need, delta));
            }
        }
    }
}

/// The changes that a piece of advice asks for; none where it says something else.
fn deltas_of(advice: Option<&Advice>) -> &[(TargetId, i32)] {
    match advice.map(|a| &a.says) {
        Some(Says::Delta(deltas)) => deltas,
        _ => &[],
    }
}

impl Proposer for Llm {
    fn propose(&mut self, view: &View<'_>, context: &Context<'_>) -> Proposal {
        let advice = view.advice(NAME);
        let deltas = deltas_of(advice);
        self.remember(view, context, deltas);
        let Some(advice) = advice.filter(|_| !deltas.is_empty()) else {
            return Proposal::absent(Absence::NoAdvice);
        };
        let (mut plan, mut told, mut trust) = (Vec::new(), Vec::new(), None::<u8>);
        for (index, kept) in self.kept.iter().enumerate() {
            let id = &kept.target;
            let asked = deltas.iter().find(|(target, _)| target == id);
            let asked = asked.map(|(_, delta)| *delta).ok_or(Absence::NoAdvice);
            let current = view.state(index).ok_or(Absence::NoMetric);
            let found = asked.and_then(|asked| {
                let current = current?.current_replicas();
                let reactive = context.reactive.get(index).ok_or(Absence::NoMetric)?;
                self.settings
                    .target(kept, asked, *reactive, current, context.now)
            });
            if let Ok((delta, wish)) = &found {
                let percent = delta.record.trust_percent;
                trust = Some(trust.map_or(percent, |t| t.min(percent)));
                if delta.acts {
                    plan.push((id.clone(), Setting::replicas(*wish)));
                }
            }
            told.push((id.clone(), found.map(|(delta, _)| delta)));
        }
        Proposal {
            confidence: Confidence::percent(trust.unwrap_or(0)),
            ..Proposal::certain(
                plan,
                Basis::Deltas(Box::new(Deltas {
                    said_percent: advice.confidence_percent,
                    text: advice.text.clone(),
                    targets: told,
                })),
            )
        }
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.kept).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let failed = |e: serde_json::Error| RestoreError {
            proposer: NAME.to_owned(),
            why: e.to_string(),
        };
        self.kept = serde_json::from_slice(state).map_err(failed)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(replicas: u32, ratio_milli: i64) -> Reactive {
        Reactive {
            replicas: Some(Replicas::new(replicas)),
            metric: 0,
            ratio_milli,
        }
    }

    #[test]
    fn the_need_is_the_formula_without_its_tolerance() {
        // Current, answer of the HPA, ratio: need.
        for (current, answer, ratio, want) in [
            (20, 20, 950, 19),
            (20, 20, 1000, 20),
            (20, 20, 1001, 21),
            (20, 20, 1100, 22),
            (20, 24, 1200, 24),
            (20, 10, 500, 10),
            // Kept for another reason than the tolerance.
            (20, 20, 3000, 20),
            (20, 20, i64::MAX, 20),
            (20, 20, i64::MIN, 20),
            (0, 0, 0, 0),
        ] {
            let need = need(held(answer, ratio), Replicas::new(current));
            assert_eq!(
                need,
                Some(Replicas::new(want)),
                "{current} {answer} {ratio}"
            );
        }
    }

    #[test]
    fn a_change_is_not_built_on_itself() {
        // The need is 10. One more is advised, tick after tick: 11, and not 12.
        let mut current = Replicas::new(10);
        for _ in 0..5 {
            let ratio = 10_000 / current.as_i64();
            let reactive = held(if ratio > 900 { current.get() } else { 10 }, ratio);
            let need = need(reactive, current).unwrap();
            current = wish(reactive.replicas.unwrap(), need, 1, 2);
            assert_eq!(current, Replicas::new(11));
        }
    }

    #[test]
    fn a_wish_keeps_to_its_side_and_within_its_reach() {
        // Baseline, need, change: wish.
        for (baseline, need, taken, want) in [
            (10, 10, 0, 10),
            (10, 10, 2, 12),
            (10, 10, -2, 8),
            (11, 10, 1, 11),
            (11, 10, 2, 12),
            (11, 9, -2, 9),
            (11, 10, 0, 11),
            (9, 10, -1, 9),
            (1, 1, -2, 1),
            (0, 0, -2, 0),
            (0, 0, 1, 1),
        ] {
            let wish = wish(Replicas::new(baseline), Replicas::new(need), taken, 2);
            assert_eq!(wish, Replicas::new(want), "{baseline} {need} {taken}");
        }
    }
}
