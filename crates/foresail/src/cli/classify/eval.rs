//! `foresail classify eval`: how right a classifier is, by its labels and by the truth.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use foresail_adapters::atomic::write_file;
use serde_json::json;

use super::judge::{Both, COLUMNS};
use super::labels::Labels;
use super::stored;
use super::windows::Windows;
use crate::cli::{Output, print_csv, print_table};
use crate::exit::Code;
use crate::forecast::fans::{drawn, ending};

/// Features of the importance that are printed.
const FEATURES: usize = 10;

/// Flags of `classify eval`.
#[derive(Args, Debug)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    windows: Windows,
    /// A model of `classify train` [default: the shipped one]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The labels to agree with: truth (of generated windows), corrected, published, or a file of
    /// `classify label --out` [default: those that the model has learnt]
    #[arg(long, value_name = "NAME|FILE.csv")]
    labels: Option<String>,
    /// Write the reliability diagram as a picture: a name that ends in .png or .svg
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Where the model or the windows cannot be read, or the picture cannot be written.
pub(super) fn run(args: &EvalArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let ending = args.out.as_deref().map(ending).transpose()?;
    let classifier = stored::read(args.model.as_deref())?;
    let learnt = &classifier.model().labels;
    let named = args.labels.as_deref().unwrap_or(learnt);
    let labels = Labels::of(named, &args.windows)?;
    let mut judged = Both::default();
    args.windows.each(&mut |item| {
        for window in &item.windows {
            let verdict = classifier.told(&window.features);
            judged.add(&verdict, labels.label(item, window), item.truth);
        }
        Ok(())
    })?;
    let title = format!("Reliability of the model that learnt {learnt}");
    if let (Some(path), Some(ending)) = (&args.out, ending) {
        let drawing = foresail_web::reliability::draw(&title, &judged.curves());
        let bytes = drawn(&drawing.standalone(&title), ending)?;
        write_file(path, |w| w.write_all(&bytes))?;
    }
    let importance = classifier.importance();
    match output {
        Output::Table => {
            writeln!(
                out,
                "learnt: {learnt}; judged by: {named}; idle: {}\n",
                judged.idle
            )?;
            judged.table(out)?;
            writeln!(out, "\nWhat the splits on each feature gained in training:")?;
            let row = |(name, share): &(&str, f64)| vec![(*name).to_owned(), format!("{share:.3}")];
            let rows = importance.iter().take(FEATURES).map(row).collect();
            print_table(&["feature", "share"], rows, out)?;
        }
        Output::Json => {
            let gains: Vec<_> = importance
                .iter()
                .map(|(name, share)| json!({"feature": name, "share": share}))
                .collect();
            let value = json!({"v": 1, "learnt": learnt, "labels": named,
                "judged": judged.json(), "importance": gains});
            writeln!(out, "{value}")?;
        }
        Output::Csv => print_csv(&COLUMNS, &judged.rows(), out)?,
    }
    Ok(Code::Done)
}
