//! Every run of the study.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use foresail_models::rl::axes::Joint;
use foresail_models::rl::bootstrap::{Acting, BootstrapRules};
use foresail_models::rl::learner::{Embedding, Learner, Preset};
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::training::{Training, TrainingRules};
use foresail_models::rng::Seed;
use foresail_sim::env::World;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::arms::{ARMS, Arm, FROZEN, POLICIES, RETRAINED, Start};
use super::journal::{Entry, Journal, Key};
use crate::aware::course::{STRETCH, minutes, settings};
use crate::aware::place::worlds;
use crate::aware::{Course, Flown, fly_policy};

/// Form of the runs; a journal of another is not gone on with.
const FORM: u32 = 1;

/// Steps of an episode.
const STEPS: usize = 100;

/// Episodes of a stretch while many workloads are learnt in turn.
const TAUGHT_STRETCH: usize = 10;

/// Episodes of the heuristic on each of those.
const TAUGHT_BOOTSTRAP: usize = 5;

/// What is flown.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) trace: Option<PathBuf>,
    /// Workloads of the meta-training, and episodes on each.
    pub(super) taught: usize,
    pub(super) taught_episodes: usize,
    /// Workloads that no training has seen, and episodes on each.
    pub(super) unseen: usize,
    pub(super) episodes: usize,
    /// Episodes of the heuristic in arms with bootstrapping.
    pub(super) bootstrap: usize,
    pub(super) seeds: Vec<Seed>,
}

impl Plan {
    /// Runs in all.
    pub(super) fn runs(&self) -> usize {
        (ARMS.len() + POLICIES.len() + 2) * self.unseen * self.seeds.len()
    }

    /// All that the runs depend on, in words.
    pub(super) fn described(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let bytes = self.trace.as_ref().and_then(|t| std::fs::metadata(t).ok());
        let bytes = bytes.map_or(0, |m| m.len());
        format!("{self:?} steps {STEPS} trace of {bytes} bytes, foresail {version}, form {FORM}")
    }

    /// Rounds of episodes on each taught workload.
    fn taught_rounds(&self) -> usize {
        self.taught_episodes.div_ceil(TAUGHT_STRETCH)
    }

    fn course(&self, seed: Seed, stretch: usize) -> Course {
        Course {
            steps: STEPS,
            stretch,
            seed,
            min_share_percent: None,
        }
    }
}

/// One episode of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) reward: f64,
    pub(super) requests: f64,
    pub(super) violations: f64,
    pub(super) kills: u64,
    /// CPU and memory: asked for and used.
    pub(super) cores: (f64, f64),
    pub(super) gib: (f64, f64),
    /// `true` where a learner acted.
    pub(super) learner: bool,
}

impl Row {
    fn of(flown: &Flown) -> Self {
        let facts = &flown.facts;
        let told = flown.told.as_ref();
        Self {
            reward: flown.reward,
            requests: facts.requests,
            violations: facts.violations,
            kills: facts.kills,
            cores: facts.cores,
            gib: facts.gib,
            learner: told.is_some_and(|t| t.acted == Acting::Learner),
        }
    }
}

/// Episodes of every run.
#[derive(Clone, Debug, Default)]
pub(super) struct Results(BTreeMap<Key, Vec<Row>>);

impl Results {
    /// The episodes of one run.
    pub(super) fn run(&self, arm: &str, world: usize, seed: Seed) -> &[Row] {
        let key = Key {
            arm: arm.to_owned(),
            world,
            seed: seed.0,
        };
        self.0.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Every run of one arm: seeds outside, worlds inside.
    pub(super) fn of_arm<'a>(&'a self, arm: &'a str, plan: &'a Plan) -> Vec<&'a [Row]> {
        let one = |s: &Seed| {
            (0..plan.unseen)
                .map(|w| self.run(arm, w, *s))
                .collect::<Vec<_>>()
        };
        plan.seeds.iter().flat_map(one).collect()
    }
}

/// What learners of one seed begin with.
struct Taught {
    transfer: Learner,
    meta: Learner,
    /// Embeddings of taught workloads, for the arm that is shown another's.
    embeddings: Vec<Vec<f32>>,
}

/// Flies all that the journal does not hold.
///
/// # Errors
/// Where a world cannot be flown or the journal not be written.
pub(super) fn all(
    plan: &Plan,
    journal: &mut Journal,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Results> {
    let mut results = Results::default();
    for entry in std::mem::take(&mut journal.done) {
        done(&entry.key.arm);
        results.0.insert(entry.key, entry.rows);
    }
    for seed in &plan.seeds {
        let missing = missing(plan, &results, *seed);
        if missing.is_empty() {
            continue;
        }
        let (shown, unseen) = places(plan, *seed)?;
        let taught = taught(plan, &shown, *seed)?;
        // A world at a time, so that what is done is kept soon.
        for (world, here) in unseen.iter().enumerate() {
            let keys: Vec<&Key> = missing.iter().filter(|k| k.world == world).collect();
            let after = &unseen[(world + 1) % unseen.len()];
            let entries = keys
                .par_iter()
                .map(|key| {
                    let rows = fly(plan, (here, after), &taught, key)?;
                    done(&key.arm);
                    Ok(Entry {
                        key: (*key).clone(),
                        rows,
                    })
                })
                .collect::<Result<Vec<_>>>()?;
            journal.keep(&entries)?;
            results
                .0
                .extend(entries.into_iter().map(|e| (e.key, e.rows)));
        }
    }
    Ok(results)
}

fn missing(plan: &Plan, results: &Results, seed: Seed) -> Vec<Key> {
    let names = ARMS
        .iter()
        .map(|a| a.name)
        .chain(POLICIES)
        .chain([RETRAINED, FROZEN]);
    let names: Vec<&str> = names.collect();
    let keys = (0..plan.unseen).flat_map(|world| {
        names.iter().map(move |arm| Key {
            arm: (*arm).to_owned(),
            world,
            seed: seed.0,
        })
    });
    keys.filter(|k| !results.0.contains_key(k)).collect()
}

/// The workloads that are taught, and those that are not: no workload and no application is in both.
fn places(plan: &Plan, seed: Seed) -> Result<(Vec<World>, Vec<World>)> {
    let long = plan.episodes.max(plan.taught_episodes) + STRETCH;
    let all = worlds(
        plan.trace.as_ref(),
        (0, plan.taught + plan.unseen),
        minutes(long, STEPS),
        seed,
    )?;
    let mut shown = all;
    let unseen = shown.split_off(plan.taught);
    Ok((shown, unseen))
}

fn taught(plan: &Plan, shown: &[World], seed: Seed) -> Result<Taught> {
    let first = shown.first().context("no workload to learn on")?;
    let rules = |episodes: usize, adapts: bool| TrainingRules {
        bootstrap: BootstrapRules {
            episodes,
            asks_value: false,
            ..BootstrapRules::default()
        },
        adapts,
        // A learner of many workloads is never done with one.
        retrains: false,
        ..TrainingRules::default()
    };
    let (transfer, many) = rayon::join(
        || -> Result<Learner> {
            let form = settings(first, Preset::Firm, Joint::Each, None);
            let mut learner = Learner::new(form, seed)?;
            let mut training = Training::new(&learner, rules(TAUGHT_BOOTSTRAP, false));
            // As many as the meta-learner has on all its workloads together.
            let episodes = plan.taught * plan.taught_rounds() * TAUGHT_STRETCH;
            let course = plan.course(seed, STRETCH);
            course.learn(first, (&mut learner, &mut training), episodes, None, |_| {})?;
            Ok(learner)
        },
        || -> Result<(Learner, Vec<Training>)> {
            let meta = Some(MetaSettings::default());
            let form = settings(first, Preset::Firm, Joint::Each, meta);
            let mut learner = Learner::new(form, seed)?;
            let rules = rules(TAUGHT_BOOTSTRAP, true);
            let mut trainings: Vec<Training> = shown
                .iter()
                .map(|_| Training::new(&learner, rules))
                .collect();
            let course = plan.course(seed, TAUGHT_STRETCH);
            for _ in 0..plan.taught_rounds() {
                for (world, training) in shown.iter().zip(&mut trainings) {
                    let both = (&mut learner, training);
                    course.learn(world, both, TAUGHT_STRETCH, None, |_| {})?;
                }
            }
            Ok((learner, trainings))
        },
    );
    let (meta, trainings) = many?;
    Ok(Taught {
        transfer: transfer?,
        meta,
        embeddings: trainings
            .iter()
            .map(|t| t.memory.embedding.clone())
            .collect(),
    })
}

fn fly(
    plan: &Plan,
    (here, after): (&World, &World),
    taught: &Taught,
    key: &Key,
) -> Result<Vec<Row>> {
    let seed = Seed(key.seed);
    let course = plan.course(seed, STRETCH);
    let flown = if let Some(arm) = ARMS.iter().find(|a| a.name == key.arm) {
        let (mut learner, mut training) = begin(plan, arm, here, taught, seed)?;
        let other = taught
            .embeddings
            .get(key.world % taught.embeddings.len().max(1));
        let other = other.filter(|_| arm.embedding == Embedding::Shuffled);
        let both = (&mut learner, &mut training);
        course.learn(here, both, plan.episodes, other.map(Vec::as_slice), |_| {})?
    } else if key.arm == RETRAINED || key.arm == FROZEN {
        drift(plan, (here, after), taught, key)?
    } else {
        fly_policy(&course, here, &key.arm, plan.episodes)?
    };
    Ok(flown.iter().map(Row::of).collect())
}

fn begin(
    plan: &Plan,
    arm: &Arm,
    world: &World,
    taught: &Taught,
    seed: Seed,
) -> Result<(Learner, Training)> {
    let learner = match arm.start {
        Start::Scratch => {
            let form = settings(world, Preset::Firm, Joint::Each, None);
            Learner::new(form, seed)?
        }
        Start::Transfer => taught.transfer.clone(),
        Start::Meta => taught.meta.clone(),
    };
    let training = Training::new(&learner, arm.rules(plan.bootstrap));
    Ok((learner, training))
}

/// A learner that has come to serve one workload meets another; only what it does there counts.
fn drift(
    plan: &Plan,
    (here, after): (&World, &World),
    taught: &Taught,
    key: &Key,
) -> Result<Vec<Flown>> {
    let seed = Seed(key.seed);
    let course = plan.course(seed, STRETCH);
    let aware = &ARMS[0];
    let (mut learner, mut training) = begin(plan, aware, here, taught, seed)?;
    course.learn(
        here,
        (&mut learner, &mut training),
        plan.episodes,
        None,
        |_| {},
    )?;
    let mut rules = aware.rules(0);
    rules.learns = key.arm == RETRAINED;
    rules.retrains = false;
    let mut training = Training::new(&learner, rules);
    course.learn(
        after,
        (&mut learner, &mut training),
        plan.episodes,
        None,
        |_| {},
    )
}
