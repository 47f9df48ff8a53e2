//! `foresail explain`: a decision of a flight record, or of an object in a cluster, as a waterfall,
//! and what another setting gives.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use foresail_core::engine::{Engine, Input, Snapshot};
use foresail_core::explain::{BasisTold, Explanation, ScaledTold, Told};
use foresail_core::guard::{GUARDS, GuardName};
use foresail_core::propose::requests::RequestRange;
use foresail_core::quantity::time::Timestamp;
use foresail_core::spec::{Spec, SpecProblem};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::cli::cluster::{ClusterArgs, story};
use crate::exit::{Code, Coded};
use crate::record::{Head, Ledger, Line, Reader, Teller, keep_fits};

/// Say why a number is what it is, and what a changed setting would have given
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// A flight record, as --record wrote it, or the name of an object in a cluster
    #[arg(value_name = "RECORD|NAME")]
    record: PathBuf,
    /// The decision at this time or the last before it; the last one where absent
    #[arg(long, value_name = "RFC3339")]
    at: Option<Timestamp>,
    /// Of an object: the decision with this id, or with this number at the id's end
    #[arg(long, value_name = "ID", conflicts_with = "at")]
    decision: Option<String>,
    /// Another setting, by its path in the spec: 'targets.0.hpa.maxReplicas=20'; or without=GUARD
    #[arg(long, value_name = "KEY=VALUE")]
    what_if: Vec<String>,
    /// How it is printed
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    cluster: ClusterArgs,
}

impl ExplainArgs {
    /// The object that is meant; `None` where it is a record.
    ///
    /// A file that is there, or a name that only a file has, is a record, unless a flag names a place
    /// in a cluster.
    fn object(&self) -> Option<&str> {
        let name = self.record.to_str()?;
        let is_file = self.record.exists()
            || name.contains(std::path::MAIN_SEPARATOR)
            || [".json", ".jsonl", ".gz"]
                .iter()
                .any(|end| name.ends_with(end));
        (self.cluster.is_named() || !is_file).then_some(name)
    }
}

/// Inputs between two snapshots on the way to a decision: a state may be large.
const INPUTS_PER_SNAPSHOT: usize = 1000;

/// A decision, with the engine just before it and the input that asked for it.
struct Found {
    explanation: Vec<Explanation>,
    before: Before,
    tick: Input,
}

/// An engine before a decision: a snapshot and the inputs since.
struct Before {
    snapshot: Snapshot,
    since: Vec<Input>,
}

impl Before {
    /// Begins anew with a snapshot once there are many inputs; not while an artifact waits, which is
    /// in no snapshot.
    fn renew(&mut self, engine: &Engine) {
        if self.since.len() >= INPUTS_PER_SNAPSHOT && !engine.awaits_artifacts() {
            self.snapshot = engine.snapshot();
            self.since.clear();
        }
    }

    /// The engine's state, made by feeding what came since the snapshot.
    fn state(&self, head: &Head) -> Result<Snapshot> {
        let mut engine = head.engine(None)?;
        engine.restore(self.snapshot.clone())?;
        for input in &self.since {
            if let Some(tick) = engine.feed(input.clone()) {
                keep_fits(&mut engine, &tick);
            }
        }
        Ok(engine.snapshot())
    }
}

/// Runs the command.
///
/// # Errors
/// Where the record cannot be read, or has no decision at that time.
pub fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<Code> {
    if let Some(name) = args.object() {
        let asked = story::Asked {
            name,
            at: args.at,
            decision: args.decision.as_deref(),
            what_if: &args.what_if,
            output: args.output,
        };
        return story::explain(&asked, &args.cluster.connect()?, out);
    }
    anyhow::ensure!(
        args.decision.is_none(),
        "--decision is for an object in a cluster; of a record ask with --at"
    );
    let mut reader = Reader::open(&args.record)?;
    let head = reader.head.clone();
    let found = find(&mut reader, args.at)?.ok_or_else(|| Coded {
        code: Code::NotFound,
        message: format!(
            "{} has no decision at that time or before it",
            args.record.display()
        ),
    })?;
    let mut counterfactuals = Vec::new();
    for change in &args.what_if {
        let (key, value) = change.split_once('=').with_context(|| {
            format!("--what-if {change}: write KEY=VALUE, such as targets.0.hpa.maxReplicas=20")
        })?;
        counterfactuals.push((change.clone(), counterfactual(&head, &found, key, value)?));
    }
    for (index, explanation) in found.explanation.iter().enumerate() {
        let others: Vec<_> = counterfactuals
            .iter()
            .filter_map(|(k, all)| Some((k.as_str(), all.get(index)?)))
            .collect();
        match args.output {
            Output::Json => {
                let mut value = serde_json::to_value(explanation)?;
                let list: Vec<_> = others
                    .iter()
                    .map(|(change, other)| json!({"without": change, "decided": other.decided}))
                    .collect();
                value["counterfactuals"] = Value::Array(list);
                writeln!(out, "{value}")?;
            }
            Output::Table | Output::Csv => waterfall(explanation, &others, out)?,
        }
    }
    Ok(Code::Done)
}

/// Feeds the record up to the wanted decision.
fn find(reader: &mut Reader, at: Option<Timestamp>) -> Result<Option<Found>> {
    let mut engine = reader.head.engine(None)?;
    let mut teller = Teller::new(reader.head.identity());
    let mut last: Option<(Vec<Explanation>, Input, usize)> = None;
    let mut before = Before {
        snapshot: engine.snapshot(),
        since: Vec::new(),
    };
    let mut doubt = Doubt::default();
    let mut past = false;
    while let Some(line) = reader.next_line()? {
        if let (Line::Input(Input::Tick { now }), Some(at)) = (&line, at)
            && *now > at
        {
            past = true;
            break;
        }
        let mut computed = None;
        if let Line::Input(input) = &line {
            if matches!(input, Input::Tick { .. }) {
                before.renew(&engine);
            }
            teller.hear(input)?;
            if let Some(tick) = engine.feed(input.clone()) {
                keep_fits(&mut engine, &tick);
                let told = teller.tell(&tick, engine.spec());
                computed = Some(told.clone());
                last = Some((told, input.clone(), before.since.len()));
            }
            before.since.push(input.clone());
        }
        doubt.check(reader, &line, computed.as_deref());
    }
    if !past {
        doubt.end(reader);
    }
    Ok(last.map(|(explanation, tick, count)| {
        before.since.truncate(count);
        Found {
            explanation,
            before,
            tick,
        }
    }))
}

/// Says once that a record does not hold what is computed from its inputs.
#[derive(Default)]
struct Doubt {
    ledger: Ledger,
    told: bool,
}

impl Doubt {
    fn check(&mut self, reader: &Reader, line: &Line, computed: Option<&[Explanation]>) {
        match self.ledger.check(reader.number, line, computed) {
            Ok(None) => {}
            Ok(Some(_)) => self.tell(reader, "another decision is recorded than is computed here"),
            Err(problem) => self.tell(reader, &problem.to_string()),
        }
    }

    fn end(&mut self, reader: &Reader) {
        if let Err(problem) = self.ledger.finish() {
            self.tell(reader, &problem.to_string());
        }
    }

    fn tell(&mut self, reader: &Reader, what: &str) {
        if !std::mem::replace(&mut self.told, true) {
            let place = reader.place();
            eprintln!("warning: {place}: {what}; `foresail replay` shows where");
        }
    }
}

/// The same decision under a changed spec, or without a guard.
fn counterfactual(head: &Head, found: &Found, key: &str, value: &str) -> Result<Vec<Explanation>> {
    let mut engine: Engine = if key == "without" {
        let mut engine = head.engine(None)?;
        engine.leave_out(guard(value)?);
        engine
    } else {
        head.engine(Some(changed(&head.spec, key, value)?))?
    };
    engine.restore(found.before.state(head)?)?;
    let tick = engine
        .feed(found.tick.clone())
        .context("the record's input is no tick")?;
    let mut teller = Teller::new(head.identity());
    Ok(teller.tell(&tick, engine.spec()))
}

fn guard(name: &str) -> Result<GuardName> {
    let names: Vec<String> = GUARDS.iter().map(|g| g.name().to_string()).collect();
    let found = GUARDS
        .iter()
        .map(|g| g.name())
        .find(|g| g.to_string().eq_ignore_ascii_case(name));
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    found.with_context(|| {
        SpecProblem::unknown("--what-if without", "guard", name, &known).to_string()
    })
}

/// The spec with one field set; the path's parts are names and places in lists.
fn changed(spec: &Spec, key: &str, value: &str) -> Result<Spec> {
    let mut tree = serde_json::to_value(spec)?;
    let key = key.strip_prefix("spec.").unwrap_or(key);
    let parts: Vec<String> = key
        .replace('[', ".")
        .replace(']', "")
        .split('.')
        .map(str::to_owned)
        .collect();
    let Some((last, path)) = parts.split_last() else {
        bail!("--what-if: the key is empty")
    };
    let mut place = &mut tree;
    for part in path {
        place = match part.parse::<usize>() {
            Ok(index) => place
                .get_mut(index)
                .with_context(|| format!("--what-if {key}: there is no [{index}]"))?,
            Err(_) if place.is_object() => &mut place[part.as_str()],
            Err(_) => bail!("--what-if {key}: `{part}` is no field there"),
        };
        if place.is_null() {
            *place = json!({});
        }
    }
    let value: Value =
        serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    match last.parse::<usize>() {
        Ok(index) => {
            *place
                .get_mut(index)
                .with_context(|| format!("--what-if {key}: there is no [{index}]"))? = value;
        }
        Err(_) if place.is_object() => place[last.as_str()] = value,
        Err(_) => bail!("--what-if {key}: `{last}` is no field there"),
    }
    serde_json::from_value(tree).with_context(|| format!("--what-if {key}"))
}

fn values(told: &Told) -> String {
    if told.is_empty() {
        return "none".to_owned();
    }
    let all: Vec<_> = told
        .iter()
        .map(|(axis, q)| {
            if axis == "replicas" {
                q.to_string()
            } else {
                format!("{axis} {q}")
            }
        })
        .collect();
    all.join(", ")
}

fn basis(basis: &BasisTold) -> String {
    match basis {
        BasisTold::Forecast {
            forecaster,
            demand,
            level_percent,
            horizon_seconds,
            capacity,
            coverage_percent,
            relearnt_ago_seconds,
        } => {
            let coverage = coverage_percent.map_or("not known yet".to_owned(), |c| {
                format!("{c} % (80 % promised)")
            });
            let again = relearnt_ago_seconds.map_or_else(String::new, |ago| {
                format!("; trusted again for {} min", ago / 60)
            });
            format!(
                "{forecaster}: p{level_percent} in {horizon_seconds} s is {demand}, {capacity} per replica; coverage {coverage}{again}"
            )
        }
        BasisTold::Hpa { metric, ratio } => format!("{metric}: {ratio} of the target value"),
        BasisTold::Concurrency {
            stable,
            panic,
            target_value,
            panicking,
            burst,
            quotient,
            held,
        } => format!(
            "in flight: stable {stable}, panic {panic}, {target_value} per replica = {quotient}{}{}; burst capacity {burst}",
            if *panicking { ", panicking" } else { "" },
            held.map_or_else(String::new, |h| format!(", {}", h.clause()))
        ),
        BasisTold::Schedule { rule } => format!("rule {rule}"),
        BasisTold::IdleTimes {
            histogram,
            standard,
            forecast,
        } => format!(
            "idle times: {histogram} functions by histogram, {standard} by standard keep-alive, {forecast} by forecast"
        ),
        BasisTold::Peaks {
            peaks_by,
            level_percent,
            middle,
            low,
            high,
        } => format!(
            "busy containers of the next window by {peaks_by}: {middle}, from {low} to {high} (p{level_percent})"
        ),
        BasisTold::Archetype {
            archetype,
            confidence_percent,
            scaled,
        } => {
            let known = archetype.map_or_else(
                || "no archetype yet".to_owned(),
                |known| format!("{known} with {confidence_percent} %"),
            );
            let scaled = scaled
                .as_ref()
                .map_or_else(|| "no strategy".to_owned(), archetype_scaled);
            format!("{known}; {scaled}")
        }
        BasisTold::Trial { trial, spend } => format!("trial {trial}, costs {spend}"),
        BasisTold::Advice { text } => format!("advice: {text}"),
        BasisTold::Requests { requests, .. } => {
            let all: Vec<String> = requests.iter().map(request_range).collect();
            format!("{}; {}", basis.clause(), all.join("; "))
        }
        BasisTold::Delta {
            said_percent,
            record,
            text,
            ..
        } => {
            let said =
                said_percent.map_or_else(String::new, |p| format!(", {p} % by its own word"));
            format!(
                "{}{said}; {} of {} changes were right (at least {} %), {} of {} answers of none: {text}",
                basis.clause(),
                record.hits,
                record.changes,
                record.trust_percent,
                record.steady_hits,
                record.steady
            )
        }
        BasisTold::Absent { absent } => format!("no wish: {absent}"),
        BasisTold::Fixed { .. } => "a given number".to_owned(),
    }
}

fn request_range((name, range): (&String, &RequestRange)) -> String {
    let current = range
        .current
        .map_or_else(|| "none".to_owned(), |c| c.to_string());
    let held = if range.uncapped == range.target {
        String::new()
    } else {
        format!(" ({} before what is allowed)", range.uncapped)
    };
    format!(
        "{name} {current}, target {}{held}, from {} to {}",
        range.target, range.lower, range.upper
    )
}

fn archetype_scaled(s: &ScaledTold) -> String {
    let forecaster = s
        .forecaster
        .as_ref()
        .map_or_else(String::new, |f| format!(" by {f}"));
    let turn = s
        .turn
        .map_or_else(String::new, |t| format!("; {}", t.clause()));
    format!(
        "as {}: {}{forecaster}, {} per replica at a CPU target of {} % (doubt made {} % of it), cooldown {} s, times {}{turn}",
        s.by,
        s.demand,
        s.capacity,
        s.target_percent,
        s.adjusted_target_percent,
        s.cooldown_seconds,
        s.multiplier
    )
}

/// Prints a decision as a waterfall, and what was decided by others beside it.
pub(crate) fn waterfall(
    e: &Explanation,
    others: &[(&str, &Explanation)],
    out: &mut dyn Write,
) -> Result<()> {
    let held = if e.mode == foresail_core::spec::Mode::Auto {
        String::new()
    } else {
        format!(" (not applied: {:?})", e.mode)
    };
    writeln!(
        out,
        "{} at {}  {} → {}{held}",
        e.target,
        e.at,
        values(&e.current),
        values(&e.decided)
    )?;
    for proposal in &e.proposals {
        writeln!(
            out,
            "  {:<16} {:>6}   {}",
            proposal.by,
            values(&proposal.wish),
            basis(&proposal.basis)
        )?;
        for limit in &proposal.shape {
            writeln!(
                out,
                "    {:<14} {:>6}   {} → {}, {}",
                limit.by.to_string(),
                limit.to,
                limit.from,
                limit.to,
                limit.why
            )?;
        }
        if let Some(gate) = proposal.gate {
            writeln!(out, "    dropped by the gate: {gate:?}")?;
        }
    }
    let floor = e.reactive.map_or("none".to_owned(), |r| r.to_string());
    writeln!(out, "  {:<16} {floor:>6}", "reactive floor")?;
    let by = e
        .chosen_by
        .as_deref()
        .unwrap_or("nobody: the current number stays");
    writeln!(out, "  {:<16} {:>6}   {by}", "wanted", values(&e.wanted))?;
    for limit in &e.limits {
        writeln!(
            out,
            "  {:<16} {:>6}   {}",
            limit.by.to_string(),
            limit.to,
            limit.why
        )?;
    }
    writeln!(out, "  {:<16} {:>6}", "decided", values(&e.decided))?;
    for (change, other) in others {
        writeln!(
            out,
            "  {:<16} {:>6}   with {change}",
            "what if",
            values(&other.decided)
        )?;
    }
    Ok(())
}
