//! The controller's own metrics, in Prometheus' words.
//!
//! Names, labels and units: specs/product_interface.md C.6. No label carries a pod's name, and the
//! number of series is bounded by the number of objects.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use foresail_adapters::kubernetes::watch::Key;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::act::Written;
use super::pilot::Pilot;
use super::shown::{Number, Objects, Shown};
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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pass {
    action: &'static str,
    error: &'static str,
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
    silent: Family<Watch, Real>,
    shown: Objects,
    /// Bytes of the last text.
    bytes: AtomicUsize,
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
            silent: Family::default(),
            shown: Objects::default(),
            bytes: AtomicUsize::new(0),
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
            "watch_silent_seconds",
            "time since a watch heard the server",
            self.silent.clone(),
        );
        all
    }

    /// What a scraper reads.
    pub(crate) fn text(&self) -> String {
        // The text grew little since the last time: twice its size is not taken up while it grows.
        let before = self.bytes.load(Ordering::Relaxed);
        let mut text = String::with_capacity(before + before / 8);
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut written = encode_registry(&mut text, &registry);
        drop(registry);
        self.shown.write(&mut text);
        written = written.and_then(|()| encode_eof(&mut text));
        if written.is_err() {
            // Writing to a text cannot fail; a scraper sees that something is wrong all the same.
            let _ = writeln!(text, "# the metrics cannot be written");
        }
        self.bytes.store(text.len(), Ordering::Relaxed);
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
        let direction = if to > from { "up" } else { "down" };
        self.shown
            .with(key, |shown| shown.wrote(direction, written.label()));
    }

    /// Counts a pass and shows what it saw.
    pub(crate) fn passed(&self, pilot: &Pilot, story: &Story) {
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
        let rival = matches!(story.claim, super::rivals::Claim::Rival(_));
        let spec = &pilot.object.spec;
        let reactive = told.and_then(|t| t.reactive).map(|r| r.as_i32());
        self.shown.with(&pilot.key, |shown| {
            shown.set(Number::Health, Some(story.health as i32));
            shown.set(Number::Conflict, Some(i32::from(rival)));
            shown.set(Number::Least, Some(spec.min_replicas));
            shown.set(Number::Most, Some(spec.max_replicas));
            shown.set(Number::Current, told.and_then(status::current));
            shown.set(Number::Desired, told.and_then(status::decided));
            shown.set(Number::Reactive, reactive);
            shown.set(Number::Ready, told.map(|t| t.ready.as_i32()));
            ages(shown, pilot, story);
            if let Some(told) = told {
                shown.limits(|guard| told.limits.iter().any(|l| l.by == guard));
            }
        });
    }

    /// Shows a verdict, and no longer any other.
    pub(crate) fn judged(&self, key: &Key, verdict: &str) {
        self.shown.with(key, |shown| shown.judged(verdict));
    }

    /// An object is gone: its series go with it.
    pub(crate) fn forget(&self, key: &Key) {
        self.shown.forget(key);
    }
}

fn ages(shown: &mut Shown, pilot: &Pilot, story: &Story) {
    let (Some(look), Some(engine)) = (&story.look, &pilot.engine) else {
        return;
    };
    let names = engine.spec().targets()[0].metric_names.iter();
    let read = names.zip(&look.metrics);
    shown.ages(read.map(|(name, read)| {
        let age = read.at.map(|at| (story.now - at).seconds());
        (name.as_str(), age)
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_exported_once_and_no_other() {
        let meters = Meters::new();
        let key = ("shop".to_owned(), "web".to_owned());
        meters.shown.with(&key, |shown| {
            for number in [
                Number::Current,
                Number::Ready,
                Number::Desired,
                Number::Reactive,
                Number::Least,
                Number::Most,
                Number::Health,
                Number::Conflict,
            ] {
                shown.set(number, Some(1));
            }
            shown.ages([("cpu", Some(1.0))].into_iter());
            shown.limits(|_| true);
        });
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
