//! `foresail score`: a record of demand and the incumbent's replicas, and the verdict on it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Args;
use foresail_core::quantity::time::Span;
use foresail_core::spec::Spec;
use foresail_core::value::slo::Slo;
use foresail_models::rng::Seed;
use serde_json::{Value, json};

use crate::cli::decide::read_spec;
use crate::cli::{Output, print_csv, print_table, whole};
use crate::config::{Environment, Settings};
use crate::exit::Code;
use crate::shadow_score::{
    Answer, Basis, Case, Interval, Known, Side, Verdict, judge, pods_of, read,
};
use crate::watch::shadow::Orders;

/// Score what an engine would have done against what the autoscaler in charge did
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// The record, a row a sync: JSON lines, or CSV with the columns at, demand, paid, ready, late, p95
    record: PathBuf,
    /// The engine's spec, as YAML or JSON [default: predictive, above an HPA on demand per replica]
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Demand that one replica serves at the most, req/s [default: what the spec counts it for]
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    capacity: Option<f64>,
    /// Mean time that a request is served; fitted where the record holds late or p95
    #[arg(
        long,
        value_name = "TIME",
        default_value = "100ms",
        allow_hyphen_values = true
    )]
    service: Span,
    /// Time from a pod's creation to its readiness; measured where the record holds ready
    /// [default: the spec's, or 45s]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    startup: Option<Span>,
    /// CPU request of a pod in millicores
    #[arg(long, value_name = "N", default_value_t = 1000)]
    cpu_request: u32,
    /// The external metric of the spec that is the demand [default: the first one]
    #[arg(long, value_name = "NAME")]
    demand_metric: Option<String>,
    /// The promise [default: wait<200ms:99%]
    #[arg(long)]
    slo: Option<Slo>,
    /// The only source of chance [default: 42]
    #[arg(long, value_parser = whole, allow_hyphen_values = true)]
    seed: Option<u64>,
    /// How the score is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
    /// Settings file [default: ./foresail.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Runs the command: code 1 where Foresail is worse, 4 where there is too little to say.
///
/// # Errors
/// Where record or spec cannot be read, or a value is out of its range.
pub fn run(args: &ScoreArgs, out: &mut dyn Write) -> Result<Code> {
    let mut settings = Settings::load(args.config.as_deref(), &Environment)?;
    settings.flag("slo.promise", args.slo.map(|s| s.to_string()));
    settings.flag("simulate.seed", args.seed.map(|s| s.to_string()));
    let output = Output::of(args.output, &settings)?;
    let spec = match &args.spec {
        Some(path) => read_spec(path)?,
        None => default_spec(args, &settings)?,
    };
    let known = Known {
        capacity: args.capacity,
        service: args.service,
        startup: args.startup,
        cpu_request_millicores: args.cpu_request,
        slo: settings.parse("slo.promise")?,
    };
    let cluster = pods_of(&spec, &known)?;
    let rows = read(&args.record)?;
    let verdict = judge(
        &rows,
        &Case {
            spec: &spec,
            cluster: &cluster,
            demand: args.demand_metric.as_deref(),
            settings: true,
            seed: Seed(settings.parse("simulate.seed")?),
        },
    )
    .with_context(|| args.record.display().to_string())?;
    print(&verdict, output, out)?;
    Ok(match verdict.verdict {
        Answer::Worse => Code::No,
        Answer::Insufficient => Code::TooLittleData,
        Answer::Better | Answer::Undecided => Code::Done,
    })
}

/// Predictive above an HPA that aims at the usual share of the capacity, bounds from the settings.
fn default_spec(args: &ScoreArgs, settings: &Settings) -> Result<Spec> {
    let capacity = args
        .capacity
        .context("give --capacity, the demand that one replica serves, or --spec")?;
    ensure!(
        capacity.is_finite() && (0.001..=1e9).contains(&capacity),
        "--capacity {capacity}: must be requests per second, 0.001 or more"
    );
    let percent: f64 = settings.parse("simulate.hpa_target")?;
    let orders = Orders {
        name: "workload".to_owned(),
        target_value: capacity * percent / 100.0,
        startup: args
            .startup
            .map_or_else(|| settings.parse("simulate.startup"), Ok)?,
        interval: settings.parse("simulate.sync")?,
        bounds: (
            settings.parse("simulate.min")?,
            settings.parse("simulate.max")?,
        ),
        advised: false,
    };
    Ok(orders.spec())
}

fn print(verdict: &Verdict, output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Json => {
            let mut told = serde_json::to_value(verdict)?;
            if let Value::Object(fields) = &mut told {
                fields.insert("v".to_owned(), json!(1));
            }
            writeln!(out, "{told}")?;
        }
        Output::Csv => {
            let (columns, rows) = rows(verdict);
            print_csv(&columns, &rows, out)?;
        }
        Output::Table => {
            if verdict.since.is_some() {
                let (columns, rows) = rows(verdict);
                print_table(&columns, rows, out)?;
                writeln!(out, "{}", basis(verdict))?;
            }
            writeln!(out, "{}", verdict.why)?;
            for note in &verdict.notes {
                eprintln!("note: {note}");
            }
        }
    }
    Ok(())
}

/// A line for each side, and for each HPA of another target.
fn rows(verdict: &Verdict) -> ([&'static str; 6], Vec<Vec<String>>) {
    let columns = [
        "side",
        "replica_hours",
        "late_percent",
        "minutes_short",
        "changes",
        "verdict",
    ];
    let row = |name: &str, side: &Side, answer: String| {
        vec![
            name.to_owned(),
            format!("{:.1}", side.replica_minutes / 60.0),
            side.late_percent
                .map_or_else(String::new, |p| format!("{p:.3}")),
            format!("{:.0}", side.minutes_short),
            side.changes.to_string(),
            answer,
        ]
    };
    let answer = format!("{:?}", verdict.verdict);
    let mut rows = vec![
        row("incumbent", &verdict.incumbent, String::new()),
        row("foresail", &verdict.foresail, answer),
    ];
    for setting in &verdict.settings {
        let name = format!("hpa, cpu {}%", setting.target_percent);
        rows.push(row(&name, &setting.side, String::new()));
    }
    (columns, rows)
}

/// What the figures rest on.
fn basis(verdict: &Verdict) -> String {
    let mut text = format!(
        "{} hours, {} minutes left out, {:.0} requests",
        verdict.hours, verdict.minutes_left_out, verdict.requests
    );
    if let Some(Interval { value, low, high }) = verdict.cost_change_percent {
        text.push_str(&format!("; cost {value:+.1} % ({low:+.1} to {high:+.1})"));
    }
    let Some(known) = &verdict.calibration else {
        return text;
    };
    let given = if known.startup_measured {
        "measured"
    } else {
        "given"
    };
    text.push_str(&format!(
        "\na replica serves {:.3} req/s and starts in {:.0} s ({given}); ",
        known.capacity, known.startup_seconds
    ));
    let what = match known.basis {
        Basis::LateShare => "requests late",
        Basis::MinutesOverP95 => "minutes over the promise at the 95 % quantile",
        Basis::TooFewLate => {
            text.push_str("too few of the incumbent's requests were late for a fit");
            return text;
        }
        Basis::NotObserved => {
            text.push_str("latency was not observed, the simulator's error is unknown");
            return text;
        }
    };
    let percent = |value: Option<f64>| value.unwrap_or(f64::NAN);
    text.push_str(&format!(
        "the incumbent's {what}: {:.3} % observed, {:.3} % simulated, {:.3} points off on hours unseen",
        percent(known.observed_percent),
        percent(known.simulated_percent),
        percent(known.error_points),
    ));
    text
}
