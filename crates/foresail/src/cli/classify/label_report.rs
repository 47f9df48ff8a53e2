//! `foresail classify label-report`: what the labelling functions are worth.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_models::classify::label_model::{Dependence, FitOptions, LabelModel};
use foresail_models::classify::labeling::{LabelingFunction, Profile};
use foresail_models::classify::vote_report::{FunctionReport, LabelReport, VoteReport};
use serde_json::{Value, json};

use super::windows::Windows;
use super::{ARCHETYPES, Rules, shown};
use crate::cli::{Output, print_csv, print_table};
use crate::exit::Code;

/// Flags of `classify label-report`.
#[derive(Args, Debug)]
pub(super) struct LabelReportArgs {
    #[command(flatten)]
    windows: Windows,
    #[command(flatten)]
    rules: Rules,
    /// How it is printed; csv is the rules alone [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

const FUNCTION_COLUMNS: [&str; 8] = [
    "function",
    "votes for",
    "coverage",
    "overlap",
    "conflict",
    "agreement",
    "learnt",
    "accuracy",
];

const LABEL_COLUMNS: [&str; 12] = [
    "labels by",
    "agreement",
    "accuracy",
    "spike",
    "periodic",
    "ramp",
    "stationary",
    "n spike",
    "n periodic",
    "n ramp",
    "n stationary",
    "n idle",
];

/// Everything that is told.
struct Told {
    profile: &'static Profile,
    report: VoteReport,
    model: LabelModel,
    dependences: Vec<Dependence>,
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read, or there is nothing to learn from.
pub(super) fn run(args: &LabelReportArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let profile = args.rules.profile();
    let mut report = VoteReport::new(profile)?;
    args.windows.each(&mut |item| {
        for window in &item.windows {
            report.add(&window.features, item.truth);
        }
        Ok(())
    })?;
    let model = LabelModel::fit(report.patterns(), &FitOptions::default())?;
    let mut dependences = model.dependences(report.patterns());
    dependences.retain(Dependence::is_marked);
    let told = Told {
        profile,
        report,
        model,
        dependences,
    };
    match output {
        Output::Json => writeln!(out, "{}", told.json())?,
        Output::Csv => print_csv(&FUNCTION_COLUMNS, &told.functions(), out)?,
        Output::Table => told.table(out)?,
    }
    Ok(Code::Done)
}

impl Told {
    fn labels(&self) -> [(&'static str, LabelReport); 2] {
        [
            ("majority", self.report.majority()),
            ("generative", self.report.generative(&self.model)),
        ]
    }

    fn functions(&self) -> Vec<Vec<String>> {
        let functions = self.profile.functions.iter().zip(self.report.functions());
        let row = |(i, (function, row)): (usize, (&LabelingFunction, FunctionReport))| {
            let voted = row.agreement.map(|_| self.model.accuracy(i));
            vec![
                function.name.to_owned(),
                function.archetype.name().to_owned(),
                format!("{:.3}", row.coverage),
                format!("{:.3}", row.overlap),
                format!("{:.3}", row.conflict),
                shown(row.agreement),
                shown(voted),
                shown(row.accuracy),
            ]
        };
        functions.enumerate().map(row).collect()
    }

    fn pair(&self, d: &Dependence) -> [&'static str; 2] {
        d.functions.map(|i| self.profile.functions[i].name)
    }

    fn table(&self, out: &mut dyn Write) -> Result<()> {
        let [windows, idle, ties, silent] = self.report.counts();
        writeln!(
            out,
            "rules: {} ({})",
            self.profile.name, self.profile.summary
        )?;
        writeln!(
            out,
            "windows: {windows}   idle: {idle}   ties: {ties}   without a vote: {silent}\n"
        )?;
        print_table(&FUNCTION_COLUMNS, self.functions(), out)?;
        writeln!(
            out,
            "\nagreement: of its votes those that the majority follows; learnt: those that the label model takes for right; accuracy: those that are right\n"
        )?;
        print_table(&LABEL_COLUMNS, self.labels().map(label_row).to_vec(), out)?;
        writeln!(
            out,
            "\nagreement: with the majority; accuracy: on known truth, then for each class (recall); n: windows by label"
        )?;
        if self.dependences.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\nVotes that their classes do not explain (correlation within a class; the label model takes such functions for independent):"
        )?;
        for d in self.dependences.iter().take(10) {
            let [first, second] = self.pair(d);
            writeln!(out, "  {first} and {second}: {:+.2}", d.correlation)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let [windows, idle, ties, silent] = self.report.counts();
        let functions = self.profile.functions.iter().zip(self.report.functions());
        let function = |(i, (f, row)): (usize, (&LabelingFunction, FunctionReport))| {
            json!({"name": f.name, "archetype": f.archetype.name(), "coverage": row.coverage,
                "overlap": row.overlap, "conflict": row.conflict, "agreement": row.agreement,
                "learnt": self.model.accuracy(i), "accuracy": row.accuracy,
                "rates": self.model.rates[i]})
        };
        let label = |(by, l): (&str, LabelReport)| {
            let counts = ARCHETYPES.iter().zip(l.labels);
            let counts: serde_json::Map<String, Value> = counts
                .map(|(a, n)| (a.name().to_owned(), json!(n)))
                .collect();
            json!({"by": by, "agreement": l.agreement, "accuracy": l.accuracy,
                "recall": l.recall, "windows": counts})
        };
        let dependence = |d: &Dependence| {
            json!({"functions": self.pair(d), "observed": d.observed, "expected": d.expected,
                "correlation": d.correlation})
        };
        json!({"v": 1, "profile": self.profile.name, "windows": windows, "idle": idle,
            "ties": ties, "silent": silent,
            "functions": functions.enumerate().map(function).collect::<Vec<_>>(),
            "balance": self.model.balance, "rounds": self.model.rounds,
            "labels": self.labels().map(label),
            "dependences": self.dependences.iter().map(dependence).collect::<Vec<_>>()})
    }
}

fn label_row((by, label): (&str, LabelReport)) -> Vec<String> {
    let mut row = vec![
        by.to_owned(),
        format!("{:.3}", label.agreement),
        shown(label.accuracy),
    ];
    row.extend(label.recall.map(shown));
    row.extend(label.labels.map(|n| n.to_string()));
    row
}
