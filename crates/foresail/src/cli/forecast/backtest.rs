//! `foresail forecast backtest`: forecasters over rolling origins of a trace, or by a protocol.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use foresail_adapters::atomic::{MARKER, ResultsFolder};
use foresail_models::forecast::HORIZON_MAX;
use foresail_models::forecast::backtest::{Case, Plan, Window};
use foresail_models::registry::DEFAULT_FORECASTER;
use foresail_models::rng::Seed;
use foresail_web::png;
use serde_json::json;

use super::OneSeries;
use crate::cli::reading::tell;
use crate::cli::{Output, limit_jobs, print_csv, print_table, progress, whole};
use crate::compare::jobs;
use crate::exit::Code;
use crate::forecast::backtest::{
    COLUMNS, LeftOut, Method, Outcome, PROTOCOL, Row, method, protocol_method, rows, run as run_all,
};
use crate::forecast::chosen::{KnobText, each_has_its_forecaster, knob_of, quick};
use crate::forecast::duel::{Duel, Mean, Pooled, duels, means, pooled};
use crate::forecast::fans;
use crate::forecast::histories::{Split, busiest_of, case, named, plural, tell_gaps};
use crate::forecast::protocol::{AHEAD, groups};

/// The most origins of one series.
const ORIGINS_MAX: usize = 10_000;

/// A way of backtesting that others can repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    /// The baselines' protocol: eight sets, steps 1, 10 and 60
    Baselines,
}

/// What a protocol says by itself.
const OF_THE_PROTOCOL: [&str; 13] = [
    "trace",
    "items",
    "item",
    "ahead",
    "origins",
    "test_share",
    "window",
    "season",
    "format",
    "skip_bad_rows",
    "uneven",
    "start",
    "step",
];

/// Flags of `forecast backtest`.
#[derive(Args, Debug)]
pub(super) struct BacktestArgs {
    /// A trace: a file (plain, gzip or zstd), or a folder of Azure day files
    #[arg(long, value_name = "FILE", required_unless_present = "protocol")]
    trace: Option<PathBuf>,
    /// The N busiest items of the trace
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "item")]
    items: usize,
    #[command(flatten)]
    series: OneSeries,
    /// A protocol instead of a trace
    #[arg(long, value_enum, conflicts_with_all = OF_THE_PROTOCOL, requires = "data")]
    protocol: Option<Protocol>,
    /// The protocol's data folder
    #[arg(long, value_name = "DIR", env = "FORESAIL_DATA_DIR")]
    data: Option<PathBuf>,
    /// Only these sets of the protocol, with commas between
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        requires = "protocol"
    )]
    sets: Vec<String>,
    /// Forecasters, with commas between; the last is set beside the best of the others [default:
    /// those that fit quickly, or the protocol's baselines; then the default forecaster]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    forecasters: Vec<String>,
    /// A knob of one forecaster; may be repeated
    #[arg(long, value_name = "NAME.KNOB=VALUE", value_parser = knob_of)]
    knob: Vec<KnobText>,
    /// Steps ahead that are scored, with commas between
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "1,10,60"
    )]
    ahead: Vec<usize>,
    /// Origins of each series, evenly spaced over its test part
    #[arg(
        long,
        value_name = "N",
        default_value_t = 24,
        allow_hyphen_values = true
    )]
    origins: usize,
    /// Share of each series that is forecast
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.25,
        allow_hyphen_values = true
    )]
    test_share: f64,
    /// History of an origin: expanding, or so many of the last steps
    #[arg(long, value_name = "expanding|STEPS", default_value = "expanding", value_parser = window)]
    window: Window,
    /// Fit anew at every N-th origin; between them forecasters are only updated
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_hyphen_values = true
    )]
    refit: usize,
    /// Season in steps, for those that have one [default: found]
    #[arg(long, value_name = "STEPS")]
    season: Option<usize>,
    /// The only source of chance
    #[arg(long, default_value_t = 42, value_parser = whole, allow_hyphen_values = true)]
    seed: u64,
    /// Backtests at once [default: one per core]
    #[arg(long, value_name = "N", value_parser = jobs, allow_hyphen_values = true)]
    jobs: Option<usize>,
    /// Write summary.csv, run.json and fan charts (.svg and .png) into a folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How it is printed [default: table]
    #[arg(long, short, value_enum)]
    output: Option<Output>,
}

/// Reads `expanding` or a number of steps.
fn window(text: &str) -> Result<Window, String> {
    let steps = match text {
        "expanding" => return Ok(Window::Expanding),
        _ => text.parse::<usize>().ok().filter(|s| *s > 1),
    };
    let steps = steps.ok_or("write expanding, or a number of steps from 2 on")?;
    Ok(Window::Sliding(steps))
}

/// Series of one kind with the methods that run on them.
struct Set {
    name: String,
    cases: Vec<Case>,
    methods: Vec<Method>,
    /// How many of the cases get charts.
    charts: usize,
}

/// What a backtest gave.
#[derive(Default)]
struct Results {
    rows: Vec<Row>,
    duels: Vec<Duel>,
    pooled: Vec<Pooled>,
    means: Vec<Mean>,
    left_out: Vec<LeftOut>,
}

impl BacktestArgs {
    fn check(&self) -> Result<()> {
        if let Some(steps) = self.ahead.iter().find(|a| !(1..=HORIZON_MAX).contains(*a)) {
            bail!("--ahead {steps}: must be 1 to {HORIZON_MAX} steps");
        }
        if !(self.test_share > 0.0 && self.test_share < 1.0) {
            bail!(
                "--test-share {}: must be above 0 and below 1",
                self.test_share
            );
        }
        for (flag, value) in [
            ("origins", self.origins),
            ("refit", self.refit),
            ("items", self.items),
        ] {
            if !(1..=ORIGINS_MAX).contains(&value) {
                bail!("--{flag} {value}: must be 1 to {ORIGINS_MAX}");
            }
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let mut ahead = match self.protocol {
            Some(Protocol::Baselines) => AHEAD.to_vec(),
            None => self.ahead.clone(),
        };
        ahead.sort_unstable();
        ahead.dedup();
        Plan {
            window: self.window,
            ahead,
            refit_every: self.refit,
            seed: Seed(self.seed),
        }
    }

    fn names(&self) -> Vec<String> {
        let own = || {
            PROTOCOL
                .into_iter()
                .chain([DEFAULT_FORECASTER])
                .map(str::to_owned)
        };
        match self.protocol {
            _ if !self.forecasters.is_empty() => self.forecasters.clone(),
            Some(Protocol::Baselines) => own().collect(),
            None => quick(),
        }
    }

    fn sets(&self, plan: &Plan, names: &[String]) -> Result<Vec<Set>> {
        match (&self.trace, &self.data) {
            (Some(trace), _) => Ok(vec![self.trace_set(trace, plan, names)?]),
            (None, Some(data)) => self.protocol_sets(data, names),
            (None, None) => bail!("name a trace with --trace, or the data folder with --data"),
        }
    }

    fn trace_set(&self, trace: &Path, plan: &Plan, names: &[String]) -> Result<Set> {
        let of = |name: &String| method(name, &self.knob, self.season.unwrap_or(0));
        let methods = names.iter().map(of).collect::<Result<_>>()?;
        let mut items = self.series.reading.open(trace)?;
        let found = match &self.series.item {
            Some(name) => vec![named(items.as_mut(), name, trace)?],
            None => {
                let (found, of) = busiest_of(items.as_mut(), self.items, trace)?;
                if of > found.len() {
                    let count = found.len();
                    eprintln!(
                        "note: {of} items in the trace; the {count} busiest are taken (--items N for more)"
                    );
                }
                found
            }
        };
        self.series.reading.check_order(items.as_ref(), trace)?;
        tell(items.as_ref());
        found.iter().for_each(tell_gaps);
        let split = Split {
            ahead: plan.ahead.clone(),
            origins: self.origins,
            test_share: self.test_share,
        };
        let cases = found.into_iter().map(|item| case(item, &split));
        let cases = cases.collect::<Result<Vec<_>>>()?;
        let file = trace.file_name().unwrap_or_default().to_string_lossy();
        let name = file.split('.').next().unwrap_or_default().to_owned();
        Ok(Set {
            name,
            charts: cases.len(),
            cases,
            methods,
        })
    }

    fn protocol_sets(&self, data: &Path, names: &[String]) -> Result<Vec<Set>> {
        let (groups, missing) = groups(data)?;
        for name in missing {
            eprintln!("note: the set {name} is left out: its file is not in the data folder");
        }
        let known: Vec<&str> = groups.iter().map(|g| g.name).collect();
        if let Some(set) = self.sets.iter().find(|s| !known.contains(&s.as_str())) {
            bail!(
                "--sets {set}: there is no such set; known are {}",
                known.join(", ")
            );
        }
        let wanted = |name: &str| self.sets.is_empty() || self.sets.iter().any(|s| s == name);
        let chosen = groups.into_iter().filter(|g| wanted(g.name));
        let set = |group: crate::forecast::protocol::Group| {
            let of = |name: &String| protocol_method(name, &self.knob, group.season);
            Ok(Set {
                name: group.name.to_owned(),
                methods: names.iter().map(of).collect::<Result<_>>()?,
                cases: group.cases,
                charts: 1,
            })
        };
        chosen.map(set).collect()
    }
}

/// Runs the command.
///
/// # Errors
/// Where a trace cannot be read or is too short, no forecaster could run, or the folder not be
/// written.
pub(super) fn run(args: &BacktestArgs, out: &mut dyn Write) -> Result<Code> {
    let output = Output::here(args.output)?;
    args.check()?;
    limit_jobs(args.jobs);
    let (plan, names) = (args.plan(), args.names());
    each_has_its_forecaster(&args.knob, &names)?;
    let sets = args.sets(&plan, &names)?;
    // The place is tried before the work, so that nobody waits for nothing.
    let folder = args.out.as_deref().map(ResultsFolder::begin).transpose()?;
    let results = backtest(&sets, &plan, &names)?;
    if let Some(folder) = folder {
        write_folder(&folder, &sets, &plan, &results)?;
        folder.commit()?;
    }
    print(&results, output, out)?;
    if let Some(path) = &args.out {
        eprintln!("charts: {}", path.display());
    }
    Ok(Code::Done)
}

fn backtest(sets: &[Set], plan: &Plan, names: &[String]) -> Result<Results> {
    let length: usize = sets.iter().map(|s| s.cases.len() * s.methods.len()).sum();
    let bar = progress::bar(length as u64, "Backtesting");
    let last = names.last().map_or("", String::as_str);
    let mut results = Results::default();
    let mut all: Vec<Outcome> = Vec::new();
    for set in sets {
        let step = |case: &Case| bar.step(&case.id);
        let (outcomes, left_out) = run_all(&set.name, &set.methods, &set.cases, plan, &step);
        results.rows.extend(rows(&set.name, &outcomes, plan));
        results
            .duels
            .extend(duels(&set.name, last, &outcomes, &plan.ahead, plan.seed));
        results.left_out.extend(left_out);
        all.extend(outcomes);
    }
    bar.finish();
    for left in &results.left_out {
        eprintln!(
            "note: {} is left out of {}: {}",
            left.method, left.set, left.why
        );
    }
    if let ([], [first, ..]) = (&results.rows[..], &results.left_out[..]) {
        bail!("no forecaster could run; {}: {}", first.method, first.why);
    }
    results.pooled = pooled(last, &all, &plan.ahead, plan.seed);
    results.means = means(last, &results.rows, &plan.ahead);
    Ok(results)
}

impl Results {
    fn texts(&self) -> Vec<Vec<String>> {
        self.rows.iter().map(Row::texts).collect()
    }

    /// For programs, on one line that begins as every results file of ours does.
    fn json(&self) -> String {
        let left = |l: &LeftOut| json!({"set": l.set, "method": l.method, "why": l.why});
        let parts = [
            ("rows", self.rows.iter().map(Row::json).collect::<Vec<_>>()),
            ("duels", self.duels.iter().map(Duel::json).collect()),
            ("means", self.means.iter().map(Mean::json).collect()),
            ("coverage", self.pooled.iter().map(Pooled::json).collect()),
            ("leftOut", self.left_out.iter().map(left).collect()),
        ];
        let parts = parts.map(|(name, list)| format!("\"{name}\":{}", json!(list)));
        format!("{{\"v\":1,{}}}", parts.join(","))
    }
}

fn print(results: &Results, output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Csv => print_csv(&COLUMNS, &results.texts(), out)?,
        Output::Json => writeln!(out, "{}", results.json())?,
        Output::Table => {
            print_table(&COLUMNS, results.texts(), out)?;
            if !results.duels.is_empty() {
                writeln!(out, "\nScaled pinball loss beside the best of the others:")?;
                let duels = results.duels.iter().map(Duel::texts).collect();
                print_table(&Duel::COLUMNS, duels, out)?;
            }
            sentences(results, out)?;
        }
    }
    Ok(())
}

/// What the figures say, in words.
fn sentences(results: &Results, out: &mut dyn Write) -> Result<()> {
    let count = |verdict: &str| {
        results
            .duels
            .iter()
            .filter(|d| d.verdict() == verdict)
            .count()
    };
    if let Some(duel) = results.duels.first() {
        let (worse, better) = (count("significantly worse"), count("significantly better"));
        writeln!(
            out,
            "\n{}: significantly worse in {worse} of {}, significantly better in {better} (whole interval above or below zero; blocks of neighbouring origins)",
            duel.method,
            plural(results.duels.len(), "comparison"),
        )?;
    }
    for mean in &results.means {
        writeln!(out, "{}", mean.sentence())?;
    }
    if !results.pooled.is_empty() {
        writeln!(out, "\nCoverage, all series together:")?;
    }
    for pooled in &results.pooled {
        writeln!(out, "  {}", pooled.sentence())?;
    }
    Ok(())
}

/// The table, the results for programs, and a chart of each series and method.
fn write_folder(
    folder: &ResultsFolder,
    sets: &[Set],
    plan: &Plan,
    results: &Results,
) -> Result<()> {
    let mut csv = Vec::new();
    print_csv(&COLUMNS, &results.texts(), &mut csv)?;
    folder.write("summary.csv", |w| w.write_all(&csv))?;
    folder.write(MARKER, |w| writeln!(w, "{}", results.json()))?;
    let fonts = png::fonts();
    for set in sets {
        let failed = |m: &&Method| {
            let left = |l: &LeftOut| l.method == m.name && l.set == set.name;
            !results.left_out.iter().any(left)
        };
        for method in set.methods.iter().filter(failed) {
            for case in set.cases.iter().take(set.charts) {
                let fan = fans::of_case(method, case, plan)?;
                let name = fans::file_name(&[&set.name, &case.id, &method.name])?;
                let svg = foresail_web::forecast::draw(&fan).standalone(&fan.title);
                let picture = png::render(&svg, &fonts)?;
                folder.write(&format!("figures/{name}.svg"), |w| {
                    w.write_all(svg.as_bytes())
                })?;
                folder.write(&format!("figures/{name}.png"), |w| w.write_all(&picture))?;
            }
        }
    }
    Ok(())
}
