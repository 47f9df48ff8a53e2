//! What the study leaves behind: logs, the summary, pictures, one page; and its table on stdout.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use foresail_adapters::atomic::{MARKER, ResultsFolder};
use foresail_adapters::results::{Column, Table};
use foresail_web::page::study::{Section, StudyPage, TextTable};
use foresail_web::page::text::number;
use serde_json::json;

use super::replay::{Minute, POLICIES, Policy, Scores};
use super::results::{ModelResult, Results, Run, mean_interval};
use super::trace::{Trace, stamp};
use super::{figures, verdicts};
use crate::cli::Output;
use crate::cli::progress::bar;
use crate::study::report;
use crate::study::verdict::Verdict;

/// The scores as columns: names, digits, values. The first seven are the published ones; two of
/// them stand again under the names of the study's description.
type Score = (&'static str, usize, fn(&Scores) -> f64);

const SCORES: [Score; 9] = [
    ("over_%", 3, |s| s.over_percent),
    ("under_events", 0, |s| s.under as f64),
    ("avg_latency_ms", 3, |s| s.latency_mean),
    ("p95_latency_ms", 3, |s| s.latency_p95),
    ("avg_cpu_%", 2, |s| s.cpu_mean),
    ("switches", 0, |s| s.switches as f64),
    ("cost_index", 0, |s| s.cost as f64),
    ("sla_violations", 0, |s| s.under as f64),
    ("stability", 0, |s| s.switches as f64),
];

fn log_name(model: &str, policy: Policy) -> String {
    format!("sim_{model}_TEST_{}.csv", policy.name())
}

/// Whether the study writes files of this name into `reports/`.
fn is_ours(name: &str) -> bool {
    let log = name.starts_with("sim_") && name.contains("_TEST_") && name.ends_with(".csv");
    let figure = ["_forecast.png", "_policy_comparison.png"];
    ["index.html", MARKER, "metrics_summary.csv"].contains(&name)
        || log
        || figure.iter().any(|end| name.ends_with(end))
}

/// Begins `reports/` below a folder: what the study left there before is replaced as a whole.
///
/// # Errors
/// Where the place cannot be written or holds something else.
pub(super) fn begin(folder: &Path) -> Result<ResultsFolder> {
    Ok(ResultsFolder::begin_of(&folder.join("reports"), &is_ours)?)
}

/// Stage four: every file of `reports/`.
///
/// # Errors
/// Where a file cannot be written or a figure not be drawn.
pub(super) fn write(reports: ResultsFolder, results: &Results, command: &str) -> Result<()> {
    let drawn = figures::all(results);
    let stage = bar(results.shown().len() as u64 + 2, "Evaluation");
    for model in results.shown() {
        for run in model.runs.iter().filter(|r| !r.minutes.is_empty()) {
            let text = log(&results.trace, run);
            let name = log_name(&model.name, run.policy);
            reports.write(&name, |w| w.write_all(text.as_bytes()))?;
        }
        stage.step(&model.name);
    }
    let table = summary(results);
    reports.write("metrics_summary.csv", |w| table.write_csv(w))?;
    for picture in report::drawn(&drawn)? {
        let name = format!("{}.png", picture.name);
        reports.write(&name, |w| w.write_all(&picture.png))?;
    }
    stage.step("pictures");
    report::end(reports, &page(results, drawn, command))?;
    stage.step("report");
    stage.finish();
    Ok(())
}

/// The minutes of one run, with the published columns.
fn log(trace: &Trace, run: &Run) -> String {
    let mut text =
        String::from("timestamp,demand,pred,containers,lat_ms,cpu_pct,over,under,policy");
    let bit = u8::from;
    for (i, m) in run.minutes.iter().enumerate() {
        let Minute {
            demand,
            told,
            containers,
            latency,
            cpu,
            ..
        } = m;
        let (time, policy) = (stamp(trace.time_of(trace.split + i)), run.policy.name());
        let (over, under) = (bit(m.over()), bit(m.under()));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{time},{demand},{told},{containers},{latency},{cpu},{over},{under},{policy}"
        );
    }
    text.push('\n');
    text
}

/// `metrics_summary.csv`: a row for each model, policy and seed.
fn summary(results: &Results) -> Table {
    let rows = || {
        let models = results.shown().iter();
        models.flat_map(|m| m.runs.iter().map(move |r| (m, r)))
    };
    let text = |f: &dyn Fn(&ModelResult, &Run) -> Option<String>| {
        Column::Text(rows().map(|(m, r)| f(m, r)).collect())
    };
    let path = |m: &ModelResult, r: &Run| {
        let kept = !r.minutes.is_empty();
        kept.then(|| format!("reports/{}", log_name(&m.name, r.policy)))
    };
    let mut columns = vec![
        ("model".to_owned(), text(&|m, _| Some(m.name.clone()))),
        (
            "policy".to_owned(),
            text(&|_, r| Some(r.policy.name().to_owned())),
        ),
        ("log_path".to_owned(), text(&path)),
    ];
    for (name, _, value) in SCORES {
        let values = rows().map(|(_, r)| Some(value(&r.scores))).collect();
        columns.push((name.to_owned(), Column::Real(values)));
    }
    columns.push(("seed".to_owned(), text(&|_, r| Some(r.seed.to_string()))));
    Table { columns }
}

/// Columns of the table for people, by their place among the scores.
const SHOWN: [(usize, &str); 7] = [
    (1, "violations"),
    (0, "over %"),
    (6, "cost"),
    (5, "changes"),
    (2, "latency ms"),
    (3, "p95 ms"),
    (4, "CPU %"),
];

/// The policies of every model, means and intervals over seeds.
fn policies(models: &[ModelResult]) -> TextTable {
    let mut columns = vec!["policy".to_owned(), "model".to_owned()];
    columns.extend(SHOWN.map(|(_, name)| name.to_owned()));
    let mut rows = Vec::new();
    for model in models {
        for policy in POLICIES.into_iter().filter(|p| model.first(*p).is_some()) {
            let mut row = vec![policy.title().to_owned(), model.name.clone()];
            row.extend(SHOWN.map(|(place, _)| {
                let (_, digits, value) = SCORES[place];
                let (mean, interval) = mean_interval(&model.of(policy, value));
                let half = interval.map(|(_, high)| high - mean);
                match half {
                    Some(half) if half > 0.0 => {
                        format!("{} ± {}", number(mean, digits), number(half, digits))
                    }
                    _ => number(mean, digits),
                }
            }));
            rows.push(row);
        }
    }
    TextTable {
        columns,
        rows,
        prose: false,
    }
}

/// Errors of the forecasts of every model.
fn errors(models: &[ModelResult]) -> TextTable {
    let row = |model: &ModelResult| {
        let of = |f: fn(&super::told::Errors) -> f64, digits| {
            let values: Vec<f64> = model.errors.iter().map(f).collect();
            number(mean_interval(&values).0, digits)
        };
        let texts = [
            of(|e| e.mae, 3),
            of(|e| e.rmse, 3),
            of(|e| e.mape, 1),
            of(|e| e.smape, 1),
        ];
        std::iter::once(model.name.clone()).chain(texts).collect()
    };
    let columns = ["model", "MAE", "RMSE", "MAPE %", "sMAPE %"];
    TextTable {
        columns: columns.map(str::to_owned).to_vec(),
        rows: models.iter().map(row).collect(),
        prose: false,
    }
}

fn page(results: &Results, drawn: Vec<foresail_web::figure::Figure>, command: &str) -> StudyPage {
    let compared = verdicts::compared(results);
    let corrected = format!(
        "Nothing is known before its time: no event of the test, no demand of the minute that is decided. A container \
         serves {} minutes after it was asked for; the safety net has seen the minute before; models but the net \
         are fitted again every {} minutes.",
        results.startup, results.refit
    );
    let published = "As published: Prophet is told the true events of the test week, scaling takes no time, the safety \
                     net mends the minute that it sees, the first minute counts as a change, and Static-2 shows \
                     another policy's latency and CPU.";
    let section = |title: &str, notes: &[&str], table| Section {
        title: title.to_owned(),
        notes: notes.iter().map(|n| (*n).to_owned()).collect(),
        table: Some(table),
        figures: Vec::new(),
    };
    let mut sections = vec![
        section(
            "The five policies, corrected",
            &[&corrected],
            policies(&results.corrected),
        ),
        section(
            "The five policies, as published",
            &[published],
            policies(&results.published),
        ),
        section(
            "Errors of the forecasts, corrected",
            &[],
            errors(&results.corrected),
        ),
        section(
            "Published figures beside ours",
            &[
                "Reproduced: our run of the published rules is within 5 %, or 2 of a count; over several seeds, within \
               their range. Prophet's optimiser stops before the minimum that ours reaches, and the published net had \
               no seed.",
            ],
            verdicts::table(&compared),
        ),
        section(
            "What the study says, and what its own logs say",
            &[],
            verdicts::claims(),
        ),
    ];
    sections.push(Section {
        title: "Forecasts and policies".to_owned(),
        notes: Vec::new(),
        table: None,
        figures: drawn,
    });
    StudyPage {
        title: "Prophet and LSTM policies".to_owned(),
        headline: headline(results),
        notes: vec![
            counted(&compared),
            format!("Trace: {}.", results.trace.summary),
        ],
        sections,
        command: command.to_owned(),
    }
}

fn counted(compared: &[verdicts::Compared]) -> String {
    let count = |v: Verdict| compared.iter().filter(|c| c.verdict == v).count();
    let (yes, no) = (count(Verdict::Reproduced), count(Verdict::NotReproduced));
    if yes + no == 0 {
        return "The trace is not the published one, so that its figures have no verdict."
            .to_owned();
    }
    format!(
        "Of {} published figures {yes} come out again by the published rules, {no} do not.",
        yes + no
    )
}

/// What a policy came to, in words.
fn in_words(model: &ModelResult, policy: Policy) -> Option<String> {
    let violations = mean_interval(&model.of(policy, |s| s.under as f64)).0;
    let cost = mean_interval(&model.of(policy, |s| s.cost as f64)).0;
    model.first(policy)?;
    Some(format!(
        "{} violating minutes at a cost of {}",
        number(violations, 0),
        number(cost, 0)
    ))
}

/// What the corrected rules show of the simplest policy, model by model.
fn headline(results: &Results) -> String {
    let told = results
        .corrected
        .iter()
        .filter_map(|m| Some(format!("{} {}", m.name, in_words(m, Policy::Simple)?)));
    let told: Vec<String> = told.collect();
    let fixed = results
        .corrected
        .first()
        .and_then(|m| in_words(m, Policy::Static));
    let fixed = fixed.map_or_else(String::new, |f| format!("; two containers for good: {f}"));
    format!(
        "Where nobody knows the future, Simple Ceiling has {}{fixed}",
        told.join(", ")
    )
}

/// The table on stdout.
pub(super) fn print(results: &Results, output: Output, out: &mut dyn Write) -> Result<()> {
    let shown = policies(results.shown());
    match output {
        Output::Table => print_table(&shown, out),
        Output::Csv => Ok(summary(results).write_csv(out)?),
        Output::Json => {
            let rows = results.shown().iter().flat_map(|m| {
                m.runs.iter().map(|r| {
                    let scores = SCORES.map(|(name, _, value)| (name.to_owned(), json!(value(&r.scores))));
                    let scores: serde_json::Map<String, serde_json::Value> = scores.into_iter().collect();
                    json!({"model": m.name, "policy": r.policy.name(), "seed": r.seed, "scores": scores})
                })
            });
            let figures = verdicts::compared(results);
            let figures = figures.iter().map(|c| {
                json!({"of": c.of, "figure": c.figure, "published": c.published,
                       "publishedRules": c.again, "correctedRules": c.corrected, "verdict": c.verdict.text()})
            });
            let rules = if results.parity {
                "published"
            } else {
                "corrected"
            };
            let all = json!({"v": 1, "rules": rules, "runs": rows.collect::<Vec<_>>(),
                             "figures": figures.collect::<Vec<_>>()});
            Ok(writeln!(out, "{all}")?)
        }
    }
}

fn print_table(shown: &TextTable, out: &mut dyn Write) -> Result<()> {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(shown.columns.iter().map(|c| c.to_uppercase()));
    shown.rows.iter().for_each(|row| {
        table.add_row(row.clone());
    });
    for place in 2..shown.columns.len() {
        if let Some(column) = table.column_mut(place) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    Ok(writeln!(out, "{table}")?)
}
