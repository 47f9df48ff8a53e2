//! `foresail aware train` and `run`: episode after episode, on one workload or many in turn.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::atomic::{WholeFile, write_file};
use foresail_models::rl::axes::Joint;
use foresail_models::rl::bootstrap::BootstrapRules;
use foresail_models::rl::learner::{Learner, Preset};
use foresail_models::rl::lifecycle::Thresholds;
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::saved::BYTES_MAX;
use foresail_models::rl::training::{EpisodeTold, Training, TrainingRules};
use foresail_models::rng::Seed;
use foresail_sim::env::World;
use foresail_web::curve::{Curve, curves};

use super::told;
use crate::aware::Course;
use crate::aware::course::{STRETCH, settings};
use crate::aware::place::{DEMAND, worlds};
use crate::cli::progress::counted;
use crate::cli::{Output, whole};
use crate::exit::Code;
use crate::forecast::place::refuse_foreign;
use crate::forecast::stored;
use crate::interrupt;

/// Whose settings of DDPG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PresetArg {
    /// FIRM's code: 40-40 with normalisation, discount 0.9
    Firm,
    /// AWARE's paper: 64-64, discount 0.99
    Aware,
}

/// How outputs become moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum JointArg {
    /// A move on each axis at once
    Each,
    /// A move on one axis, as published
    One,
}

/// What both commands share.
#[derive(Args, Debug)]
pub(super) struct Common {
    /// Workloads, each on an application of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workloads: u32,
    /// Number of the first workload; others than those of a training are unseen
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100_000))]
    first: u32,
    /// A trace whose busiest items are the workloads [default: generated ones]
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Episodes on each workload
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    episodes: u32,
    /// Steps of an episode, a minute each
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    steps: u32,
    /// Episodes in which the heuristic (HPA and VPA) acts; 0 = none
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=100_000))]
    bootstrap_episodes: u32,
    /// Reward per episode from which a learner serves, and below which it learns again, on the paper's
    /// scale where the heuristic earns 130
    #[arg(long, value_name = "REWARD", default_value_t = 130.0)]
    serving_reward: f64,
    /// Spread of rewards up to which a learner serves, on the same scale
    #[arg(long, value_name = "REWARD", default_value_t = 10.0)]
    serving_spread: f64,
    /// Share of the reactive floor that always holds, in percent [default: all of it]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    min_share_percent: Option<u8>,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How episodes are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Flags of `aware train`.
#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    common: Common,
    /// Settings of DDPG
    #[arg(long, value_enum, default_value = "firm", conflicts_with = "resume")]
    preset: PresetArg,
    /// How outputs become moves
    #[arg(long, value_enum, default_value = "each", conflicts_with = "resume")]
    moves: JointArg,
    /// Without a meta-learner
    #[arg(long, conflicts_with = "resume")]
    no_meta: bool,
    /// Numbers of the embedding
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    embedding: u16,
    /// Units of a layer of the meta-learner in each direction
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    hidden: u16,
    /// Where the policy goes
    #[arg(long, value_name = "FILE", default_value = "aware-policy")]
    out: PathBuf,
    /// Where the training goes, to be resumed: nets, optimizers, memories, chance
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// A checkpoint to go on from, with the same workloads and seed; its settings hold
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// A picture of the rewards, as SVG
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
}

/// Flags of `aware run`.
#[derive(Args, Debug)]
pub(super) struct RunArgs {
    #[command(flatten)]
    common: Common,
    /// The trained policy
    #[arg(long, value_name = "FILE", default_value = "aware-policy")]
    policy: PathBuf,
    /// It serves as it is and never learns again
    #[arg(long)]
    no_retraining: bool,
}

impl TrainArgs {
    /// Refuses places that hold something else, and two results in one.
    fn check_places(&self) -> Result<()> {
        for path in [Some(&self.out), self.checkpoint.as_ref()]
            .into_iter()
            .flatten()
        {
            refuse_foreign(path, "policy", &[BEGINS])?;
        }
        if let Some(path) = &self.curve {
            refuse_foreign(path, "picture", &[b"<svg"])?;
        }
        let others = [self.checkpoint.as_ref(), self.curve.as_ref()];
        if others.contains(&Some(&self.out)) || (self.curve.is_some() && others[0] == others[1]) {
            bail!("--out, --checkpoint and --curve name one file twice: give each its own");
        }
        Ok(())
    }
}

/// The heuristic acts for so many episodes first; none is no bootstrapping.
pub(super) fn bootstrap(episodes: usize) -> BootstrapRules {
    match episodes {
        0 => BootstrapRules::none(),
        _ => BootstrapRules {
            episodes,
            ..BootstrapRules::default()
        },
    }
}

impl Common {
    fn rules(&self) -> TrainingRules {
        let episodes = self.bootstrap_episodes as usize;
        TrainingRules {
            steps: self.steps as usize,
            bootstrap: bootstrap(episodes),
            thresholds: Thresholds {
                bootstrap: episodes > 0,
                serving: self.serving_reward,
                variance: self.serving_spread,
                ..Thresholds::default()
            },
            ..TrainingRules::default()
        }
    }

    fn check(&self) -> Result<()> {
        for (flag, value) in [
            ("--serving-reward", self.serving_reward),
            ("--serving-spread", self.serving_spread),
        ] {
            if !value.is_finite() {
                bail!("{flag} {value}: give a number, such as 130");
            }
        }
        Ok(())
    }

    fn worlds(&self) -> Result<Vec<World>> {
        let span = (self.first as usize, self.workloads as usize);
        worlds(self.trace.as_ref(), span, DEMAND, Seed(self.seed))
    }

    fn course(&self) -> Course {
        Course {
            steps: self.steps as usize,
            stretch: STRETCH,
            seed: Seed(self.seed),
            min_share_percent: self.min_share_percent,
        }
    }
}

/// How every policy and checkpoint begins.
const BEGINS: &[u8] = b"{\"foresail\":\"aware\",";

/// Reads a policy or a checkpoint.
///
/// # Errors
/// Where it cannot be read or is none.
pub(super) fn load(path: &Path) -> Result<(Learner, Vec<Training>)> {
    let bytes = stored::bytes(path, BYTES_MAX)?;
    Learner::load(&bytes).with_context(|| path.display().to_string())
}

/// Flies every workload in turn, a stretch of episodes each, until all have their episodes.
///
/// `kept` is called after each round with all that there is; it ends early where it is told to.
struct Rounds<'a> {
    course: Course,
    worlds: &'a [World],
    episodes: usize,
    output: Output,
}

impl Rounds<'_> {
    fn fly(
        &self,
        learner: &mut Learner,
        trainings: &mut [Training],
        out: &mut dyn Write,
        mut kept: impl FnMut(&Learner, &[Training]) -> Result<()>,
    ) -> Result<Vec<(String, EpisodeTold)>> {
        let mut told = Vec::new();
        // What is flown is kept: an interrupt ends at the end of a stretch.
        interrupt::catch();
        let all = (self.worlds.len() * self.episodes) as u64;
        let bar = counted(all, "Learning", "episodes");
        loop {
            let mut flown = 0;
            for (world, training) in self.worlds.iter().zip(trainings.iter_mut()) {
                let left = self
                    .episodes
                    .saturating_sub(training.episodes())
                    .min(STRETCH);
                if left == 0 || interrupt::asked() {
                    continue;
                }
                let id = &world.item.id;
                let both = (&mut *learner, training);
                let mut written = Ok(());
                let episodes = self.course.learn(world, both, left, None, |episode| {
                    bar.step(&format!("{id} {} {:.1}", episode.stage, episode.reward));
                    // A line at once: whoever watches sees the curve as it grows.
                    if self.output == Output::Json && written.is_ok() {
                        written =
                            writeln!(out, "{}", told::line(id, episode)).and_then(|()| out.flush());
                    }
                })?;
                written?;
                flown += left;
                let new = episodes.into_iter().filter_map(|f| f.told);
                told.extend(new.map(|episode| (id.clone(), episode)));
            }
            if flown == 0 {
                break;
            }
            kept(learner, trainings)?;
        }
        bar.finish();
        Ok(told)
    }
}

/// Runs `aware train`.
///
/// # Errors
/// Where a workload, a checkpoint or a place cannot be used.
pub(super) fn train(args: &TrainArgs, out: &mut dyn Write) -> Result<Code> {
    let common = &args.common;
    common.check()?;
    let output = Output::here(common.output)?;
    let worlds = common.worlds()?;
    let (mut learner, mut trainings) = match &args.resume {
        Some(path) => resumed(path, &worlds, common)?,
        None => begun(args, &worlds)?,
    };
    args.check_places()?;
    // A place that cannot be written is told before the work; what is there stays until there is better.
    let mut place = WholeFile::begin(&args.out)?;
    let rounds = Rounds {
        course: common.course(),
        worlds: &worlds,
        episodes: common.episodes as usize,
        output,
    };
    let told = rounds.fly(&mut learner, &mut trainings, out, |learner, trainings| {
        if let Some(path) = &args.checkpoint {
            let bytes = learner.save(trainings)?;
            write_file(path, |w| w.write_all(&bytes))?;
        }
        Ok(())
    })?;
    place.write_all(&learner.save(&[])?)?;
    place.commit()?;
    if let Some(path) = &args.curve {
        write_file(path, |w| w.write_all(drawn(&told).as_bytes()))?;
    }
    if output != Output::Json {
        told::print(&told, output, out)?;
    }
    if output == Output::Table {
        let place = args.out.display();
        writeln!(
            out,
            "policy: {place}, {} steps of learning",
            learner.steps()
        )?;
    }
    Ok(ended())
}

fn begun(args: &TrainArgs, worlds: &[World]) -> Result<(Learner, Vec<Training>)> {
    let first = worlds.first().context("no workload")?;
    let preset = match args.preset {
        PresetArg::Firm => Preset::Firm,
        PresetArg::Aware => Preset::Aware,
    };
    let joint = match args.moves {
        JointArg::Each => Joint::Each,
        JointArg::One => Joint::One,
    };
    let meta = (!args.no_meta).then(|| MetaSettings {
        hidden: usize::from(args.hidden),
        embedding: usize::from(args.embedding),
        ..MetaSettings::default()
    });
    let settings = settings(first, preset, joint, meta);
    let learner = Learner::new(settings, Seed(args.common.seed))?;
    let rules = TrainingRules {
        adapts: true,
        ..args.common.rules()
    };
    let begin = |world: &World| {
        let mut training = Training::new(&learner, rules);
        training.label = label(world, &args.common);
        training
    };
    let trainings = worlds.iter().map(begin).collect();
    Ok((learner, trainings))
}

/// A workload with all that makes it the same one.
fn label(world: &World, common: &Common) -> String {
    format!(
        "{}, seed {}, {} steps",
        world.item.id, common.seed, common.steps
    )
}

fn resumed(path: &Path, worlds: &[World], common: &Common) -> Result<(Learner, Vec<Training>)> {
    let (learner, trainings) = load(path)?;
    if trainings.is_empty() {
        bail!(
            "{} is a policy that only serves; give a file of --checkpoint to resume",
            path.display()
        );
    }
    if trainings.len() != worlds.len() {
        bail!(
            "{} holds {} workloads, {} are named: give the same --workloads and --trace",
            path.display(),
            trainings.len(),
            worlds.len()
        );
    }
    for (training, world) in trainings.iter().zip(worlds) {
        let named = label(world, common);
        if training.label != named {
            bail!(
                "{} is of {}, named is {named}: give the same --first, --trace, --seed and --steps",
                path.display(),
                training.label
            );
        }
        if training.episodes() % STRETCH != 0 {
            bail!(
                "{} ends after {} episodes, within a stretch of {STRETCH}: a training goes on from a multiple of that",
                path.display(),
                training.episodes()
            );
        }
    }
    Ok((learner, trainings))
}

/// Done, or broken off with what was flown kept.
fn ended() -> Code {
    if interrupt::asked() {
        eprintln!("note: broken off; what was flown is kept");
        Code::Interrupted
    } else {
        Code::Done
    }
}

/// The rewards, a line per workload.
fn drawn(told: &[(String, EpisodeTold)]) -> String {
    let mut lines: Vec<Curve> = Vec::new();
    for (workload, episode) in told {
        let point = (episode.number as f64, episode.reward);
        match lines.iter_mut().find(|l| l.name == *workload) {
            Some(line) => line.points.push(point),
            None => lines.push(Curve {
                name: workload.clone(),
                points: vec![point],
            }),
        }
    }
    let title = "Reward per episode";
    let figure = curves(("curve", title, ""), ("episode", "reward"), &lines);
    figure.drawing.standalone(title)
}

/// Runs `aware run`.
///
/// # Errors
/// Where a workload or the policy cannot be used.
pub(super) fn run(args: &RunArgs, out: &mut dyn Write) -> Result<Code> {
    let common = &args.common;
    common.check()?;
    let output = Output::here(common.output)?;
    let worlds = common.worlds()?;
    let (learner, _) = load(&args.policy)?;
    let rules = TrainingRules {
        learns: !args.no_retraining,
        ..common.rules()
    };
    let mut told = Vec::new();
    for world in &worlds {
        // Each workload has the policy to itself: what it learns again is learnt for it.
        let mut own = learner.clone();
        let mut trainings = [Training::new(&own, rules)];
        let rounds = Rounds {
            course: common.course(),
            worlds: std::slice::from_ref(world),
            episodes: common.episodes as usize,
            output,
        };
        told.extend(rounds.fly(&mut own, &mut trainings, out, |_, _| Ok(()))?);
    }
    if output != Output::Json {
        told::print(&told, output, out)?;
    }
    Ok(ended())
}
