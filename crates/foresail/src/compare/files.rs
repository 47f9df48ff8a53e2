//! The files of a results folder.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use foresail_adapters::atomic::{MARKER, ResultsFolder};
use foresail_adapters::results::{Column, Table, parquet_file};
use foresail_web::figure::figures;
use foresail_web::page::run::render;
use foresail_web::png;
use foresail_web::read_model::{Ranged, RunReport};
use rayon::prelude::*;

/// Name of the table of ticks.
pub const TICKS: &str = "ticks.parquet";

/// Name of the manifest with the best plain settings, where the user's own HPA was judged.
pub const MANIFEST: &str = "hpa-best.yaml";

/// `summary.csv` as a table: one row per policy.
#[must_use]
pub fn summary(report: &RunReport) -> Table {
    let names = report
        .policies
        .iter()
        .map(|p| Some(p.name.clone()))
        .collect();
    let mut columns = vec![("policy".to_owned(), Column::Text(names))];
    for measure in report.policies.first().map_or(&[][..], |p| &p.measures[..]) {
        let values = report
            .policies
            .iter()
            .map(|p| p.measure(&measure.key).filter(|v| v.is_finite()));
        columns.push((measure.key.clone(), Column::Real(values.collect())));
    }
    Table { columns }
}

/// Writes everything that follows from the model; `ticks` are the bytes of the table of ticks.
///
/// # Errors
/// Where a file cannot be written; nothing is then left behind.
pub fn write(report: &RunReport, ticks: &[u8], target: &Path) -> Result<()> {
    let folder = ResultsFolder::begin(target)?;
    let figures = figures(report);
    let fonts = png::fonts();
    let pictures: Vec<_> = figures
        .par_iter()
        .map(|f| {
            let svg = f.drawing.standalone(&f.title);
            png::render(&svg, &fonts).map(|png| (f.name.clone(), svg, png))
        })
        .collect();
    for picture in pictures {
        let (name, svg, png) = picture.context("a figure could not be drawn")?;
        folder.write(&format!("figures/{name}.svg"), |w| {
            w.write_all(svg.as_bytes())
        })?;
        folder.write(&format!("figures/{name}.png"), |w| w.write_all(&png))?;
    }
    let page = render(report, &figures);
    folder.write("index.html", |w| w.write_all(page.as_bytes()))?;
    let table = summary(report);
    folder.write("summary.csv", |w| table.write_csv(w))?;
    folder.write(TICKS, |w| w.write_all(ticks))?;
    if let Some(own) = &report.own {
        folder.write(MANIFEST, |w| w.write_all(own.manifest.as_bytes()))?;
    }
    let model = serde_json::to_vec(report).context("the report's model cannot be written")?;
    folder.write(MARKER, |w| w.write_all(&model))?;
    folder.commit()?;
    Ok(())
}

/// The table of ticks as bytes.
///
/// # Errors
/// Where Parquet cannot be made of it.
pub fn ticks_bytes(table: &Table) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    parquet_file::write(table, &mut bytes).context("the table of ticks cannot be written")?;
    Ok(bytes)
}

/// Reads the model of a results folder.
///
/// # Errors
/// Where there is none, or it is damaged or of another version.
pub fn read_model(folder: &Path) -> Result<RunReport> {
    let path = folder.join(MARKER);
    let text = std::fs::read(&path).with_context(|| {
        format!(
            "cannot read {}; name a results folder of `foresail compare`",
            path.display()
        )
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        // Another version is whole JSON with other fields; what is no JSON was cut or changed.
        let what = match error.classify() {
            serde_json::error::Category::Data => "is not of this version",
            _ => "is damaged",
        };
        let context = format!("{} {what}; run compare again", path.display());
        anyhow::Error::new(error).context(context)
    })
}

/// The summary as a table for people: the columns that decide, the best marked.
///
/// # Errors
/// What the writer gives.
pub fn print_table(report: &RunReport, out: &mut dyn Write) -> std::io::Result<()> {
    use foresail_web::page::text::number;
    let shown = [
        "violations_percent",
        "violation_minutes_percent",
        "cost",
        "regret",
        "wait_p99_ms",
        "latency_p95_ms",
        "cold_starts",
        "actions",
        "flaps",
        "cold_percent",
        "function_cold_p75_percent",
        "warm_memory_gb_s",
        "warm_memory_of_fixed_percent",
        "memory_gb_s",
        "latency_p99_ms",
        "rejected",
    ];
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let first = report.policies.first().map_or(&[][..], |p| &p.measures[..]);
    let names = shown
        .iter()
        .filter_map(|k| first.iter().find(|m| m.key == *k))
        .map(|m| m.name.to_uppercase());
    table.set_header(std::iter::once("POLICY".to_owned()).chain(names));
    for policy in &report.policies {
        let cells = shown
            .iter()
            .filter_map(|k| policy.measures.iter().find(|m| m.key == *k));
        let cells = cells.map(|m| number(m.value, m.digits));
        table.add_row(std::iter::once(policy.name.clone()).chain(cells));
    }
    for i in 1..=shown.len() {
        if let Some(column) = table.column_mut(i) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    writeln!(out, "{table}")
}

/// Every policy beside the plain HPA, as a table for people; nothing without intervals.
///
/// # Errors
/// What the writer gives.
pub fn print_paired(report: &RunReport, out: &mut dyn Write) -> std::io::Result<()> {
    use foresail_web::page::text::number;
    let Some(paired) = &report.paired else {
        return Ok(());
    };
    let cell = |value: &Ranged, digits| {
        let n = |x: f64| number(x, digits);
        value
            .interval
            .map(|(low, high)| format!("{} ({} to {})", n(value.value), n(low), n(high)))
    };
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let bad = paired.rows.iter().any(|r| r.bad_minutes_percent.is_some());
    let mut header = vec![
        "AGAINST HPA",
        "BROKEN, POINTS",
        "COST %",
        "UNMATCHED WEEKS %",
    ];
    if bad {
        header.insert(2, "BAD MINUTES OF ITS %");
    }
    table.set_header(header);
    for row in &paired.rows {
        let (Some(broken), Some(cost), Some(unmatched)) = (
            cell(&row.violations_change_points, 2),
            cell(&row.cost_change_percent, 1),
            row.unmatched_weeks_percent,
        ) else {
            return Ok(());
        };
        let mut cells = vec![row.name.clone(), broken, cost, number(unmatched, 0)];
        if let Some(minutes) = row.bad_minutes_percent.as_ref().filter(|_| bad) {
            cells.insert(2, cell(minutes, 0).unwrap_or_default());
        }
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    writeln!(out, "\n{table}\n{}", paired.basis)
}
