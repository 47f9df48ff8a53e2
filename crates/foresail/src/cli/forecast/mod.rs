//! `foresail forecast`: forecasters backtested, fitted, shown and explained.

mod backtest;
mod explain;
mod fit;
mod models;
mod show;

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::{Args, Subcommand};
use foresail_core::quantity::trace::TraceItem;
use foresail_models::forecast::{Fit, FitError, Forecaster};
use foresail_models::registry::DEFAULT_FORECASTER;
use foresail_models::rng::Seed;

use crate::cli::reading::{Reading, tell};
use crate::exit::{Code, Coded};
use crate::forecast::chosen::{KnobText, built, knob};
use crate::forecast::histories::{busiest_of, named};

/// Backtest, fit, show and explain forecasters
#[derive(Args, Debug)]
pub struct ForecastArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Fit a forecaster to a trace and save it
    Fit(Box<fit::FitArgs>),
    /// Show the next hours as a fan chart
    Show(Box<show::ShowArgs>),
    /// Score forecasters over rolling origins
    Backtest(Box<backtest::BacktestArgs>),
    /// Say what a forecast is made of, and which forecaster does best on a trace
    Explain(Box<explain::ExplainArgs>),
    /// List the forecasters and their knobs
    Models(models::ModelsArgs),
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &ForecastArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Fit(args) => fit::run(args, out),
        What::Show(args) => show::run(args, out),
        What::Backtest(args) => backtest::run(args, out),
        What::Explain(args) => explain::run(args, out),
        What::Models(args) => models::run(args, out),
    }
}

/// The forecaster that the commands on one series fit.
#[derive(Args, Debug)]
struct Chosen {
    /// The forecaster, see `foresail forecast models`
    #[arg(long, value_name = "NAME", default_value = DEFAULT_FORECASTER)]
    forecaster: String,
    /// A knob of the forecaster; may be repeated
    #[arg(long, value_name = "KNOB=VALUE", value_parser = knob)]
    knob: Vec<KnobText>,
}

impl Chosen {
    /// It with its knobs, not fitted.
    fn unfitted(&self) -> Result<Box<dyn Fit>> {
        built(&self.forecaster, &self.knob, 0, "--forecaster")
    }
}

/// A trace that the commands on one series read.
#[derive(Args, Debug)]
struct OneSeries {
    /// One item of the trace by its name [default: the busiest]
    #[arg(long, value_name = "NAME")]
    item: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

impl OneSeries {
    /// The item of a trace; tells on stderr which one where none was named.
    fn read(&self, file: &Path) -> Result<TraceItem> {
        let mut items = self.reading.open(file)?;
        let item = match &self.item {
            Some(name) => named(items.as_mut(), name, file)?,
            None => {
                let (found, of) = busiest_of(items.as_mut(), 1, file)?;
                let item = found.into_iter().next().unwrap_or_else(|| unreachable!());
                if of > 1 {
                    eprintln!(
                        "note: {of} items in the trace; the busiest, {}, is taken (--item NAME for another)",
                        item.id
                    );
                }
                item
            }
        };
        self.reading.check_order(items.as_ref(), file)?;
        tell(items.as_ref());
        Ok(item)
    }
}

/// Fits to an item; a history that is too short has an exit code of its own.
fn fitted(name: &str, fit: &dyn Fit, item: &TraceItem, seed: Seed) -> Result<Box<dyn Forecaster>> {
    fit.fit(&item.demand, seed).map_err(|error| {
        let message = format!("{}: {name}: {error}", item.id);
        match error {
            FitError::Empty | FitError::EmptyPart { .. } | FitError::TooShort { .. } => Coded {
                code: Code::TooLittleData,
                message,
            }
            .into(),
            _ => anyhow::anyhow!(message),
        }
    })
}
