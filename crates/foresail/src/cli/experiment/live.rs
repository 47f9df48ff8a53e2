//! A run on a cluster: what it needs is looked at, the HPA made or taken away, rows written as they
//! come, and everything put back, however it ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use foresail_adapters::kubernetes::client::{Clients, Place};
use foresail_adapters::prometheus::{Access, Prometheus};
use foresail_core::quantity::time::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::json;
use tokio::runtime::Runtime;

use super::options::Options;
use super::simulate::{Ran, line, named, of_rules, past, verbose};
use super::summary::print;
use crate::cli::Output;
use crate::cli::cluster::checkup::{Level, Line as Checked};
use crate::cli::cluster::{coded, refusal};
use crate::compare::prometheus::{now, runtime};
use crate::exit::{Code, code_of};
use crate::experiment::Mode;
use crate::experiment::asked::{Asker, Choice};
use crate::experiment::live::check::{self, Whom};
use crate::experiment::live::demand::Demand;
use crate::experiment::live::engines::Engines;
use crate::experiment::live::hpa::{MADE, differences, manifest};
use crate::experiment::live::keep::{self, Restored};
use crate::experiment::live::run as loops;
use crate::experiment::live::run::{Crew, Live};
use crate::experiment::live::site::Site;
use crate::experiment::live::strain::{Pods, Strain, Strained};
use crate::experiment::live::usage::requests;
use crate::experiment::row::{Row, Rows};
use crate::experiment::rules::Rules;
use crate::experiment::schedule::Schedule;
use crate::experiment::told::{Head, KIND, Line, Told, VERSION};
use crate::experiment::world::SLO;
use crate::interrupt;

/// Where the published experiment asks Prometheus.
/// Source: alcocuzzi/etp, autoscaler/config.py.
const PROMETHEUS: &str = "http://localhost:9090";

/// Time between two attempts to put the HPA back.
const AGAIN: Duration = Duration::from_millis(500);

/// Time from the begin of a schedule's threads to its first request.
const READY: i64 = 5;

/// A schedule, and the pods that it is carried out on.
pub(super) struct Plan<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) pods: Pods,
}

/// One run that is over.
pub(super) struct Done {
    pub(super) ran: Ran,
    pub(super) asker: Asker,
    /// What its schedule came to.
    pub(super) strained: Strained,
    /// `true` where another HPA came.
    pub(super) rival: bool,
}

/// Everything that a live run goes by.
pub(super) struct Scene<'a> {
    pub(super) options: &'a Options,
    pub(super) rules: Rules,
    pub(super) runtime: Runtime,
    pub(super) site: Site,
}

impl<'a> Scene<'a> {
    /// The scene of the flags; nothing is asked yet.
    ///
    /// # Errors
    /// Where a flag is out of its range, or there is no usable kubeconfig.
    pub(super) fn new(options: &'a Options) -> Result<Self> {
        let rules = Rules::new(of_rules(options)?, options.live.hpa.settings())?;
        let runtime = runtime()?;
        let place = Place {
            kubeconfig: options.live.kubeconfig.clone(),
            context: options.live.context.clone(),
        };
        let clients = runtime.block_on(Clients::new(&place));
        let clients = clients.map_err(|e| refusal(Code::Usage, e.to_string()))?;
        let url = options.prometheus_url.as_deref().unwrap_or(PROMETHEUS);
        let prometheus = Prometheus::new(Access::new(url))?;
        let site = Site::new(clients, &options.namespace, prometheus, &rules)?;
        Ok(Self {
            options,
            rules,
            runtime,
            site,
        })
    }

    /// The deployment.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn deployment(&self) -> Result<Deployment> {
        let site = &self.site;
        let found = self.runtime.block_on(site.deployment());
        found.map_err(|f| coded(&site.what(), &f))
    }

    /// Where an HPA that is taken away is kept.
    fn kept(&self) -> PathBuf {
        keep::file(&self.options.output_dir, &self.site)
    }

    /// What a live run needs.
    fn checked(&self, choice: &Choice, mode: Mode, twins: bool) -> Vec<Checked> {
        let model = &self.options.model;
        // On twins the demand's query names what is not there yet.
        let demand = match (mode, twins) {
            (Mode::Predictive, false) => self.options.demand_of(&self.options.deployment),
            _ => None,
        };
        let demand = demand.as_deref();
        let whom = Whom {
            choice,
            model,
            demand,
        };
        self.runtime
            .block_on(check::look(&self.site, &whom, (mode, twins), now()))
    }

    /// Puts back what a run left behind, again and again while the cluster is away.
    ///
    /// # Errors
    /// Where it does not come back within `--timeout`, with the command that repeats it.
    fn put_back(&self) -> Result<Restored> {
        let most = Duration::from_nanos(self.options.live.timeout.nanos().unsigned_abs());
        let begun = Instant::now();
        loop {
            match self
                .runtime
                .block_on(keep::restore(&self.site, &self.kept()))
            {
                Ok(restored) => return Ok(restored),
                // What the cluster refuses now it refuses in a minute too.
                Err(error) if begun.elapsed() >= most || code_of(&error) != Code::Unreachable => {
                    return Err(error.context(format!(
                        "what this run changed is not put back; `foresail experiment --restore --namespace {} --deployment {} \
                         --output-dir {}` does it, and so does the next start",
                        self.options.namespace,
                        self.options.deployment,
                        self.options.output_dir.display()
                    )));
                }
                Err(_) => std::thread::sleep(AGAIN),
            }
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Where something that a run needs is not there, a flag is of the simulator, or a file cannot be
/// written.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<Code> {
    options.check_live(false)?;
    let output = Output::here(options.output)?;
    let scene = Scene::new(options)?;
    interrupt::catch();
    if options.live.restore {
        return restore(&scene, out);
    }
    let mode = options.mode.modes()[0];
    let choice = options.choice(Choice::of_live());
    if options.live.check {
        let lines = scene.checked(&choice, mode, false);
        tell(&lines, out)?;
        let fails = lines.iter().any(|(level, _)| *level == Level::Fail);
        return Ok(if fails { Code::Usage } else { Code::Done });
    }
    needs(&scene, &choice, mode, false)?;
    let record = options.record.as_deref();
    let asker = Asker::new(&choice, &options.model, Duration::ZERO, record)?;
    match mode.asks() {
        true => eprintln!("asked: {}", asker.text()),
        false => eprintln!("asked: nobody in mode {}", mode.name()),
    }
    let Done {
        ran, asker, rival, ..
    } = one(&scene, mode, asker, None)?;
    let (label, text) = (asker.label.clone(), asker.text());
    asker.finish()?;
    let whole = ran.flown.end.is_some();
    let file = ran.file.clone();
    print(&[ran], (&label, &text), output, out)?;
    eprintln!("rows: {}", file.display());
    if rival {
        let told = "another HorizontalPodAutoscaler came while the run wrote: its rows until then are kept";
        return Err(refusal(Code::Conflict, told));
    }
    if !whole {
        eprintln!("interrupted: rows until then are kept");
        return Ok(Code::Interrupted);
    }
    Ok(Code::Done)
}

/// Looks at what a run needs, and tells of it.
///
/// # Errors
/// Where something is not there, with the mend.
pub(super) fn needs(scene: &Scene<'_>, choice: &Choice, mode: Mode, twins: bool) -> Result<()> {
    let lines = scene.checked(choice, mode, twins);
    tell(&lines, &mut std::io::stderr())?;
    check::passed(&lines)
}

fn restore(scene: &Scene<'_>, out: &mut dyn Write) -> Result<Code> {
    let restored = scene.put_back()?;
    let told = restored.told(&scene.kept());
    let nothing = || "nothing was left behind".to_owned();
    writeln!(out, "{}", told.unwrap_or_else(nothing))?;
    Ok(match restored {
        Restored::Other(..) => Code::Conflict,
        _ => Code::Done,
    })
}

fn tell(lines: &[Checked], out: &mut dyn Write) -> Result<()> {
    for (level, text) in lines {
        let word = match level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "fail",
        };
        writeln!(out, "{word:<5} {text}")?;
    }
    Ok(())
}

/// One run with its two files, and everything put back behind it.
///
/// # Errors
/// Where the HPA cannot be made or taken away, a file not be written, or what was changed not be
/// put back.
pub(super) fn one(
    scene: &Scene<'_>,
    mode: Mode,
    asker: Asker,
    plan: Option<&Plan<'_>>,
) -> Result<Done> {
    std::fs::create_dir_all(&scene.options.output_dir)
        .with_context(|| format!("cannot make {}", scene.options.output_dir.display()))?;
    begin(scene, mode)?;
    let flown = prepared(scene, mode).and_then(|()| fly(scene, mode, asker, plan));
    if mode != Mode::Comparison {
        let restored = scene.put_back();
        match (restored, &flown) {
            (Ok(restored), _) => {
                if let Some(told) = restored.told(&scene.kept()) {
                    eprintln!("note: {told}");
                }
            }
            (Err(error), Ok(_)) => return Err(error),
            // The first mistake is the one to be told; the second is no less true.
            (Err(error), Err(_)) => eprintln!("warning: {error:#}"),
        }
    }
    flown
}

/// What an earlier run left behind is put back first.
fn begin(scene: &Scene<'_>, mode: Mode) -> Result<()> {
    let site = &scene.site;
    if mode != Mode::Comparison {
        let restored = scene.put_back()?;
        if let Some(told) = restored.told(&scene.kept()) {
            eprintln!("note: an earlier run was not ended: {told}");
        }
        return Ok(());
    }
    let is_left = scene.runtime.block_on(async {
        let deployment = site.deployment().await;
        let deployment = deployment.map_err(|f| coded(&site.what(), &f))?;
        keep::is_left(&deployment, site.find_hpa().await?.as_ref())
    })?;
    match is_left {
        false => Ok(()),
        true => Err(refusal(
            Code::Conflict,
            "an earlier run was not ended, and mode comparison writes nothing: give --restore first",
        )),
    }
}

/// Makes the HPA, or saves it and takes it away.
fn prepared(scene: &Scene<'_>, mode: Mode) -> Result<()> {
    let (site, rules) = (&scene.site, &scene.rules);
    scene.runtime.block_on(async {
        let found = site.find_hpa().await?;
        let mut meant = manifest(rules, &site.place.namespace)?;
        match (mode, found) {
            (Mode::HpaOnly, Some(hpa)) => site.check_hpa(&hpa, rules),
            (Mode::HpaOnly, None) => {
                let at = now().to_string();
                meant["metadata"]["annotations"] = json!({MADE: at});
                site.make_hpa(&meant).await?;
                eprintln!("note: there was no HorizontalPodAutoscaler; one is made, and taken away at the end");
                Ok(())
            }
            (Mode::AiScaler | Mode::Predictive, Some(hpa)) => {
                site.check_hpa(&hpa, rules)?;
                site.check_owner(&hpa)?;
                let deployment = site.deployment().await;
                let deployment = deployment.map_err(|f| coded(&site.what(), &f))?;
                keep::save(site, &deployment, &hpa, &scene.kept(), now()).await?;
                site.delete_hpa(&hpa).await?;
                eprintln!(
                    "note: the HorizontalPodAutoscaler {} is saved in {} and taken away; it is put back at the end",
                    hpa.name(),
                    scene.kept().display()
                );
                Ok(())
            }
            (Mode::Comparison, Some(hpa)) => {
                let differs = differences(hpa.spec(), &meant["spec"]);
                if !differs.is_empty() {
                    eprintln!(
                        "note: the HorizontalPodAutoscaler {} is another one than the flags say, by which the columns hpa_sim_ go: {}",
                        hpa.name(),
                        differs.join("; ")
                    );
                }
                Ok(())
            }
            (Mode::AiScaler | Mode::Predictive, None) => {
                eprintln!("note: no HorizontalPodAutoscaler is there that would have to be taken away");
                Ok(())
            }
            (Mode::Comparison, None) => Ok(()),
            (Mode::NaiveHpa | Mode::Oracle, _) => Err(anyhow!(
                "mode {} governs no cluster: give --simulate",
                mode.name()
            )),
        }
    })
}

fn fly(scene: &Scene<'_>, mode: Mode, asker: Asker, plan: Option<&Plan<'_>>) -> Result<Done> {
    // Forecasters learn the past before the run begins.
    let crew = crew(scene, mode)?;
    let ready = plan.map_or(1, |_| READY);
    let start = Timestamp::from_seconds(now().nanos().div_euclid(1_000_000_000) + ready);
    let file = named(&scene.options.output_dir, mode, start);
    let mut beside = created(&file.with_extension("jsonl"))?;
    let mut rows = Rows::begin(created(&file)?)?;
    let (uid, head) = head(scene, mode, start, &asker, plan.map(|p| p.schedule))?;
    line(&mut beside, &head)?;
    let length = scene.rules.options.length;
    let strain = plan.map(|p| Strain::begin(&p.pods, p.schedule, length, start));
    let strain = strain.transpose()?;
    let (mut questions, mut answers) = (0, 0);
    let live = Live {
        site: &scene.site,
        rules: &scene.rules,
        mode,
        naive: scene.options.naive_hpa,
        uid,
        start,
    };
    let mut sink = |row: &Row, told: &Told| -> Result<()> {
        questions += u64::from(told.asked.is_some());
        answers += u64::from(row.advised.is_some());
        if scene.options.verbose {
            eprintln!("{}", verbose(row, told));
        }
        rows.write(row)?;
        line(&mut beside, &Line::Row(Box::new(told.clone())))
    };
    let ended = loops::run(&live, &scene.runtime, (crew, asker), &mut sink);
    // Whatever became of the rows, nothing may go on in the pods.
    let strained = strain.map(Strain::end).unwrap_or_default();
    let mut ended = ended?;
    if let (Some(end), Some(load)) = (&mut ended.flown.end, &strained.load) {
        end.requests = Some(load.due as f64);
        end.unserved = Some(load.due.saturating_sub(load.answered) as f64);
        end.late = load.kept.map(|kept| load.due.saturating_sub(kept) as f64);
    }
    line(&mut beside, &ended.flown.line())?;
    anyhow::ensure!(
        mode.takes_over() || ended.flown.writes == 0,
        "mode {} wrote {} times: this is a mistake in Foresail, please tell us",
        mode.name(),
        ended.flown.writes
    );
    let ran = Ran {
        mode,
        seed: None,
        file,
        answers,
        questions,
        flown: ended.flown,
        kept: true,
    };
    Ok(Done {
        ran,
        asker: ended.asker,
        strained,
        rival: ended.rival,
    })
}

/// Who decides, and what they are told of the demand where they forecast it.
fn crew(scene: &Scene<'_>, mode: Mode) -> Result<Crew> {
    let options = scene.options;
    let query = options.demand_of(&options.deployment);
    let (mut demand, mut before) = (None, Vec::new());
    if let Some(query) = query.filter(|_| mode == Mode::Predictive) {
        let past = options.past;
        let (feed, minutes) =
            Demand { query, past }.begin((&scene.site.prometheus, &scene.runtime), now())?;
        eprintln!("note: {} minutes of past demand", minutes.len());
        (demand, before) = (Some(feed), minutes);
    }
    Ok(Crew {
        engines: Engines::new(&scene.rules, mode, options.gated, &before)?,
        demand,
    })
}

fn created(path: &Path) -> Result<File> {
    let file = File::options().write(true).create_new(true).open(path);
    file.with_context(|| format!("cannot make {}", path.display()))
}

/// The deployment's unique name, and what was run.
fn head(
    scene: &Scene<'_>,
    mode: Mode,
    start: Timestamp,
    asker: &Asker,
    schedule: Option<&Schedule>,
) -> Result<(String, Head)> {
    let (options, rules, site) = (scene.options, &scene.rules, &scene.site);
    let (uid, shown) = scene.runtime.block_on(async {
        let fault = |f| coded(&site.what(), &f);
        let deployment = site.deployment().await.map_err(fault)?;
        let shown = site.look().await.map_err(fault)?;
        Ok::<_, anyhow::Error>((deployment.metadata.uid.unwrap_or_default(), shown))
    })?;
    let cpu_request = requests(&shown.pods).0.0;
    let cpu_request = cpu_request.ok_or_else(|| {
        anyhow!(
            "{} has no pod that tells what CPU it requests: let it have one",
            site.what()
        )
    })?;
    // Whoever puts pods under stress beside such a run is not known to it.
    let unknown = || Schedule {
        replicas: shown.replicas,
        load: Vec::new(),
        cpu: Vec::new(),
        memory: Vec::new(),
        ..Schedule::default()
    };
    let head = Head {
        record: KIND.to_owned(),
        v: VERSION,
        mode: mode.name().to_owned(),
        seed: 0,
        adviser: asker.label.clone(),
        is_model: asker.is_model,
        naive: options.naive_hpa,
        gated: options.gated,
        workload: (options.namespace.clone(), rules.options.deployment.clone()),
        start,
        interval_seconds: rules.options.interval.seconds(),
        length_seconds: rules.options.length.seconds(),
        history_seconds: rules.options.history.seconds(),
        bounds: (rules.options.min, rules.options.max),
        targets: (rules.options.cpu_target, rules.options.memory_target),
        cpu_request,
        past_seconds: past(options, mode),
        capacity: options.capacity.filter(|_| mode == Mode::Predictive),
        latency_seconds: None,
        live: true,
        slo: schedule.map_or_else(String::new, |_| SLO.to_string()),
        schedule: schedule.cloned().unwrap_or_else(unknown),
    };
    Ok((uid, head))
}
