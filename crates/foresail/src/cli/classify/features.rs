//! `foresail classify features`: the features of every window.

use std::io::Write;
use std::iter::once;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use foresail_adapters::results::six_digits;
use foresail_models::classify::features::{self, Features, corrected, published};
use foresail_models::classify::labeling::profile_names;
use serde_json::json;

use super::rows::{self, Cell, Holds};
use super::windows::Windows;
use crate::cli::{Output, print_table};
use crate::exit::Code;

/// Flags of `classify features`.
#[derive(Args, Debug)]
pub(super) struct FeaturesArgs {
    #[command(flatten)]
    windows: Windows,
    /// Only the features that these rules look at [default: both sets, without doubles]
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(profile_names()))]
    profile: Option<String>,
    /// Write a row per window into a file; Parquet where its name ends so, else CSV
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What is printed: csv is every row, table and json their sum [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Which features, and their values.
type Set = (&'static [&'static str], fn(&Features) -> Vec<f64>);

impl FeaturesArgs {
    fn set(&self) -> Set {
        match self.profile.as_deref() {
            Some("published") => (&published::NAMES, |f| f.published.to_vec()),
            Some(_) => (&corrected::NAMES, |f| f.corrected.row().to_vec()),
            None => (&features::NAMES, |f| f.row().to_vec()),
        }
    }
}

/// One feature over all windows.
#[derive(Clone, Copy)]
struct Sum {
    count: u64,
    missing: u64,
    sum: f64,
    least: f64,
    largest: f64,
}

const NOTHING: Sum = Sum {
    count: 0,
    missing: 0,
    sum: 0.0,
    least: f64::INFINITY,
    largest: f64::NEG_INFINITY,
};

impl Sum {
    fn add(&mut self, value: f64) {
        if value.is_nan() {
            self.missing += 1;
            return;
        }
        self.count += 1;
        self.sum += value;
        self.least = self.least.min(value);
        self.largest = self.largest.max(value);
    }

    /// Mean, least and largest; none without a value.
    fn values(&self) -> [Option<f64>; 3] {
        let mean = self.sum / self.count as f64;
        [mean, self.least, self.largest].map(|v| (self.count > 0).then_some(v))
    }
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read or the file not be written.
pub(super) fn run(args: &FeaturesArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let (names, values) = args.set();
    let mut sums = vec![NOTHING; names.len()];
    let truth = args.windows.are_generated();
    let head = [
        ("item", Holds::Text),
        ("window", Holds::Int),
        ("begin", Holds::Text),
        ("requests", Holds::Real),
    ];
    let known = truth.then_some(("truth", Holds::Text));
    let columns: Vec<_> = head
        .into_iter()
        .chain(known)
        .chain(names.iter().map(|name| (*name, Holds::Real)))
        .collect();
    let printed = rows::write(&columns, args.out.as_deref(), output, out, |rows| {
        args.windows.each(&mut |item| {
            for window in &item.windows {
                let values = values(&window.features);
                for (sum, value) in sums.iter_mut().zip(&values) {
                    sum.add(*value);
                }
                let head = [
                    Cell::Text(item.id.clone()),
                    Cell::Int(window.index as i64),
                    Cell::Text(item.time_of(window).to_string()),
                    Cell::Real(window.requests),
                ];
                let known = item.truth.map(|truth| Cell::Text(truth.to_string()));
                let all = head.into_iter().chain(known);
                rows.push(all.chain(values.into_iter().map(Cell::Real)))?;
            }
            Ok(())
        })
    })?;
    if !printed {
        print(names, &sums, output, out)?;
    }
    Ok(Code::Done)
}

fn print(names: &[&str], sums: &[Sum], output: Output, out: &mut dyn Write) -> Result<()> {
    let windows = sums.first().map_or(0, |s| s.count + s.missing);
    if output == Output::Json {
        let one = |(name, sum): (&&str, &Sum)| {
            let [mean, least, largest] = sum.values();
            json!({"name": name, "mean": mean, "least": least, "largest": largest,
                "missing": sum.missing})
        };
        let all: Vec<_> = names.iter().zip(sums).map(one).collect();
        writeln!(
            out,
            "{}",
            json!({"v": 1, "windows": windows, "features": all})
        )?;
        return Ok(());
    }
    let row = |(name, sum): (&&str, &Sum)| {
        let text = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), six_digits);
        once((*name).to_owned())
            .chain(sum.values().map(text))
            .chain(once(sum.missing.to_string()))
            .collect()
    };
    writeln!(out, "windows: {windows}")?;
    let rows = names.iter().zip(sums).map(row).collect();
    print_table(
        &["feature", "mean", "least", "largest", "missing"],
        rows,
        out,
    )
}
