//! Episodes of a learner, or of a policy, on one world.

use anyhow::{Context, Result};
use foresail_core::spec::Floor;
use foresail_models::rl::axes::Joint;
use foresail_models::rl::env::{Env, Facts};
use foresail_models::rl::learner::{Learner, LearnerSettings, Preset};
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::training::{EpisodeTold, Training};
use foresail_models::rng::{Seed, child_seed};
use foresail_sim::env::{FluidEnv, StepRules, World};
use foresail_sim::experiment::{
    Item, Policy, Setup, default_policies, further_policies, sizing_policies,
};

/// Episodes of one stretch of a world: each is flown afresh, so that a training can go on from the end
/// of any.
pub(crate) const STRETCH: usize = 50;

/// Minutes before the first step and after the last, so that a stretch holds its episodes.
const SLACK: usize = 2;

/// How a world is flown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Steps of an episode.
    pub(crate) steps: usize,
    /// Episodes of one stretch of the world; each stretch is flown afresh.
    pub(crate) stretch: usize,
    /// The source of chance of the world.
    pub(crate) seed: Seed,
    /// Below the reactive floor at most down to this share of it, in percent; absent = never.
    pub(crate) min_share_percent: Option<u8>,
}

/// Minutes of demand that so many episodes of so many steps take.
pub(crate) fn minutes(episodes: usize, steps: usize) -> usize {
    episodes.div_ceil(STRETCH) * (STRETCH * steps + SLACK)
}

/// The policy of this name on an item; replicas as the first rate asks for.
///
/// # Errors
/// Where there is no such policy.
pub(crate) fn policy(setup: &Setup, item: &Item, name: &str) -> Result<Policy> {
    let first = item.workload.first_rate();
    let mean = item.workload.expected() / item.workload.length().seconds();
    let mut all = default_policies(setup, mean, first);
    all.extend(further_policies(setup, first));
    all.extend(sizing_policies(setup, setup.replicas_for(first)));
    let found = all.into_iter().find(|p| p.name == name);
    found.with_context(|| format!("there is no policy `{name}` for a world of replicas"))
}

/// What one episode came to, whoever acted.
#[derive(Clone, Debug)]
pub(crate) struct Flown {
    pub(crate) reward: f64,
    pub(crate) facts: Facts,
    /// What is told of a learner.
    pub(crate) told: Option<EpisodeTold>,
}

impl Course {
    fn stretch(&self, world: &World, number: usize) -> Item {
        world.stretch(number, self.stretch * self.steps + SLACK)
    }

    fn policy(&self, item: &Item, name: &str) -> Result<Policy> {
        let mut policy = policy(&item.setup, item, name)?;
        policy.pipeline = item.setup.pipeline.clone();
        if let Some(min_share_percent) = self.min_share_percent {
            policy.spec.combine.floor = Floor::Relaxed { min_share_percent };
        }
        Ok(policy)
    }

    fn seed(&self, world: &World, stretch: usize) -> Seed {
        child_seed(self.seed, &format!("aware/{}/{stretch}", world.item.id))
    }

    /// Flies a learner for so many episodes more, from the end of those that its training has.
    ///
    /// The training must stand at the begin of a stretch.
    ///
    /// # Errors
    /// Where the world cannot be flown.
    pub(crate) fn learn(
        &self,
        world: &World,
        (learner, training): (&mut Learner, &mut Training),
        episodes: usize,
        other: Option<&[f32]>,
        mut done: impl FnMut(&EpisodeTold),
    ) -> Result<Vec<Flown>> {
        let mut flown = Vec::with_capacity(episodes);
        while flown.len() < episodes {
            let number = training.episodes() / self.stretch;
            let item = self.stretch(world, number);
            let policy = self.policy(&item, "aware")?;
            let seed = self.seed(world, number);
            let pipeline = &item.setup.pipeline;
            let mut env = FluidEnv::new(&item, &policy, pipeline, StepRules::default(), seed)?;
            let gone = training.episodes() % self.stretch;
            let left = (self.stretch - gone).min(episodes - flown.len());
            for _ in 0..left {
                let told = training.episode(learner, &mut env, other);
                done(&told);
                flown.push(Flown {
                    reward: told.reward,
                    facts: told.facts,
                    told: Some(told),
                });
            }
        }
        Ok(flown)
    }
}

/// Flies a policy for so many episodes.
///
/// # Errors
/// Where there is no such policy or the world cannot be flown.
pub(crate) fn fly_policy(
    course: &Course,
    world: &World,
    name: &str,
    episodes: usize,
) -> Result<Vec<Flown>> {
    let mut flown = Vec::with_capacity(episodes);
    while flown.len() < episodes {
        let number = flown.len() / course.stretch;
        let item = course.stretch(world, number);
        let policy = course.policy(&item, name)?;
        let seed = course.seed(world, number);
        let pipeline = &item.setup.pipeline;
        let mut env = FluidEnv::new(&item, &policy, pipeline, StepRules::default(), seed)?;
        for _ in 0..course.stretch.min(episodes - flown.len()) {
            let (mut reward, mut facts, mut steps) = (0.0, Facts::default(), 0);
            while steps < course.steps && !env.is_over() {
                let told = env.step(None);
                reward += told.reward;
                facts.add(&told.facts);
                steps += 1;
            }
            let told = None;
            flown.push(Flown {
                reward,
                facts,
                told,
            });
        }
    }
    Ok(flown)
}

/// The form of a learner for worlds with these axes.
pub(crate) fn settings(
    world: &World,
    preset: Preset,
    joint: Joint,
    meta: Option<MetaSettings>,
) -> LearnerSettings {
    let axes = 1 + world.item.setup.resources.len();
    LearnerSettings {
        preset,
        joint,
        meta,
        state: foresail_models::rl::state::width_of(axes),
        axes,
    }
}
