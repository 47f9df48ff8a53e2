//! `foresail classify label`: a label for every window, by the votes of rules.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_core::propose::archetype::Archetype;
use foresail_core::quantity::time::Timestamp;
use foresail_models::classify::label_model::{FitOptions, LabelModel};
use foresail_models::classify::labeling::{Profile, Votes};
use foresail_models::classify::vote_report::{VoteReport, place};
use serde_json::json;

use super::rows::{self, Cell, Holds, Rows};
use super::windows::Windows;
use super::{ARCHETYPES, Model, Rules, shown};
use crate::cli::{Output, print_table};
use crate::exit::Code;

/// Flags of `classify label`.
#[derive(Args, Debug)]
pub(super) struct LabelArgs {
    #[command(flatten)]
    windows: Windows,
    #[command(flatten)]
    rules: Rules,
    /// How votes become a label
    #[arg(long, value_enum, default_value_t = Model::Majority)]
    model: Model,
    /// Write a row per window into a file; Parquet where its name ends so, else CSV
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What is printed: csv is every row, table and json their sum [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// A window as it is kept until the label model is fitted: 40 bytes.
struct Kept {
    item: u32,
    window: u32,
    begin: Timestamp,
    votes: Votes,
    idle: bool,
    truth: Option<Archetype>,
}

/// What a row says beside its votes.
struct Labelled<'a> {
    item: &'a str,
    window: i64,
    begin: Timestamp,
    truth: Option<Archetype>,
    archetype: Archetype,
    confidence: f64,
    tie: bool,
    votes: Votes,
}

/// Windows by label, the sum of their confidences, and those that are right.
#[derive(Default)]
struct Sums {
    count: [u64; 5],
    confidence: [f64; 5],
    ties: u64,
    known: u64,
    right: u64,
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read, there is nothing to learn from, or the file cannot be written.
pub(super) fn run(args: &LabelArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let profile = args.rules.profile();
    let truth = args.windows.are_generated();
    let mut columns = vec![
        ("item", Holds::Text),
        ("window", Holds::Int),
        ("begin", Holds::Text),
    ];
    columns.extend(truth.then_some(("truth", Holds::Text)));
    columns.extend([
        ("archetype", Holds::Text),
        ("confidence", Holds::Real),
        ("tie", Holds::Int),
    ]);
    columns.extend(profile.functions.iter().map(|f| (f.name, Holds::Int)));
    let mut sums = Sums::default();
    let printed = rows::write(
        &columns,
        args.out.as_deref(),
        output,
        out,
        |rows| match args.model {
            Model::Majority => majority(args, profile, rows, &mut sums),
            Model::Generative => generative(args, profile, rows, &mut sums),
        },
    )?;
    if !printed {
        sums.print(output, out)?;
    }
    Ok(Code::Done)
}

fn majority(
    args: &LabelArgs,
    profile: &Profile,
    rows: &mut Rows<'_>,
    sums: &mut Sums,
) -> Result<()> {
    args.windows.each(&mut |item| {
        for window in &item.windows {
            let votes = profile.votes(&window.features);
            let label = profile.majority(votes, &window.features);
            let labelled = Labelled {
                item: &item.id,
                window: window.index as i64,
                begin: item.time_of(window),
                truth: item.truth,
                archetype: label.archetype,
                confidence: label.confidence,
                tie: label.tie,
                votes,
            };
            sums.add(&labelled);
            rows.push(labelled.cells(profile))?;
        }
        Ok(())
    })
}

/// Reads all windows first: what a vote is worth hangs on all of them.
fn generative(
    args: &LabelArgs,
    profile: &'static Profile,
    rows: &mut Rows<'_>,
    sums: &mut Sums,
) -> Result<()> {
    let mut report = VoteReport::new(profile)?;
    let (mut items, mut kept) = (Vec::new(), Vec::new());
    args.windows.each(&mut |item| {
        let place = u32::try_from(items.len())?;
        items.push(item.id.clone());
        for window in &item.windows {
            let (votes, _) = report.add(&window.features, item.truth);
            kept.push(Kept {
                item: place,
                window: u32::try_from(window.index)?,
                begin: item.time_of(window),
                votes,
                idle: profile.idle(&window.features),
                truth: item.truth,
            });
        }
        Ok(())
    })?;
    let model = LabelModel::fit(report.patterns(), &FitOptions::default())?;
    for row in &kept {
        let (archetype, confidence) = if row.idle {
            (Archetype::Idle, 1.0)
        } else {
            model.label(row.votes)
        };
        let labelled = Labelled {
            item: &items[row.item as usize],
            window: i64::from(row.window),
            begin: row.begin,
            truth: row.truth,
            archetype,
            confidence,
            tie: false,
            votes: row.votes,
        };
        sums.add(&labelled);
        rows.push(labelled.cells(profile))?;
    }
    Ok(())
}

impl Labelled<'_> {
    fn cells(&self, profile: &Profile) -> impl Iterator<Item = Cell> {
        let votes = self.votes;
        let head = [
            Cell::Text(self.item.to_owned()),
            Cell::Int(self.window),
            Cell::Text(self.begin.to_string()),
        ];
        let label = [
            Cell::Text(self.archetype.to_string()),
            Cell::Real(self.confidence),
            Cell::Int(i64::from(self.tie)),
        ];
        head.into_iter()
            .chain(self.truth.map(|truth| Cell::Text(truth.to_string())))
            .chain(label)
            .chain((0..profile.functions.len()).map(move |i| Cell::Int(i64::from(votes.has(i)))))
    }
}

impl Sums {
    fn add(&mut self, row: &Labelled<'_>) {
        let place = place(row.archetype);
        self.count[place] += 1;
        self.confidence[place] += row.confidence;
        self.ties += u64::from(row.tie);
        if let Some(truth) = row.truth {
            self.known += 1;
            self.right += u64::from(truth == row.archetype);
        }
    }

    fn accuracy(&self) -> Option<f64> {
        (self.known > 0).then(|| self.right as f64 / self.known as f64)
    }

    fn print(&self, output: Output, out: &mut dyn Write) -> Result<()> {
        let windows: u64 = self.count.iter().sum();
        let share = |place: usize| self.count[place] as f64 / windows.max(1) as f64;
        let confidence = |place: usize| {
            let count = self.count[place];
            (count > 0).then(|| self.confidence[place] / count as f64)
        };
        if output == Output::Json {
            let one = |(place, archetype): (usize, &Archetype)| {
                json!({"archetype": archetype.name(), "windows": self.count[place],
                    "share": share(place), "meanConfidence": confidence(place)})
            };
            let labels: Vec<_> = ARCHETYPES.iter().enumerate().map(one).collect();
            let value = json!({"v": 1, "windows": windows, "ties": self.ties,
                "accuracy": self.accuracy(), "labels": labels});
            return Ok(writeln!(out, "{value}")?);
        }
        let row = |(place, archetype): (usize, &Archetype)| {
            vec![
                archetype.name().to_owned(),
                self.count[place].to_string(),
                format!("{:.3}", share(place)),
                shown(confidence(place)),
            ]
        };
        let rows = ARCHETYPES.iter().enumerate().map(row).collect();
        print_table(&["archetype", "windows", "share", "confidence"], rows, out)?;
        writeln!(out, "\nwindows: {windows}   ties: {}", self.ties)?;
        if let Some(accuracy) = self.accuracy() {
            writeln!(out, "accuracy on known truth: {accuracy:.3}")?;
        }
        Ok(())
    }
}
