//! Checks that the parts do what the paper and its replication promise.

use anyhow::{Context, Result};
use foresail_core::quantity::units::Replicas;
use foresail_core::spec::Resize;
use foresail_models::rl::axes::{Joint, Move};
use foresail_models::rl::bootstrap::{Acting, BootstrapRules, Bootstrapper};
use foresail_models::rl::env::Env;
use foresail_models::rl::episode::{Episode, EpisodeStep};
use foresail_models::rl::learner::{Learner, Preset};
use foresail_models::rl::lifecycle::{Lifecycle, Stage, Thresholds};
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::training::{Training, TrainingRules};
use foresail_models::rng::Seed;
use foresail_sim::env::{FluidEnv, StepRules, World, Worlds};

use super::course::{minutes, policy, settings};

/// One check.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) holds: bool,
    /// What was found, for people.
    pub(crate) found: String,
}

fn check(name: &'static str, holds: bool, found: impl Into<String>) -> Check {
    let found = found.into();
    Check { name, holds, found }
}

/// Every check: three of `verify_aware.py`, then those that the specification adds.
///
/// # Errors
/// Where the parts cannot be built.
pub(crate) fn checks(seed: Seed) -> Result<Vec<Check>> {
    let days = u32::try_from(minutes(1, 100).div_ceil(1440)).unwrap_or(1);
    let world = Worlds { days, seed }.generated(1);
    let mut all = embeddings(&world, seed)?;
    all.extend(bootstrapping());
    all.extend(actions(&world, seed)?);
    all.push(saved(&world, seed)?);
    Ok(all)
}

fn learner(world: &World, embedding: usize, seed: Seed) -> Result<Learner> {
    let meta = MetaSettings {
        embedding,
        ..MetaSettings::default()
    };
    let settings = settings(world, Preset::Firm, Joint::Each, Some(meta));
    Ok(Learner::new(settings, seed)?)
}

/// Made-up episodes of one kind of world, in the learner's widths.
fn episodes(learner: &Learner, kind: f32) -> impl Iterator<Item = Episode> {
    let (width, axes) = (learner.settings().state, learner.settings().axes);
    (0..5).map(move |n| {
        let step = |t: usize| EpisodeStep {
            state: (0..width)
                .map(|i| kind * ((t + i) as f32 / 3.0).sin())
                .collect(),
            moves: vec![Move::ALL[(t + n) % 3]; axes],
            reward: 1.0 + 0.01 * n as f32,
        };
        Episode {
            steps: (0..20).map(step).collect(),
        }
    })
}

fn embedding_of(learner: &mut Learner, kind: f32) -> Vec<f32> {
    let mut memory = learner.memory();
    let all: Vec<Episode> = episodes(learner, kind).collect();
    for episode in all {
        learner.end_episode(&mut memory, episode, false);
    }
    memory.embedding
}

fn embeddings(world: &World, seed: Seed) -> Result<Vec<Check>> {
    let mut sizes = Vec::new();
    let (mut sound, mut differ, mut same) = (true, true, true);
    for size in [16, 64] {
        let mut one = learner(world, size, seed)?;
        let calm = embedding_of(&mut one, 0.2);
        let wild = embedding_of(&mut one, 2.0);
        let again = embedding_of(&mut learner(world, size, seed)?, 0.2);
        sizes.push(calm.len().to_string());
        sound &= calm.len() == size && calm.iter().all(|e| e.is_finite());
        differ &= calm != wild;
        same &= calm == again;
    }
    let sizes = sizes.join(" and ");
    Ok(vec![
        check(
            "meta-learner: an embedding of its size, finite",
            sound,
            format!("{sizes} numbers"),
        ),
        check(
            "meta-learner: other trajectories, other embedding",
            differ,
            "",
        ),
        check("meta-learner: the same seed, the same embedding", same, ""),
    ])
}

fn bootstrapping() -> Vec<Check> {
    let thresholds = Thresholds::default();
    let fly = |boot: &mut Bootstrapper, life: &mut Lifecycle, rewards: &[f64], value: f64| {
        let one = |r: &f64| boot.episode(*r, Some(value), life, &thresholds);
        rewards.iter().map(one).collect::<Vec<Acting>>()
    };
    let new = || {
        (
            Bootstrapper::new(BootstrapRules::default()),
            Lifecycle::default(),
        )
    };
    let (mut boot, mut life) = new();
    let mut acting = vec![boot.acting()];
    acting.extend(fly(&mut boot, &mut life, &[130.0; 60], 131.0));
    let first = acting.iter().position(|a| *a == Acting::Learner);
    let (mut worse, mut kept) = new();
    let held = fly(&mut worse, &mut kept, &[130.0; 60], 129.0);
    let held = held.iter().all(|a| *a == Acting::Heuristic);
    let serves = life.stage() == Stage::Serving;
    let fallen = fly(&mut boot, &mut life, &[20.0], 131.0) == [Acting::Heuristic];
    vec![
        check(
            "bootstrapper: the heuristic in episodes 0 to 49, the learner from 50",
            first == Some(50),
            first.map_or_else(|| "never".to_owned(), |n| format!("the learner from {n}")),
        ),
        check(
            "bootstrapper: no switch to a learner that is worth less",
            held,
            "",
        ),
        check(
            "bootstrapper: a fall in SERVING leads to the heuristic within an episode",
            serves && fallen,
            format!("{} after it", life.stage()),
        ),
    ]
}

fn actions(world: &World, seed: Seed) -> Result<Vec<Check>> {
    let item = world.stretch(0, 120);
    let mut policy = policy(&item.setup, &item, "aware")?;
    let rules = StepRules::default();
    let pipeline = &item.setup.pipeline;
    let mut env = FluidEnv::new(&item, &policy, pipeline, rules, seed)?;
    let before = env.setting();
    let up = [Move::Up, Move::Hold, Move::Hold];
    let told = env.step(Some(&up));
    let (from, to) = (before.replicas, env.setting().replicas);
    let scaled = told.executed[0] == Move::Up && to > from;
    let mut most = env.setting();
    for _ in 0..60 {
        env.step(Some(&[Move::Hold, Move::Up, Move::Up]));
        most = env.setting();
    }
    let within = item.setup.resources.iter().all(|(name, bounds)| {
        let amount = most.per_pod.get(name);
        amount.is_some_and(|a| a.milli() <= bounds.max.milli())
    });
    let mut single = world.stretch(0, 120);
    single.setup.max = 1;
    policy.initial = 1;
    policy.spec.targets[0].hpa.max_replicas = 1;
    policy.spec.targets[0].resize = Resize::Recreate;
    let mut env = FluidEnv::new(&single, &policy, pipeline, rules, seed)?;
    let before = env.setting();
    let told = env.step(Some(&[Move::Hold, Move::Up, Move::Hold]));
    let refused = (told.reward - rules.reward.illegal).abs() < 1e-12 && env.setting() == before;
    Ok(vec![
        check(
            "MPA: an action is clamped and scales the target",
            scaled && within,
            format!("{} to {} replicas", shown(from), shown(to)),
        ),
        check(
            "MPA: a vertical action at one replica is refused",
            refused,
            format!(
                "reward {}, {}",
                told.reward,
                if env.setting() == before {
                    "nothing changed"
                } else {
                    "changed"
                }
            ),
        ),
    ])
}

fn saved(world: &World, seed: Seed) -> Result<Check> {
    let mut one = learner(world, 16, seed)?;
    let training = Training::new(&one, TrainingRules::default());
    let bytes = one.save(std::slice::from_ref(&training))?;
    let (mut other, trainings) = Learner::load(&bytes).context("a checkpoint of our own")?;
    let same = embedding_of(&mut one, 0.7) == embedding_of(&mut other, 0.7);
    let again = other.save(&trainings)?;
    Ok(check(
        "checkpoint: saved and loaded, the same embedding and the same bytes",
        same && again == bytes,
        format!("{} bytes", bytes.len()),
    ))
}

fn shown(replicas: Option<Replicas>) -> String {
    replicas.map_or_else(|| "?".to_owned(), |r| r.to_string())
}
