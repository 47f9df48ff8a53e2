//! `foresail classify train`: a classifier trained from labelled windows and saved.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::atomic::write_file;
use foresail_core::propose::archetype::Archetype;
use foresail_models::classify::WINDOW;
use foresail_models::classify::calibrate::Method;
use foresail_models::classify::features::{NAMES, published};
use foresail_models::classify::saved;
use foresail_models::classify::split::{ByFunction, ByTime, Part, both};
use foresail_models::classify::train::{Example, Outcome, Settings, TrainError, train};
use foresail_models::classify::trained::BoostedTrees;
use foresail_models::classify::window::Placed;
use foresail_models::trees::{Parameters, ROWS_MAX, lightgbm};
use serde_json::json;

use super::judge::{Both, COLUMNS};
use super::labels::{Labels, TRUTH};
use super::windows::{Item, Windows};
use crate::cli::{Output, print_csv};
use crate::exit::{Code, Coded};

/// How the trees are grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// 120 rounds of 8 leaves: the shipped model
    Small,
    /// 300 rounds of 31 leaves: AAPA's LightGBM
    Published,
    /// 300 rounds of depth 6: AAPA's comparison with XGBoost
    #[value(name = "depth-6")]
    Depth6,
}

/// How probabilities are calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Calibrated {
    /// A curve of three parameters for each class
    Beta,
    /// Any rising curve for each class
    Isotonic,
    /// One exponent for all
    Temperature,
    /// Not at all
    None,
}

/// Which features the trees may look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Looks {
    /// AAPA's 37 and the corrected ones
    All,
    /// AAPA's 37
    Published,
}

/// How windows are split; never at random, for neighbours share their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Split {
    /// Every item whole in one part: 9/14 train, 2/14 stop and calibrate, 3/14 test
    Function,
    /// The same shares of each item's time, an hour between
    Time,
    /// Only windows that both put into the same part
    Both,
}

/// Flags of `classify train`.
#[derive(Args, Debug)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    windows: Windows,
    /// What windows are taken for: truth (of generated ones), corrected, published, or a file of
    /// `classify label --out` [default: truth where it is known, else corrected]
    #[arg(long, value_name = "NAME|FILE.csv")]
    labels: Option<String>,
    /// How the trees are grown
    #[arg(long, value_enum, default_value_t = Preset::Small)]
    preset: Preset,
    /// Which features they may look at
    #[arg(long, value_enum, default_value_t = Looks::All)]
    features: Looks,
    /// How probabilities are calibrated
    #[arg(long, value_enum, default_value_t = Calibrated::Beta)]
    calibration: Calibrated,
    /// Weight of the corrected rules' votes beside the trees, from 0 to 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.1,
        allow_hyphen_values = true
    )]
    prior: f64,
    /// How windows are split
    #[arg(long, value_enum, default_value_t = Split::Function)]
    split: Split,
    /// Where the model goes
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Write the trees as LightGBM's text too, without prior and calibration
    #[arg(long, value_name = "FILE.txt")]
    lightgbm: Option<PathBuf>,
    /// How it is told [default: table]
    #[arg(long, value_enum)]
    print: Option<Output>,
}

impl TrainArgs {
    fn settings(&self, labels: &str) -> Settings {
        let features = match self.features {
            Looks::All => NAMES.to_vec(),
            Looks::Published => NAMES[..published::NAMES.len()].to_vec(),
        };
        Settings {
            parameters: match self.preset {
                Preset::Small => Parameters::SMALL,
                Preset::Published => Parameters::PUBLISHED,
                Preset::Depth6 => Parameters::DEPTH_6,
            },
            features,
            calibration: match self.calibration {
                Calibrated::Beta => Method::Beta,
                Calibrated::Isotonic => Method::Isotonic,
                Calibrated::Temperature => Method::Temperature,
                Calibrated::None => Method::None,
            },
            prior: self.prior,
            seed: self.windows.seed(),
            labels: labels.to_owned(),
        }
    }

    /// The part of a window.
    fn part(&self, item: &Item, window: &Placed) -> Option<Part> {
        let by_function = ByFunction::paper(self.windows.seed()).part(&item.id);
        let by_time = || {
            let steps = item.windows.last().map_or(0, |w| w.begin + WINDOW);
            let begins = [9, 11].map(|day| steps * day / 14);
            let split = ByTime {
                begins,
                ..ByTime::PAPER
            };
            split.part(window.begin, WINDOW)
        };
        match self.split {
            Split::Function => Some(by_function),
            Split::Time => by_time(),
            Split::Both => both(by_function, by_time()),
        }
    }
}

/// Windows by their part.
#[derive(Default)]
struct Parts {
    learnt: Vec<Example>,
    held: Vec<Example>,
    /// With the truth where it is known.
    tested: Vec<(Example, Option<Archetype>)>,
    /// Windows without a label.
    without: u64,
}

/// Runs the command.
///
/// # Errors
/// Where windows cannot be read, are too few, or the model cannot be written.
pub(super) fn run(args: &TrainArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.print)?;
    let named = args.labels.as_deref().unwrap_or({
        if args.windows.are_generated() {
            TRUTH
        } else {
            "corrected"
        }
    });
    if !(0.0..=1.0).contains(&args.prior) {
        bail!("--prior {}: must be from 0 to 1", args.prior);
    }
    if args.windows.length() != WINDOW {
        bail!("--window: a classifier is trained on windows of {WINDOW} steps");
    }
    let labels = Labels::of(named, &args.windows)?;
    let parts = collect(args, &labels)?;
    if parts.without > 0 {
        eprintln!(
            "note: {} windows without a label were left out",
            parts.without
        );
    }
    let settings = args.settings(named);
    let outcome = train(&parts.learnt, &parts.held, &settings).map_err(too_little)?;
    for class in &outcome.missing {
        eprintln!(
            "note: no window to learn from is {class}; its probability stays near zero{}",
            if args.prior > 0.0 {
                ", but for the rules"
            } else {
                ""
            }
        );
    }
    let bytes = saved::write(&outcome.model);
    write_file(&args.output, |w| w.write_all(&bytes))?;
    if let Some(path) = &args.lightgbm {
        let names: Vec<String> = settings.features.iter().map(|f| (*f).to_owned()).collect();
        let text = lightgbm::write(&outcome.model.trees, &names);
        write_file(path, |w| w.write_all(text.as_bytes()))?;
    }
    let classifier = BoostedTrees::new(outcome.model.clone()).map_err(anyhow::Error::msg)?;
    let mut judged = Both::default();
    for ((features, label), truth) in &parts.tested {
        judged.add(&classifier.told(features), Some(*label), *truth);
    }
    tell(args, &outcome, &judged, bytes.len(), output, out)?;
    Ok(Code::Done)
}

/// Windows by their part; as many as trees can be grown on.
fn collect(args: &TrainArgs, labels: &Labels) -> Result<Parts> {
    let mut parts = Parts::default();
    args.windows.each(&mut |item| {
        for window in &item.windows {
            let Some(label) = labels.label(item, window) else {
                parts.without += 1;
                continue;
            };
            let example = (window.features, label);
            match args.part(item, window) {
                Some(Part::Train) => parts.learnt.push(example),
                Some(Part::Validation) => parts.held.push(example),
                Some(Part::Test) => parts.tested.push((example, item.truth)),
                None => {}
            }
            if parts.learnt.len() + parts.held.len() > ROWS_MAX {
                bail!("more than {ROWS_MAX} windows to learn from; take fewer with --stride");
            }
        }
        Ok(())
    })?;
    Ok(parts)
}

/// Too few windows have an exit code of their own.
fn too_little(error: TrainError) -> anyhow::Error {
    let mend = match error {
        TrainError::TooFew { .. } => " (--windows, --stride, or --split time where items are few)",
        _ => "",
    };
    let message = format!("{error}{mend}");
    match error {
        TrainError::TooFew { .. } | TrainError::OneClass { .. } => Coded {
            code: Code::TooLittleData,
            message,
        }
        .into(),
        _ => anyhow::anyhow!(message),
    }
}

fn tell(
    args: &TrainArgs,
    outcome: &Outcome,
    judged: &Both,
    bytes: usize,
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let ([grown, kept], [learnt, held]) = (outcome.rounds, outcome.windows);
    let (path, labels) = (args.output.display().to_string(), &outcome.model.labels);
    match output {
        Output::Table => {
            writeln!(
                out,
                "windows: {learnt} learnt, {held} to stop and calibrate by"
            )?;
            writeln!(out, "labels: {labels}; rounds: {kept} kept of {grown}")?;
            let calibration = outcome.model.calibration.method().name();
            writeln!(out, "prior: {}; calibration: {calibration}", args.prior)?;
            writeln!(
                out,
                "model: {path} ({bytes} bytes)\n\nWindows of the test:\n"
            )?;
            judged.table(out)?;
        }
        Output::Json => {
            let missing: Vec<_> = outcome.missing.iter().map(ToString::to_string).collect();
            let value = json!({"v": 1, "model": path, "bytes": bytes, "labels": labels,
                "learnt": learnt, "heldOut": held, "roundsGrown": grown, "roundsKept": kept,
                "prior": args.prior, "calibration": outcome.model.calibration.method().name(),
                "missing": missing, "test": judged.json()});
            writeln!(out, "{value}")?;
        }
        Output::Csv => print_csv(&COLUMNS, &judged.rows(), out)?,
    }
    Ok(())
}
