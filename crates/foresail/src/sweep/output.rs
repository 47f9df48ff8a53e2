//! What a sweep came to: a table, a CSV file, and a frontier figure per workload.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use foresail_adapters::atomic::write_file;
use foresail_adapters::results::{Column, Table};
use foresail_web::figure::Figure;
use foresail_web::page::text::number;
use foresail_web::png;
use foresail_web::sweep::{Point, frontiers};

use super::file::{Run, Sweep};
use super::journal::{JOURNAL, line};
use super::run::Ran;
use crate::cli::Output;

/// Name of the table.
const TABLE: &str = "sweep.csv";

/// Every run of every policy as a table, in the sweep's order.
fn table(sweep: &Sweep, ran: &[Ran]) -> Table {
    let text = |of: &dyn Fn(&Ran, &Run) -> Option<String>| {
        let cells = ran.iter().map(|r| of(r, &sweep.runs[r.run]));
        Column::Text(cells.collect())
    };
    let seeds = ran
        .iter()
        .map(|r| i64::try_from(sweep.runs[r.run].seed).ok());
    let mut columns = vec![
        (
            "scenario".to_owned(),
            text(&|_, run| Some(run.scenario.clone())),
        ),
        ("trace".to_owned(), text(&|_, run| run.trace.clone())),
        ("seed".to_owned(), Column::Int(seeds.collect())),
    ];
    for (place, name) in sweep.parameters.iter().enumerate() {
        columns.push((name.clone(), text(&|_, run| run.values.get(place).cloned())));
    }
    columns.push(("policy".to_owned(), text(&|r, _| Some(r.policy.clone()))));
    for (key, _) in ran.first().map_or(&[][..], |r| &r.figures[..]) {
        let value = |r: &Ran| figure(r, key).filter(|v| v.is_finite());
        columns.push((key.clone(), Column::Real(ran.iter().map(value).collect())));
    }
    Table { columns }
}

fn figure(ran: &Ran, key: &str) -> Option<f64> {
    ran.figures.iter().find(|(k, _)| k == key).map(|(_, v)| *v)
}

/// A workload of a sweep: scenario and trace.
type Place = (String, Option<String>);

/// The seeds' mean of one policy at one point of the parameters.
#[derive(Clone, Debug, Default)]
struct Mean {
    cost: f64,
    violations_percent: f64,
    seeds: u32,
}

/// Means over seeds, by workload, policy and values.
fn means(sweep: &Sweep, ran: &[Ran]) -> BTreeMap<Place, BTreeMap<(String, Vec<String>), Mean>> {
    let mut means: BTreeMap<Place, BTreeMap<_, Mean>> = BTreeMap::new();
    for r in ran {
        let run = &sweep.runs[r.run];
        let place = (run.scenario.clone(), run.trace.clone());
        let at = (r.policy.clone(), run.values.clone());
        let mean = means.entry(place).or_default().entry(at).or_default();
        mean.cost += figure(r, "cost").unwrap_or(f64::NAN);
        mean.violations_percent += figure(r, "violations_percent").unwrap_or(f64::NAN);
        mean.seeds += 1;
    }
    for mean in means.values_mut().flat_map(BTreeMap::values_mut) {
        let seeds = f64::from(mean.seeds.max(1));
        mean.cost /= seeds;
        mean.violations_percent /= seeds;
    }
    means
}

fn setting(sweep: &Sweep, values: &[String]) -> String {
    let short = |path: &String| path.rsplit('.').next().unwrap_or(path).to_owned();
    let pairs = sweep.parameters.iter().map(short).zip(values);
    let told: Vec<_> = pairs.map(|(k, v)| format!("{k} {v}")).collect();
    told.join(", ")
}

fn figures(sweep: &Sweep, ran: &[Ran]) -> Vec<Figure> {
    let mut all = Vec::new();
    for ((scenario, trace), of_place) in means(sweep, ran) {
        let name = trace.map_or_else(|| scenario.clone(), |t| format!("{scenario}-{t}"));
        let mut by_policy: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for ((policy, values), mean) in of_place {
            by_policy.entry(policy).or_default().push(Point {
                cost: mean.cost,
                violations_percent: mean.violations_percent,
                setting: setting(sweep, &values),
            });
        }
        let lines: Vec<_> = by_policy.into_iter().collect();
        all.push(frontiers(&name, &lines));
    }
    all
}

/// Writes the table, the figures and the journal in the sweep's order.
///
/// # Errors
/// Where a file cannot be written; the journal is then still whole.
pub fn write(sweep: &Sweep, ran: &[Ran], folder: &Path) -> Result<()> {
    let table = table(sweep, ran);
    write_file(&folder.join(TABLE), |w| table.write_csv(w))?;
    let fonts = png::fonts();
    for figure in figures(sweep, ran) {
        let svg = figure.drawing.standalone(&figure.title);
        let picture = png::render(&svg, &fonts).context("a figure could not be drawn")?;
        let path = |ending: &str| folder.join(format!("{}.{ending}", figure.name));
        write_file(&path("svg"), |w| w.write_all(svg.as_bytes()))?;
        write_file(&path("png"), |w| w.write_all(&picture))?;
    }
    let mut journal = Vec::new();
    for r in ran {
        journal.extend(line(&r.key, &r.figures)?);
    }
    write_file(&folder.join(JOURNAL), |w| w.write_all(&journal))?;
    Ok(())
}

/// Prints the means over seeds, or every run as CSV or JSON.
///
/// # Errors
/// What the writer gives.
pub fn print(sweep: &Sweep, ran: &[Ran], output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Csv => table(sweep, ran).write_csv(out)?,
        Output::Json => {
            for r in ran {
                let run = &sweep.runs[r.run];
                let measures: serde_json::Map<_, _> = r
                    .figures
                    .iter()
                    .map(|(k, v)| (k.clone(), serde_json::json!(v)))
                    .collect();
                let values: serde_json::Map<_, _> = sweep
                    .parameters
                    .iter()
                    .zip(&run.values)
                    .map(|(k, v)| (k.clone(), serde_json::json!(v)))
                    .collect();
                let line = serde_json::json!({"v": 1, "scenario": run.scenario, "trace": run.trace,
                    "seed": run.seed, "parameters": values, "policy": r.policy, "measures": measures});
                writeln!(out, "{line}")?;
            }
        }
        Output::Table => print_means(sweep, ran, out)?,
    }
    Ok(())
}

fn print_means(sweep: &Sweep, ran: &[Ran], out: &mut dyn Write) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "WORKLOAD",
        "POLICY",
        "SETTING",
        "BROKE THE PROMISE %",
        "COST",
        "SEEDS",
    ]);
    for ((scenario, trace), of_place) in means(sweep, ran) {
        let place = trace.map_or_else(|| scenario.clone(), |t| format!("{scenario}, {t}"));
        for ((policy, values), mean) in of_place {
            table.add_row([
                place.clone(),
                policy,
                setting(sweep, &values),
                number(mean.violations_percent, 2),
                number(mean.cost, 2),
                mean.seeds.to_string(),
            ]);
        }
    }
    for place in 3..6 {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    writeln!(out, "{table}")?;
    Ok(())
}
