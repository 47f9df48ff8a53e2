//! `aware`: joint settings of replicas and requests by a learnt policy.
//!
//! A policy comes in as an artifact and acts once in `everySeconds`; between, its wish holds. It acts
//! only where it is as good as the heuristic, which is whoever stands behind it (`hpa` and `vpa`): for
//! the first episodes it has no wish and measures what the heuristic earns, later it falls silent again
//! where it earns less. Whoever learns outside gives its wish as advice by `aware`, which goes first.
//! Source: Qiu et al., AWARE, USENIX ATC 2023; specs/hpa_aware_studies.md 2.6.

use foresail_core::act::{Outcome, Settled};
use foresail_core::history::View;
use foresail_core::propose::advice::Says;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::propose::{Absence, Basis, Context, Proposal, Proposer, RestoreError};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{SpecProblem, ValidTarget};
use serde::{Deserialize, Serialize};

use super::advised::known;
use crate::knobs::Knob;
use crate::registry::{Build, Built, Entry};
use crate::rl::axes::{Axes, Move, Moves};
use crate::rl::bootstrap::{Acting, BootstrapRules, Bootstrapper};
use crate::rl::episode::{Best, Episode, EpisodeStep};
use crate::rl::learner::{Learner, Memory};
use crate::rl::lifecycle::{Lifecycle, Thresholds};
use crate::rl::reward::{Reward, StepMeasured};
use crate::rl::state;

/// The adviser whose wishes are taken, and the proposer's own name.
pub const NAME: &str = "aware";

/// The registry's entry.
pub const ENTRY: Entry = Entry {
    name: NAME,
    summary: "replicas and requests together, by a learnt policy that was as good as the heuristic",
    knobs: &[
        Knob::whole(
            "everySeconds",
            [60, 1, 86_400],
            "time between two moves of the policy",
        ),
        Knob::whole(
            "steps",
            [100, 2, 10_000],
            "moves of an episode, over which rewards are added up",
        ),
        Knob::whole(
            "bootstrapEpisodes",
            [50, 0, 100_000],
            "episodes in which the heuristic acts and is measured; the policy acts after them once its value is as good; 0 = at once and always",
        ),
        Knob::number(
            "promisedPercent",
            [99.0, 0.0, 100.0],
            "share of the requests that is promised to be in time",
        ),
    ],
    build,
};

fn build(build: &Build<'_>) -> Built {
    let [target] = build.spec.targets() else {
        let why = "`aware` serves one target: give each a spec of its own";
        return Err(vec![SpecProblem::new("targets".to_owned(), why)]);
    };
    let knobs = build.knobs;
    let episodes = knobs.whole("bootstrapEpisodes") as usize;
    let rules = match episodes {
        0 => BootstrapRules::none(),
        _ => BootstrapRules {
            episodes,
            ..BootstrapRules::default()
        },
    };
    let axes = Axes::of(target);
    Ok(Box::new(Aware {
        every: Span::from_seconds(knobs.whole("everySeconds") as i64),
        steps: knobs.whole("steps") as usize,
        promised: knobs.number("promisedPercent") / 100.0,
        policy: None,
        kept: Kept {
            boot: Bootstrapper::new(rules),
            life: Lifecycle::default(),
            before: vec![Move::Hold; axes.len()],
            last: None,
            episode: Episode::default(),
            best: None,
        },
        axes,
    }))
}

/// A policy with what it knows of the world at hand.
#[derive(Debug)]
struct Policy {
    learner: Learner,
    memory: Memory,
}

/// The last step: when it began, what was seen, from where, and what was wished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    at: Timestamp,
    state: Vec<f32>,
    from: Setting,
    wish: Option<Setting>,
}

/// What outlives a restart; the policy is an artifact and comes in again, before or after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    boot: Bootstrapper,
    life: Lifecycle,
    before: Moves,
    last: Option<Step>,
    episode: Episode,
    /// The best episodes on this target, by which a policy tells what kind of world it is in.
    best: Option<Best>,
}

/// Wishes what a policy, or a learner outside, would have.
#[derive(Debug)]
struct Aware {
    axes: Axes,
    every: Span,
    steps: usize,
    promised: f64,
    policy: Option<Policy>,
    kept: Kept,
}

impl Aware {
    /// Ends the step that is over: what it was worth, and with the last of an episode who acts next.
    fn end_step(&mut self, view: &View<'_>, now_setting: &Setting) {
        let Some(step) = self.kept.last.take() else {
            return;
        };
        let executed = self.axes.executed(&step.from, now_setting);
        let (Some(used), Some(history)) = (state::used(view, 0, &self.axes), view.target(0)) else {
            // Of a step whose end cannot be seen nothing is learnt.
            self.kept.before = executed;
            return;
        };
        let measured = StepMeasured {
            preserved: state::slo_preserved(history, self.promised),
            used,
            lag_growth: 0.0,
        };
        let reward = Reward::default().of(&measured, &executed, &self.kept.before);
        self.kept.before.clone_from(&executed);
        self.kept.episode.steps.push(EpisodeStep {
            state: step.state,
            moves: executed,
            reward: reward as f32,
        });
        if self.kept.episode.steps.len() >= self.steps {
            let episode = std::mem::take(&mut self.kept.episode);
            let earned = episode.reward();
            let mut value = None;
            if let Some(policy) = &mut self.policy {
                let advantage = policy.learner.advantage(&policy.memory, &episode.steps);
                value = self.kept.boot.value(advantage);
                policy
                    .learner
                    .end_episode(&mut policy.memory, episode, false);
                self.kept.best = Some(policy.memory.best.clone());
            }
            let Kept { boot, life, .. } = &mut self.kept;
            boot.episode(earned, value, life, &Thresholds::default());
        }
    }

    fn begin_step(&mut self, view: &View<'_>, target: &ValidTarget, current: &Setting) {
        let seen = state::observe(view, 0, &self.axes, &self.kept.before, self.promised);
        let (Some(seen), Some(policy)) = (seen, &mut self.policy) else {
            return;
        };
        let wish = match self.kept.boot.acting() {
            Acting::Heuristic => None,
            Acting::Learner => {
                let legal = self.axes.legal(target, current);
                let moves = policy.learner.act(&policy.memory, &seen, &legal, false);
                moves.map(|m| self.axes.wish(target, current, &m))
            }
        };
        self.kept.last = Some(Step {
            at: view.now,
            state: seen,
            from: current.clone(),
            wish,
        });
    }

    /// A policy remembers what was flown on this target, whoever was installed then.
    fn remember(&mut self) {
        if let (Some(policy), Some(best)) = (&mut self.policy, &self.kept.best) {
            policy.memory = policy.learner.memory_of(best);
        }
    }

    fn own_wish(&mut self, view: &View<'_>) -> Option<(TargetId, Setting)> {
        let (target, state) = (view.spec.targets().first()?, view.state(0)?);
        self.policy.as_ref()?;
        let due = self
            .kept
            .last
            .as_ref()
            .is_none_or(|s| view.now - s.at >= self.every);
        if due {
            self.end_step(view, &state.current);
            self.begin_step(view, target, &state.current);
        }
        let wish = self.kept.last.as_ref()?.wish.clone()?;
        Some((target.id.clone(), wish))
    }
}

impl Proposer for Aware {
    fn propose(&mut self, view: &View<'_>, _context: &Context<'_>) -> Proposal {
        if let Some(advice) = view.advice(NAME) {
            return match &advice.says {
                Says::Plan(plan) => {
                    let text = advice.text.clone();
                    Proposal::certain(known(plan, view), Basis::Advice { text })
                }
                _ => Proposal::absent(Absence::NoAdvice),
            };
        }
        match self.own_wish(view) {
            Some(wish) => {
                let text = format!("a learnt policy, {}", self.kept.life.stage());
                Proposal::certain(vec![wish], Basis::Advice { text })
            }
            None => Proposal::absent(Absence::NoAdvice),
        }
    }

    fn settled(&mut self, settled: &Settled) {
        // A write that failed leaves the setting as it was; what was executed is read from it, so
        // there is nothing to undo but the wish, which would be written again unseen.
        if settled.outcome != Outcome::Applied
            && let Some(step) = &mut self.kept.last
        {
            step.wish = None;
        }
    }

    fn install(&mut self, artifact: &[u8]) -> bool {
        let Ok((learner, _)) = Learner::load(artifact) else {
            return false;
        };
        let settings = learner.settings();
        if settings.axes != self.axes.len() || settings.state != state::width(&self.axes) {
            return false;
        }
        let memory = learner.memory();
        self.policy = Some(Policy { learner, memory });
        self.remember();
        true
    }

    fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.kept).unwrap_or_default()
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let refuse = |why: String| RestoreError {
            proposer: NAME.to_owned(),
            why,
        };
        let kept: Kept = serde_json::from_slice(bytes).map_err(|e| refuse(e.to_string()))?;
        if kept.before.len() != self.axes.len() {
            return Err(refuse("it is of a target with other resources".to_owned()));
        }
        self.kept = kept;
        self.remember();
        Ok(())
    }

    fn ticks_per_save(&self) -> u64 {
        crate::propose::on_forecast::TICKS_PER_SAVE
    }
}
