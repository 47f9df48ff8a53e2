//! `foresail classify predict`: the archetype of every window, how sure it is, and what decided.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Timestamp;
use foresail_models::classify::{Contribution, Verdict, WINDOW};
use serde_json::json;

use super::rows::{self, Cell, Holds};
use super::windows::Windows;
use super::{ARCHETYPES, stored};
use crate::cli::{Output, print_table};
use crate::exit::Code;

/// Features that are told of a verdict.
const TOLD: usize = 3;

/// Windows that a table shows; of more it says how many are of each archetype.
const SHOWN: usize = 200;

/// Flags of `classify predict`.
#[derive(Args, Debug)]
pub(super) struct PredictArgs {
    #[command(flatten)]
    windows: Windows,
    /// A model of `classify train` [default: the shipped one]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Say which features decided, and by how much of the raw score
    #[arg(long)]
    explain: bool,
    /// Write a row per window into a file; Parquet where its name ends so, else CSV
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How it is printed; csv and json have every window [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// One window and what is told of it.
struct Told {
    item: String,
    window: usize,
    begin: Timestamp,
    verdict: Verdict,
    decided: Vec<Contribution>,
}

impl Told {
    /// What decided, in words.
    fn why(&self) -> String {
        let one = |c: &Contribution| {
            let value = c
                .value
                .map_or_else(|| "none".to_owned(), |v| format!("{v:.3}"));
            format!("{} {value} ({:+.2})", c.feature, c.share)
        };
        self.decided.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn cells(&self, explain: bool) -> impl Iterator<Item = Cell> {
        let head = [
            Cell::Text(self.item.clone()),
            Cell::Int(self.window as i64),
            Cell::Text(self.begin.to_string()),
            Cell::Text(self.verdict.archetype.to_string()),
            Cell::Real(self.verdict.confidence),
        ];
        let why = explain.then(|| Cell::Text(self.why()));
        head.into_iter()
            .chain(self.verdict.scores.map(Cell::Real))
            .chain(why)
    }

    fn texts(&self, explain: bool) -> Vec<String> {
        let mut row = vec![
            self.item.clone(),
            self.window.to_string(),
            self.begin.to_string(),
            self.verdict.archetype.to_string(),
            format!("{:.3}", self.verdict.confidence),
        ];
        row.extend(self.verdict.scores.map(|s| format!("{s:.3}")));
        row.extend(explain.then(|| self.why()));
        row
    }

    fn json(&self) -> serde_json::Value {
        let decided: Vec<_> = self
            .decided
            .iter()
            .map(|c| json!({"feature": c.feature, "value": c.value, "share": c.share}))
            .collect();
        json!({"item": self.item, "window": self.window, "begin": self.begin.to_string(),
            "archetype": self.verdict.archetype.name(), "confidence": self.verdict.confidence,
            "scores": self.verdict.scores, "decided": decided})
    }
}

/// Runs the command.
///
/// # Errors
/// Where the model or the windows cannot be read, or the file cannot be written.
pub(super) fn run(args: &PredictArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let classifier = stored::read(args.model.as_deref())?;
    if args.windows.length() != WINDOW {
        anyhow::bail!("--window: a classifier is asked with windows of {WINDOW} steps");
    }
    let mut columns = vec![
        ("item", Holds::Text),
        ("window", Holds::Int),
        ("begin", Holds::Text),
        ("archetype", Holds::Text),
        ("confidence", Holds::Real),
    ];
    columns.extend(["spike", "periodic", "ramp", "stationary"].map(|name| (name, Holds::Real)));
    columns.extend(args.explain.then_some(("decided", Holds::Text)));
    let (mut counts, mut first) = ([0_u64; 5], Vec::new());
    let every = output == Output::Json;
    let printed = rows::write(&columns, args.out.as_deref(), output, out, |rows| {
        args.windows.each(&mut |item| {
            for window in &item.windows {
                let mut decided = Vec::new();
                if args.explain {
                    decided = classifier.explained(&window.features);
                    decided.truncate(TOLD);
                }
                let told = Told {
                    item: item.id.clone(),
                    window: window.index,
                    begin: item.time_of(window),
                    verdict: classifier.told(&window.features),
                    decided,
                };
                let place = Archetype::place(told.verdict.archetype);
                counts[place.unwrap_or(Archetype::CLASSES.len())] += 1;
                rows.push(told.cells(args.explain))?;
                if every || first.len() < SHOWN {
                    first.push(told);
                }
            }
            Ok(())
        })
    })?;
    if printed {
        return Ok(Code::Done);
    }
    if every {
        let windows: Vec<_> = first.iter().map(Told::json).collect();
        writeln!(out, "{}", json!({"v": 1, "windows": windows}))?;
        return Ok(Code::Done);
    }
    let all: u64 = counts.iter().sum();
    if all as usize <= SHOWN && args.out.is_none() {
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        let rows = first.iter().map(|t| t.texts(args.explain)).collect();
        print_table(&names, rows, out)?;
        return Ok(Code::Done);
    }
    let row = |(archetype, count): (&Archetype, u64)| {
        let share = count as f64 / all.max(1) as f64;
        vec![
            archetype.to_string(),
            count.to_string(),
            format!("{share:.3}"),
        ]
    };
    let rows = ARCHETYPES.iter().zip(counts).map(row).collect();
    print_table(&["archetype", "windows", "share"], rows, out)?;
    Ok(Code::Done)
}
