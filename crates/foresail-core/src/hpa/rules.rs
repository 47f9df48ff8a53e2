//! From the API's spec to compiled rules: validation and the API server's defaulting.

use super::spec::{
    Amount, ControllerSettings, HpaSpec, MetricSpec, MetricTarget, NamedMetric, ObjectReference,
    Policy, PolicyType, ResourceMetric, ScalingRules, SelectPolicy,
};
use crate::quantity::time::Span;
use crate::quantity::units::parse_kubernetes_milli;

/// CPU utilization that is aimed at where an HPA names no metric.
/// Source: pkg/apis/autoscaling/v2/defaults.go.
const DEFAULT_CPU_UTILIZATION: i32 = 80;

/// The longest stabilization window. Source: pkg/apis/autoscaling/validation.
const WINDOW_SECONDS_MAX: i32 = 3600;

/// The longest period of a policy. Source: pkg/apis/autoscaling/validation.
const PERIOD_SECONDS_MAX: i32 = 1800;

/// One thing that is wrong with an HPA spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HpaProblem {
    /// The field's path within the HPA spec.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Where a metric comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A resource that pods request, in all containers or in one.
    Resource {
        /// `cpu`, `memory`, …
        name: String,
        /// The one container that counts.
        container: Option<String>,
    },
    /// A metric of each pod.
    Pods(String),
    /// A metric of one object.
    Object(String, Option<ObjectReference>),
    /// A metric of the outside.
    External(String),
    /// A type that is not known.
    Unknown(String),
}

/// The set point of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Percent of the request.
    Utilization(i32),
    /// Thousandths per pod.
    AverageValue(i64),
    /// Thousandths in all.
    Value(i64),
    /// None was given; the metric can never be used.
    Missing,
}

/// One compiled metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRule {
    /// Where it comes from.
    pub source: Source,
    /// The set point.
    pub target: Target,
}

impl MetricRule {
    /// `true` for CPU of pods, whose samples are mistrusted while a pod starts.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        matches!(&self.source, Source::Resource { name, .. } if name == "cpu")
    }

    /// `true` for metrics that pods do not carry.
    #[must_use]
    pub fn is_total(&self) -> bool {
        matches!(self.source, Source::Object(..) | Source::External(_))
    }

    /// Its name, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.source {
            Source::Resource {
                name,
                container: None,
            }
            | Source::Pods(name) => name.clone(),
            Source::Resource {
                name,
                container: Some(container),
            } => format!("{name} of {container}"),
            Source::Object(name, _) | Source::External(name) | Source::Unknown(name) => {
                name.clone()
            }
        }
    }
}

/// Compiled rules of one direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DirectionRules {
    pub(crate) window: Span,
    pub(crate) select: SelectPolicy,
    pub(crate) policies: Vec<Policy>,
    pub(crate) tolerance: f64,
}

impl DirectionRules {
    /// The longest period of its policies.
    pub(crate) fn longest_period(&self) -> Span {
        let longest = self
            .policies
            .iter()
            .map(|p| p.period_seconds)
            .max()
            .unwrap_or(0);
        Span::from_seconds(i64::from(longest))
    }
}

/// Both directions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BehaviorRules {
    pub(crate) up: DirectionRules,
    pub(crate) down: DirectionRules,
}

/// An HPA that can be trusted: defaulted, validated, in milli-units.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    min: i32,
    max: i32,
    metrics: Vec<MetricRule>,
    pub(crate) behavior: Option<BehaviorRules>,
    pub(crate) controller: ControllerSettings,
    zero_gate: bool,
}

impl Rules {
    /// Applies the API server's defaults and its validation.
    ///
    /// # Errors
    /// Every problem found, each with its path and the allowed range.
    pub fn compile(
        spec: &HpaSpec,
        controller: ControllerSettings,
    ) -> Result<Self, Vec<HpaProblem>> {
        let (rules, found) = Self::read(spec, controller);
        if found.problems.is_empty() {
            Ok(rules)
        } else {
            Err(found.problems)
        }
    }

    /// Applies the API server's defaults without its validation.
    ///
    /// The controller computes on whatever object it is given; so does the conformance command.
    ///
    /// # Errors
    /// Only what no controller could compute with: a quantity that is none.
    pub fn compile_unchecked(
        spec: &HpaSpec,
        controller: ControllerSettings,
    ) -> Result<Self, Vec<HpaProblem>> {
        let (rules, found) = Self::read(spec, controller);
        if found.unreadable {
            Err(found.problems)
        } else {
            Ok(rules)
        }
    }

    fn read(spec: &HpaSpec, controller: ControllerSettings) -> (Self, Found) {
        let mut found = Found::default();
        let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
        let default_metric = [MetricSpec::cpu_utilization(DEFAULT_CPU_UTILIZATION)];
        let written = if spec.metrics.is_empty() {
            &default_metric[..]
        } else {
            &spec.metrics
        };
        let metrics: Vec<_> = written
            .iter()
            .enumerate()
            .map(|(i, m)| found.metric(i, m))
            .collect();
        found.bounds(min, max, &metrics);
        found.controller(&controller);
        let behavior = spec.behavior.as_ref().map(|b| BehaviorRules {
            up: found.direction("scaleUp", b.scale_up.as_ref(), &controller),
            down: found.direction("scaleDown", b.scale_down.as_ref(), &controller),
        });
        let zero_gate = controller.gates.scale_to_zero;
        (
            Self {
                min,
                max,
                metrics,
                behavior,
                controller,
                zero_gate,
            },
            found,
        )
    }

    /// The fewest replicas.
    #[must_use]
    pub fn min(&self) -> i32 {
        self.min
    }

    /// The most replicas.
    #[must_use]
    pub fn max(&self) -> i32 {
        self.max
    }

    /// The metrics, in order; never empty.
    #[must_use]
    pub fn metrics(&self) -> &[MetricRule] {
        &self.metrics
    }

    /// Names of the metrics, in order.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        self.metrics.iter().map(MetricRule::name).collect()
    }

    /// `true` where the object has `behavior`.
    #[must_use]
    pub fn has_behavior(&self) -> bool {
        self.behavior.is_some()
    }

    /// `true` where an autoscaler may scale to zero and back.
    #[must_use]
    pub fn zero_gate(&self) -> bool {
        self.zero_gate
    }

    /// `true` where a metric can be read without any pod.
    #[must_use]
    pub fn has_total_metric(&self) -> bool {
        self.metrics.iter().any(MetricRule::is_total)
    }

    /// Tolerances downwards and upwards.
    pub(crate) fn tolerances(&self) -> (f64, f64) {
        let general = self.controller.tolerance;
        self.behavior
            .as_ref()
            .map_or((general, general), |b| (b.down.tolerance, b.up.tolerance))
    }

    /// Problems that Kubernetes accepts and Foresail does not: rules that cannot leave zero.
    #[must_use]
    pub fn strict_problems(&self) -> Vec<HpaProblem> {
        let up = self.behavior.as_ref().map(|b| &b.up);
        let stuck = up.is_some_and(|up| {
            up.select != SelectPolicy::Disabled
                && up.policies.iter().all(|p| p.kind == PolicyType::Percent)
        });
        if stuck && self.min == 0 {
            let message = "percent policies alone cannot leave zero replicas (a share of 0 is 0): \
                           add a policy of type Pods, or set minReplicas to 1 or more";
            let path = "behavior.scaleUp.policies".to_owned();
            vec![HpaProblem {
                path,
                message: message.to_owned(),
            }]
        } else {
            Vec::new()
        }
    }
}

/// Problems found so far.
#[derive(Default)]
struct Found {
    problems: Vec<HpaProblem>,
    /// `true` once something was met that no controller could compute with.
    unreadable: bool,
}

impl Found {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(HpaProblem {
            path: path.into(),
            message: message.into(),
        });
    }

    fn bounds(&mut self, min: i32, max: i32, metrics: &[MetricRule]) {
        if min < 0 {
            self.add("minReplicas", format!("{min}: must be 0 or more"));
        }
        if min == 0 && !metrics.iter().any(MetricRule::is_total) {
            self.add(
                "minReplicas",
                "0: needs at least one Object or External metric, or write 1",
            );
        }
        if max < 1 {
            self.add("maxReplicas", format!("{max}: must be 1 or more"));
        }
        if max < min {
            self.add(
                "maxReplicas",
                format!("{max}: is below minReplicas = {min}; raise it or lower minReplicas"),
            );
        }
    }

    fn controller(&mut self, controller: &ControllerSettings) {
        if !(controller.tolerance.is_finite() && controller.tolerance >= 0.0) {
            self.add(
                "controller.tolerance",
                format!("{}: must be 0 or more", controller.tolerance),
            );
        }
        let spans = [
            (
                "downscaleStabilizationSeconds",
                controller.downscale_stabilization,
            ),
            (
                "cpuInitializationPeriodSeconds",
                controller.cpu_initialization_period,
            ),
            (
                "initialReadinessDelaySeconds",
                controller.initial_readiness_delay,
            ),
        ];
        for (name, span) in spans.into_iter().filter(|(_, span)| span.is_negative()) {
            self.add(
                format!("controller.{name}"),
                format!("{span}: must be 0 or more"),
            );
        }
    }

    fn metric(&mut self, index: usize, metric: &MetricSpec) -> MetricRule {
        let path = format!("metrics[{index}]");
        match metric.kind.as_str() {
            "Resource" => self.resource(&path, "resource", metric.resource.as_ref(), false),
            "ContainerResource" => self.resource(
                &path,
                "containerResource",
                metric.container_resource.as_ref(),
                true,
            ),
            "Pods" => self.named(&path, "Pods", metric.pods.as_ref()),
            "Object" => self.named(&path, "Object", metric.object.as_ref()),
            "External" => self.named(&path, "External", metric.external.as_ref()),
            other => {
                let known = "Resource, ContainerResource, Pods, Object, External";
                self.add(
                    format!("{path}.type"),
                    format!("`{other}`: must be one of {known}"),
                );
                MetricRule {
                    source: Source::Unknown(other.to_owned()),
                    target: Target::Missing,
                }
            }
        }
    }

    fn resource(
        &mut self,
        path: &str,
        field: &str,
        given: Option<&ResourceMetric>,
        of_container: bool,
    ) -> MetricRule {
        let path = format!("{path}.{field}");
        let container = given.and_then(|r| r.container.clone());
        if of_container && container.is_none() {
            self.add(format!("{path}.container"), "missing: name the container");
        }
        // A container that is not named is still a container's metric.
        let container = of_container.then(|| container.unwrap_or_default());
        let name = given.map(|r| r.name.clone()).unwrap_or_default();
        let target = self.target(&path, given.map(|r| &r.target), "Resource");
        MetricRule {
            source: Source::Resource { name, container },
            target,
        }
    }

    fn named(&mut self, path: &str, kind: &str, given: Option<&NamedMetric>) -> MetricRule {
        let path = format!("{path}.{}", kind.to_lowercase());
        let name = given.map(|n| n.metric.name.clone()).unwrap_or_default();
        let source = match kind {
            "Pods" => Source::Pods(name),
            "Object" => Source::Object(name, given.and_then(|n| n.described_object.clone())),
            _ => Source::External(name),
        };
        let target = self.target(&path, given.map(|n| &n.target), kind);
        MetricRule { source, target }
    }

    /// The set point that the controller looks at for this kind of metric.
    fn target(&mut self, path: &str, given: Option<&MetricTarget>, kind: &str) -> Target {
        let Some(target) = given else {
            self.add(path, "missing although the metric's type names it");
            return Target::Missing;
        };
        let average = self.amount(
            &format!("{path}.target.averageValue"),
            target.average_value.as_ref(),
        );
        let value = self.amount(&format!("{path}.target.value"), target.value.as_ref());
        if let Some(percent) = target.average_utilization
            && percent < 1
        {
            let at = format!("{path}.target.averageUtilization");
            self.add(at, format!("{percent}: must be 1 or more"));
        }
        let utilization = target.average_utilization.filter(|_| kind == "Resource");
        let utilization = utilization.map(Target::Utilization);
        let average = average.map(Target::AverageValue);
        let value = value
            .filter(|_| matches!(kind, "Object" | "External"))
            .map(Target::Value);
        // An Object metric follows `type`; all others look at which field is set, the average first.
        let chosen = match (kind, target.kind.as_str()) {
            ("Object", "Value") => value.or(average),
            _ => average.or(utilization).or(value),
        };
        if chosen.is_none() {
            let mend = "no set point: give averageUtilization, averageValue or value";
            self.add(format!("{path}.target"), mend);
        }
        chosen.unwrap_or(Target::Missing)
    }

    fn amount(&mut self, path: &str, amount: Option<&Amount>) -> Option<i64> {
        let text = amount?.text();
        match parse_kubernetes_milli(&text) {
            Ok(milli) => {
                if milli <= 0 {
                    self.add(path, format!("{text}: must be above 0"));
                }
                Some(milli)
            }
            Err(error) => {
                self.unreadable = true;
                self.add(path, error.to_string());
                None
            }
        }
    }

    fn direction(
        &mut self,
        name: &str,
        given: Option<&ScalingRules>,
        controller: &ControllerSettings,
    ) -> DirectionRules {
        let path = format!("behavior.{name}");
        let window = given.and_then(|g| g.stabilization_window_seconds);
        if let Some(seconds) = window.filter(|w| !(0..=WINDOW_SECONDS_MAX).contains(w)) {
            self.add(
                format!("{path}.stabilizationWindowSeconds"),
                format!("{seconds}: must be 0…3600"),
            );
        }
        let up = name == "scaleUp";
        let fallback = if up {
            Span::ZERO
        } else {
            controller.downscale_stabilization
        };
        let policies = match given.and_then(|g| g.policies.clone()) {
            Some(policies) => self.policies(&path, policies),
            None => default_policies(up),
        };
        DirectionRules {
            window: window.map_or(fallback, |w| Span::from_seconds(i64::from(w))),
            select: given.and_then(|g| g.select_policy).unwrap_or_default(),
            policies,
            tolerance: self.tolerance(&path, given.and_then(|g| g.tolerance.as_ref()), controller),
        }
    }

    fn policies(&mut self, path: &str, policies: Vec<Policy>) -> Vec<Policy> {
        if policies.is_empty() {
            self.add(
                format!("{path}.policies"),
                "empty: give at least one, or leave the list out",
            );
        }
        for (i, policy) in policies.iter().enumerate() {
            let at = format!("{path}.policies[{i}]");
            if policy.value <= 0 {
                self.add(
                    format!("{at}.value"),
                    format!("{}: must be above 0", policy.value),
                );
            }
            if !(1..=PERIOD_SECONDS_MAX).contains(&policy.period_seconds) {
                self.add(
                    format!("{at}.periodSeconds"),
                    format!("{}: must be 1…1800", policy.period_seconds),
                );
            }
        }
        policies
    }

    fn tolerance(
        &mut self,
        path: &str,
        given: Option<&Amount>,
        controller: &ControllerSettings,
    ) -> f64 {
        let Some(given) = given.filter(|_| controller.gates.configurable_tolerance) else {
            return controller.tolerance;
        };
        match parse_kubernetes_milli(&given.text()) {
            Ok(milli) if milli >= 0 => {
                // As the API's quantity becomes a float: the decimal text itself, not thousandths.
                given.text().parse().unwrap_or(milli as f64 / 1000.0)
            }
            _ => {
                self.add(
                    format!("{path}.tolerance"),
                    format!("{}: must be a quantity of 0 or more", given.text()),
                );
                controller.tolerance
            }
        }
    }
}

/// The API server's policies where a direction names none.
fn default_policies(up: bool) -> Vec<Policy> {
    let percent = Policy {
        kind: PolicyType::Percent,
        value: 100,
        period_seconds: 15,
    };
    let pods = Policy {
        kind: PolicyType::Pods,
        value: 4,
        period_seconds: 15,
    };
    if up {
        vec![pods, percent]
    } else {
        vec![percent]
    }
}
