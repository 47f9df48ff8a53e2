//! `foresail aquatope schedule --provider`: pools of functions that are really there, decided minute by
//! minute by the same engine as in the simulator.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use foresail_adapters::provider::{FunctionSeen, Provider};
use foresail_core::quantity::time::Span;
use foresail_models::rng::Seed;
use serde_json::{Value, json};

use super::ScheduleArgs;
use super::told::{Changes, Level};
use crate::cli::Output;
use crate::cli::provider::Found;
use crate::cli::watch::sleep_until;
use crate::compare::prometheus::now;
use crate::config::{Environment, Settings};
use crate::exit::{Code, is_stopped};
use crate::interrupt;
use crate::live::journal::ByFunction;
use crate::live::pools::Minute;
use crate::live::{Journal, LiveWorkflow, Pools};

/// Where the journal is written that is named by nobody.
const JOURNAL: &str = "aquatope-schedule.jsonl";

/// Memory of a container that nothing tells.
/// Source: specs/aapa_aquatope.md 2.4, `create_action`: 256 MB.
const MEMORY_BYTES: u64 = 256 << 20;

/// Bytes of a mebibyte.
const MEBI: f64 = 1_048_576.0;

/// What a live schedule is told besides.
#[derive(Args, Debug)]
#[command(next_help_heading = "Live schedule")]
pub(super) struct LiveArgs {
    /// A function whose pool is scheduled; may be repeated [default: those of --workflow-config]
    #[arg(long, value_name = "NAME")]
    function: Vec<String>,
    /// Time between two decisions; peaks are those of whole minutes all the same
    #[arg(long, value_name = "SPAN", default_value = "60s", value_parser = interval)]
    interval: Span,
    /// How long to run; 0s = until Ctrl-C
    #[arg(long, value_name = "SPAN", default_value = "0s")]
    duration: Span,
    /// Decide once and leave the pools as decided
    #[arg(long, conflicts_with = "duration")]
    once: bool,
    /// The fewest containers of a pool [default: 1 on Kubernetes, where a request starts no pod, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    min: Option<u32>,
    /// Leave the pools as they are at the end, in the place of those from before
    #[arg(long)]
    leave: bool,
    /// Where each decision is written, with the pools from before [default: aquatope-schedule.jsonl]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

impl LiveArgs {
    /// Refuses flags that only a live schedule has.
    pub(super) fn check_simulated(&self) -> Result<()> {
        let given = [
            (!self.function.is_empty(), "--function"),
            (self.once, "--once"),
            (self.leave, "--leave"),
            (self.min.is_some(), "--min"),
            (self.journal.is_some(), "--journal"),
        ];
        match given.iter().find(|(is_there, _)| *is_there) {
            Some((_, flag)) => {
                bail!("{flag} needs --provider openwhisk or --provider kubernetes")
            }
            None => Ok(()),
        }
    }
}

fn interval(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|e| format!("{e}"))?;
    let fits = span >= Span::from_seconds(1) && span <= Span::from_seconds(3600);
    fits.then_some(span)
        .ok_or_else(|| "must be 1s to 1h".to_owned())
}

/// A schedule under way.
struct Session<'a> {
    provider: &'a mut dyn Provider,
    pools: Pools<Changes>,
    journal: Option<Journal>,
    names: Vec<String>,
    output: Output,
    /// What could not be done last, told once.
    told: String,
    /// `true` where a write was ended on the way: it may be in force for some functions alone.
    cut: bool,
}

/// Runs the schedule.
pub(super) fn run(args: &ScheduleArgs, output: Output, out: &mut dyn Write) -> Result<Code> {
    let (file, _) = args.net()?;
    let flow = args.calls.workflow().map(LiveWorkflow::read).transpose()?;
    let names = functions(args, flow.as_ref())?;
    let settings = Settings::load(None, &Environment)?;
    // What is called does not matter here: pools are of functions.
    let mut found = args.provider.find(names.clone(), None, &settings)?;
    let keeps_idle = matches!(found, Found::OpenWhisk(_));
    let provider: &mut dyn Provider = match &mut found {
        Found::OpenWhisk(functions) => functions.as_mut(),
        Found::Kubernetes(functions) => functions.as_mut(),
    };
    let seen = provider.look()?;
    let memory: Vec<(String, u64)> = names.iter().cloned().zip(seen.iter().map(bytes)).collect();
    let level = Level::new(args.quantile);
    let policy = args.policy(file);
    let budget = args.memory_budget.map(|m| m.0);
    let least = args.live.min.unwrap_or(u32::from(!keeps_idle));
    ensure!(
        least <= args.max,
        "--min {least}: more than --max {}",
        args.max
    );
    let listener = (Seed(args.seed), Changes::of(names.clone(), level));
    let pools = Pools::new(&policy, &memory, (budget, least), now(), listener)?;
    let pools = match keeps_idle {
        true => pools,
        false => pools.holding(args.keep_alive),
    };
    let journal = match args.provider.dry_run {
        true => None,
        false => {
            let path = args.live.journal.clone();
            let path = path.unwrap_or_else(|| PathBuf::from(JOURNAL));
            Some(open(&path, args, &names, &seen)?)
        }
    };
    let mut session = Session {
        provider,
        pools,
        journal,
        names,
        output,
        told: String::new(),
        cut: false,
    };
    interrupt::catch();
    let code = session.all(args, out);
    let restores = session.cut || (!args.live.once && !args.live.leave);
    let back = match restores {
        true => session.put_back(),
        false => session.end("left"),
    };
    match (code, back) {
        (Ok(code), Ok(())) => Ok(code),
        (Ok(_), Err(error)) => Err(error),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(second)) => Err(error.context(format!("{second:#}"))),
    }
}

/// The functions that are named, else the workflow's.
fn functions(args: &ScheduleArgs, flow: Option<&LiveWorkflow>) -> Result<Vec<String>> {
    ensure!(
        args.calls.has_no_trace(),
        "--trace, --functions and what belongs to a trace are of the simulator; live calls are those of --provider"
    );
    let named = &args.live.function;
    let names = match (named.is_empty(), flow) {
        (false, _) => named.clone(),
        (true, Some(flow)) => flow.functions(),
        (true, None) => bail!("no functions: pass --function NAME, or --workflow-config FILE"),
    };
    for (place, name) in names.iter().enumerate() {
        ensure!(
            !names[..place].contains(name),
            "--function {name}: stands there twice"
        );
    }
    Ok(names)
}

/// Memory of one container.
fn bytes(seen: &FunctionSeen) -> u64 {
    let mib = seen.size.memory_mib;
    mib.map_or(MEMORY_BYTES, |mib| (mib * MEBI).round() as u64)
}

/// The journal, with the pools from before in it.
fn open(
    path: &Path,
    args: &ScheduleArgs,
    names: &[String],
    seen: &[FunctionSeen],
) -> Result<Journal> {
    let mut journal = Journal::open(path, &args.provider.place())?;
    if journal.former().is_some() {
        eprintln!(
            "note: a schedule before this one did not end ({}): the pools from before it are those that come back",
            path.display()
        );
        return Ok(journal);
    }
    let pairs = names.iter().zip(seen);
    let former: ByFunction = pairs
        .filter_map(|(name, seen)| Some((name.clone(), seen.pool?)))
        .collect();
    journal.keep(&former)?;
    Ok(journal)
}

impl Session<'_> {
    fn all(&mut self, args: &ScheduleArgs, out: &mut dyn Write) -> Result<Code> {
        let interval = args.live.interval;
        let begin = now();
        let end = Some(args.live.duration)
            .filter(|d| *d > Span::ZERO)
            .map(|d| begin + d);
        let mut next = begin;
        head(self.output, out)?;
        loop {
            let done = self.minute(out)?;
            match (args.live.once, done) {
                (true, true) => return Ok(Code::Done),
                _ if interrupt::asked() => return Ok(Code::Interrupted),
                (true, false) => return Ok(Code::Unreachable),
                (false, _) => {}
            }
            let behind = (now() - next).nanos().max(0) / interval.nanos();
            next = next + Span::from_nanos(interval.nanos().saturating_mul(behind + 1));
            if end.is_some_and(|end| next >= end) {
                return Ok(Code::Done);
            }
            if !sleep_until(next) {
                return Ok(Code::Interrupted);
            }
        }
    }

    /// One decision; `false` where nothing could be decided or written.
    fn minute(&mut self, out: &mut dyn Write) -> Result<bool> {
        let at = now();
        let minute = match self.pools.decide(self.provider, at) {
            Ok(Some(minute)) => minute,
            Ok(None) => return Ok(true),
            // Nothing was decided: the end is told by who goes on.
            Err(error) if is_stopped(&error) => return Ok(false),
            Err(error) => {
                let text = format!("{error:#}");
                self.warn(&text);
                self.write(&json!({"at": at.to_string(), "undecided": text}))?;
                return Ok(false);
            }
        };
        let pools = minute.pools();
        let changes = self.pools.listener.drain();
        let is_new = pools.iter().any(Option::is_some);
        let written = match is_new {
            true => self.provider.set_pools(&pools),
            false => Ok(()),
        };
        self.cut = written.as_ref().is_err_and(|e| e.stopped);
        let outcome = match (&written, is_new, self.journal.is_some()) {
            (Err(error), _, _) => error.to_string(),
            (Ok(()), false, _) => "unchanged".to_owned(),
            (Ok(()), true, false) => "dry run".to_owned(),
            (Ok(()), true, true) => "applied".to_owned(),
        };
        if self.journal.is_some() {
            self.pools.settle(&minute, written.is_ok());
        }
        match &written {
            Ok(()) => self.warn(""),
            Err(error) => self.warn(&error.to_string()),
        }
        self.tell(&minute, &changes, &outcome, out)?;
        Ok(written.is_ok())
    }

    fn warn(&mut self, text: &str) {
        if text == self.told {
            return;
        }
        match text.is_empty() {
            true => eprintln!("note: {} answers again", self.provider.name()),
            false => eprintln!("warning: {text}"),
        }
        text.clone_into(&mut self.told);
    }

    fn tell(
        &mut self,
        minute: &Minute,
        changes: &[(usize, Value, String)],
        outcome: &str,
        out: &mut dyn Write,
    ) -> Result<()> {
        let function = |place: usize| {
            let decided = &minute.decided[place];
            let told = changes.iter().find(|(of, _, _)| *of == place);
            json!({
                "function": self.names[place], "peak": decided.peak, "before": decided.before,
                "pool": decided.pool, "set": decided.set, "change": told.map(|(_, value, _)| value),
            })
        };
        let all: Vec<Value> = (0..minute.decided.len()).map(function).collect();
        let line = json!({"at": minute.at.to_string(), "functions": all, "outcome": outcome});
        self.write(&line)?;
        match self.output {
            Output::Json => writeln!(out, "{line}")?,
            _ => self.rows(minute, changes, outcome, out)?,
        }
        out.flush()?;
        Ok(())
    }

    fn rows(
        &self,
        minute: &Minute,
        changes: &[(usize, Value, String)],
        outcome: &str,
        out: &mut dyn Write,
    ) -> Result<()> {
        for decided in &minute.decided {
            let told = changes.iter().find(|(of, _, _)| *of == decided.place);
            let why = told.map_or("unchanged", |(_, _, why)| why.as_str());
            let number = |n: Option<String>| n.unwrap_or_else(|| "-".to_owned());
            writeln!(
                out,
                "{:<20} {:<24} {:>6} {:>7} {:>6} {:>6}  {:<9} {}",
                minute.at.to_string().chars().take(19).collect::<String>() + "Z",
                self.names[decided.place],
                number(decided.peak.map(|p| format!("{p:.0}"))),
                number(decided.before.map(|b| b.to_string())),
                decided.pool,
                decided.set,
                outcome.split(':').next().unwrap_or_default(),
                why
            )?;
        }
        Ok(())
    }

    fn write(&mut self, line: &Value) -> Result<()> {
        self.journal.as_mut().map_or(Ok(()), |j| j.add(line))
    }

    /// The pools from before.
    fn put_back(&mut self) -> Result<()> {
        let Some(former) = self.journal.as_ref().and_then(|j| j.former().cloned()) else {
            return Ok(());
        };
        let pool = |name: &String| former.get(name).copied();
        let pools: Vec<Option<u32>> = self.names.iter().map(pool).collect();
        // What could never be set needs not to be put back.
        if pools.iter().all(Option::is_none) {
            return self.end("nothing to put back");
        }
        let told = || {
            let told: Vec<String> = former.iter().map(|(f, n)| format!("{f} {n}")).collect();
            format!(
                "the pools from before could not be put back: run it again with the same --journal, or set them by hand ({})",
                told.join(", ")
            )
        };
        self.provider.set_pools(&pools).with_context(told)?;
        eprintln!("note: the pools are as they were before");
        self.end("restored")
    }

    fn end(&mut self, how: &str) -> Result<()> {
        self.write(&json!({"at": now().to_string(), "end": how}))
    }
}

fn head(output: Output, out: &mut dyn Write) -> Result<()> {
    if output != Output::Json {
        writeln!(
            out,
            "{:<20} {:<24} {:>6} {:>7} {:>6} {:>6}  {:<9} WHY",
            "TIME", "FUNCTION", "PEAK", "BEFORE", "POOL", "SET", "OUTCOME"
        )?;
        out.flush()?;
    }
    Ok(())
}
