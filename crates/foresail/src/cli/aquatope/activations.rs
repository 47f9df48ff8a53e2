//! `foresail aquatope activations`: OpenWhisk's activation records as the published table.

use std::fs::File;
use std::io::{BufReader, Write, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use foresail_adapters::openwhisk::activation::{Activation, Group, groups, read};
use serde_json::{Map, Value, json};

use crate::cli::{Output, print_csv, print_table};
use crate::exit::{Code, Coded};

/// Flags of `aquatope activations`.
#[derive(Args, Debug)]
pub(super) struct ActivationsArgs {
    /// Activation records, one JSON object a line (`jq -c .` writes them so); - reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// One row per activation, not the means by action and CPU limit
    #[arg(long)]
    each: bool,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// One cell; absent = the record does not tell.
enum Cell {
    Text(String),
    Count(usize),
    Number(Option<f64>),
}

impl Cell {
    /// With three digits for people, all of them for programs, empty where absent.
    fn text(&self, output: Output) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(number) => {
                let finite = number.filter(|n| n.is_finite());
                finite.map_or_else(String::new, |n| match output {
                    Output::Table => format!("{}", (n * 1000.0).round() / 1000.0),
                    Output::Json | Output::Csv => n.to_string(),
                })
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Count(count) => json!(count),
            // What is not finite is null.
            Self::Number(number) => json!(number),
        }
    }
}

/// A column: its name in the published table, or ours, and what stands in it.
type Column<T> = (&'static str, fn(&T) -> Cell);

/// Means by action and CPU limit: the published columns, then ours.
const GROUPED: [Column<Group>; 12] = [
    ("action", |g| Cell::Text(g.action.clone())),
    ("cpu", |g| Cell::Number(g.cpu)),
    ("cpu_util", |g| Cell::Number(g.cpu_util)),
    ("duration", |g| Cell::Number(Some(g.duration))),
    ("cold_start", |g| Cell::Number(Some(g.cold_start))),
    ("cpu_time", |g| Cell::Number(g.cpu_time)),
    ("concurrency", |g| Cell::Count(g.concurrency)),
    ("exec", |g| Cell::Number(g.exec)),
    ("get", |g| Cell::Number(g.get)),
    ("put", |g| Cell::Number(g.put)),
    ("cold", |g| Cell::Count(g.cold)),
    ("failed", |g| Cell::Count(g.failed)),
];

/// Single activations: the published columns, then ours.
const SINGLE: [Column<Activation>; 12] = [
    ("action", |a| Cell::Text(a.action.clone())),
    ("cpu", |a| Cell::Number(a.cpu)),
    ("cpu_util", |a| Cell::Number(a.cpu_util)),
    ("duration", |a| Cell::Number(Some(a.duration))),
    ("cold_start", |a| Cell::Number(Some(a.cold_start))),
    ("start", |a| Cell::Number(a.start)),
    ("end", |a| Cell::Number(a.end)),
    ("exec", |a| Cell::Number(a.exec)),
    ("get", |a| Cell::Number(a.get)),
    ("put", |a| Cell::Number(a.put)),
    ("cpu_time", |a| Cell::Number(a.cpu_time())),
    ("failed", |a| Cell::Count(usize::from(!a.success))),
];

/// Reads the records of a file or of stdin.
fn records(file: &Path) -> Result<Vec<Activation>> {
    if file == Path::new("-") {
        return read(stdin().lock()).context("stdin");
    }
    let name = file.display().to_string();
    let opened = File::open(file).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let message = format!("{name}: {e}; give a file of activation records, or - for stdin");
        let code = if missing { Code::NotFound } else { Code::Usage };
        Coded { code, message }
    })?;
    read(BufReader::new(opened)).context(name)
}

/// Runs `aquatope activations`.
///
/// # Errors
/// Where the file cannot be read, or a line is no record.
pub(super) fn run(args: &ActivationsArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    let all = records(&args.file)?;
    let sequences = all.iter().filter(|a| a.sequence).count();
    if args.each {
        let failed = all.iter().filter(|a| !a.success).count();
        if failed > 0 {
            eprintln!("note: {failed} of {} activations failed", all.len());
        }
        print(&SINGLE, &all, output, out)?;
    } else {
        if sequences > 0 {
            eprintln!("note: {sequences} sequences are left out: they have no CPU of their own");
        }
        print(&GROUPED, &groups(&all), output, out)?;
    }
    Ok(Code::Done)
}

fn print<T>(columns: &[Column<T>], items: &[T], output: Output, out: &mut dyn Write) -> Result<()> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    if output == Output::Json {
        for item in items {
            let pairs = columns
                .iter()
                .map(|(n, of)| ((*n).to_owned(), of(item).json()));
            writeln!(out, "{}", Value::Object(pairs.collect::<Map<_, _>>()))?;
        }
        return Ok(());
    }
    let row = |item: &T| {
        columns
            .iter()
            .map(|(_, of)| of(item).text(output))
            .collect()
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    if output == Output::Csv {
        return print_csv(&names, &rows, out);
    }
    writeln!(
        out,
        "times in ms, cpu in cores, cpu_time in cores·ms; an empty cell is not told"
    )?;
    print_table(&names, rows, out)
}
