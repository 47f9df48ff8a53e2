//! One look at one target: its scale, pods, rivals and metrics, as the engine is told them.

use std::fmt::Display;
use std::sync::Arc;

use foresail_adapters::kubernetes::convert;
use foresail_adapters::kubernetes::crd::metric::{EmptyIs, Metric, MetricType, PrometheusMetric};
use foresail_adapters::kubernetes::crd::{PredictiveAutoscaler, Role, VerticalMode};
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::{self, ScaleSeen, Target};
use foresail_adapters::kubernetes::selector::Selector;
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_adapters::prometheus::{Prometheus, PrometheusError};
use foresail_core::hpa::resolve::{self, Container, PodSpec};
use foresail_core::hpa::{self, MetricRule, Reading};
use foresail_core::observe::{FUTURE_MAX, TargetState, VALUE_MAX};
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::{Quantity, Replicas, Unit};
use foresail_core::spec::ValidTarget;

use super::world::World;
use crate::vertical::subject::RESOURCES;
use crate::watch::metric::{MetricRead, MetricReader, failed};

/// One target at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) scale: ScaleSeen,
    pub(crate) workload: Option<Arc<WorkloadSeen>>,
    pub(crate) selector: hpa::Selector,
    pub(crate) pods: Vec<Arc<PodSeen>>,
    pub(crate) hpa: Option<(String, Arc<HpaSeen>)>,
    /// CPU request of the first pod that has one, in thousandths of a core.
    pub(crate) cpu_request: Option<u32>,
    /// In the order of the engine's metrics.
    pub(crate) metrics: Vec<MetricRead>,
    /// Demand at this moment, where a metric has that role.
    pub(crate) demand: Option<(f64, Timestamp)>,
}

/// Reads the scale, from the watch where the kind is watched and from the server otherwise.
pub(crate) async fn scale_of(
    world: &World,
    namespace: &str,
    target: &Target,
) -> Result<(ScaleSeen, Option<Arc<WorkloadSeen>>), Fault> {
    if world.watched_kind(target).is_some() {
        let found = world.workload(namespace, target);
        let found = found.filter(|w| !w.deleting).ok_or_else(|| {
            Fault::NotFound(format!("{} in namespace {namespace}", target.short()))
        })?;
        return Ok((found.scale.clone(), Some(found)));
    }
    let api = world
        .kinds
        .api(&world.clients.read, namespace, target)
        .await?;
    Ok((scale::read(&api, &target.name).await?, None))
}

/// The newer of what a watch shows and what was read or written since: a watch may lag, and an own
/// write that it does not show yet must not look like one of somebody else's.
///
/// Source: kubernetes/enhancements KEP-5504, versions of one resource compare as whole numbers.
pub(crate) fn newest(watched: ScaleSeen, known: Option<&ScaleSeen>) -> ScaleSeen {
    let number = |seen: &ScaleSeen| seen.version.parse::<u64>().ok();
    match known {
        Some(known) if known.uid == watched.uid && number(known) > number(&watched) => ScaleSeen {
            existing: watched.existing,
            selector: watched.selector,
            ..known.clone()
        },
        _ => watched,
    }
}

/// The metrics of an object that the engine's reactive floor reads, in its order.
pub(crate) fn reactive_metrics(object: &PredictiveAutoscaler) -> impl Iterator<Item = &Metric> {
    let places = convert::reactive_metrics(&object.spec).into_iter();
    places.filter_map(|place| object.spec.metrics.get(place))
}

/// The metric whose series is the demand that is forecast.
pub(crate) fn demand_metric(object: &PredictiveAutoscaler) -> Option<&Metric> {
    let place = convert::demand_metric(&object.spec)?;
    object.spec.metrics.get(place)
}

/// What is wrong with the time of a reading.
fn age_trouble(at: Option<Timestamp>, now: Timestamp, stale_after: Span) -> Option<String> {
    match at {
        None => Some("nobody says when it was measured".to_owned()),
        Some(at) if now - at > stale_after => {
            let age = (now - at).whole_seconds();
            Some(format!("measured {age} s ago, more than {stale_after}"))
        }
        Some(at) if at > now + FUTURE_MAX => {
            let ahead = (at - now).whole_seconds();
            Some(format!(
                "measured {ahead} s from now: its clock and ours differ"
            ))
        }
        Some(_) => None,
    }
}

/// What Prometheus says now: one value with its own time; an empty answer is no zero unless the
/// user says so.
pub(crate) async fn prometheus_now(
    server: Option<&Prometheus>,
    metric: &PrometheusMetric,
    now: Timestamp,
    stale_after: Span,
) -> Result<(f64, Timestamp), String> {
    let server = server.ok_or("the controller was started without --prometheus-url")?;
    match server.at(&metric.query, now, stale_after).await {
        Ok(at) => match at.value.filter(|v| (0.0..=VALUE_MAX).contains(v)) {
            Some(value) => Ok((value, at.measured_at)),
            None => Err(format!("its value is no number from 0 to {VALUE_MAX:e}")),
        },
        Err(PrometheusError::Empty { .. }) if metric.empty_is == EmptyIs::Zero => Ok((0.0, now)),
        Err(error) => Err(error.to_string()),
    }
}

/// What is needed to read the metrics of one object.
struct Reader<'a> {
    world: &'a World,
    of: MetricReader<'a>,
    now: Timestamp,
    stale_after: Span,
}

impl Reader<'_> {
    async fn read(&self, metric: &Metric, rule: &MetricRule) -> MetricRead {
        match metric.kind {
            MetricType::Resource | MetricType::ContainerResource => {
                let usage = self.world.usage(self.of.namespace).await;
                let usage = usage.as_deref().map_err(|fault| fault as &dyn Display);
                self.of.resource(rule, usage)
            }
            MetricType::Prometheus => self.prometheus(metric).await,
            _ => self.of.of_api(metric).await,
        }
    }

    async fn prometheus(&self, metric: &Metric) -> MetricRead {
        let Some(written) = &metric.prometheus else {
            return failed(&"the metric has no field `prometheus`");
        };
        let server = self.world.prometheus.as_deref();
        match prometheus_now(server, written, self.now, self.stale_after).await {
            Err(why) => failed(&why),
            Ok((value, at)) => MetricRead {
                reading: Reading::Total(vec![Quantity::from_f64(value, Unit::Count).milli()]),
                at: Some(at),
                trouble: None,
                nonsense: false,
            },
        }
    }
}

/// Looks at everything that one object needs; `known` is the scale as it was last read past the watch.
///
/// # Errors
/// [`Fault`] where the target's scale cannot be read; a metric that cannot be is told as such.
pub(crate) async fn look(
    world: &World,
    object: &PredictiveAutoscaler,
    rules: &ValidTarget,
    known: Option<&ScaleSeen>,
    now: Timestamp,
) -> Result<Look, Fault> {
    let namespace = object.metadata.namespace.clone().unwrap_or_default();
    let target = object.target();
    let (watched, workload) = scale_of(world, &namespace, &target).await?;
    let scale = newest(watched, known);
    let mut pods: Vec<Arc<PodSeen>> = Vec::new();
    let mut selector = hpa::Selector::Valid;
    match Selector::parse(scale.selector.as_deref()) {
        Ok(chosen) => {
            let all = world.pods.select(&namespace, |p| chosen.matches(&p.labels));
            pods.extend(all.into_iter().map(|(_, pod)| pod));
        }
        Err(state) => selector = state,
    }
    let hpas = world.hpas.select(&namespace, |h| h.target.is_same(&target));
    let specs: Vec<PodSpec> = match (object.spec.vertical.mode, &workload) {
        (VerticalMode::Apply, Some(of)) => pods
            .iter()
            .map(|p| scaled_by(&p.spec, &of.template))
            .collect(),
        _ => pods.iter().map(|p| p.spec.clone()).collect(),
    };
    let features = world.features();
    let of = MetricReader {
        client: &world.clients.read,
        kinds: &world.kinds,
        custom_metrics: features.custom_metrics.as_deref(),
        namespace: &namespace,
        pods: &specs,
        selector: scale.selector.as_deref().unwrap_or(""),
    };
    let reader = Reader {
        world,
        of,
        now,
        stale_after: Span::from_seconds(i64::from(object.spec.guardrails.stale_after_seconds)),
    };
    let mut read = Vec::new();
    let mut demand = None;
    for (metric, rule) in reactive_metrics(object).zip(rules.rules.metrics()) {
        let mut one = reader.read(metric, rule).await;
        let age = age_trouble(one.at, now, reader.stale_after);
        one.trouble = one.trouble.or_else(|| age.clone());
        if metric.role == Role::Both && age.is_none() {
            demand = total_of(&one, now);
        }
        read.push(one);
    }
    if let Some(metric) = demand_metric(object).filter(|m| m.role == Role::Forecast) {
        let one = match metric.kind {
            MetricType::External => reader.of.of_api(metric).await,
            _ => reader.prometheus(metric).await,
        };
        let age = age_trouble(one.at, now, reader.stale_after);
        demand = total_of(&one, now).filter(|_| age.is_none());
    }
    Ok(Look {
        cpu_request: cpu_request(&specs),
        scale,
        workload,
        selector,
        pods,
        // Of several the first that moves anything.
        hpa: hpas.into_iter().min_by_key(|(_, hpa)| hpa.is_inert()),
        metrics: read,
        demand,
    })
}

/// A pod with the requests of its template in the place of its own: a share of the request aims at the
/// same use of a pod whatever it was resized to, so that no resize moves replicas.
///
/// Source: specs/product_interface.md I.1, the scale point.
fn scaled_by(pod: &PodSpec, template: &[Container]) -> PodSpec {
    let mut pod = pod.clone();
    for container in &mut pod.containers {
        let Some(written) = template.iter().find(|t| t.name == container.name) else {
            continue;
        };
        for resource in RESOURCES {
            if let Some(milli) = written.requests.get(resource) {
                container.requests.insert(resource.to_owned(), *milli);
            }
        }
    }
    pod
}

fn cpu_request(pods: &[PodSpec]) -> Option<u32> {
    let gates = hpa::Gates::default();
    let request = |p: &PodSpec| resolve::request(p, "cpu", None, &gates);
    let found = pods.iter().find_map(request)?;
    u32::try_from(found).ok().filter(|m| *m > 0)
}

/// The sum of a metric's series with its time; `None` where it was not read.
fn total_of(read: &MetricRead, now: Timestamp) -> Option<(f64, Timestamp)> {
    let Reading::Total(series) = &read.reading else {
        return None;
    };
    let milli: i64 = series.iter().fold(0, |sum, one| sum.saturating_add(*one));
    let value = Quantity::from_milli(milli, Unit::Count).value();
    Some((value, read.at.unwrap_or(now)))
}

impl Look {
    /// Pods that serve.
    pub(crate) fn ready(&self) -> u32 {
        let ready = self.pods.iter().filter(|p| p.is_ready()).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    /// Pods for which the scheduler finds no place, and why the first has none.
    pub(crate) fn unschedulable(&self) -> (usize, Option<String>) {
        let all: Vec<_> = self
            .pods
            .iter()
            .filter_map(|p| p.unschedulable.as_ref())
            .collect();
        (all.len(), all.first().map(|w| (*w).clone()))
    }

    /// The target as the engine is told it.
    pub(crate) fn state(&self, target: TargetId, scaled_to_zero: bool) -> TargetState {
        let count = |n: i32| Replicas::saturating(i64::from(n));
        let incumbent = self.hpa.as_ref().and_then(|(_, h)| h.wanted);
        let rollout = self.workload.as_ref().is_some_and(|w| w.rollout);
        TargetState {
            target,
            current: Setting::replicas(count(self.scale.asked)),
            status_replicas: count(self.scale.existing),
            ready: Replicas::new(self.ready()),
            pods: self.pods.iter().map(|p| p.state).collect(),
            readings: self.metrics.iter().map(|m| m.reading.clone()).collect(),
            read_at: self.totals_read_at(),
            selector: self.selector,
            scaled_to_zero,
            rollout,
            incumbent: incumbent.map(count),
            ..TargetState::default()
        }
    }

    /// The oldest time of those metrics that carry one time for all.
    fn totals_read_at(&self) -> Option<Timestamp> {
        let totals = self
            .metrics
            .iter()
            .filter(|m| matches!(m.reading, Reading::Total(_)));
        totals.filter_map(|m| m.at).min()
    }

    /// `true` where a metric was not read, is no measurement, is too old, or of the future.
    pub(crate) fn has_invalid_metric(&self, now: Timestamp, stale_after: Span) -> bool {
        let invalid = |m: &MetricRead| {
            let failed = m.nonsense || matches!(m.reading, Reading::Failed);
            failed || age_trouble(m.at, now, stale_after).is_some()
        };
        self.scale.asked > 0 && self.metrics.iter().any(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(uid: &str, version: &str, asked: i32) -> ScaleSeen {
        ScaleSeen {
            uid: uid.to_owned(),
            version: version.to_owned(),
            asked,
            existing: 7,
            selector: None,
        }
    }

    fn pod(name: &str, cpu: i64) -> PodSpec {
        let requests = [("cpu".to_owned(), cpu), ("memory".to_owned(), 64_000)];
        PodSpec {
            name: name.to_owned(),
            containers: vec![Container {
                name: "main".to_owned(),
                requests: requests.into(),
                restarts_always: false,
            }],
            ..PodSpec::default()
        }
    }

    /// Replicas that the HPA's formula decides for two pods which use 110 m of CPU each.
    fn replicas_for(pods: &[PodSpec]) -> u32 {
        use foresail_core::engine::Input;
        use foresail_core::hpa::resolve::PodMetrics;
        use foresail_core::hpa::{HpaSpec, MetricSpec, Phase, Pod, Ready};
        use foresail_core::observe::{Health, Samples};
        let (id, now) = (
            TargetId::new("shop/Deployment/web"),
            Timestamp::from_seconds(10_000),
        );
        let rules = HpaSpec {
            max_replicas: 9,
            metrics: vec![MetricSpec::utilization("cpu", 60)],
            ..HpaSpec::default()
        };
        let spec = foresail_core::spec::Spec::of_hpa(id.clone(), rules);
        let mut engine =
            foresail_models::registry::engine_of(spec, foresail_models::rng::Seed(0)).unwrap();
        let used = |name: &str| PodMetrics {
            pod: name.to_owned(),
            at: now,
            window: Span::from_seconds(30),
            containers: [("main".to_owned(), [("cpu".to_owned(), 110)].into())].into(),
        };
        let rule = engine.spec().targets()[0].rules.metrics()[0].clone();
        let used = [used("a"), used("b")];
        let reading = resolve::resource_reading(&rule, pods, &used, &hpa::Gates::default());
        let ready = Pod {
            phase: Phase::Running,
            ready: Ready::True,
            started_at: Some(Timestamp::from_seconds(0)),
            ..Pod::default()
        };
        let two = Replicas::new(2);
        let state = TargetState {
            target: id,
            current: Setting::replicas(two),
            status_replicas: two,
            ready: two,
            pods: vec![ready; 2],
            readings: vec![reading],
            ..TargetState::default()
        };
        engine.feed(Input::Samples(Samples {
            at: now,
            health: Health::default(),
            leading: true,
            targets: vec![state],
            values: Vec::new(),
        }));
        let tick = engine.feed(Input::Tick { now }).unwrap();
        tick.targets[0].decided.replicas.unwrap().get()
    }

    #[test]
    fn a_request_that_was_halved_moves_no_replicas() {
        let template = pod("", 200).containers;
        let pods = |cpu: i64| [pod("a", cpu), pod("b", cpu)];
        let kept = |cpu: i64| pods(cpu).map(|p| scaled_by(&p, &template));
        assert_eq!(replicas_for(&pods(200)), 2, "55 % of what it asks for");
        assert_eq!(replicas_for(&pods(100)), 4, "the same use is 110 %");
        assert_eq!(replicas_for(&kept(100)), 2);
        assert_eq!(replicas_for(&kept(400)), 2, "nor one that was doubled");
        // What the template does not name is the pod's own.
        assert_eq!(scaled_by(&pod("a", 100), &[]), pod("a", 100));
    }

    #[test]
    fn a_watch_that_lags_does_not_hide_what_was_written_since() {
        let asked =
            |watched: &ScaleSeen, known: &ScaleSeen| newest(watched.clone(), Some(known)).asked;
        assert_eq!(asked(&seen("a", "99", 3), &seen("a", "100", 5)), 5);
        assert_eq!(asked(&seen("a", "101", 3), &seen("a", "100", 5)), 3);
        assert_eq!(asked(&seen("b", "99", 3), &seen("a", "100", 5)), 3);
        assert_eq!(asked(&seen("a", "99", 3), &seen("a", "", 5)), 3);
        assert_eq!(newest(seen("a", "9", 3), None).asked, 3);
    }
}
