//! `foresail aware agent`: a learner whose environment is a server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use foresail_adapters::atomic::write_file;
use foresail_adapters::rpc::client::Dial;
use foresail_adapters::rpc::environment::Description;
use foresail_core::quantity::time::Span;
use foresail_models::rl::axes::Joint;
use foresail_models::rl::learner::{Learner, LearnerSettings, Preset};
use foresail_models::rl::lifecycle::Thresholds;
use foresail_models::rl::meta::MetaSettings;
use foresail_models::rl::saved::BYTES_MAX;
use foresail_models::rl::training::{EpisodeTold, Training, TrainingRules};
use foresail_models::rng::Seed;
use serde_json::json;

use super::learn::{bootstrap, load};
use super::told::who;
use crate::cli::run::duration;
use crate::cli::{Output, whole};
use crate::exit::Code;
use crate::firm::agent_env::{Remote, RemoteEnv};
use crate::firm::agent_journal::Journal;
use crate::firm::component::ComponentName;
use crate::interrupt;

/// Flags of `aware agent`.
#[derive(Args, Debug)]
pub(super) struct AgentArgs {
    /// The server, HOST:PORT; with kubectl port-forward svc/firm-server 50051:50051 it is this one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    server: String,
    /// The Deployment that is scaled, NAMESPACE/NAME
    #[arg(long, value_name = "NAME")]
    component: ComponentName,
    /// The CA that signed the server's certificate, PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name in the server's certificate, where it is not that of the address
    #[arg(long, value_name = "NAME", requires = "ca")]
    server_name: Option<String>,
    /// Our certificate, PEM
    #[arg(long, value_name = "FILE", requires_all = ["key", "ca"])]
    cert: Option<PathBuf>,
    /// The key of our certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The file with the server's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Allow plain text to another machine
    #[arg(long)]
    insecure: bool,
    /// The folder of what the agent did and learnt; one that holds some is gone on with
    #[arg(long, value_name = "FOLDER", default_value = "aware-agent")]
    journal: PathBuf,
    /// A trained policy to begin with [default: one that has learnt nothing]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// It serves as it is and never learns
    #[arg(long)]
    no_learning: bool,
    /// Episodes in all, those of earlier runs included
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    episodes: u32,
    /// Steps of an episode
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    steps: u32,
    /// Time between acting and looking what came of it
    #[arg(long, value_name = "TIME", default_value = "60s")]
    step: Span,
    /// Episodes in which the heuristic (HPA and VPA) acts; 0 = none
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=100_000))]
    bootstrap_episodes: u32,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// How episodes are printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// The checkpoint's file within the journal's folder.
const CHECKPOINT: &str = "checkpoint";

impl AgentArgs {
    fn dial(&self) -> Dial {
        Dial {
            server: self.server.clone(),
            ca: self.ca.clone(),
            server_name: self.server_name.clone(),
            identity: self.cert.clone().zip(self.key.clone()),
            token: self.token_file.clone(),
            insecure: self.insecure,
        }
    }

    fn rules(&self) -> TrainingRules {
        let episodes = self.bootstrap_episodes as usize;
        TrainingRules {
            steps: self.steps as usize,
            bootstrap: bootstrap(episodes),
            thresholds: Thresholds {
                bootstrap: episodes > 0,
                ..Thresholds::default()
            },
            learns: !self.no_learning,
            ..TrainingRules::default()
        }
    }

    /// What makes a checkpoint one of this run.
    fn label(&self) -> String {
        format!(
            "{}, seed {}, {} steps",
            self.component, self.seed, self.steps
        )
    }

    fn begin(&self, described: &Description) -> Result<(Learner, Training)> {
        let (axes, width) = (described.axes.len(), described.state_width as usize);
        let learner = match &self.policy {
            Some(path) => load(path)?.0,
            None => Learner::new(
                LearnerSettings {
                    preset: Preset::Firm,
                    joint: Joint::Each,
                    meta: Some(MetaSettings::default()),
                    state: width,
                    axes,
                },
                Seed(self.seed),
            )?,
        };
        let form = learner.settings();
        if (form.axes, form.state) != (axes, width) {
            bail!(
                "the policy is one of {} axes and {} numbers, {} has {axes} and {width}: train one for it",
                form.axes,
                form.state,
                self.component
            );
        }
        let mut training = Training::new(&learner, self.rules());
        training.label = self.label();
        Ok((learner, training))
    }

    /// The learner and its training as they were left, or new ones.
    fn resume(&self, path: &Path, described: &Description) -> Result<(Learner, Training)> {
        if !path.is_file() {
            return self.begin(described);
        }
        let (learner, mut trainings) = load(path)?;
        let name = path.display();
        let training = trainings
            .pop()
            .with_context(|| format!("{name}: no checkpoint"))?;
        if training.label != self.label() {
            bail!(
                "{name} is of {}, this is {}: give the same flags, or another --journal",
                training.label,
                self.label()
            );
        }
        Ok((learner, training))
    }
}

/// Keeps the learner and its training, whole or not at all.
fn keep(path: &Path, learner: &Learner, training: &Training) -> Result<()> {
    let bytes = learner.save(std::slice::from_ref(training))?;
    anyhow::ensure!(
        bytes.len() <= BYTES_MAX,
        "the checkpoint has {} bytes, more than could be read again",
        bytes.len()
    );
    write_file(path, |w| w.write_all(&bytes))?;
    Ok(())
}

/// A name that no other agent's life has.
fn life() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    format!(
        "{:x}-{:x}",
        now.tv_nsec ^ (now.tv_sec << 20),
        std::process::id()
    )
}

/// Runs `aware agent`.
///
/// # Errors
/// Where the server refuses, or the journal cannot be used or gone on with.
pub(super) fn run(args: &AgentArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let component = args.component.to_string();
    let dial = args.dial();
    let remote = Remote::new(&component, || Ok(dial.client()?))?;
    let journal = Journal::open(&args.journal, &component, &life())?;
    interrupt::catch();
    let Some(described) = remote.describe()? else {
        return Ok(Code::Interrupted);
    };
    let path = args.journal.join(CHECKPOINT);
    let (mut learner, mut training) = args.resume(&path, &described)?;
    let every = if args.step == Span::ZERO {
        Duration::ZERO
    } else {
        duration(args.step)
    };
    let mut env = RemoteEnv::new(remote, &described, Some(journal), every)?;
    if output == Output::Table {
        writeln!(
            out,
            "episode  acted      stage       reward  baseline  overruled  blind"
        )?;
    } else if output == Output::Csv {
        writeln!(
            out,
            "episode,acted,stage,reward,baseline,overruled,blind,steps"
        )?;
    }
    while training.episodes() < args.episodes as usize {
        env.begin(training.episodes())?;
        let told = match env.is_broken_off() {
            true => None,
            false => Some(training.episode(&mut learner, &mut env, None)),
        };
        if let Some(error) = env.take_error() {
            return Err(error);
        }
        // An episode that was broken off is no episode: its steps stand in the journal, and the next run
        // replays them and goes on.
        let Some(told) = told.filter(|_| !env.is_broken_off()) else {
            eprintln!("note: broken off; the same command goes on from here");
            return Ok(Code::Interrupted);
        };
        keep(&path, &learner, &training)?;
        tell(&told, (output, env.steps()), out)?;
    }
    Ok(Code::Done)
}

fn tell(told: &EpisodeTold, (output, steps): (Output, u64), out: &mut dyn Write) -> Result<()> {
    let baseline = told
        .baseline
        .map_or_else(String::new, |b| format!("{b:.2}"));
    let (acted, stage) = (who(told.acted), told.stage.to_string());
    let (number, overruled, blind) = (told.number, told.facts.overruled, told.blind);
    match output {
        Output::Table => writeln!(
            out,
            "{number:>7}  {acted:<9}  {stage:<10}  {:>6.2}  {baseline:>8}  {overruled:>9}  {blind:>5}",
            told.reward
        )?,
        Output::Csv => writeln!(
            out,
            "{number},{acted},{stage},{:.4},{baseline},{overruled},{blind},{steps}",
            told.reward
        )?,
        Output::Json => {
            let line = json!({
                "episode": number, "acted": acted, "stage": stage, "reward": told.reward,
                "baseline": told.baseline, "value": told.value, "overruled": overruled,
                "blind": blind, "steps": steps, "criticLoss": told.losses.critic,
            });
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}
