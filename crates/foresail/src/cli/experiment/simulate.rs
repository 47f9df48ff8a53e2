//! The rehearsal: every mode and seed flown, their files written, a summary, and the report at last.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use foresail_adapters::atomic::WholeFile;
use foresail_core::quantity::time::{Span, Timestamp};

use super::options::{ModeArg, Options};
use super::summary::print;
use super::{places, report};
use crate::cli::Output;
use crate::exit::Code;
use crate::experiment::Mode;
use crate::experiment::asked::{Asker, Choice};
use crate::experiment::fly::{Run, fly};
use crate::experiment::row::{Row, Rows};
use crate::experiment::rules;
use crate::experiment::schedule::Schedule;
use crate::experiment::told::{Flown, Head, KIND, Line, Told, VERSION};
use crate::experiment::world::{self, World};
use crate::interrupt;

/// Simulated time that a script takes where nobody says another.
const LATENCY: Span = Span::from_seconds(2);

/// One run and its file.
pub(super) struct Ran {
    pub(super) mode: Mode,
    /// Of a rehearsal; a cluster has none.
    pub(super) seed: Option<u64>,
    pub(super) file: PathBuf,
    pub(super) answers: u64,
    pub(super) questions: u64,
    pub(super) flown: Flown,
    /// `true` where its files are in their places.
    pub(super) kept: bool,
}

/// Runs the command.
///
/// # Errors
/// Where an option or a file cannot be used, or a file not be written.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(options.output)?;
    let world = world_of(options)?;
    if let Some(latency) = options.latency {
        ensure!(
            !latency.is_negative(),
            "--latency {latency}: must be 0 or more"
        );
    }
    let latency = options.latency.unwrap_or(LATENCY);
    let latency = Duration::from_nanos(u64::try_from(latency.nanos()).unwrap_or(0));
    let record = options.record.as_deref();
    let mut asker = Asker::new(
        &options.choice(Choice::of_rehearsal()),
        &options.model,
        latency,
        record,
    )?;
    let wanted = wanted(options, &options.mode.modes());
    // Every place is looked at before the work: nothing is half done where one of them is taken.
    for &which in &wanted {
        let file = csv_file(options, which);
        if places::taken(&file, &head(options, &world, &asker, which))? {
            let name = file.display();
            eprintln!("note: {name} is there of the same flags and is written again");
        }
    }
    std::fs::create_dir_all(&options.output_dir)
        .with_context(|| format!("cannot make {}", options.output_dir.display()))?;
    options.notes().iter().for_each(|n| eprintln!("note: {n}"));
    eprintln!("asked: {}", asker.text());
    // Answers of a model are dear: an interrupt ends with the row at hand and keeps what there is.
    interrupt::catch();
    let runs = wanted.len();
    let all = each(options, &world, &mut asker, wanted)?;
    let (label, text) = (asker.label.clone(), asker.text());
    let (asked, lacking) = asker.questions;
    if lacking > 0 {
        eprintln!(
            "note: the record does not hold {lacking} of {asked} questions, in which the adviser was silent: it is of \
             another run"
        );
    }
    let whole = all.iter().filter(|r| r.flown.end.is_some()).count();
    match asker.finish() {
        // Rows that are kept are worth more than a word of what is not.
        Err(why) if whole < runs => eprintln!("note: {why:#}"),
        recorded => recorded?,
    }
    print(&all, (&label, &text), output, out)?;
    all.iter()
        .filter(|r| r.kept)
        .for_each(|r| eprintln!("rows: {}", r.file.display()));
    if whole < runs {
        eprintln!(
            "interrupted: {whole} of {runs} runs are whole; rows and answers until then are kept"
        );
        return Ok(Code::Interrupted);
    }
    if options.mode == ModeArg::All {
        let files: Vec<PathBuf> = all.into_iter().map(|r| r.file).collect();
        let folder = options.output_dir.join("report");
        report::write(&files, &folder)?;
        eprintln!("report: {}", folder.join("index.html").display());
    }
    Ok(Code::Done)
}

/// Every seed with every mode.
fn wanted(options: &Options, modes: &[Mode]) -> Vec<(Mode, u64)> {
    (0..options.seeds)
        .map(|i| options.seed.wrapping_add(i))
        .flat_map(|seed| modes.iter().map(move |mode| (*mode, seed)))
        .collect()
}

/// Flies modes that another command asks for, and writes their files; ends early where it is told to.
///
/// # Errors
/// Where the world is not valid, or a file cannot be written.
pub(super) fn beside(options: &Options, modes: &[Mode], asker: &mut Asker) -> Result<Vec<Ran>> {
    let world = world_of(options)?;
    std::fs::create_dir_all(&options.output_dir)
        .with_context(|| format!("cannot make {}", options.output_dir.display()))?;
    each(options, &world, asker, wanted(options, modes))
}

/// One run after another; ends early where it is told to.
fn each(
    options: &Options,
    world: &World,
    asker: &mut Asker,
    wanted: Vec<(Mode, u64)>,
) -> Result<Vec<Ran>> {
    let mut all = Vec::new();
    for which in wanted {
        if interrupt::asked() {
            break;
        }
        asker.begin_run()?;
        all.push(one(options, world, asker, which)?);
    }
    Ok(all)
}

fn world_of(options: &Options) -> Result<World> {
    let schedule = match &options.stress {
        Some(file) => Schedule::read(file)?,
        None => Schedule::default(),
    };
    let controller = options.live.hpa.settings();
    World::new(of_rules(options)?, controller, schedule, options.past)
}

/// What the rules are made of.
///
/// # Errors
/// Where `--duration` is no time.
pub(super) fn of_rules(options: &Options) -> Result<rules::Options> {
    let length = Span::from_seconds_f64(options.duration * 60.0)
        .with_context(|| format!("--duration {}: must be minutes", options.duration))?;
    Ok(rules::Options {
        interval: Span::from_seconds(options.interval.into()),
        length,
        deployment: options.deployment.clone(),
        min: options.min_replicas,
        max: options.max_replicas,
        cpu_target: options.cpu_target,
        memory_target: options.memory_target,
        history: Span::from_seconds(i64::from(options.history_minutes) * 60),
        capacity: options.capacity,
    })
}

/// `experiment_<mode>_<begin>.csv`, the begin in simulated time.
fn csv_file(options: &Options, (mode, seed): (Mode, u64)) -> PathBuf {
    named(&options.output_dir, mode, World::start(seed))
}

/// `experiment_<mode>_<begin>.csv`.
pub(super) fn named(folder: &Path, mode: Mode, begin: Timestamp) -> PathBuf {
    let digits = |c: char| match c {
        '-' | ':' | 'Z' => None,
        'T' => Some('_'),
        other => Some(other),
    };
    let begin: String = begin.to_string().chars().filter_map(digits).collect();
    folder.join(format!("experiment_{}_{begin}.csv", mode.name()))
}

/// One run with its two files; both are there, or none. An interrupted run takes no place of a longer one.
fn one(
    options: &Options,
    world: &World,
    asker: &mut Asker,
    (mode, seed): (Mode, u64),
) -> Result<Ran> {
    let file = csv_file(options, (mode, seed));
    let mut beside = WholeFile::begin(&file.with_extension("jsonl"))?;
    let mut rows = Rows::begin(WholeFile::begin(&file)?)?;
    line(&mut beside, &head(options, world, asker, (mode, seed)))?;
    let (mut questions, mut answers) = (0, 0);
    let run = Run {
        world,
        mode,
        seed,
        gated: options.gated,
        naive: options.naive_hpa,
        latency: options.latency,
        stop: interrupt::asked,
    };
    let mut sink = |row: &Row, told: &Told| -> Result<()> {
        questions += u64::from(told.asked.is_some());
        answers += u64::from(row.advised.is_some());
        if options.verbose {
            eprintln!("{}", verbose(row, told));
        }
        rows.write(row)?;
        line(&mut beside, &Line::Row(Box::new(told.clone())))
    };
    let flown = fly(&run, asker, &mut sink)?;
    ensure!(
        mode != Mode::Comparison || flown.writes == 0,
        "mode comparison wrote {} times: this is a mistake in Foresail, please tell us",
        flown.writes
    );
    let (all, lacking) = asker.questions;
    ensure!(
        all == 0 || lacking < all,
        "the record holds none of {all} questions: it is of another run; give the flags that it was recorded with, or \
         another record"
    );
    line(&mut beside, &flown.line())?;
    let kept = flown.rows > 0 && (flown.end.is_some() || !places::holds_more(&file, flown.rows)?);
    if kept {
        beside.commit()?;
        rows.end()?.commit()?;
    }
    Ok(Ran {
        mode,
        seed: Some(seed),
        file,
        answers,
        questions,
        flown,
        kept,
    })
}

pub(super) fn line(out: &mut impl Write, value: &impl serde::Serialize) -> Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    out.write_all(&bytes)?;
    Ok(out.flush()?)
}

fn head(options: &Options, world: &World, asker: &Asker, (mode, seed): (Mode, u64)) -> Head {
    Head {
        record: KIND.to_owned(),
        v: VERSION,
        mode: mode.name().to_owned(),
        seed,
        adviser: asker.label.clone(),
        is_model: asker.is_model,
        naive: options.naive_hpa,
        gated: options.gated,
        workload: (options.namespace.clone(), options.deployment.clone()),
        start: World::start(seed),
        interval_seconds: world.rules.options.interval.seconds(),
        length_seconds: world.length.seconds(),
        history_seconds: world.rules.options.history.seconds(),
        bounds: (options.min_replicas, options.max_replicas),
        targets: (options.cpu_target, options.memory_target),
        cpu_request: world::CPU_REQUEST.into(),
        past_seconds: past(options, mode),
        capacity: options.capacity.filter(|_| mode == Mode::Predictive),
        latency_seconds: options.latency.map(Span::seconds),
        live: false,
        slo: world.cluster.slo.to_string(),
        schedule: world.schedule.clone(),
    }
}

/// Seconds of the past that a mode begins with.
pub(super) fn past(options: &Options, mode: Mode) -> f64 {
    match mode {
        Mode::Predictive => options.past.seconds(),
        _ => 0.0,
    }
}

/// One row in a line.
pub(super) fn verbose(row: &Row, told: &Told) -> String {
    let asked = told.asked.as_ref();
    let failure = asked.and_then(|a| a.failure.as_deref());
    let advised = match (&row.advised, failure) {
        (Some(advised), _) => format!("adviser {}", advised.recommended),
        (None, Some(why)) => format!("adviser: {why}"),
        (None, None) => "nobody asked".to_owned(),
    };
    let known = |n: Option<u32>| n.map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    format!(
        "{} {}: {} replicas, HPA {}, {advised}; {} by {}",
        row.at,
        row.mode.name(),
        known(row.current),
        known(row.hpa_desired),
        known(row.applied),
        row.applied_by.name()
    )
}
