//! The controller's own metrics, in Prometheus' words.
//!
//! Names, labels and units: specs/product_interface.md C.6. No label carries a pod's name, and the
//! number of series is bounded by the number of objects.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use foresail_adapters::kubernetes::watch::Key;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::act::Written;
use super::pilot::Pilot;
use super::status;
use super::tell::Story;

/// Every metric that is exported, without the suffix that counters get.
pub const NAMES: [&str; 22] = [
    "foresail_build_info",
    "foresail_conflict",
    "foresail_current_replicas",
    "foresail_desired_replicas",
    "foresail_events_total",
    "foresail_health",
    "foresail_leader",
    "foresail_limit_active",
    "foresail_max_replicas",
    "foresail_metric_age_seconds",
    "foresail_min_replicas",
    "foresail_objects",
    "foresail_reactive_replicas",
    "foresail_ready_replicas",
    "foresail_reconcile_lag_seconds",
    "foresail_reconciliation_duration_seconds",
    "foresail_reconciliations_total",
    "foresail_scale_events_total",
    "foresail_shadow_verdict",
    "foresail_status_writes_total",
    "foresail_store_usable",
    "foresail_watch_silent_seconds",
];

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}

/// One object and one of its metrics.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectMetric {
    namespace: String,
    name: String,
    metric: String,
}

/// One object and a word about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectGuard {
    namespace: String,
    name: String,
    guard: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectVerdict {
    namespace: String,
    name: String,
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    action: &'static str,
    error: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Scaled {
    namespace: String,
    name: String,
    direction: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watch {
    resource: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

type Real = Gauge<f64, AtomicU64>;

/// Every metric.
#[derive(Debug)]
pub(crate) struct Meters {
    registry: Mutex<Registry>,
    passes: Family<Pass, Counter>,
    duration: Histogram,
    lag: Histogram,
    objects: Gauge,
    leader: Gauge,
    store_usable: Gauge,
    status_writes: Counter,
    events: Counter,
    current: Family<Object, Gauge>,
    ready: Family<Object, Gauge>,
    desired: Family<Object, Gauge>,
    reactive: Family<Object, Gauge>,
    least: Family<Object, Gauge>,
    most: Family<Object, Gauge>,
    health: Family<Object, Gauge>,
    conflict: Family<Object, Gauge>,
    age: Family<ObjectMetric, Real>,
    limit: Family<ObjectGuard, Gauge>,
    verdict: Family<ObjectVerdict, Gauge>,
    scaled: Family<Scaled, Counter>,
    silent: Family<Watch, Real>,
}

/// Buckets of the HPA's own histograms: 1 ms, doubling.
fn buckets() -> impl Iterator<Item = f64> {
    exponential_buckets(0.001, 2.0, 15)
}

impl Meters {
    /// Nothing is counted yet.
    pub(crate) fn new() -> Self {
        let meters = Self {
            registry: Mutex::default(),
            passes: Family::default(),
            duration: Histogram::new(buckets()),
            lag: Histogram::new(buckets()),
            objects: Gauge::default(),
            leader: Gauge::default(),
            store_usable: Gauge::default(),
            status_writes: Counter::default(),
            events: Counter::default(),
            current: Family::default(),
            ready: Family::default(),
            desired: Family::default(),
            reactive: Family::default(),
            least: Family::default(),
            most: Family::default(),
            health: Family::default(),
            conflict: Family::default(),
            age: Family::default(),
            limit: Family::default(),
            verdict: Family::default(),
            scaled: Family::default(),
            silent: Family::default(),
        };
        *meters
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = meters.register();
        meters
    }

    fn register(&self) -> Registry {
        let mut all = Registry::with_prefix("foresail");
        let build: Family<Build, Gauge> = Family::default();
        build
            .get_or_create(&Build {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        all.register("build_info", "the version that runs", build);
        all.register(
            "reconciliations",
            "passes by what they did and how they failed",
            self.passes.clone(),
        );
        all.register(
            "reconciliation_duration_seconds",
            "time of a pass",
            self.duration.clone(),
        );
        all.register(
            "reconcile_lag_seconds",
            "how late a pass began",
            self.lag.clone(),
        );
        all.register(
            "objects",
            "objects under the controller",
            self.objects.clone(),
        );
        all.register(
            "leader",
            "1 while this process may write",
            self.leader.clone(),
        );
        all.register(
            "store_usable",
            "1 while decisions can be kept",
            self.store_usable.clone(),
        );
        all.register(
            "status_writes",
            "statuses written",
            self.status_writes.clone(),
        );
        all.register("events", "events told", self.events.clone());
        all.register(
            "current_replicas",
            "replicas asked for at present",
            self.current.clone(),
        );
        all.register("ready_replicas", "replicas that serve", self.ready.clone());
        all.register("desired_replicas", "replicas decided", self.desired.clone());
        all.register(
            "reactive_replicas",
            "what the HPA would ask for",
            self.reactive.clone(),
        );
        all.register("min_replicas", "the fewest allowed", self.least.clone());
        all.register("max_replicas", "the most allowed", self.most.clone());
        all.register(
            "health",
            "0 Predict, 1 Guarded, 2 HoldDown, 3 Frozen",
            self.health.clone(),
        );
        all.register(
            "conflict",
            "1 while another autoscaler owns the target",
            self.conflict.clone(),
        );
        all.register(
            "metric_age_seconds",
            "age of a metric's newest sample",
            self.age.clone(),
        );
        all.register("limit_active", "1 while a guard binds", self.limit.clone());
        all.register(
            "shadow_verdict",
            "1 for the verdict against the incumbent",
            self.verdict.clone(),
        );
        all.register(
            "scale_events",
            "writes by direction and outcome",
            self.scaled.clone(),
        );
        all.register(
            "watch_silent_seconds",
            "time since a watch heard the server",
            self.silent.clone(),
        );
        all
    }

    /// What a scraper reads.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            // Writing to a text cannot fail; a scraper sees that something is wrong all the same.
            let _ = writeln!(text, "# the metrics cannot be written");
        }
        text
    }

    pub(crate) fn status_write(&self) {
        self.status_writes.inc();
    }

    pub(crate) fn told_event(&self) {
        self.events.inc();
    }

    pub(crate) fn began(&self, late: Duration) {
        self.lag.observe(late.as_secs_f64());
    }

    pub(crate) fn took(&self, time: Duration) {
        self.duration.observe(time.as_secs_f64());
    }

    pub(crate) fn process(&self, objects: usize, leads: bool, store: bool) {
        self.objects.set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.leader.set(i64::from(leads));
        self.store_usable.set(i64::from(store));
    }

    pub(crate) fn watch(&self, resource: &'static str, silent: Option<Duration>) {
        let silent = silent.map_or(f64::INFINITY, |s| s.as_secs_f64());
        self.silent.get_or_create(&Watch { resource }).set(silent);
    }

    pub(crate) fn wrote(&self, key: &Key, from: i32, to: i32, written: &Written) {
        let outcome = written.label();
        let scaled = Scaled {
            namespace: key.0.clone(),
            name: key.1.clone(),
            direction: if to > from { "up" } else { "down" },
            outcome,
        };
        self.scaled.get_or_create(&scaled).inc();
    }

    /// Counts a pass and shows what it saw.
    pub(crate) fn passed(&self, pilot: &Pilot, story: &Story) {
        let (namespace, name) = pilot.key.clone();
        let object = Object { namespace, name };
        let told = story.told.as_ref();
        let change = told.and_then(|t| Some((status::current(t)?, status::decided(t)?)));
        let action = match change {
            Some((from, to)) if to > from => "scale_up",
            Some((from, to)) if to < from => "scale_down",
            _ => "none",
        };
        let error = match (&story.fault, pilot.problems.is_empty(), story.hpa_failed) {
            (_, false, _) => "spec",
            (Some(_), ..) | (None, _, true) => "internal",
            (None, true, false) => "none",
        };
        self.passes.get_or_create(&Pass { action, error }).inc();
        self.health.get_or_create(&object).set(story.health as i64);
        let rival = matches!(story.claim, super::rivals::Claim::Rival(_));
        self.conflict.get_or_create(&object).set(i64::from(rival));
        let spec = &pilot.object.spec;
        self.least
            .get_or_create(&object)
            .set(i64::from(spec.min_replicas));
        self.most
            .get_or_create(&object)
            .set(i64::from(spec.max_replicas));
        let set = |family: &Family<Object, Gauge>, value: Option<i32>| match value {
            Some(value) => drop(family.get_or_create(&object).set(i64::from(value))),
            // What is not known is not shown at all, never as zero.
            None => drop(family.remove(&object)),
        };
        set(&self.current, told.and_then(status::current));
        set(&self.desired, told.and_then(status::decided));
        set(
            &self.reactive,
            told.and_then(|t| t.reactive).map(|r| r.as_i32()),
        );
        set(&self.ready, told.map(|t| t.ready.as_i32()));
        self.ages(pilot, story);
        self.limits(pilot, story);
    }

    fn ages(&self, pilot: &Pilot, story: &Story) {
        let Some(look) = &story.look else { return };
        let names = pilot
            .engine
            .as_ref()
            .map(|e| e.spec().targets()[0].metric_names.clone());
        for (metric, read) in names.unwrap_or_default().into_iter().zip(&look.metrics) {
            let (namespace, name) = pilot.key.clone();
            let labels = ObjectMetric {
                namespace,
                name,
                metric,
            };
            match read.at {
                Some(at) => drop(
                    self.age
                        .get_or_create(&labels)
                        .set((story.now - at).seconds()),
                ),
                None => drop(self.age.remove(&labels)),
            }
        }
    }

    fn limits(&self, pilot: &Pilot, story: &Story) {
        use foresail_core::guard::GuardName;
        let Some(told) = &story.told else { return };
        for guard in [
            GuardName::Freshness,
            GuardName::Veto,
            GuardName::Stabilization,
            GuardName::Rate,
            GuardName::Budget,
            GuardName::Bounds,
            GuardName::Paused,
            GuardName::Admission,
        ] {
            let (namespace, name) = pilot.key.clone();
            let active = told.limits.iter().any(|l| l.by == guard);
            let labels = ObjectGuard {
                namespace,
                name,
                guard: guard.to_string(),
            };
            self.limit.get_or_create(&labels).set(i64::from(active));
        }
    }

    /// Shows a verdict, and no longer any other.
    pub(crate) fn judged(&self, key: &Key, verdict: &str) {
        for word in ["Better", "Worse", "Undecided", "Insufficient"] {
            let labels = ObjectVerdict {
                namespace: key.0.clone(),
                name: key.1.clone(),
                verdict: word.to_owned(),
            };
            self.verdict
                .get_or_create(&labels)
                .set(i64::from(word == verdict));
        }
    }

    /// What is one number an object.
    fn of_objects(&self) -> [&Family<Object, Gauge>; 8] {
        [
            &self.current,
            &self.ready,
            &self.desired,
            &self.reactive,
            &self.least,
            &self.most,
            &self.health,
            &self.conflict,
        ]
    }

    /// An object is gone: its series go with it.
    pub(crate) fn forget(&self, key: &Key) {
        let object = Object {
            namespace: key.0.clone(),
            name: key.1.clone(),
        };
        for family in self.of_objects() {
            family.remove(&object);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_exported_once_and_no_other() {
        let meters = Meters::new();
        let key = ("shop".to_owned(), "web".to_owned());
        let (namespace, name) = key.clone();
        let object = Object { namespace, name };
        for family in meters.of_objects() {
            family.get_or_create(&object).set(1);
        }
        let (namespace, name) = key.clone();
        let metric = "cpu".to_owned();
        let labels = ObjectMetric {
            namespace,
            name,
            metric,
        };
        meters.age.get_or_create(&labels).set(1.0);
        let (namespace, name) = key.clone();
        let guard = "Rate".to_owned();
        let labels = ObjectGuard {
            namespace,
            name,
            guard,
        };
        meters.limit.get_or_create(&labels).set(1);
        meters.judged(&key, "Better");
        meters.wrote(&key, 1, 2, &Written::Applied(String::new()));
        meters.watch("pods", None);
        let pass = Pass {
            action: "none",
            error: "none",
        };
        meters.passes.get_or_create(&pass).inc();
        let text = meters.text();
        let help = text.lines().filter_map(|l| l.strip_prefix("# TYPE "));
        let mut found: Vec<String> = help
            .map(|l| {
                let mut words = l.split(' ');
                let name = words.next().unwrap_or_default().to_owned();
                match words.next() {
                    Some("counter") => format!("{name}_total"),
                    _ => name,
                }
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, NAMES);
    }
}
