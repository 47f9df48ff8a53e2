//! `foresail decide`: one engine by hand, inputs in, explanations out.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use foresail_core::engine::{Input, Snapshot};
use foresail_core::explain::Identity;
use foresail_core::spec::Spec;
use foresail_models::refit;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

use crate::cli::Output;
use crate::exit::Code;
use crate::forecast::tell_refit;
use crate::record::{Teller, bounded_line};

/// The largest spec that is read.
const SPEC_BYTES_MAX: u64 = 4 << 20;

/// Feed inputs to an engine and print what it decides
#[derive(Args, Debug)]
pub struct DecideArgs {
    /// The spec, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Inputs, one JSON value per line; `-` for stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    inputs: PathBuf,
    /// State to begin with; the state after the last input is written back with --save
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    /// Where the state after the last input goes
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The only source of chance
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How ticks are printed: table is one line each
    #[arg(long, short, value_enum, default_value_t = Output::Json)]
    output: Output,
}

/// Reads a spec from YAML, of which JSON is a part.
pub(crate) fn read_spec(path: &Path) -> Result<Spec> {
    let name = path.display();
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read {name}"))?
        .len();
    anyhow::ensure!(
        size <= SPEC_BYTES_MAX,
        "{name} is larger than {SPEC_BYTES_MAX} bytes; that is no spec"
    );
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    parse_spec(&text).with_context(|| format!("{name} is no spec"))
}

/// A spec from its text.
///
/// # Errors
/// Where it is no YAML of this form.
pub fn parse_spec(text: &str) -> Result<Spec> {
    Ok(serde_saphyr::from_str(text)?)
}

/// Runs the command.
///
/// # Errors
/// Where spec, snapshot or an input cannot be read; it names file and line.
pub fn run(args: &DecideArgs, out: &mut dyn Write) -> Result<Code> {
    let spec = read_spec(&args.spec)?;
    let mut engine = engine_of(spec, Seed(args.seed)).map_err(|problems| {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}:\n       {}", args.spec.display(), all.join("\n       "))
    })?;
    if let Some(path) = &args.snapshot {
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let snapshot: Snapshot = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no snapshot", path.display()))?;
        engine.restore(snapshot)?;
    }
    let name = args.inputs.display().to_string();
    let mut lines: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(foresail_adapters::io::compress::open(&args.inputs)?.bytes)
    };
    let mut teller = Teller::new(Identity {
        uid: "decide".to_owned(),
        generation: 1,
        epoch: 1,
    });
    let mut number = 0;
    while let Some(line) = bounded_line(&mut *lines, &name, number + 1)? {
        number += 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let input: Input = serde_json::from_slice(&line)
            .with_context(|| format!("{name}, line {number}: no input"))?;
        teller.hear(&input)?;
        if let Some(tick) = engine.feed(input) {
            for explanation in teller.tell(&tick, engine.spec()) {
                match output_is_json(args.output) {
                    true => writeln!(out, "{}", serde_json::to_string(&explanation)?)?,
                    false => writeln!(out, "{explanation}")?,
                }
            }
            for installed in refit::answer_telling(&mut engine, &tick, tell_refit) {
                teller.hear(&installed)?;
                engine.feed(installed);
            }
        }
    }
    if let Some(path) = &args.save {
        let state = serde_json::to_vec(&engine.snapshot())?;
        foresail_adapters::atomic::write_file(path, |w| w.write_all(&state))?;
    }
    Ok(Code::Done)
}

fn output_is_json(output: Output) -> bool {
    output == Output::Json
}
