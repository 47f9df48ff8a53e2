//! `foresail optimize`: the cheapest sizes of a workflow's stages that keep its promise, or the
//! requests of a Deployment's pods.

mod deployment;
mod flags;
mod live;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use foresail_adapters::workflow::System;
use foresail_core::engine::{Engine, Hash};
use foresail_core::propose::advice::Tuner;
use foresail_core::spec::SpecProblem;
use foresail_core::value::cost::Price;
use foresail_core::value::workflow::Promise;
use foresail_models::knobs::Knobs;
use foresail_models::registry::TUNERS;
use foresail_models::rng::Seed;
use foresail_models::tune::TunerEntry;
use foresail_sim::workflow::bound::{Bound, BoundError, bound};
use foresail_sim::workflow::subject::Subject;
use serde_json::{Value, json};

pub use flags::OptimizeArgs;

use super::workflow::{bound_holds, subject};
use crate::cli::{Output, progress, typed};
use crate::exit::Code;
use crate::interrupt;
use crate::live::LiveWorkflow;
use crate::optimize::report::Report;
use crate::optimize::{
    Conclusion, Found, Journal, Protocol, Referee, Row, Search, Simulated, referee,
};
use crate::record::Recorder;

/// Tuners in the order in which one is taken where none is named.
const DEFAULTS: [&str; 2] = ["bayes", "random"];

/// The condition of a journal that may be another one after a drift.
const DRIFTS: &str = "the workflow's hash";

/// Runs the command.
///
/// # Errors
/// Where the workflow cannot be read, a flag does not fit the tuner, or the search fails.
pub fn run(args: &OptimizeArgs, out: &mut dyn Write) -> Result<Code> {
    if args.live.is_asked() {
        let live = args.live.reached_by(args.provider.reach());
        return deployment::run(&live, args.output, out);
    }
    args.live.check_unasked()?;
    check_places(args)?;
    let output = Output::here(args.output)?;
    let question = Question::read(args)?;
    let mut tuner = question.tuner(args)?;
    let flow = question.flow.as_ref();
    let mut session = flow
        .map(|flow| live::Session::begin(args, flow))
        .transpose()?;
    if let (Some(session), Some(flow), true) = (&mut session, flow, args.provider.dry_run) {
        live::rehearse(session, flow, &mut *tuner, &question.protocol)?;
        return Ok(Code::Done);
    }
    // Places are tried before the work, so that nobody waits for nothing.
    let folder = args.out.as_deref().map(Report::begin).transpose()?;
    let mut journal = question.journal(args)?;
    // Of a workflow that is there no surface is known.
    let least = match flow {
        Some(_) => None,
        None => least(&question.subject, &question.protocol.price),
    };
    let found = question.found(args, session.as_mut(), &mut *tuner, journal.as_mut())?;
    let report = Report {
        subject: &question.subject,
        protocol: &question.protocol,
        found: &found,
        tuner: question.entry.name,
        seed: args.seed,
        bound: least.as_ref(),
        doubts: tuner.doubts().iter().map(ToString::to_string).collect(),
        command: typed::command(),
    };
    if let Some(folder) = folder {
        report.write(folder)?;
    }
    print(&report, (output, args.out.as_deref()), out)?;
    let code = code(found.conclusion);
    if code != Code::Done {
        eprintln!("{}", report.headline());
    }
    Ok(code)
}

/// Refuses one place for two files.
fn check_places(args: &OptimizeArgs) -> Result<()> {
    if let (Some(journal), Some(record)) = (&args.journal, &args.record) {
        ensure!(
            !same_place(journal, record),
            "--record {}: is the --journal; give another place",
            record.display()
        );
    }
    Ok(())
}

fn print(
    report: &Report<'_>,
    (output, folder): (Output, Option<&Path>),
    out: &mut dyn Write,
) -> Result<()> {
    match output {
        Output::Table => report.print(out)?,
        Output::Json => writeln!(out, "{}", report.value())?,
        Output::Csv => report.table().write_csv(&mut *out)?,
    }
    if let (Some(folder), Output::Table) = (folder, output) {
        writeln!(out, "report: {}", folder.join("index.html").display())?;
    }
    Ok(())
}

/// What is searched, how it is measured, and who asks.
struct Question {
    /// The workflow where it is really there.
    flow: Option<LiveWorkflow>,
    subject: Subject,
    protocol: Protocol,
    entry: &'static TunerEntry,
    knobs: BTreeMap<String, Value>,
}

impl Question {
    fn read(args: &OptimizeArgs) -> Result<Self> {
        let flow = live_workflow(args)?;
        let subject = chosen(args, flow.as_ref())?;
        let entry = tuner_entry(args)?;
        Ok(Self {
            protocol: protocol(args, &subject)?,
            knobs: knobs(args, entry)?,
            flow,
            subject,
            entry,
        })
    }

    fn tuner(&self, args: &OptimizeArgs) -> Result<Box<dyn Tuner + Send>> {
        let name = self.entry.name;
        let knobs = Knobs::read(self.entry.knobs, &self.knobs, "tuner")
            .map_err(|p| anyhow!("tuner {name}: {}", SpecProblem::joined(&p)))?;
        let built = (self.entry.build)(&knobs, &self.subject.space(), Seed(args.seed));
        built.map_err(|why| anyhow!("tuner {name}: {why}"))
    }

    fn journal(&self, args: &OptimizeArgs) -> Result<Option<Journal>> {
        let name = self.entry.name;
        let mut conditions =
            conditions(&self.subject, &self.protocol, name, &self.knobs, args.seed);
        if self.flow.is_some() {
            conditions.insert("provider".to_owned(), args.provider.place());
        }
        // A workflow that has drifted is another one with the same stages.
        let forgiven: &[&str] = if args.reopen.is_some() {
            &[DRIFTS]
        } else {
            &[]
        };
        let open = |path| Journal::open(path, &conditions, forgiven);
        args.journal.as_deref().map(open).transpose()
    }

    /// Searches the workflow that is there, else the simulated one.
    fn found(
        &self,
        args: &OptimizeArgs,
        session: Option<&mut live::Session>,
        tuner: &mut dyn Tuner,
        journal: Option<&mut Journal>,
    ) -> Result<Found> {
        let scene = (&self.subject, &self.protocol);
        let Some(session) = session else {
            let mut system = Simulated::new(&self.subject, Seed(args.seed));
            return search(args, scene, &mut system, tuner, journal);
        };
        let found = search(args, scene, session.system(), tuner, journal);
        session.end(&found)?;
        let found = found?;
        session.tell_lasting(&found);
        Ok(found)
    }
}

/// `true` where two paths lead to one file, be it there yet or not.
fn same_place(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        path.canonicalize()
            .or_else(|_| std::path::absolute(path))
            .ok()
    };
    one == other || real(one).is_some_and(|place| real(other) == Some(place))
}

fn code(conclusion: Conclusion) -> Code {
    match conclusion {
        Conclusion::Best | Conclusion::Unconfirmed | Conclusion::FormerIsBest => Code::Done,
        Conclusion::NoneKept | Conclusion::Broke => Code::No,
        Conclusion::Interrupted => Code::Interrupted,
    }
}

fn named(args: &OptimizeArgs) -> Result<&String> {
    let named = args.workflow.as_ref().or(args.workflow_config.as_ref());
    named.context("name a workflow")
}

/// The workflow where it is really there; `None` in the simulator.
fn live_workflow(args: &OptimizeArgs) -> Result<Option<LiveWorkflow>> {
    if args.provider.live().is_none() {
        args.provider.check_simulated()?;
        return Ok(None);
    }
    LiveWorkflow::read(named(args)?).map(Some)
}

/// The workflow that was named, with the promise that the flags say.
fn chosen(args: &OptimizeArgs, flow: Option<&LiveWorkflow>) -> Result<Subject> {
    let mut subject = match flow {
        Some(flow) => flow.subject.clone(),
        None => subject(named(args)?)?,
    };
    let Promise { seconds, level } = subject.promise;
    subject.promise = Promise {
        seconds: args.protocol.qos.unwrap_or(seconds),
        level: args.protocol.percentile.map_or(level, |p| p / 100.0),
    };
    Ok(subject)
}

fn protocol(args: &OptimizeArgs, subject: &Subject) -> Result<Protocol> {
    let (flags, promise) = (&args.protocol, subject.promise);
    ensure!(
        flags.timeout.seconds() > promise.seconds,
        "--timeout {}: must be longer than the promise of {} s, or its break is never seen",
        flags.timeout,
        promise.seconds
    );
    Ok(Protocol {
        promise,
        warmups: flags.warmups,
        repeats: flags.repeats,
        requests: flags.requests,
        abort_factor: flags.qos_abort.0,
        wait: flags.timeout,
        price: Price {
            cpu_core_hour: flags.cpu_price,
            memory_gib_hour: flags.memory_price,
            ..Price::FUNCTIONS
        },
    })
}

fn tuner_entry(args: &OptimizeArgs) -> Result<&'static TunerEntry> {
    let of = |name: &str| TUNERS.iter().find(|t| t.name == name);
    let found = match &args.tuner {
        Some(name) => of(name),
        None => DEFAULTS.iter().find_map(|name| of(name)),
    };
    found.context("no tuner is known")
}

/// The tuner's knobs: the published flags that it has, its count of trials, then `--tuner-knob`.
fn knobs(args: &OptimizeArgs, entry: &TunerEntry) -> Result<BTreeMap<String, Value>> {
    let flags = &args.published;
    let trials = u64::from(flags.n_init) + u64::from(flags.n_batch) * u64::from(flags.batch_size);
    let all = [
        ("nInit", json!(flags.n_init)),
        ("nBatch", json!(flags.n_batch)),
        ("mcSamples", json!(flags.mc_samples)),
        ("batchSize", json!(flags.batch_size)),
        ("numRestarts", json!(flags.num_restarts)),
        ("rawSamples", json!(flags.raw_samples)),
        ("infeasibleCost", json!(flags.infeasible_cost)),
        ("anomalyDetection", json!(flags.anomaly_detection)),
        ("confidence", json!(flags.confidence)),
        // A tuner without batches may ask as often as the published one.
        ("trials", json!(trials)),
    ];
    let has = |name: &str| entry.knobs.iter().any(|k| k.name == name);
    let mut knobs: BTreeMap<String, Value> = all
        .into_iter()
        .filter(|(name, _)| has(name))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for knob in &args.knobs {
        let Some((name, value)) = knob.split_once('=') else {
            bail!("--tuner-knob {knob}: write NAME=VALUE");
        };
        // What is no number, boolean or other JSON is a word.
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        knobs.insert(name.to_owned(), value);
    }
    Ok(knobs)
}

/// Everything that a search depends on.
fn conditions(
    subject: &Subject,
    protocol: &Protocol,
    tuner: &str,
    knobs: &BTreeMap<String, Value>,
    seed: u64,
) -> BTreeMap<String, String> {
    let abort = protocol.abort_factor;
    let workflow = Hash::of(format!("{subject:?}").as_bytes());
    let sizes = format!("{:?} {:?}", subject.targets(), subject.sizes);
    let sizes = Hash::of(sizes.as_bytes());
    let all = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("workflow", subject.name().to_owned()),
        ("qos", protocol.promise.seconds.to_string()),
        ("percentile", (100.0 * protocol.promise.level).to_string()),
        ("stages", sizes.as_str().to_owned()),
        (DRIFTS, workflow.as_str().to_owned()),
        ("tuner", tuner.to_owned()),
        ("tuner's knobs", json!(knobs).to_string()),
        ("seed", seed.to_string()),
        ("warmups", protocol.warmups.to_string()),
        ("repeats", protocol.repeats.to_string()),
        ("requests", protocol.requests.to_string()),
        (
            "qos-abort",
            abort.map_or_else(|| "off".to_owned(), |f| f.to_string()),
        ),
        ("timeout", protocol.wait.to_string()),
        ("cpu-price", protocol.price.cpu_core_hour.to_string()),
        ("memory-price", protocol.price.memory_gib_hour.to_string()),
    ];
    all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

/// What the cheapest possible plan costs; a promise that cannot be kept is said and searched all
/// the same, as a live workflow's surfaces are a model. `None` where it is not known, or chance
/// can go below it.
fn least(subject: &Subject, price: &Price) -> Option<Bound> {
    if !bound_holds(subject.promise) {
        return None;
    }
    match bound(subject, price) {
        Ok(bound) => Some(bound),
        Err(error @ BoundError::Infeasible { .. }) => {
            eprintln!("note: {error}");
            None
        }
        Err(_) => None,
    }
}

fn search(
    args: &OptimizeArgs,
    (subject, protocol): (&Subject, &Protocol),
    system: &mut dyn System,
    tuner: &mut dyn Tuner,
    journal: Option<&mut Journal>,
) -> Result<Found> {
    let seed = Seed(args.seed);
    let milli = args.spend_cap.map(|cap| (cap * 1000.0).floor() as u64);
    let spec = referee::spec(&subject.targets(), milli);
    let mut referee = Referee::new(spec, seed, |engine| {
        let recorder = args
            .record
            .as_deref()
            .map(|path| recorder(path, engine, subject, seed));
        recorder.transpose()
    })?;
    let flags = &args.published;
    let most = flags.n_init + flags.n_batch.saturating_mul(flags.batch_size);
    let bar = progress::bar(u64::from(most), "Optimizing");
    let told = |row: &Row| {
        bar.step(subject.name());
        if args.published.verbose {
            let measured = &row.measured;
            let told = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| format!("{v:.4}"));
            eprintln!(
                "trial {}: {} per 1,000 requests, {} s, {:?}",
                row.number,
                told(measured.cost),
                told(measured.latency),
                measured.ended
            );
        }
    };
    interrupt::catch();
    let found = Search {
        subject,
        system,
        tuner,
        referee: &mut referee,
        protocol,
        journal,
        reopen: args.reopen,
        spend_cap: args.spend_cap,
        stop: &interrupt::asked,
        on_trial: &told,
    }
    .run();
    bar.finish();
    referee.finish()?;
    found
}

fn recorder(path: &Path, engine: &Engine, subject: &Subject, seed: Seed) -> Result<Recorder> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Recorder::new(Box::new(BufWriter::new(file)), engine, seed, subject.name())
}
