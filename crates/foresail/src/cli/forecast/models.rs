//! `foresail forecast models`: the forecasters, which series they are for, and their knobs.

use std::io::Write;

use anyhow::Result;
use clap::Args;
use foresail_models::knobs::{Kind, Knob};
use foresail_models::registry::{DEFAULT_FORECASTER, FORECASTERS, ForecasterEntry};
use serde_json::{Value, json};

use crate::cli::{Output, print_csv};
use crate::exit::Code;

/// Flags of `forecast models`.
#[derive(Args, Debug)]
pub(super) struct ModelsArgs {
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// What a knob may be, in words.
fn range(knob: &Knob) -> String {
    match knob.kind {
        Kind::Number { default, min, max } => format!("{min} to {max}, default {default}"),
        Kind::Whole { default, min, max } => format!("{min} to {max}, default {default}"),
        Kind::Flag { default } => format!("true | false, default {default}"),
        Kind::Word { default, known } => format!("{}, default {default}", known.join(" | ")),
        Kind::Name { default } => format!("a forecaster's name, default {default}"),
        Kind::List => "a list".to_owned(),
        Kind::Map => "knobs by their names".to_owned(),
    }
}

fn json_of(entry: &ForecasterEntry) -> Value {
    let knob = |k: &Knob| {
        let mut value = json!({"name": k.name, "doc": k.doc});
        match k.kind {
            Kind::Number { default, min, max } => {
                value["default"] = json!(default);
                value["min"] = json!(min);
                value["max"] = json!(max);
            }
            Kind::Whole { default, min, max } => {
                value["default"] = json!(default);
                value["min"] = json!(min);
                value["max"] = json!(max);
            }
            Kind::Flag { default } => value["default"] = json!(default),
            Kind::Word { default, known } => {
                value["default"] = json!(default);
                value["known"] = json!(known);
            }
            Kind::Name { default } => value["default"] = json!(default),
            Kind::List => value["list"] = json!(true),
            Kind::Map => value["map"] = json!(true),
        }
        value
    };
    json!({
        "name": entry.name, "summary": entry.summary, "suits": entry.suits,
        "default": entry.name == DEFAULT_FORECASTER,
        "knobs": entry.knobs.iter().map(knob).collect::<Vec<_>>(),
    })
}

/// Runs the command.
///
/// # Errors
/// Where stdout cannot be written.
pub(super) fn run(args: &ModelsArgs, out: &mut dyn Write) -> Result<Code> {
    match Output::here(args.output)? {
        Output::Json => {
            let models: Vec<_> = FORECASTERS.iter().map(json_of).collect();
            writeln!(out, "{}", json!({"v": 1, "models": models}))?;
        }
        Output::Csv => {
            let mut rows = Vec::new();
            for entry in FORECASTERS {
                let knobs: Vec<String> = entry
                    .knobs
                    .iter()
                    .map(|k| format!("{} ({})", k.name, range(k)))
                    .collect();
                rows.push(vec![
                    entry.name.to_owned(),
                    entry.summary.to_owned(),
                    entry.suits.to_owned(),
                    knobs.join("; "),
                ]);
            }
            print_csv(&["name", "summary", "suits", "knobs"], &rows, out)?;
        }
        Output::Table => {
            for entry in FORECASTERS {
                table_of(entry, out)?;
            }
        }
    }
    Ok(Code::Done)
}

fn table_of(entry: &ForecasterEntry, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}", entry.name)?;
    writeln!(out, "    {}", entry.summary)?;
    writeln!(out, "    for {}", entry.suits)?;
    for knob in entry.knobs {
        writeln!(out, "    --knob {}=…  {}", knob.name, knob.doc)?;
        writeln!(out, "        {}", range(knob))?;
    }
    Ok(())
}
