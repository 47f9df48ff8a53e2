//! The rehearsal: every mode and seed flown, their files written, a summary, and the report at last.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use foresail_adapters::atomic::WholeFile;
use foresail_core::quantity::time::Span;
use serde_json::json;

use super::options::{ModeArg, Options};
use super::{places, report};
use crate::cli::{Output, print_csv, print_table};
use crate::exit::Code;
use crate::experiment::Mode;
use crate::experiment::asked::Asker;
use crate::experiment::fly::{Run, fly};
use crate::experiment::row::{Row, Rows};
use crate::experiment::schedule::Schedule;
use crate::experiment::told::{End, Head, KIND, Line, Told, VERSION};
use crate::experiment::world::{self, World};
use foresail_web::page::text::number;

/// Simulated time that a script takes where nobody says another.
const LATENCY: Span = Span::from_seconds(2);

/// One run and its file.
struct Ran {
    mode: Mode,
    seed: u64,
    file: PathBuf,
    answers: u64,
    questions: u64,
    end: End,
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
    let mut asker = Asker::new(&options.choice(), &options.model, latency, record)?;
    let wanted: Vec<(Mode, u64)> = (0..options.seeds)
        .map(|i| options.seed.wrapping_add(i))
        .flat_map(|seed| options.mode.modes().into_iter().map(move |mode| (mode, seed)))
        .collect();
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
    let mut all = Vec::new();
    for which in wanted {
        asker.begin_run()?;
        all.push(one(options, &world, &mut asker, which)?);
    }
    let (label, text) = (asker.label.clone(), asker.text());
    asker.finish()?;
    print(&all, (&label, &text), output, out)?;
    all.iter()
        .for_each(|r| eprintln!("rows: {}", r.file.display()));
    if options.mode == ModeArg::All {
        let files: Vec<PathBuf> = all.into_iter().map(|r| r.file).collect();
        let folder = options.output_dir.join("report");
        report::write(&files, &folder)?;
        eprintln!("report: {}", folder.join("index.html").display());
    }
    Ok(Code::Done)
}

fn world_of(options: &Options) -> Result<World> {
    let schedule = match &options.stress {
        Some(file) => Schedule::read(file)?,
        None => Schedule::default(),
    };
    let length = Span::from_seconds_f64(options.duration * 60.0)
        .with_context(|| format!("--duration {}: must be minutes", options.duration))?;
    World::new(
        world::Options {
            interval: Span::from_seconds(options.interval.into()),
            length,
            deployment: options.deployment.clone(),
            min: options.min_replicas,
            max: options.max_replicas,
            cpu_target: options.cpu_target,
            memory_target: options.memory_target,
            history: Span::from_seconds(i64::from(options.history_minutes) * 60),
        },
        schedule,
    )
}

/// `experiment_<mode>_<begin>.csv`, the begin in simulated time.
fn csv_file(options: &Options, (mode, seed): (Mode, u64)) -> PathBuf {
    let digits = |c: char| match c {
        '-' | ':' | 'Z' => None,
        'T' => Some('_'),
        other => Some(other),
    };
    let begin: String = World::start(seed)
        .to_string()
        .chars()
        .filter_map(digits)
        .collect();
    options
        .output_dir
        .join(format!("experiment_{}_{begin}.csv", mode.name()))
}

/// One run with its two files; both are there, or none.
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
    let end = fly(&run, asker, &mut sink)?;
    ensure!(
        mode != Mode::Comparison || end.writes == 0,
        "mode comparison wrote {} times: this is a mistake in Foresail, please tell us",
        end.writes
    );
    line(&mut beside, &Line::End(Box::new(end.clone())))?;
    beside.commit()?;
    rows.end()?.commit()?;
    Ok(Ran {
        mode,
        seed,
        file,
        answers,
        questions,
        end,
    })
}

fn line(out: &mut WholeFile, value: &impl serde::Serialize) -> Result<()> {
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
        interval_seconds: world.options.interval.seconds(),
        length_seconds: world.length.seconds(),
        history_seconds: world.options.history.seconds(),
        bounds: (options.min_replicas, options.max_replicas),
        targets: (options.cpu_target, options.memory_target),
        latency_seconds: options.latency.map(Span::seconds),
        slo: world.cluster.slo.to_string(),
        schedule: world.schedule.clone(),
    }
}

/// One row in a line.
fn verbose(row: &Row, told: &Told) -> String {
    let asked = told.asked.as_ref();
    let failure = asked.and_then(|a| a.failure.as_deref());
    let advised = match (&row.advised, failure) {
        (Some(advised), _) => format!("adviser {}", advised.recommended),
        (None, Some(why)) => format!("adviser: {why}"),
        (None, None) => "nobody asked".to_owned(),
    };
    let hpa = row
        .hpa_desired
        .map_or_else(|| "unknown".to_owned(), |n| n.to_string());
    format!(
        "{} {}: {} replicas, HPA {hpa}, {advised}; {} by {}",
        row.at,
        row.mode.name(),
        row.current,
        row.applied,
        row.applied_by.name()
    )
}

/// Columns of the summary.
const SUMMARY: [&str; 9] = [
    "mode",
    "seed",
    "rows",
    "writes",
    "replica-minutes",
    "late %",
    "late minutes",
    "asked",
    "answered in time",
];

fn print(
    all: &[Ran],
    (label, text): (&str, &str),
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let share = |end: &End| {
        if end.requests > 0.0 {
            end.late * 100.0 / end.requests
        } else {
            0.0
        }
    };
    let cells = |r: &Ran| -> Vec<String> {
        let end = &r.end;
        vec![
            r.mode.name().to_owned(),
            r.seed.to_string(),
            end.rows.to_string(),
            end.writes.to_string(),
            number(end.replica_minutes, 1),
            number(share(end), 2),
            end.late_minutes.to_string(),
            r.questions.to_string(),
            r.answers.to_string(),
        ]
    };
    match output {
        Output::Table => {
            print_table(&SUMMARY, all.iter().map(cells).collect(), out)?;
            Ok(writeln!(out, "asked: {text}")?)
        }
        Output::Csv => {
            let with = |r: &Ran| {
                let mut row = cells(r);
                row.push(label.to_owned());
                row
            };
            let columns: Vec<&str> = SUMMARY.into_iter().chain(["adviser"]).collect();
            print_csv(&columns, &all.iter().map(with).collect::<Vec<_>>(), out)
        }
        Output::Json => {
            let of = |r: &Ran| {
                json!({"mode": r.mode.name(), "seed": r.seed, "file": name_of(&r.file), "rows": r.end.rows,
                       "writes": r.end.writes, "replicaMinutes": r.end.replica_minutes,
                       "latePercent": share(&r.end), "lateMinutes": r.end.late_minutes,
                       "asked": r.questions, "answeredInTime": r.answers})
            };
            let runs: Vec<_> = all.iter().map(of).collect();
            let all = json!({"v": 1, "adviser": label, "about": text, "runs": runs});
            Ok(writeln!(out, "{all}")?)
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}
