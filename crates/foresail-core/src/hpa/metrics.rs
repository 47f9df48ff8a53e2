//! The replica calculator: per-metric formulas, and several metrics to one proposal.

use super::pods::{Group, Phase, Pod, PodReading, Reading, Ready, Selector, group};
use super::rules::{MetricRule, Rules, Source, Target};
use super::spec::Overflow;
use crate::propose::plan::Resources;
use crate::quantity::time::Timestamp;

/// What one pass sees.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Every pod of the selector.
    pub pods: &'a [Pod],
    /// What each metric of the rules read, in their order.
    pub readings: &'a [Reading],
    /// `scale.spec.replicas`.
    pub current: i32,
    /// `scale.status.replicas`.
    pub status_replicas: i32,
    /// Condition ScaledToZero.
    pub scaled_to_zero: bool,
    /// State of the selector.
    pub selector: Selector,
    /// Requests per pod that are proposed; they replace the pods' own of that resource.
    pub requests: &'a Resources,
}

/// Why a metric, or all of them, gave no proposal; Kubernetes' own reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// A resource metric could not be used.
    Resource,
    /// A container resource metric could not be used.
    ContainerResource,
    /// A metric of pods could not be used.
    Pods,
    /// A metric of an object could not be used.
    Object,
    /// An external metric could not be used.
    External,
    /// The metric's type is not known.
    InvalidType,
    /// There is no selector.
    SelectorEmpty,
    /// The selector cannot be parsed.
    SelectorInvalid,
    /// Another HPA selects the same pods.
    SelectorAmbiguous,
}

impl Failure {
    fn of(rule: &MetricRule) -> Self {
        match &rule.source {
            Source::Resource {
                container: None, ..
            } => Self::Resource,
            Source::Resource {
                container: Some(_), ..
            } => Self::ContainerResource,
            Source::Pods(_) => Self::Pods,
            Source::Object(..) => Self::Object,
            Source::External(_) => Self::External,
            Source::Unknown(_) => Self::InvalidType,
        }
    }

    /// Reason of condition ScalingActive.
    #[must_use]
    pub fn condition_reason(self) -> &'static str {
        match self {
            Self::Resource => "FailedGetResourceMetric",
            Self::ContainerResource => "FailedGetContainerResourceMetric",
            Self::Pods => "FailedGetPodsMetric",
            Self::Object => "FailedGetObjectMetric",
            Self::External => "FailedGetExternalMetric",
            Self::InvalidType => "InvalidMetricSourceType",
            Self::SelectorEmpty | Self::SelectorInvalid => "InvalidSelector",
            Self::SelectorAmbiguous => "AmbiguousSelector",
        }
    }

    /// Reason of the event.
    #[must_use]
    pub fn event_reason(self) -> &'static str {
        match self {
            Self::SelectorEmpty => "SelectorRequired",
            other => other.condition_reason(),
        }
    }
}

/// What the metrics ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsProposal {
    /// The proposal; `None` where it is not valid. Below zero only with Kubernetes' own overflow.
    pub replicas: Option<i32>,
    /// Index of the metric that asks for the most.
    pub metric: Option<usize>,
    /// Its ratio of usage to target value, in thousandths.
    pub ratio_milli: i64,
    /// Failures in the order of the metrics; one entry for a selector that cannot be used.
    pub failures: Vec<Failure>,
}

impl MetricsProposal {
    /// `true` where some metric could not be used.
    #[must_use]
    pub fn has_failures(&self) -> bool {
        !self.failures.is_empty()
    }

    fn failed(failure: Failure) -> Self {
        Self {
            replicas: None,
            metric: None,
            ratio_milli: 0,
            failures: vec![failure],
        }
    }
}

/// One metric's answer: replicas and ratio.
type Answer = Option<(i32, f64)>;

/// The proposal of all metrics together: the largest, errors blocking only the way down.
///
/// Source: horizontal.go, computeReplicasForMetrics.
#[must_use]
pub fn proposal(rules: &Rules, seen: &Observed<'_>, now: Timestamp) -> MetricsProposal {
    match seen.selector {
        Selector::Valid => {}
        Selector::Empty => return MetricsProposal::failed(Failure::SelectorEmpty),
        Selector::Invalid => return MetricsProposal::failed(Failure::SelectorInvalid),
        Selector::Ambiguous => return MetricsProposal::failed(Failure::SelectorAmbiguous),
    }
    let (mut replicas, mut metric, mut ratio) = (0, None, 0.0);
    let mut failures = Vec::new();
    for (index, rule) in rules.metrics().iter().enumerate() {
        let reading = seen.readings.get(index).unwrap_or(&Reading::Failed);
        match of_metric(rules, rule, reading, seen, now) {
            None => failures.push(Failure::of(rule)),
            Some((proposed, usage_ratio)) => {
                if replicas == 0 || proposed > replicas {
                    (replicas, metric, ratio) = (proposed, Some(index), usage_ratio);
                }
            }
        }
    }
    let all_failed = failures.len() >= rules.metrics().len();
    let valid = !all_failed && (failures.is_empty() || replicas >= seen.current);
    MetricsProposal {
        replicas: valid.then_some(replicas),
        metric,
        ratio_milli: (ratio * 1000.0).round() as i64,
        failures,
    }
}

fn of_metric(
    rules: &Rules,
    rule: &MetricRule,
    reading: &Reading,
    seen: &Observed<'_>,
    now: Timestamp,
) -> Answer {
    match (&rule.source, reading) {
        (Source::Resource { .. } | Source::Pods(_), Reading::Pods(readings)) => {
            of_pods(&PodsPass {
                rules,
                rule,
                readings,
                seen,
                now,
            })
        }
        (Source::Object(..), Reading::Total(values)) => {
            of_total(rules, rule.target, *values.first()?, seen, false)
        }
        (Source::External(_), Reading::Total(values)) => {
            if values.is_empty() {
                return None;
            }
            let total = external_total(rules, rule.target, values);
            of_total(rules, rule.target, total, seen, true)
        }
        _ => None,
    }
}

/// The sum of an external metric's series.
///
/// Kubernetes takes a sum below zero for an overflow where the target is per pod.
/// Source: replica_calculator.go, GetExternalMetricReplicas and GetExternalPerPodMetricReplicas.
fn external_total(rules: &Rules, target: Target, values: &[i64]) -> i64 {
    if rules.controller.overflow == Overflow::Saturate {
        return saturate_i64(values.iter().map(|v| i128::from(*v)).sum());
    }
    let per_pod = matches!(target, Target::AverageValue(_));
    let mut total: i64 = 0;
    for value in values {
        if !per_pod && *value > 0 && total > i64::MAX - value {
            return i64::MAX;
        }
        total = total.wrapping_add(*value);
        if per_pod && total < 0 {
            return i64::MAX;
        }
    }
    total
}

fn saturate_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

fn is_within(rules: &Rules, ratio: f64) -> bool {
    let (down, up) = rules.tolerances();
    1.0 - down <= ratio && ratio <= 1.0 + up
}

/// Everything that the pass over the pods of one metric looks at.
struct PodsPass<'a> {
    rules: &'a Rules,
    rule: &'a MetricRule,
    readings: &'a [PodReading],
    seen: &'a Observed<'a>,
    now: Timestamp,
}

/// Sums over the samples that count.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    usage: i128,
    request: i128,
    /// Samples whose pod has a request, for Utilization.
    matched: i64,
    /// All samples.
    samples: i64,
}

/// Counts of the groups.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    ready: i64,
    unready: i64,
    missing: i64,
}

impl PodsPass<'_> {
    /// The request of one pod: the proposed one where there is one.
    fn request(&self, reading: &PodReading) -> Option<i64> {
        let proposed = match &self.rule.source {
            Source::Resource {
                name,
                container: None,
            } if !self.seen.requests.is_empty() => self
                .seen
                .requests
                .get(name)
                .map(crate::quantity::units::Quantity::milli),
            _ => None,
        };
        proposed.or(reading.request)
    }

    fn by_utilization(&self) -> Option<i32> {
        match self.rule.target {
            Target::Utilization(percent) => Some(percent),
            Target::AverageValue(_) | Target::Value(_) | Target::Missing => None,
        }
    }

    /// Ratio of usage to the set point; `None` where nothing can be divided.
    fn ratio(&self, sums: &Sums) -> Option<f64> {
        match self.rule.target {
            Target::Utilization(percent) => {
                if sums.has_no_request() {
                    return None;
                }
                let used = self.utilization_percent(sums);
                // A percentage past the type's end is as much as can be: the proposal saturates too.
                let past_the_end = self.rules.controller.overflow == Overflow::Saturate
                    && sums.usage * 100 / sums.request > i128::from(i32::MAX);
                if past_the_end {
                    return Some(f64::INFINITY);
                }
                Some(f64::from(used) / f64::from(percent))
            }
            Target::AverageValue(target) | Target::Value(target) => {
                let average = saturate_i64(sums.usage / i128::from(sums.samples.max(1)));
                (sums.samples > 0).then(|| average as f64 / target as f64)
            }
            Target::Missing => None,
        }
    }

    /// `int32(100·usage / request)`, cut off.
    fn utilization_percent(&self, sums: &Sums) -> i32 {
        match self.rules.controller.overflow {
            Overflow::Saturate => {
                let percent = sums.usage * 100 / sums.request;
                i32::try_from(percent).unwrap_or(if percent < 0 { i32::MIN } else { i32::MAX })
            }
            Overflow::BugCompatible => {
                let percent = (sums.usage as i64).wrapping_mul(100);
                percent.wrapping_div(sums.request as i64) as i32
            }
        }
    }

    /// The value that stands in for a pod without a sample on the way down.
    fn fill(&self, request: Option<i64>) -> i64 {
        match self.rule.target {
            Target::Utilization(percent) => {
                let share = i128::from(percent.max(100));
                saturate_i64(i128::from(request.unwrap_or(0)) * share / 100)
            }
            Target::AverageValue(target) | Target::Value(target) => target,
            Target::Missing => 0,
        }
    }
}

impl Sums {
    /// `true` where there is nothing to divide by; requests of 64 bits may wrap to zero too.
    fn has_no_request(&self) -> bool {
        self.request as i64 == 0 || self.matched == 0
    }

    /// Adds the same value and request of each of `count` pods.
    fn add(&mut self, value: i64, request: Option<i64>, count: u32) {
        let pods = i128::from(count);
        self.usage += i128::from(value) * pods;
        self.samples += i64::from(count);
        if let Some(request) = request {
            self.request += i128::from(request) * pods;
            self.matched += i64::from(count);
        }
    }

    /// Usage counts for Utilization only where the pod has a request.
    fn add_foreign(&mut self, value: i64, by_utilization: bool) {
        if !by_utilization {
            self.usage += i128::from(value);
        }
        self.samples += 1;
    }
}

/// Groups the pods and sums the samples that are trusted.
fn first_pass(pass: &PodsPass<'_>) -> Option<(Sums, Counts)> {
    let (is_cpu, by_utilization) = (pass.rule.is_cpu(), pass.by_utilization().is_some());
    let (mut sums, mut counts) = (Sums::default(), Counts::default());
    let mut request_lacks = false;
    for (index, pod) in pass.seen.pods.iter().enumerate() {
        let reading = pass.readings.get(index).copied().unwrap_or_default();
        let request = pass.request(&reading);
        request_lacks |= request.is_none();
        match group(pod, reading.sample, is_cpu, pass.rules, pass.now) {
            Group::Ignored => {}
            Group::Unready => counts.unready += i64::from(pod.count),
            Group::Missing => counts.missing += i64::from(pod.count),
            Group::Ready => {
                counts.ready += i64::from(pod.count);
                let value = reading.sample.map_or(0, |s| s.value);
                sums.add(value, request.filter(|_| by_utilization), pod.count);
            }
        }
    }
    for foreign in pass.readings.iter().skip(pass.seen.pods.len()) {
        if let Some(sample) = foreign.sample {
            sums.add_foreign(sample.value, by_utilization);
        }
    }
    // A request that lacks on any selected pod, even one that is going away, fails the metric.
    let usable =
        !pass.seen.pods.is_empty() && sums.samples > 0 && !(by_utilization && request_lacks);
    usable.then_some((sums, counts))
}

/// The formula over pods: Utilization and AverageValue of resources and of metrics of pods.
///
/// Source: replica_calculator.go, GetResourceReplicas and calcPlainMetricReplicas.
fn of_pods(pass: &PodsPass<'_>) -> Answer {
    let (sums, counts) = first_pass(pass)?;
    let ratio = pass.ratio(&sums)?;
    let current = pass.seen.current;
    let up_with_unready = counts.unready > 0 && ratio > 1.0;
    if !up_with_unready && counts.missing == 0 {
        if is_within(pass.rules, ratio) {
            return Some((current, ratio));
        }
        return Some((
            pass.rules
                .controller
                .overflow
                .to_i32((ratio * counts.ready as f64).ceil()),
            ratio,
        ));
    }
    let filled = second_pass(pass, sums, ratio, up_with_unready);
    let new_ratio = pass.ratio(&filled)?;
    let crossed = (ratio < 1.0 && new_ratio > 1.0) || (ratio > 1.0 && new_ratio < 1.0);
    if is_within(pass.rules, new_ratio) || crossed {
        return Some((current, ratio));
    }
    let proposed = pass
        .rules
        .controller
        .overflow
        .to_i32((new_ratio * filled.samples as f64).ceil());
    let contradicts =
        (new_ratio < 1.0 && proposed > current) || (new_ratio > 1.0 && proposed < current);
    Some((if contradicts { current } else { proposed }, ratio))
}

/// Sums with a stand-in for every pod whose load is not known.
fn second_pass(pass: &PodsPass<'_>, mut sums: Sums, ratio: f64, up_with_unready: bool) -> Sums {
    let by_utilization = pass.by_utilization().is_some();
    for (index, pod) in pass.seen.pods.iter().enumerate() {
        let reading = pass.readings.get(index).copied().unwrap_or_default();
        let request = pass.request(&reading).filter(|_| by_utilization);
        match group(
            pod,
            reading.sample,
            pass.rule.is_cpu(),
            pass.rules,
            pass.now,
        ) {
            Group::Missing if ratio < 1.0 => sums.add(pass.fill(request), request, pod.count),
            Group::Missing if ratio > 1.0 => sums.add(0, request, pod.count),
            Group::Unready if up_with_unready => sums.add(0, request, pod.count),
            Group::Missing | Group::Unready | Group::Ignored | Group::Ready => {}
        }
    }
    sums
}

/// The formula over a total: Object and External.
///
/// Source: replica_calculator.go, GetObjectMetricReplicas, GetObjectPerPodMetricReplicas,
/// GetExternalMetricReplicas, GetExternalPerPodMetricReplicas and getUsageRatioReplicaCount.
fn of_total(
    rules: &Rules,
    target: Target,
    total: i64,
    seen: &Observed<'_>,
    external: bool,
) -> Answer {
    match target {
        Target::AverageValue(target) => {
            let status = seen.status_replicas;
            let ratio = total as f64 / (target as f64 * f64::from(status));
            if is_within(rules, ratio) {
                return Some((status, ratio));
            }
            let needed = (total as f64 / target as f64).ceil();
            let capped = if external && needed > f64::from(i32::MAX) {
                f64::from(i32::MAX)
            } else {
                needed
            };
            Some((rules.controller.overflow.to_i32(capped), ratio))
        }
        Target::Value(target) => {
            let ratio = total as f64 / target as f64;
            if seen.current == 0 {
                return Some((rules.controller.overflow.to_i32(ratio.ceil()), ratio));
            }
            if is_within(rules, ratio) {
                return Some((seen.current, ratio));
            }
            let needed = (ratio * ready_running(seen.pods)? as f64).ceil();
            Some((needed as i32, ratio))
        }
        Target::Utilization(_) | Target::Missing => None,
    }
}

/// Pods that run and are ready; `None` without any pod at all.
fn ready_running(pods: &[Pod]) -> Option<u64> {
    let counted = pods
        .iter()
        .filter(|p| p.phase == Phase::Running && p.ready == Ready::True);
    (!pods.is_empty()).then(|| counted.map(|p| u64::from(p.count)).sum())
}

/// What one metric reads in all, as the HPA's status tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetricStatus {
    /// Thousandths per pod.
    pub average_value: Option<i64>,
    /// Percent of the request.
    pub average_utilization: Option<i32>,
    /// Thousandths in all.
    pub value: Option<i64>,
}

/// The status of every metric in order; `None` for one that could not be used.
///
/// Made only when it is shown. The values are those of the first pass, without stand-ins.
#[must_use]
pub fn statuses(rules: &Rules, seen: &Observed<'_>, now: Timestamp) -> Vec<Option<MetricStatus>> {
    let pairs = rules.metrics().iter().enumerate();
    pairs
        .map(|(i, rule)| status_of(rules, rule, seen.readings.get(i)?, seen, now))
        .collect()
}

fn status_of(
    rules: &Rules,
    rule: &MetricRule,
    reading: &Reading,
    seen: &Observed<'_>,
    now: Timestamp,
) -> Option<MetricStatus> {
    match reading {
        Reading::Failed => None,
        Reading::Pods(readings) => {
            let pass = PodsPass {
                rules,
                rule,
                readings,
                seen,
                now,
            };
            let (sums, _) = first_pass(&pass)?;
            let by_utilization = pass.by_utilization().is_some();
            if by_utilization && sums.has_no_request() {
                return None;
            }
            let count = if by_utilization {
                sums.matched
            } else {
                sums.samples
            };
            Some(MetricStatus {
                average_value: Some(saturate_i64(sums.usage / i128::from(count.max(1)))),
                average_utilization: by_utilization.then(|| pass.utilization_percent(&sums)),
                value: None,
            })
        }
        Reading::Total(values) => {
            let total = saturate_i64(values.iter().map(|v| i128::from(*v)).sum());
            let average = (total as f64 / f64::from(seen.status_replicas)).ceil();
            let per_pod = matches!(rule.target, Target::AverageValue(_));
            Some(MetricStatus {
                average_value: per_pod.then(|| to_i64(rules, average)),
                average_utilization: None,
                value: (!per_pod).then_some(total),
            })
        }
    }
}

/// `int64(x)` as Go does it on amd64, or saturating.
fn to_i64(rules: &Rules, value: f64) -> i64 {
    let fits = value.abs() < 9.2e18;
    match rules.controller.overflow {
        Overflow::BugCompatible if !fits => i64::MIN,
        _ => value as i64,
    }
}
