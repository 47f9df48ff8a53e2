//! `foresail classify`: windows of demand, their features, their labels, their archetypes.

mod eval;
mod features;
mod judge;
mod label;
mod label_report;
mod labels;
mod predict;
mod rows;
mod stored;
mod train;
mod windows;

use std::io::Write;

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::labeling::{CORRECTED, PROFILES, Profile, profile_names};

use crate::exit::Code;

/// Features, labels and archetypes of windows of demand
#[derive(Args, Debug)]
pub struct ClassifyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Write the features of every window
    Features(Box<features::FeaturesArgs>),
    /// Label every window by the votes of rules
    Label(Box<label::LabelArgs>),
    /// Say what the rules are worth: how often they vote, beside whom, and how often rightly
    LabelReport(Box<label_report::LabelReportArgs>),
    /// Train a classifier on labelled windows and save it
    Train(Box<train::TrainArgs>),
    /// Say how right a classifier is, by its labels and by the truth
    Eval(Box<eval::EvalArgs>),
    /// Say the archetype of every window
    Predict(Box<predict::PredictArgs>),
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &ClassifyArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Features(args) => features::run(args, out),
        What::Label(args) => label::run(args, out),
        What::LabelReport(args) => label_report::run(args, out),
        What::Train(args) => train::run(args, out),
        What::Eval(args) => eval::run(args, out),
        What::Predict(args) => predict::run(args, out),
    }
}

/// Whose rules vote.
#[derive(Args, Debug)]
struct Rules {
    /// The rules: those of this project, or AAPA's as published
    #[arg(long, value_name = "NAME", default_value = CORRECTED.name,
        value_parser = PossibleValuesParser::new(profile_names()))]
    profile: String,
}

impl Rules {
    fn profile(&self) -> &'static Profile {
        let named = PROFILES.iter().find(|p| p.name == self.profile);
        named.copied().unwrap_or(&CORRECTED)
    }
}

/// How votes become a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Model {
    /// The archetype with the most votes.
    Majority,
    /// The most likely one, rules trusted as far as they agree with the others.
    Generative,
}

/// Archetypes in the order of counts: the classes, then Idle.
const ARCHETYPES: [Archetype; 5] = [
    Archetype::Spike,
    Archetype::Periodic,
    Archetype::Ramp,
    Archetype::Stationary,
    Archetype::Idle,
];

/// A share at three digits; nothing where there is none.
fn shown(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |s| format!("{s:.3}"))
}
