//! Twins: an incumbent's run as an observer records it, and what is true of it and of Foresail.

use foresail::shadow_score::{Answer, Case, Row, judge};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Replicas, smaller};
use foresail_core::value::slo::Slo;
use foresail_models::registry::engine_of;
use foresail_models::rng::{Seed, child_seed};
use foresail_sim::config::{ClusterConfig, Pipeline};
use foresail_sim::driver::{Deaf, EnginePilot};
use foresail_sim::experiment::policy::{hpa, predictive};
use foresail_sim::experiment::run::run_one;
use foresail_sim::experiment::{Item, Policy, Setup, default_policies};
use foresail_sim::rng::Stream;
use foresail_sim::simulation::{self, Pilot, Seen};
use foresail_sim::workload::{Within, Workload};

/// Seconds of a sync, and of a bin of the demand.
const STEP: i64 = 15;

/// Length of a record in hours.
const HOURS: usize = 72;

/// Fresh runs of both policies from which the truth is taken.
const FRESH: u64 = 2;

/// Late share that the promise allows, in percent.
const ALLOWED: f64 = 1.0;

/// What was told of one twin.
#[derive(Debug)]
pub(crate) struct Told {
    seed: u64,
    pair: &'static str,
    shape: &'static str,
    pub(crate) truth: Answer,
    pub(crate) answer: Answer,
    real: Real,
    why: String,
    error_points: Option<f64>,
}

/// What both came to on fresh demand, request by request.
#[derive(Clone, Copy, Debug, Default)]
struct Real {
    cost_change_percent: f64,
    /// Late share of incumbent and Foresail, in percent.
    late: [f64; 2],
}

/// Pairs by name: the incumbent, and what the object's spec says.
const PAIRS: [&str; 7] = [
    "hpa 70 | hpa 70",
    "hpa 70 | predictive 70",
    "hpa 45 | hpa 70",
    "hpa 70 | hpa 45",
    "hpa 70 | static, too low",
    "static, too high | hpa 70",
    "hpa 97 | hpa 60",
];

const SHAPES: [&str; 5] = ["day", "steps", "spikes", "ramps", "walk"];

/// Requests per second of every bin.
fn rates(shape: &str, seed: Seed) -> Vec<f64> {
    let mut stream = Stream::of(seed, "rates");
    let mean = 9.0 + 6.0 * stream.uniform();
    let phase = stream.uniform();
    let bins = HOURS * 3600 / STEP as usize;
    let (mut level, mut walk) = (1.0, 0.0_f64);
    let every = 80 + (160.0 * stream.uniform()) as usize;
    let rate = |k: usize| {
        let day = ((k as f64 / 5760.0 + phase) * std::f64::consts::TAU).sin();
        if k.is_multiple_of(every) {
            level = 0.4 + 1.2 * stream.uniform();
        }
        walk = 0.998 * walk + 0.03 * stream.normal();
        mean * match shape {
            "day" => 1.0 + 0.6 * day,
            "steps" => level,
            "spikes" if k % 240 < 24 => 2.2,
            "spikes" => 0.8 + 0.2 * day,
            // A saw of four hours.
            "ramps" => 0.4 + 1.2 * ((k % 960) as f64 / 960.0),
            _ => smaller(walk.exp(), 3.0),
        }
    };
    (0..bins).map(rate).collect()
}

/// Poisson counts of those rates.
fn counts(rates: &[f64], seed: Seed) -> Vec<u32> {
    let mut stream = Stream::of(seed, "counts");
    let one = |rate: &f64| {
        // Exponential times up to the end of the bin.
        let (mut sum, mut count) = (stream.exponential(), 0);
        while sum < rate * STEP as f64 {
            count += 1;
            sum += stream.exponential();
        }
        count
    };
    rates.iter().map(one).collect()
}

fn item(counts: Vec<u32>) -> Item {
    let mut cluster = ClusterConfig {
        concurrency: 4,
        cpu_request_millicores: 2000,
        cpu_per_request: Span::from_millis(500),
        slo: "wait<1s:99%".parse::<Slo>().unwrap(),
        ..ClusterConfig::default()
    };
    cluster.service.mean = Span::from_seconds(1);
    let setup = Setup {
        resources: Default::default(),
        cluster,
        pipeline: Pipeline::default(),
        min: 1,
        max: 40,
        hpa_target_percent: 70,
        schedule: Vec::new(),
        target: TargetId::new("twin"),
        aapa: Default::default(),
        own: None,
    };
    Item {
        id: "twin".to_owned(),
        workload: Workload::Counts {
            start: Timestamp::from_seconds(1_767_571_200),
            step: Span::from_seconds(STEP),
            counts,
            within: Within::Poisson,
        },
        setup,
    }
}

/// A policy by its name in a pair; `mean` is the mean rate.
fn policy(name: &str, setup: &Setup, mean: f64) -> Policy {
    let at = |percent: u32| {
        let mut setup = setup.clone();
        setup.hpa_target_percent = percent;
        let initial = setup.replicas_for(mean);
        (setup, initial)
    };
    let fixed = |share: f64| default_policies(setup, mean * share, mean).swap_remove(0);
    match name {
        "static, too low" => fixed(0.75),
        "static, too high" => fixed(2.5),
        "predictive 70" => {
            let (setup, initial) = at(70);
            predictive(&setup, initial)
        }
        _ => {
            let percent = name.trim_start_matches("hpa ").parse().unwrap();
            let (setup, initial) = at(percent);
            hpa(&setup, percent, None, initial)
        }
    }
}

/// Writes down what it sees of the pilot's cluster, right after each decision.
struct Observer<'a> {
    pilot: EnginePilot<Deaf>,
    counts: &'a [u32],
    rows: Vec<Row>,
}

impl Pilot for Observer<'_> {
    fn sync(&mut self, seen: &Seen<'_>) -> Option<Setting> {
        let asked = self.pilot.sync(seen);
        let begin = Timestamp::from_seconds(1_767_571_200);
        let bin = ((seen.now - begin).whole_seconds() / STEP) as usize;
        let came = bin.checked_sub(1).map(|b| f64::from(self.counts[b]));
        let decided = asked.as_ref().and_then(|s| s.replicas).map(Replicas::get);
        let ready = seen.pods.iter().filter(|p| p.ready && !p.deleting).count();
        let late = |came: f64| {
            let late = seen.interval.violations as f64;
            if came > 0.0 {
                smaller(late / came, 1.0)
            } else {
                0.0
            }
        };
        self.rows.push(Row {
            demand: came.map(|c| c / STEP as f64),
            paid: Some(decided.unwrap_or(seen.current)),
            ready: Some(ready as u32),
            late: came.map(late),
            p95: seen.interval.latency.p95_ms().map(|ms| ms / 1000.0),
            ..Row::at(seen.now)
        });
        asked
    }
}

/// One run of the incumbent, written down.
fn recorded(item: &Item, policy: &Policy, seed: Seed) -> Vec<Row> {
    let Workload::Counts { counts, .. } = &item.workload else {
        panic!("counts")
    };
    let engine = engine_of(policy.spec.clone(), seed).unwrap();
    let mut observer = Observer {
        pilot: EnginePilot::new(engine, policy.reads_cpu, Deaf),
        counts,
        rows: Vec::new(),
    };
    let mut cluster = item.setup.cluster.clone();
    cluster.initial = policy.initial;
    let (pipeline, workload) = (&policy.pipeline, &item.workload);
    simulation::run(&cluster, pipeline, workload, seed, &mut observer).unwrap();
    observer.rows
}

/// Both policies on fresh demand with fresh chance.
fn real(rates: &[f64], both: [&Policy; 2], seed: Seed) -> Real {
    let (mut paid, mut late, mut came) = ([0.0; 2], [0.0; 2], 0.0);
    for run in 0..FRESH {
        let fresh = child_seed(seed, &format!("fresh {run}"));
        let item = item(counts(rates, fresh));
        for (side, policy) in both.into_iter().enumerate() {
            let (measured, _) = run_one(&item, policy, fresh, Deaf).unwrap();
            paid[side] += measured.replica_minutes;
            late[side] += measured.violations as f64;
            if side == 0 {
                came += measured.requests.arrived as f64;
            }
        }
    }
    Real {
        cost_change_percent: paid[1] / paid[0] * 100.0 - 100.0,
        late: late.map(|l| l * 100.0 / came),
    }
}

impl Real {
    /// The rule on figures that are beyond doubt.
    fn truth(&self) -> Answer {
        let (cost, [before, after]) = (self.cost_change_percent, self.late);
        let margin = if before > ALLOWED { before } else { ALLOWED } * 0.1;
        let change = after - before;
        let (cheaper, dearer) = (cost < -3.0, cost > 3.0);
        let (less_late, later) = (change < -margin, change > margin);
        let better = cheaper && (!later || after <= ALLOWED)
            || less_late && !dearer
            || less_late && before > ALLOWED && cost <= 25.0;
        let worse = later && after > ALLOWED
            || dearer && (!less_late || before <= ALLOWED)
            || later && !cheaper;
        match (better, worse) {
            (true, false) => Answer::Better,
            (false, true) => Answer::Worse,
            (false, false) => Answer::Undecided,
            (true, true) => panic!("{self:?}"),
        }
    }
}

/// Takes rows out: a hole of two hours, and one row in twenty.
fn with_gaps(rows: &mut Vec<Row>, seed: Seed) {
    let mut stream = Stream::of(seed, "gaps");
    let begin = (stream.uniform() * (rows.len() - 480) as f64) as usize;
    rows.drain(begin..begin + 480);
    rows.retain(|_| stream.uniform() > 0.05);
}

/// One twin of this seed, judged.
pub(crate) fn twin(seed: u64) -> Told {
    let pair = PAIRS[(seed % 7) as usize];
    let shape = SHAPES[(seed / 7 % 5) as usize];
    let chance = Seed(seed);
    let rates = rates(shape, chance);
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let item = item(counts(&rates, chance));
    let (theirs, ours) = pair.split_once(" | ").unwrap();
    let incumbent = policy(theirs, &item.setup, mean);
    let foresail = policy(ours, &item.setup, mean);
    let mut rows = recorded(&item, &incumbent, chance);
    if seed.is_multiple_of(4) {
        with_gaps(&mut rows, chance);
    }
    // What is known of the pods is off: the score has to find out.
    let mut cluster = item.setup.cluster.clone();
    cluster.startup.mean = Span::from_seconds(20);
    let factor = [0.8, 1.0, 1.25][(seed % 3) as usize];
    cluster.service.mean = Span::from_seconds_f64(factor).unwrap();
    let case = Case {
        spec: &foresail.spec,
        cluster: &cluster,
        demand: None,
        settings: false,
        seed: child_seed(chance, "score"),
    };
    let verdict = judge(&rows, &case).unwrap();
    let real = real(&rates, [&incumbent, &foresail], chance);
    Told {
        seed,
        pair,
        shape,
        truth: real.truth(),
        answer: verdict.verdict,
        real,
        why: verdict.why,
        error_points: verdict.calibration.and_then(|c| c.error_points),
    }
}

/// A line per twin, then what was said by what is true.
pub(crate) fn table(told: &[Told]) -> String {
    let mut text = String::new();
    for t in told {
        let Real {
            cost_change_percent: cost,
            late: [before, after],
        } = t.real;
        let mark = if t.answer == t.truth { ' ' } else { '!' };
        text.push_str(&format!(
            "{mark} {:3} {:26} {:6} true {:9?} cost {cost:+6.1} late {before:6.2} {after:6.2} | off {:.2} {}\n",
            t.seed,
            t.pair,
            t.shape,
            t.truth,
            t.error_points.unwrap_or(f64::NAN),
            t.why
        ));
    }
    use Answer::{Better, Undecided, Worse};
    for truth in [Better, Worse, Undecided] {
        let said = [Better, Worse, Undecided].map(|answer| {
            let both = |t: &&Told| t.truth == truth && t.answer == answer;
            told.iter().filter(both).count()
        });
        text.push_str(&format!(
            "true {truth:9?}: said Better {}, Worse {}, Undecided {}\n",
            said[0], said[1], said[2]
        ));
    }
    text
}
