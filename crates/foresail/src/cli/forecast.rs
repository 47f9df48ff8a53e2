//! `foresail forecast`: forecasters backtested, fitted, shown and explained.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use foresail_models::forecast::backtest::{Plan, Window};
use foresail_models::rng::Seed;
use serde_json::json;

use crate::cli::{Output, print_csv, progress, whole};
use crate::exit::Code;
use crate::forecast::backtest::{
    COLUMNS, Duel, Row, duels, protocol_method, rows, run as run_method,
};
use crate::forecast::protocol::{AHEAD, groups};

/// Backtest, fit, show and explain forecasters
#[derive(Args, Debug)]
pub struct ForecastArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Score forecasters over rolling origins
    Backtest(Box<BacktestArgs>),
}

/// A way of backtesting that others can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// The baselines' protocol: eight sets, steps 1, 10 and 60
    Baselines,
}

/// Flags of `forecast backtest`.
#[derive(Args, Debug)]
struct BacktestArgs {
    /// A protocol instead of a trace
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// The protocol's data folder
    #[arg(long, value_name = "DIR", env = "FORESAIL_DATA_DIR")]
    data: Option<PathBuf>,
    /// Forecasters, with commas between
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    forecasters: Vec<String>,
    /// Only these sets of the protocol, with commas between
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    sets: Vec<String>,
    /// The only source of chance [default: 42]
    #[arg(long, value_parser = whole)]
    seed: Option<u64>,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Whatever could not be done, with the mend.
pub fn run(args: &ForecastArgs, out: &mut dyn Write) -> Result<Code> {
    match &args.what {
        What::Backtest(args) => backtest(args, out),
    }
}

fn backtest(args: &BacktestArgs, out: &mut dyn Write) -> Result<Code> {
    let seed = args.seed.map_or_else(Seed::default, Seed);
    let dir = args.data.clone().unwrap_or_default();
    let (groups, _missing) = groups(&dir)?;
    let plan = Plan {
        window: Window::Expanding,
        ahead: AHEAD.to_vec(),
        refit_every: 1,
        seed,
    };
    let mut all: Vec<Row> = Vec::new();
    let mut against: Vec<Duel> = Vec::new();
    for group in groups
        .iter()
        .filter(|g| args.sets.is_empty() || args.sets.iter().any(|s| s == g.name))
    {
        let bar = progress::bar(
            (group.cases.len() * args.forecasters.len()) as u64,
            group.name,
        );
        let mut outcomes = Vec::new();
        for name in &args.forecasters {
            let method = protocol_method(name, group.season)?;
            outcomes.push(run_method(&method, &group.cases, &plan, &|case| {
                bar.step(&case.id);
            })?);
        }
        bar.finish();
        all.extend(rows(group.name, &outcomes, &plan));
        if let Some(last) = args.forecasters.last() {
            against.extend(duels(group.name, last, &outcomes, &plan.ahead, seed));
        }
    }
    let texts: Vec<Vec<String>> = all.iter().map(Row::texts).collect();
    match Output::here(args.output)? {
        Output::Table => {
            for row in &texts {
                writeln!(out, "{}", row.join(" | "))?;
            }
        }
        Output::Csv => print_csv(&COLUMNS, &texts, out)?,
        Output::Json => {
            let rows: Vec<_> = all.iter().map(Row::json).collect();
            let duels: Vec<_> = against.iter().map(Duel::json).collect();
            writeln!(out, "{}", json!({"v": 1, "rows": rows, "duels": duels}))?;
        }
    }
    Ok(Code::Done)
}
