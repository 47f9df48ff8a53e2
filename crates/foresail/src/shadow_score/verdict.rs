//! From a record to its verdict.

use anyhow::{Context, Result, ensure};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::Spec;
use foresail_core::value::slo::Measure;
use foresail_models::rng::{Seed, child_seed};
use foresail_sim::config::ClusterConfig;
use serde::Serialize;

use super::calibrate::{Basis, Calibration, calibrated};
use super::fly::foresail;
use super::grid::Grid;
use super::hours::{Hours, Interval, Side};
use super::row::{self, Row};
use super::rule::{Answer, Evidence};
use super::settings::{Setting, settings};
use super::simulated::simulated;
use super::{service, startup};

/// The fewest hours that give a verdict: a day, so that a day's hours are all in it.
pub const HOURS_MIN: usize = 24;

/// What a record is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The object's spec, with one target; its mode does not matter.
    pub spec: &'a Spec,
    /// The pods as they are known, and the promise; service time and start-up are fitted.
    pub cluster: &'a ClusterConfig,
    /// Name of the external metric that is the demand; absent = the first one.
    pub demand: Option<&'a str>,
    /// Whether HPAs of other targets are flown on the demand too.
    pub settings: bool,
    /// The only source of chance.
    pub seed: Seed,
}

/// The verdict on one record, with all that it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub verdict: Answer,
    /// Why, in words with numbers.
    pub why: String,
    /// First and last time of the record that is looked at.
    pub since: Option<Timestamp>,
    /// The last one.
    pub until: Option<Timestamp>,
    /// Hours that count.
    pub hours: usize,
    /// Minutes that do not: gaps, and hours of which too little is known.
    pub minutes_left_out: usize,
    /// Requests of the hours that count.
    pub requests: f64,
    /// What the incumbent came to.
    pub incumbent: Side,
    /// What Foresail would have come to.
    pub foresail: Side,
    /// Change of the cost from the incumbent to Foresail, in percent.
    pub cost_change_percent: Option<Interval>,
    /// Change of the late share, in points.
    pub late_change_points: Option<Interval>,
    /// Changes of the late share below this count as none, in points.
    pub late_margin_points: Option<f64>,
    /// How well the simulator knows the incumbent; absent where it was not asked.
    pub calibration: Option<Calibration>,
    /// What HPAs of other targets would have come to, where that was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// What a reader must know beside.
    pub notes: Vec<String>,
}

impl Verdict {
    fn insufficient(why: String, notes: Vec<String>) -> Self {
        Self {
            verdict: Answer::Insufficient,
            why,
            since: None,
            until: None,
            hours: 0,
            minutes_left_out: 0,
            requests: 0.0,
            incumbent: Side::default(),
            foresail: Side::default(),
            cost_change_percent: None,
            late_change_points: None,
            late_margin_points: None,
            calibration: None,
            settings: Vec::new(),
            notes,
        }
    }
}

/// Judges a record.
///
/// # Errors
/// Where a row is out of its range or order, the spec not valid or not to be simulated, or a knob of
/// the cluster out of its range.
pub fn judge(rows: &[Row], case: &Case<'_>) -> Result<Verdict> {
    row::check(rows).context("the record")?;
    let simulated = simulated(case.spec, case.demand)?;
    let step = simulated.spec.interval;
    ensure!(
        step >= Span::from_millis(100),
        "intervalSeconds {step}: must be 100ms or more"
    );
    let slo = case.cluster.slo;
    let latency = (slo.measure == Measure::Latency).then_some(slo.below);
    let Some(grid) = Grid::new(rows, step, latency)? else {
        let why = "demand and the incumbent's replicas are never known together: record both";
        return Ok(Verdict::insufficient(why.to_owned(), simulated.notes));
    };
    let workload = grid.workload();
    let known = (0..minutes(&grid)).filter(|m| grid.counts(*m)).count();
    if known < HOURS_MIN * 60 {
        let why = format!(
            "{:.1} hours in which demand and incumbent are known, of the {HOURS_MIN} that are needed: record longer",
            known as f64 / 60.0
        );
        return Ok(Verdict::insufficient(why, simulated.notes));
    }
    let startup = startup::measured(rows);
    let mut cluster = pods(case.cluster, startup);
    let service = service::measured(rows, &cluster.service, cluster.concurrency);
    cluster.service.mean = service.unwrap_or(cluster.service.mean);
    let (cluster, theirs, mut calibration) = calibrated(&grid, &workload, &cluster)?;
    calibration.startup_measured = startup.is_some();
    calibration.service_measured = service.is_some();
    let seed = child_seed(case.seed, "shadow score");
    let ours = foresail(&grid, &workload, &cluster, &simulated.spec, seed)?;
    let hours = Hours::new(&grid, [&theirs, &ours], slo.share);
    let mut verdict = told(&grid, &hours, calibration, case, simulated.notes);
    if case.settings {
        let place = (&grid, &workload);
        verdict.settings = settings(place, &cluster, &simulated.spec, &theirs, seed)?;
    }
    Ok(verdict)
}

/// Whole and begun minutes of a grid.
fn minutes(grid: &Grid) -> usize {
    (grid.workload_length().nanos() as u64).div_ceil(super::grid::MINUTE as u64) as usize
}

/// The pods as the simulator has them: slots alone bind, and the start-up is the measured one, where
/// there is one.
fn pods(given: &ClusterConfig, startup: Option<Span>) -> ClusterConfig {
    let mut cluster = given.clone();
    if cluster.cpu_bound {
        let capacity = cluster.full_capacity();
        let slots = (capacity * cluster.service.mean.seconds()).round() as u32;
        cluster.cpu_bound = false;
        cluster.concurrency = slots.max(1);
        let seconds = f64::from(cluster.concurrency) / capacity;
        cluster.service.mean = Span::from_seconds_f64(seconds).unwrap_or(cluster.service.mean);
    }
    if let Some(startup) = startup {
        cluster.startup.mean = startup;
    }
    cluster
}

fn told(
    grid: &Grid,
    hours: &Hours,
    calibration: Calibration,
    case: &Case<'_>,
    notes: Vec<String>,
) -> Verdict {
    let [incumbent, foresail] = hours.sides();
    let mut verdict = Verdict {
        since: Some(grid.start),
        until: Some(grid.start + grid.workload_length()),
        hours: hours.len(),
        minutes_left_out: hours.left_out,
        requests: hours.requests(),
        incumbent,
        foresail,
        calibration: Some(calibration),
        ..Verdict::insufficient(String::new(), notes)
    };
    if hours.len() < HOURS_MIN {
        verdict.why = format!(
            "{} hours of which half or more is known, of the {HOURS_MIN} that are needed: record longer",
            hours.len()
        );
        return verdict;
    }
    let seed = child_seed(case.seed, "shadow score/hours");
    let intervals = (
        hours.cost_change_percent(seed),
        hours.late_change_points(seed),
        hours.late_percent(seed),
    );
    let (Some(cost), Some(late), Some(level)) = intervals else {
        verdict.why = "the incumbent had no replicas in all that time".to_owned();
        return verdict;
    };
    let evidence = Evidence {
        cost,
        late,
        level,
        allowed: (1.0 - case.cluster.slo.share) * 100.0,
        error: error(&calibration),
    };
    let (answer, reason) = evidence.answer();
    verdict.verdict = answer;
    verdict.cost_change_percent = Some(cost);
    verdict.late_change_points = Some(late);
    verdict.late_margin_points = Some(evidence.late_margin());
    verdict.why = why(answer, reason, &evidence);
    verdict.notes.extend(calibration_note(&calibration));
    verdict
}

fn why(answer: Answer, reason: &str, evidence: &Evidence) -> String {
    let Evidence {
        cost, late, level, ..
    } = evidence;
    let margin = evidence.late_margin();
    format!(
        "{answer:?}: {reason}. Cost {:+.1} % ({:+.1} to {:+.1}); late {:.2} % of the requests instead of {:.2} %, {:+.2} points ({:+.2} to {:+.2}, {margin:.2} or less is none)",
        cost.value,
        cost.low,
        cost.high,
        level[1].value,
        level[0].value,
        late.value,
        late.low,
        late.high,
    )
}

/// How far the simulator may be off, in points; `None` where nothing tells.
///
/// A measured service time under which nobody is late, as it was observed, is as good as a fit.
fn error(calibration: &Calibration) -> Option<f64> {
    let both = (calibration.observed_percent, calibration.simulated_percent);
    match (calibration.basis, both) {
        (Basis::TooFewLate, (Some(observed), Some(simulated))) if calibration.service_measured => {
            Some((observed - simulated).abs())
        }
        _ => calibration.error_points,
    }
}

fn calibration_note(calibration: &Calibration) -> Option<String> {
    let note = match calibration.basis {
        Basis::LateShare | Basis::MinutesOverP95 => return None,
        Basis::TooFewLate if calibration.service_measured => return None,
        Basis::TooFewLate => {
            "too few requests of the incumbent were late to fit the simulator: it is as it was given, and its error is not known"
        }
        Basis::NotObserved => {
            "latency was not observed: the simulator is as it was given, and its error is not known; record late and p95"
        }
    };
    Some(note.to_owned())
}
