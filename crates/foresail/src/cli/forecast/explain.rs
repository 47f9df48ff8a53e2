//! `foresail forecast explain`: what a forecast is made of, and which forecaster does best.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_core::quantity::trace::TraceItem;
use foresail_models::forecast::backtest::{Plan, Window};
use foresail_models::forecast::season::Season;
use foresail_models::forecast::{Component, Forecaster};
use foresail_models::registry::{SLOW_FORECASTERS, forecaster_names};
use foresail_models::rng::Seed;
use foresail_web::page::text::short;
use serde_json::json;

use super::fit::{seasons, seasons_told};
use super::{Chosen, OneSeries, fitted};
use crate::cli::{Output, print_csv, print_table, progress, whole};
use crate::exit::Code;
use crate::forecast::backtest::{COLUMNS, Outcome, Row, method, rows, run as run_all};
use crate::forecast::chosen::{KnobText, quick};
use crate::forecast::duel::{Duel, duels};
use crate::forecast::fans::step_text;
use crate::forecast::histories::{Split, case, gaps_told, horizon, plural};
use crate::forecast::level::{self, Levels};

/// Steps ahead of the quick backtest, as far as the history reaches.
const AHEAD: [usize; 3] = [1, 10, 60];

/// Origins of the quick backtest.
const ORIGINS: usize = 24;

/// Steps of history of an origin: two weeks of minutes.
const WINDOW: usize = 20_160;

/// Steps of the table of components.
const STEPS: usize = 6;

/// Flags of `forecast explain`.
#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// A trace: a file (plain, gzip or zstd), or a folder of Azure day files
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
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
    /// How it is printed; csv has the quick backtest alone [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// All that is told.
struct Story {
    item: TraceItem,
    forecaster: String,
    summary: String,
    seasons: Vec<Season>,
    levels: Levels,
    horizon: usize,
    components: Vec<Component>,
    quick: Quick,
}

/// The quick backtest.
#[derive(Default)]
struct Quick {
    rows: Vec<Row>,
    duels: Vec<Duel>,
    /// The forecasters with their mean loss over the steps ahead, the best first.
    ranks: Vec<(String, f64)>,
    /// Why there is none.
    none: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Where the trace cannot be read, the fit fails, or the horizon is out of reach.
pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let fit = args.chosen.unfitted()?;
    let item = args.series.read(&args.trace)?;
    let horizon = horizon(args.horizon.as_deref(), item.demand.step())?;
    let model = fitted(
        &args.chosen.forecaster,
        fit.as_ref(),
        &item,
        Seed(args.seed),
    )?;
    let story = story(args, item, horizon, model.as_ref())?;
    match output {
        Output::Table => table(&story, out)?,
        Output::Json => json_of(&story, out)?,
        Output::Csv => {
            let texts: Vec<_> = story.quick.rows.iter().map(Row::texts).collect();
            print_csv(&COLUMNS, &texts, out)?;
        }
    }
    Ok(Code::Done)
}

fn story(
    args: &ExplainArgs,
    item: TraceItem,
    horizon: usize,
    model: &dyn Forecaster,
) -> Result<Story> {
    let levels = level::of(&item.demand, Seed(args.seed))?;
    let quick = quick_backtest(args, &item)?;
    Ok(Story {
        forecaster: args.chosen.forecaster.clone(),
        summary: model.summary(),
        seasons: seasons(&item),
        levels,
        horizon,
        components: model.components(horizon),
        quick,
        item,
    })
}

/// Backtests the quick forecasters and the one that is explained, fitted once each.
fn quick_backtest(args: &ExplainArgs, item: &TraceItem) -> Result<Quick> {
    let reach = item.demand.len() / 8;
    let ahead: Vec<usize> = AHEAD.into_iter().filter(|a| *a <= reach.max(1)).collect();
    let split = Split {
        ahead: ahead.clone(),
        origins: ORIGINS,
        test_share: 0.25,
    };
    let case = match case(item.clone(), &split) {
        Ok(case) => case,
        Err(error) => {
            return Ok(Quick {
                none: Some(format!("{error:#}")),
                ..Quick::default()
            });
        }
    };
    let plan = Plan {
        window: Window::Sliding(WINDOW),
        ahead,
        refit_every: usize::MAX,
        seed: Seed(args.seed),
    };
    let mut names = quick();
    names.retain(|n| *n != args.chosen.forecaster);
    names.push(args.chosen.forecaster.clone());
    let knobs: Vec<KnobText> = args
        .chosen
        .knob
        .iter()
        .map(|k| KnobText {
            forecaster: args.chosen.forecaster.clone(),
            ..k.clone()
        })
        .collect();
    let methods = names.iter().map(|n| method(n, &knobs, 0));
    let methods = methods.collect::<Result<Vec<_>>>()?;
    let bar = progress::bar(methods.len() as u64, "Backtesting");
    let (outcomes, left_out) = run_all(
        &item.id,
        &methods,
        std::slice::from_ref(&case),
        &plan,
        &|_| bar.step(""),
    );
    bar.finish();
    for left in left_out {
        eprintln!("note: {} is left out: {}", left.method, left.why);
    }
    Ok(judged(item, &outcomes, &plan, args))
}

fn judged(item: &TraceItem, outcomes: &[Outcome], plan: &Plan, args: &ExplainArgs) -> Quick {
    let rows = rows(&item.id, outcomes, plan);
    let mean = |outcome: &Outcome| {
        let own = rows.iter().filter(|r| r.method == outcome.method);
        let losses: Vec<f64> = own.map(|r| r.scores.pinball).collect();
        losses.iter().sum::<f64>() / losses.len().max(1) as f64
    };
    let mut ranks: Vec<(String, f64)> = outcomes
        .iter()
        .map(|o| (o.method.clone(), mean(o)))
        .collect();
    ranks.sort_by(|a, b| a.1.total_cmp(&b.1));
    Quick {
        duels: duels(
            &item.id,
            &args.chosen.forecaster,
            outcomes,
            &plan.ahead,
            plan.seed,
        ),
        rows,
        ranks,
        none: None,
    }
}

/// How the level has changed, in words.
fn levels_told(levels: &Levels) -> String {
    if levels.steps == 0 {
        return "the history is too short to tell".to_owned();
    }
    let looked = format!("within the last {}", plural(levels.steps, "step"));
    if levels.shifts.is_empty() {
        return format!("no change {looked}");
    }
    let one = |s: &level::Shift| {
        format!(
            "times {} from {} on (sure at {})",
            short((s.factor * 100.0).round() / 100.0),
            s.began,
            s.told
        )
    };
    let told: Vec<String> = levels.shifts.iter().rev().take(3).map(one).collect();
    let count = plural(levels.shifts.len(), "change");
    format!("{count} {looked}, the last first: {}", told.join("; "))
}

fn table(story: &Story, out: &mut dyn Write) -> Result<()> {
    let demand = &story.item.demand;
    let (from, to) = (demand.start(), demand.time_of(demand.len()));
    let (steps, step) = (plural(demand.len(), "step"), step_text(demand.step()));
    writeln!(out, "{}: {steps} of {step}, {from} to {to}", story.item.id)?;
    writeln!(out, "gaps: {}", gaps_told(demand))?;
    writeln!(
        out,
        "seasons: {}",
        seasons_told(&story.seasons, &story.item)
    )?;
    writeln!(out, "level: {}", levels_told(&story.levels))?;
    writeln!(out, "{}: {}", story.forecaster, story.summary)?;
    components(story, out)?;
    quick_told(story, out)
}

fn components(story: &Story, out: &mut dyn Write) -> Result<()> {
    if story.components.is_empty() {
        writeln!(
            out,
            "\n{} has no parts that could be told one by one.",
            story.forecaster
        )?;
        return Ok(());
    }
    let told: Vec<usize> = (0..STEPS)
        .map(|i| 1 + i * (story.horizon - 1) / (STEPS - 1))
        .collect();
    writeln!(
        out,
        "\nParts of the median so many steps ahead (× multiplies, the others add up):"
    )?;
    let heads: Vec<String> = told.iter().map(|a| format!("+{a}")).collect();
    let columns: Vec<&str> = ["part"]
        .into_iter()
        .chain(heads.iter().map(String::as_str))
        .collect();
    let row = |c: &Component| {
        let name = if c.factor {
            format!("× {}", c.name)
        } else {
            c.name.clone()
        };
        let value = |a: &usize| {
            c.values
                .get(a - 1)
                .map_or_else(String::new, |v| format!("{v:.2}"))
        };
        std::iter::once(name)
            .chain(told.iter().map(value))
            .collect()
    };
    print_table(&columns, story.components.iter().map(row).collect(), out)
}

fn quick_told(story: &Story, out: &mut dyn Write) -> Result<()> {
    let quick = &story.quick;
    if let Some(why) = &quick.none {
        writeln!(out, "\nNo backtest: {why}")?;
        return Ok(());
    }
    let mut slow = forecaster_names();
    slow.retain(|name| SLOW_FORECASTERS.contains(name));
    let slow = slow.join(", ");
    let ahead: Vec<String> = quick.duels.iter().map(|d| d.ahead.to_string()).collect();
    writeln!(
        out,
        "\nQuick backtest: {ORIGINS} origins in the last quarter, {} steps ahead, each fitted once (too slow for it: {slow}).\nMean scaled pinball loss, the best first:",
        ahead.join(", ")
    )?;
    for (name, loss) in &quick.ranks {
        writeln!(out, "  {loss:8.3}  {name}")?;
    }
    if let Some((best, loss)) = quick.ranks.first() {
        let own = quick.ranks.iter().find(|r| r.0 == story.forecaster);
        let more = own.map_or(f64::NAN, |o| (o.1 / loss - 1.0) * 100.0);
        let sentence = match own {
            Some((name, _)) if name == best => format!("{best} forecasts this series best."),
            _ if more.is_finite() => format!(
                "{best} forecasts this series best; the loss of {} is {more:.1} % more.",
                story.forecaster
            ),
            _ => format!("{best} forecasts this series best."),
        };
        writeln!(out, "{sentence}")?;
    }
    for duel in &quick.duels {
        let [low, high] = duel.difference.interval;
        writeln!(
            out,
            "  {} ahead: {} {:.3}, the best other {} {:.3}: {} ({low:+.3} to {high:+.3})",
            plural(duel.ahead, "step"),
            duel.method,
            duel.pinball,
            duel.best,
            duel.best_pinball,
            duel.verdict()
        )?;
    }
    Ok(())
}

fn json_of(story: &Story, out: &mut dyn Write) -> Result<()> {
    let demand = &story.item.demand;
    let season = |s: &Season| json!({"steps": s.steps, "strength": s.strength});
    let shift = |s: &level::Shift| json!({"began": s.began.to_string(), "told": s.told.to_string(), "factor": s.factor});
    let part = |c: &Component| json!({"name": c.name, "factor": c.factor, "values": c.values});
    let rank = |(name, loss): &(String, f64)| json!({"forecaster": name, "spb": loss});
    let quick = &story.quick;
    let value = json!({
        "v": 1, "item": story.item.id, "steps": demand.len(),
        "stepSeconds": demand.step().seconds(), "gaps": demand.gaps(),
        "seasons": story.seasons.iter().map(season).collect::<Vec<_>>(),
        "levelChanges": story.levels.shifts.iter().map(shift).collect::<Vec<_>>(),
        "forecaster": story.forecaster, "summary": story.summary,
        "components": story.components.iter().map(part).collect::<Vec<_>>(),
        "backtest": {
            "rows": quick.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "ranks": quick.ranks.iter().map(rank).collect::<Vec<_>>(),
            "duels": quick.duels.iter().map(Duel::json).collect::<Vec<_>>(),
            "none": quick.none,
        },
    });
    Ok(writeln!(out, "{value}")?)
}
