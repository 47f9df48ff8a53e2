//! `foresail forecast show`: the next hours as a fan chart, a few steps as a table.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use foresail_adapters::results::six_digits;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_models::forecast::{Forecast, Forecaster, LEVELS};
use foresail_models::rng::Seed;
use foresail_web::forecast::Fan;
use foresail_web::page::text::number;
use serde_json::json;

use super::{Chosen, OneSeries, fitted};
use crate::cli::{Output, print_csv, whole};
use crate::exit::Code;
use crate::forecast::fans::{self, step_text};
use crate::forecast::histories::{horizon, plural, tell_gaps};
use crate::forecast::stored;
use crate::forecast::terminal::{Look, draw};

/// Steps of the table.
const ROWS: usize = 8;

/// Flags of `forecast show`.
#[derive(Args, Debug)]
pub(super) struct ShowArgs {
    /// A trace: a file (plain, gzip or zstd), or a folder of Azure day files
    #[arg(long, value_name = "FILE", required_unless_present = "model")]
    trace: Option<PathBuf>,
    /// A model that `forecast fit` saved; newer points of a trace are taken in first
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["forecaster", "knob", "seed"])]
    model: Option<PathBuf>,
    #[command(flatten)]
    series: OneSeries,
    #[command(flatten)]
    chosen: Chosen,
    /// How far: steps, or a span such as 6h [default: 6h, at least 24 steps]
    #[arg(long, value_name = "STEPS|SPAN", allow_hyphen_values = true)]
    horizon: Option<String>,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// Write the chart as a picture: a name that ends in .png or .svg
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How it is printed; csv and json have every step [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// A forecaster and the series that it stands at the end of.
struct Ready {
    title: String,
    forecaster: Box<dyn Forecaster>,
    step: Span,
    /// Begin of the first forecast step.
    next: Timestamp,
    /// What the chart shows before it.
    past: Option<Series>,
}

/// Runs the command.
///
/// # Errors
/// Where the trace or the model cannot be read, the fit fails, or the horizon is out of reach.
pub(super) fn run(args: &ShowArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    if let Some(path) = &args.out {
        fans::place(path)?;
    }
    let ready = ready(args)?;
    let steps = horizon(args.horizon.as_deref(), ready.step)?;
    let forecast = ready.forecaster.forecast(steps, &LEVELS)?;
    let fan = fan(&ready, &forecast);
    if let Some(path) = &args.out {
        fans::write(&fan, path)?;
    }
    match output {
        Output::Table => table(&ready, &fan, out)?,
        Output::Csv => csv(&ready, &forecast, out)?,
        Output::Json => json_of(&ready, &forecast, out)?,
    }
    if let Some(path) = &args.out {
        eprintln!("chart: {}", path.display());
    }
    Ok(Code::Done)
}

fn ready(args: &ShowArgs) -> Result<Ready> {
    match (&args.model, &args.trace) {
        (Some(model), trace) => of_model(args, model, trace.as_ref()),
        (None, Some(trace)) => of_trace(args, trace),
        (None, None) => bail!("name a trace with --trace or a model with --model"),
    }
}

fn of_trace(args: &ShowArgs, trace: &Path) -> Result<Ready> {
    let fit = args.chosen.unfitted()?;
    let item = args.series.read(trace)?;
    tell_gaps(&item);
    // An impossible horizon is refused before a fit that takes long.
    horizon(args.horizon.as_deref(), item.demand.step())?;
    let forecaster = fitted(
        &args.chosen.forecaster,
        fit.as_ref(),
        &item,
        Seed(args.seed),
    )?;
    Ok(Ready {
        title: format!("{} by {}", item.id, args.chosen.forecaster),
        forecaster,
        step: item.demand.step(),
        next: item.demand.time_of(item.demand.len()),
        past: Some(item.demand),
    })
}

fn of_model(args: &ShowArgs, path: &Path, trace: Option<&PathBuf>) -> Result<Ready> {
    let mut saved = stored::read(path)?;
    let name = path.display().to_string();
    let mut past = None;
    let mut title = format!("{} ({name})", saved.model);
    if let Some(trace) = trace {
        let item = args.series.read(trace)?;
        tell_gaps(&item);
        let taken = stored::take_in(&mut saved, &item.demand)
            .with_context(|| format!("{name} and {}", trace.display()))?;
        let (values, gaps) = (
            plural(taken.values, "newer point"),
            plural(taken.gaps, "gap"),
        );
        eprintln!("note: {values} and {gaps} of {} were taken in", item.id);
        title = format!("{} by {} ({name})", item.id, saved.model);
        past = Some(item.demand);
    } else if let Some(item) = &args.series.item {
        bail!("--item {item}: a model alone has no items; name the trace with --trace");
    }
    Ok(Ready {
        title,
        forecaster: saved.forecaster,
        step: Span::from_nanos(saved.step),
        next: Timestamp::from_nanos(saved.next),
        past,
    })
}

fn fan(ready: &Ready, forecast: &Forecast) -> Fan {
    let empty = Series::new(ready.next, ready.step, Vec::new());
    let past = ready.past.as_ref().unwrap_or(&empty);
    let end = (ready.next - past.start()).nanos() / ready.step.nanos().max(1);
    let end = usize::try_from(end).unwrap_or(0);
    fans::fan(ready.title.clone(), past, end, forecast)
}

/// Begin of a step ahead, which counts from 1.
fn time_of(ready: &Ready, ahead: usize) -> Timestamp {
    let steps = i64::try_from(ahead - 1).unwrap_or(i64::MAX);
    ready.next + Span::from_nanos(ready.step.nanos().saturating_mul(steps))
}

/// The chart, what was fitted, and a few steps.
fn table(ready: &Ready, fan: &Fan, out: &mut dyn Write) -> Result<()> {
    write!(out, "{}", draw(fan, Look::here()))?;
    writeln!(out, "\n{}", ready.forecaster.summary())?;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let bands = fan.bands();
    let names = bands.iter().rev().map(|b| fan.band_name(*b).to_uppercase());
    let head = ["STEP", "TIME (UTC)", "MEDIAN"].map(str::to_owned);
    table.set_header(head.into_iter().chain(names));
    let steps = fan.quantiles.len();
    let told = (0..ROWS).map(|i| 1 + i * (steps - 1) / (ROWS - 1).max(1));
    let mut told: Vec<usize> = told.collect();
    told.dedup();
    let biggest = fan.height();
    let digits = if biggest >= 100.0 { 0 } else { 2 };
    for ahead in told {
        let values = &fan.quantiles[ahead - 1];
        let median = fan.median().map_or(f64::NAN, |m| values[m]);
        let time = time_of(ready, ahead).to_string();
        let edges = bands.iter().rev().map(|(low, high)| {
            let [low, high] = [*low, *high].map(|i| number(values[i], digits));
            format!("{low} to {high}")
        });
        let head = [ahead.to_string(), time, number(median, digits)];
        table.add_row(head.into_iter().chain(edges));
    }
    let right = comfy_table::CellAlignment::Right;
    for (i, column) in table.column_iter_mut().enumerate() {
        if i != 1 {
            column.set_cell_alignment(right);
        }
    }
    writeln!(out, "\n{table}")?;
    Ok(())
}

fn csv(ready: &Ready, forecast: &Forecast, out: &mut dyn Write) -> Result<()> {
    let names: Vec<String> = forecast.levels().iter().map(|l| format!("q{l}")).collect();
    let columns = ["step", "time"]
        .into_iter()
        .chain(names.iter().map(String::as_str));
    let columns: Vec<&str> = columns.collect();
    let row = |ahead: usize| {
        let values = forecast.at(ahead).unwrap_or_default().iter();
        let head = [ahead.to_string(), time_of(ready, ahead).to_string()];
        head.into_iter()
            .chain(values.map(|v| six_digits(*v)))
            .collect()
    };
    let rows: Vec<Vec<String>> = (1..=forecast.steps()).map(row).collect();
    print_csv(&columns, &rows, out)
}

fn json_of(ready: &Ready, forecast: &Forecast, out: &mut dyn Write) -> Result<()> {
    let step = |ahead: usize| {
        let time = time_of(ready, ahead).to_string();
        json!({"step": ahead, "time": time, "quantiles": forecast.at(ahead)})
    };
    let value = json!({
        "v": 1, "title": ready.title, "stepSeconds": ready.step.seconds(),
        "unit": format!("demand per step of {}", step_text(ready.step)),
        "summary": ready.forecaster.summary(), "levels": forecast.levels(),
        "steps": (1..=forecast.steps()).map(step).collect::<Vec<_>>(),
    });
    Ok(writeln!(out, "{value}")?)
}
