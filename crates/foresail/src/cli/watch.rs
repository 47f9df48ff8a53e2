//! `foresail watch`: a live shadow beside the autoscaler that is in charge; read only.

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use foresail_adapters::atomic::WholeFile;
use foresail_adapters::llm::Adviser;
use foresail_adapters::prometheus::Prometheus;
use foresail_core::explain::Explanation;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::SpecProblem;
use foresail_core::value::slo::Slo;
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;
use serde_json::json;

use crate::cli::Output;
use crate::cli::cluster::ClusterArgs;
use crate::compare::prometheus::{AccessArgs, coded, floor, now, runtime};
use crate::config::{Environment, Settings};
use crate::exit::{Code, Coded};
use crate::interrupt;
use crate::record::Recorder;
use crate::watch::llm::{self, Beside, LlmArgs};
use crate::watch::observe::{self, MINUTE, Problem, Queries, Seen};
use crate::watch::score::{Pods, Score};
use crate::watch::shadow::{Orders, Shadow};

/// How long at most an interrupt waits to be seen.
const NAP: Duration = Duration::from_millis(50);

/// The longest history that forecasters begin with: what an engine remembers of demand.
/// Source: foresail_core::observe::Metric::points_max.
const HISTORY_MAX: Span = Span::from_seconds(14 * 86_400);

/// Watch what an engine would do beside the autoscaler that is in charge; writes nothing
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// A target in a cluster, such as deploy/web: it and the HPA on it are looked at through the
    /// kubeconfig; without it all comes from Prometheus
    #[arg(value_name = "KIND/NAME")]
    target: Option<String>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) access: AccessArgs,
    #[command(flatten)]
    pub(super) llm: LlmArgs,
    /// Demand in requests per second, as PromQL that gives one series
    #[arg(long, value_name = "PROMQL", required_unless_present = "target")]
    pub(super) query: Option<String>,
    /// The incumbent's replicas, as PromQL that gives one series
    #[arg(
        long,
        value_name = "PROMQL",
        required_unless_present = "target",
        conflicts_with = "target"
    )]
    replicas_query: Option<String>,
    /// Demand that one replica serves, req/s [default: what the target value is 80 % of]
    #[arg(long, value_name = "RATE")]
    pub(super) capacity: Option<f64>,
    /// Demand per replica that is aimed at, req/s [default: 80 % of the capacity]
    #[arg(long, value_name = "RATE")]
    pub(super) target_value: Option<f64>,
    /// Time from a pod's creation to its readiness [default: 45s]
    #[arg(long)]
    pub(super) startup: Option<Span>,
    /// Time between two decisions [default: 15s]
    #[arg(long)]
    pub(super) interval: Option<Span>,
    /// The fewest replicas [default: 1]
    #[arg(long)]
    pub(super) min: Option<u32>,
    /// The most replicas [default: 100]
    #[arg(long)]
    pub(super) max: Option<u32>,
    /// Past demand that the forecasters begin with
    #[arg(long, value_name = "TIME", default_value = "2d")]
    pub(super) history: Span,
    /// Name of the workload in what is told
    #[arg(long, default_value = "workload")]
    name: String,
    /// Write a flight record
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// How long to watch; 0s = until Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(super) duration: Span,
    /// The promise, whose share the time with enough replicas is held against [default: wait<200ms:99%]
    #[arg(long)]
    slo: Option<Slo>,
    /// How syncs are printed [default: table]
    #[arg(long, short, value_enum)]
    pub(super) output: Option<Output>,
    /// Settings file [default: ./foresail.toml]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// Flags over settings over defaults, checked.
struct Plan {
    orders: Orders,
    queries: Queries,
    capacity: f64,
    history: Span,
    duration: Option<Span>,
    slo: Slo,
    output: Output,
    seed: Seed,
}

impl Plan {
    fn new(args: &WatchArgs, mut settings: Settings) -> Result<Self> {
        let text = |span: Option<Span>| span.map(|s| s.to_string());
        settings.flag("simulate.startup", text(args.startup));
        settings.flag("simulate.sync", text(args.interval));
        settings.flag("simulate.min", args.min.map(|n| n.to_string()));
        settings.flag("simulate.max", args.max.map(|n| n.to_string()));
        settings.flag("slo.promise", args.slo.map(|s| s.to_string()));
        let interval: Span = settings.parse("simulate.sync")?;
        let bounds = (
            settings.parse("simulate.min")?,
            settings.parse("simulate.max")?,
        );
        ensure!(
            interval >= Span::from_seconds(1),
            "--interval {interval}: must be 1s or more"
        );
        ensure!(
            (1..=bounds.1).contains(&bounds.0),
            "--min {} and --max {}: must be 1 or more, and --min not above --max",
            bounds.0,
            bounds.1
        );
        ensure!(
            !args.duration.is_negative() && !args.history.is_negative(),
            "--duration and --history must be 0s or more"
        );
        ensure!(
            args.history <= HISTORY_MAX,
            "--history {}: an engine remembers {HISTORY_MAX} at most",
            args.history
        );
        let percent: f64 = settings.parse("simulate.hpa_target")?;
        let (capacity, target_value) = rates(args, percent / 100.0)?;
        Ok(Self {
            orders: Orders {
                name: args.name.clone(),
                target_value,
                startup: settings.parse("simulate.startup")?,
                interval,
                bounds,
                advised: args.llm.is_asked(),
            },
            queries: Queries {
                demand: args.query.clone().unwrap_or_default(),
                replicas: args.replicas_query.clone().unwrap_or_default(),
            },
            capacity,
            history: args.history,
            duration: Some(args.duration).filter(|d| *d > Span::ZERO),
            slo: settings.parse("slo.promise")?,
            output: Output::of(args.output, &settings)?,
            seed: Seed(settings.parse("simulate.seed")?),
        })
    }
}

/// Capacity and target value; each follows from the other where only one is given.
pub(super) fn rates(args: &WatchArgs, share: f64) -> Result<(f64, f64)> {
    for (flag, value) in [
        ("--capacity", args.capacity),
        ("--target-value", args.target_value),
    ] {
        if let Some(value) = value {
            // Thousandths are what a Kubernetes quantity can say.
            ensure!(
                value.is_finite() && (0.001..=1e12).contains(&value),
                "{flag} {value}: must be requests per second, 0.001 or more"
            );
        }
    }
    match (args.capacity, args.target_value) {
        (Some(capacity), Some(target)) => Ok((capacity, target)),
        (Some(capacity), None) => Ok((capacity, capacity * share)),
        (None, Some(target)) => Ok((target / share, target)),
        (None, None) => bail!(
            "give --capacity, the demand that one replica serves, or --target-value, the demand per replica that is aimed at"
        ),
    }
}

/// Runs the command.
///
/// # Errors
/// Where the first look at Prometheus fails, or the record cannot be written.
pub fn run(args: &WatchArgs, out: &mut dyn Write) -> Result<Code> {
    if let Some(target) = &args.target {
        return super::watch_cluster::run(args, target, out);
    }
    let settings = Settings::load(args.config.as_deref(), &Environment)?;
    let server = args.access.connect(&settings)?;
    let plan = Plan::new(args, settings)?;
    let adviser = args.llm.adviser()?;
    let runtime = runtime()?;
    interrupt::catch();
    let watched = Watch::begin(&plan, &server, &runtime, args.record.as_deref())?;
    let Some(mut watch) = watched else {
        return Ok(Code::Interrupted);
    };
    if let Some((adviser, interval)) = adviser {
        watch.ask(adviser, interval, args.llm.llm_record.as_deref())?;
    }
    let code = watch.run(out)?;
    watch.end(out)?;
    Ok(code)
}

/// A watch in progress.
struct Watch<'a> {
    plan: &'a Plan,
    server: &'a Prometheus,
    runtime: &'a tokio::runtime::Runtime,
    shadow: Shadow,
    score: Score,
    record: Option<Record>,
    /// The language model, and its record.
    model: Option<(Beside, Option<Record>)>,
    /// The first look, until it is told.
    first: Option<(Timestamp, Seen)>,
    minutes_until: Timestamp,
    /// Time of the last sync.
    last: Option<Timestamp>,
    /// The problems that were told last.
    told: String,
}

impl<'a> Watch<'a> {
    /// Looks for the first time, which has to succeed; `None` where it was interrupted.
    fn begin(
        plan: &'a Plan,
        server: &'a Prometheus,
        runtime: &'a tokio::runtime::Runtime,
        record: Option<&Path>,
    ) -> Result<Option<Self>> {
        let began = now();
        let until = floor(began, MINUTE);
        let look = until_asked(observe::look(server, &plan.queries, began, until));
        let Some(mut seen) = runtime.block_on(look) else {
            return Ok(None);
        };
        if !seen.problems.is_empty() {
            return Err(match seen.problems.swap_remove(0) {
                Problem::Prometheus(error) => coded(&error),
                other => Coded {
                    code: Code::TooLittleData,
                    message: other.to_string(),
                }
                .into(),
            });
        }
        let replicas = seen
            .incumbent
            .context("the incumbent's replicas are stale; check that something scrapes them")?;
        let start = until - floor_span(plan.history);
        let past = observe::minutes(server, &plan.queries.demand, start, until);
        let past = match runtime.block_on(until_asked(past)) {
            Some(past) => past.map_err(|e| coded(&e))?,
            None => return Ok(None),
        };
        let engine = engine_of(plan.orders.spec(), plan.seed)
            .map_err(|problems| anyhow::anyhow!("{}", SpecProblem::joined(&problems)))?;
        let mut shadow = Shadow::new(&plan.orders, engine, replicas);
        shadow.remember(&past);
        eprintln!("note: {} minutes of past demand", past.len());
        let record = record.map(Record::begin).transpose()?;
        if let Some(record) = &record {
            let recorder = Recorder::new(
                record.writer(),
                shadow.engine(),
                plan.seed,
                &plan.orders.name,
            )?;
            shadow.record(recorder);
        }
        Ok(Some(Self {
            plan,
            server,
            runtime,
            shadow,
            score: Score::new(plan.capacity),
            record,
            model: None,
            first: Some((began, seen)),
            minutes_until: until,
            last: None,
            told: String::new(),
        }))
    }

    /// Asks a language model beside the syncs.
    fn ask(&mut self, adviser: Adviser, interval: Span, record: Option<&Path>) -> Result<()> {
        let record = record.map(Record::begin).transpose()?;
        let out = record.as_ref().map(Record::writer);
        self.model = Some((Beside::begin(adviser, interval, out)?, record));
        Ok(())
    }

    /// Syncs until the time is over or somebody asks to end.
    fn run(&mut self, out: &mut dyn Write) -> Result<Code> {
        let interval = self.plan.orders.interval;
        let Some((mut next, seen)) = self.first.take() else {
            return Ok(Code::Done);
        };
        let end = self.plan.duration.map(|d| next + d);
        head(self.plan.output, out)?;
        self.sync(next, &seen, out)?;
        loop {
            let behind = (now() - next).nanos().max(0) / interval.nanos();
            next = next + Span::from_nanos(interval.nanos().saturating_mul(behind + 1));
            if end.is_some_and(|end| next >= end) {
                return Ok(Code::Done);
            }
            if !sleep_until(next) {
                return Ok(Code::Interrupted);
            }
            let at = now();
            let (queries, until) = (&self.plan.queries, self.minutes_until);
            let look = observe::look_within(interval, self.server, queries, at, until);
            let Some(seen) = self.runtime.block_on(until_asked(look)) else {
                return Ok(Code::Interrupted);
            };
            self.tell_problems(&seen);
            self.minutes_until = seen.until.unwrap_or(self.minutes_until);
            self.sync(at, &seen, out)?;
        }
    }

    fn tell_problems(&mut self, seen: &Seen) {
        let all: Vec<_> = seen.problems.iter().map(ToString::to_string).collect();
        let all = all.join("; ");
        if all != self.told {
            if all.is_empty() {
                eprintln!("note: Prometheus answers again");
            } else {
                eprintln!("warning: {all}");
            }
            self.told = all;
        }
    }

    fn sync(&mut self, at: Timestamp, seen: &Seen, out: &mut dyn Write) -> Result<()> {
        let interval = self.plan.orders.interval;
        let pause = Span::from_nanos(interval.nanos().saturating_mul(2));
        let span = self.last.map(|last| at - last).filter(|s| *s <= pause);
        let incumbent = seen.incumbent.map(|n| Pods { paid: n, ready: n });
        let pods = self.shadow.pods(at);
        self.score.add(span, seen.fresh_demand(at), pods, incumbent);
        self.last = Some(at);
        let orders = &self.plan.orders;
        let heard = self
            .model
            .as_mut()
            .and_then(|(beside, _)| beside.heard(orders));
        if let Some(advice) = heard {
            self.shadow.advise(advice);
        }
        let told = self.shadow.sync(seen, at)?;
        if let Some((beside, _)) = &mut self.model {
            let (pods, engine) = (self.shadow.pods(at), self.shadow.engine());
            let history = engine.target_history(0);
            beside.offer(|| llm::question(orders, &told, seen, pods, history), at);
        }
        print(self.plan.output, &self.score, &told, seen, out)
    }

    /// Ends the record and tells the score.
    fn end(mut self, out: &mut dyn Write) -> Result<()> {
        self.shadow.finish()?;
        if let Some(record) = self.record.take() {
            let path = record.path.display().to_string();
            record.commit()?;
            eprintln!("record: {path}");
        }
        if let Some((beside, record)) = self.model.take() {
            beside.end()?;
            if let Some(record) = record {
                let path = record.path.display().to_string();
                record.commit()?;
                eprintln!("record of the model's answers: {path}");
            }
        }
        let text = summary(&self.score, &self.plan.slo);
        if self.plan.output == Output::Table {
            writeln!(out, "\n{text}")?;
        } else {
            eprintln!("{text}");
        }
        out.flush()?;
        Ok(())
    }
}

/// Prints what stands above the rows.
pub(super) fn head(output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Table => writeln!(
            out,
            "{:<20} {:>8} {:>8} {:>7} {:>9}  {:<15} {:<11} WHY",
            "TIME", "REACTIVE", "FORECAST", "DECIDED", "INCUMBENT", "REPLICA-MINUTES", "SHORT"
        )?,
        Output::Csv => writeln!(
            out,
            "at,demand,reactive,forecast,decided,incumbent,shadow_replica_minutes,incumbent_replica_minutes,shadow_short_minutes,incumbent_short_minutes"
        )?,
        Output::Json => {}
    }
    out.flush()?;
    Ok(())
}

/// Prints one row.
pub(super) fn print(
    output: Output,
    score: &Score,
    told: &Explanation,
    seen: &Seen,
    out: &mut dyn Write,
) -> Result<()> {
    let known = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    let replicas =
        |told: &foresail_core::explain::Told| told.get("replicas").map(ToString::to_string);
    let wish = told.proposals.iter().find(|p| p.by == "predictive");
    let forecast = wish.and_then(|p| replicas(&p.wish));
    let reactive = told.reactive.map(|r| r.to_string());
    let decided = replicas(&told.decided);
    let incumbent = seen.incumbent.map(|n| n.to_string());
    let demand = seen.demand.map(|(value, _)| value);
    let (ours, theirs) = (score.shadow, score.incumbent);
    match output {
        Output::Table => writeln!(
            out,
            "{:<20} {:>8} {:>8} {:>7} {:>9}  {:<15} {:<11} {told}",
            floor(told.at, Span::from_seconds(1)).to_string(),
            known(reactive),
            known(forecast),
            known(decided),
            known(incumbent),
            format!("{:.1}/{:.1}", ours.replica_minutes, theirs.replica_minutes),
            format!("{:.1}/{:.1}", ours.short_minutes, theirs.short_minutes),
        )?,
        Output::Csv => {
            let cell = |value: Option<String>| value.unwrap_or_default();
            writeln!(
                out,
                "{},{},{},{},{},{},{},{},{},{}",
                told.at,
                cell(demand.map(|d| d.to_string())),
                cell(reactive),
                cell(forecast),
                cell(decided),
                cell(incumbent),
                ours.replica_minutes,
                theirs.replica_minutes,
                ours.short_minutes,
                theirs.short_minutes
            )?;
        }
        Output::Json => {
            let number = |value: Option<String>| value.and_then(|v| v.parse::<u32>().ok());
            let value = json!({
                "v": 1,
                "at": told.at,
                "demand": demand,
                "measuredAt": seen.demand.map(|(_, at)| at),
                "reactive": number(reactive),
                "forecast": number(forecast),
                "decided": number(decided),
                "incumbent": seen.incumbent,
                "why": told.to_string(),
                "score": score,
                "explanation": told,
            });
            writeln!(out, "{value}")?;
        }
    }
    out.flush()?;
    Ok(())
}

/// The score in words.
fn summary(score: &Score, slo: &Slo) -> String {
    let promised = slo.share * 100.0;
    let side = |name: &str, side: crate::watch::score::Side| {
        let kept = match side.kept_percent(score.minutes) {
            None => "nothing counted".to_owned(),
            Some(kept) => {
                let verdict = if kept >= promised { "kept" } else { "not kept" };
                format!("enough replicas {kept:.1} % of the time, {promised} % promised: {verdict}")
            }
        };
        format!(
            "{name:<10} {:>8.1} replica-minutes, {:>6.1} minutes short of demand; {kept}",
            side.replica_minutes, side.short_minutes
        )
    };
    format!(
        "{:.1} minutes counted, {} syncs left out for want of samples; {} req/s per replica\n{}\n{}",
        score.minutes,
        score.left_out,
        score.capacity,
        side("shadow", score.shadow),
        side("incumbent", score.incumbent)
    )
}

/// Whole minutes of a span.
fn floor_span(span: Span) -> Span {
    Span::from_nanos(span.nanos() / MINUTE.nanos() * MINUTE.nanos())
}

/// Sleeps until a time; `false` where somebody asked to end.
pub(crate) fn sleep_until(at: Timestamp) -> bool {
    while !interrupt::asked() {
        let left = (at - now()).nanos();
        if left <= 0 {
            return true;
        }
        std::thread::sleep(NAP.min(Duration::from_nanos(left.unsigned_abs())));
    }
    false
}

/// What `work` comes to; `None` where somebody asked to end before.
pub(super) async fn until_asked<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        match tokio::time::timeout(NAP, &mut work).await {
            Ok(value) => return Some(value),
            Err(_) if interrupt::asked() => return None,
            Err(_) => {}
        }
    }
}

/// A flight record in the making; it appears under its name at the end.
struct Record {
    path: PathBuf,
    file: Arc<Mutex<WholeFile>>,
    gz: bool,
}

impl Record {
    fn begin(path: &Path) -> Result<Self> {
        let file = Arc::new(Mutex::new(WholeFile::begin(path)?));
        let gz = path.extension().is_some_and(|e| e == "gz");
        Ok(Self {
            path: path.to_owned(),
            file,
            gz,
        })
    }

    fn writer(&self) -> Box<dyn Write + Send> {
        let shared = Shared(Arc::clone(&self.file));
        if self.gz {
            let level = flate2::Compression::default();
            Box::new(flate2::write::GzEncoder::new(shared, level))
        } else {
            Box::new(shared)
        }
    }

    fn commit(self) -> Result<()> {
        let file = Arc::into_inner(self.file).and_then(|f| f.into_inner().ok());
        file.context("the flight record is still being written")?
            .commit()?;
        Ok(())
    }
}

/// A file that a recorder writes and its owner commits.
struct Shared(Arc<Mutex<WholeFile>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut file = self
            .0
            .lock()
            .map_err(|_| std::io::Error::other("the record's file is gone"))?;
        file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
