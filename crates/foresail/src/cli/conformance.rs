//! `foresail conformance hpa`: our answers beside Kubernetes' own.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cli::Output;
use crate::conformance::{self, Answer, Verdict};
use crate::exit::Code;

/// Compare decisions with those of Kubernetes' own controller
#[derive(clap::Args, Debug)]
pub struct ConformanceArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Run vectors of the Kubernetes 1.37 HorizontalPodAutoscaler
    Hpa {
        /// Vectors as JSON, in the form of tests/golden/hpa
        file: PathBuf,
        /// What to print: table, or json with one line per vector
        #[arg(long, short, value_enum, default_value_t = Output::Table)]
        output: Output,
        /// Overflow where Kubernetes overflows, instead of saturating
        #[arg(long)]
        bug_compatible: bool,
    },
}

/// Runs the command.
pub fn run(args: &ConformanceArgs, out: &mut dyn Write) -> Result<Code> {
    let What::Hpa {
        file,
        output,
        bug_compatible,
    } = &args.what;
    let text = std::fs::read_to_string(file).with_context(|| {
        format!(
            "cannot read {}; give a JSON file of vectors",
            file.display()
        )
    })?;
    let (vectors, warnings) =
        conformance::parse(&text).with_context(|| file.display().to_string())?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    let mut counts = [0; 4];
    let verdicts = [
        Verdict::Pass,
        Verdict::Differs,
        Verdict::Allowed,
        Verdict::None,
    ];
    // All of them first: nothing is printed of a file that cannot be computed to its end.
    let answers = vectors
        .iter()
        .map(|vector| conformance::answer(vector, *bug_compatible))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| file.display().to_string())?;
    for answer in answers {
        print(&answer, *output, out)?;
        for (count, verdict) in counts.iter_mut().zip(verdicts) {
            *count += usize::from(answer.verdict == verdict);
        }
    }
    let [pass, differs, allowed, none] = counts;
    eprintln!(
        "{} vectors: {pass} pass, {differs} differ, {allowed} allowed, {none} without expectation",
        vectors.len()
    );
    Ok(if differs > 0 { Code::No } else { Code::Done })
}

fn print(answer: &Answer, output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Json => writeln!(out, "{}", json!({"id": answer.id, "result": answer.result}))?,
        Output::Table | Output::Csv => {
            let last = answer
                .result
                .last()
                .map_or(&serde_json::Value::Null, |s| &s["statusDesiredReplicas"]);
            let note = answer.difference.as_deref().unwrap_or("");
            writeln!(
                out,
                "{:<8} {:<8} {:>3} steps  desired {:>10}  {note}",
                answer.id,
                answer.verdict.name(),
                answer.result.len(),
                last
            )?;
        }
    }
    Ok(())
}
