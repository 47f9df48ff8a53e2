//! `foresail forecast fit`: a forecaster fitted to one series and saved.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_core::quantity::trace::TraceItem;
use foresail_models::forecast::season::{Season, detect_in};
use foresail_models::forecast::{Forecaster, held_values};
use foresail_models::rng::Seed;
use serde_json::json;

use super::{Chosen, OneSeries, fitted};
use crate::cli::{Output, print_csv, whole};
use crate::exit::Code;
use crate::forecast::fans::step_text;
use crate::forecast::histories::{gaps_told, plural};
use crate::forecast::stored;

/// Flags of `forecast fit`.
#[derive(Args, Debug)]
pub(super) struct FitArgs {
    /// A trace: a file (plain, gzip or zstd), or a folder of Azure day files
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    #[command(flatten)]
    series: OneSeries,
    #[command(flatten)]
    chosen: Chosen,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// Where the model goes
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// How it is told [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// The seasons of an item; none where nothing was ever measured.
pub(super) fn seasons(item: &TraceItem) -> Vec<Season> {
    held_values(&item.demand, 1)
        .map_or_else(|_| Vec::new(), |held| detect_in(&held, item.demand.step()))
}

/// Seasons in words.
pub(super) fn seasons_told(seasons: &[Season], item: &TraceItem) -> String {
    if seasons.is_empty() {
        return "none found".to_owned();
    }
    let step = item.demand.step().nanos();
    let one = |s: &Season| {
        let nanos = step.saturating_mul(i64::try_from(s.steps).unwrap_or(i64::MAX));
        let length = step_text(foresail_core::quantity::time::Span::from_nanos(nanos));
        format!(
            "{} ({length}), strength {:.2}",
            plural(s.steps, "step"),
            s.strength
        )
    };
    seasons.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Runs the command.
///
/// # Errors
/// Where the trace cannot be read, the fit fails or the model not be written.
pub(super) fn run(args: &FitArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    stored::check_place(&args.out)?;
    let fit = args.chosen.unfitted()?;
    let item = args.series.read(&args.trace)?;
    let model = fitted(
        &args.chosen.forecaster,
        fit.as_ref(),
        &item,
        Seed(args.seed),
    )?;
    stored::write(
        &args.out,
        &args.chosen.forecaster,
        model.as_ref(),
        &item.demand,
    )?;
    tell(args, &item, model.as_ref(), output, out)?;
    Ok(Code::Done)
}

fn tell(
    args: &FitArgs,
    item: &TraceItem,
    model: &dyn Forecaster,
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let demand = &item.demand;
    let found = seasons(item);
    let bytes = std::fs::metadata(&args.out)?.len();
    let path = args.out.display().to_string();
    match output {
        Output::Table => {
            let (from, to) = (demand.start(), demand.time_of(demand.len()));
            let (steps, step) = (plural(demand.len(), "step"), step_text(demand.step()));
            writeln!(out, "{}: {steps} of {step}, {from} to {to}", item.id)?;
            writeln!(out, "gaps: {}", gaps_told(demand))?;
            writeln!(out, "seasons: {}", seasons_told(&found, item))?;
            writeln!(out, "{}: {}", args.chosen.forecaster, model.summary())?;
            writeln!(out, "model: {path} ({bytes} bytes)")?;
        }
        Output::Json => {
            let seasons = found
                .iter()
                .map(|s| json!({"steps": s.steps, "strength": s.strength}));
            let value = json!({
                "v": 1, "item": item.id, "forecaster": args.chosen.forecaster, "steps": demand.len(),
                "stepSeconds": demand.step().seconds(), "gaps": demand.gaps(),
                "seasons": seasons.collect::<Vec<_>>(), "summary": model.summary(),
                "model": path, "bytes": bytes,
            });
            writeln!(out, "{value}")?;
        }
        Output::Csv => {
            let columns = [
                "item",
                "forecaster",
                "steps",
                "gaps",
                "summary",
                "model",
                "bytes",
            ];
            let row = vec![
                item.id.clone(),
                args.chosen.forecaster.clone(),
                demand.len().to_string(),
                demand.gaps().to_string(),
                model.summary(),
                path,
                bytes.to_string(),
            ];
            print_csv(&columns, &[row], out)?;
        }
    }
    Ok(())
}
