//! From a spec as written to one that the engine can trust; all problems at once.

use std::collections::BTreeMap;
use std::fmt;

use super::{Floor, Mode, PoolSpec, Resize, ResourceSpec, Spec};
use crate::hpa::Rules;
use crate::propose::plan::{Resources, TargetId};
use crate::quantity::time::Span;
use crate::quantity::units::{Quantity, Unit};

/// The most targets in one scope.
const TARGETS_MAX: usize = 10_000;

/// The longest interval between ticks: one day.
const INTERVAL_SECONDS_MAX: i64 = 86_400;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Where: the field's path from the top of the spec.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl SpecProblem {
    /// A problem at a place.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }

    /// A name that is not among those known, with the nearest as a suggestion.
    #[must_use]
    pub fn unknown(path: impl Into<String>, kind: &str, name: &str, known: &[&str]) -> Self {
        let nearest = known.iter().map(|k| (distance(name, k), *k)).min();
        let hint = match nearest {
            Some((d, k)) if d <= name.len().max(3) / 2 => format!("; did you mean `{k}`?"),
            _ => String::new(),
        };
        let list = known.join(", ");
        Self::new(
            path,
            format!("there is no {kind} `{name}`{hint} (known: {list})"),
        )
    }

    /// Every problem in one line.
    #[must_use]
    pub fn joined(problems: &[Self]) -> String {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        all.join("; ")
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Edit distance of two names (Levenshtein).
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// A target that can be trusted.
#[derive(Clone, Debug)]
pub struct ValidTarget {
    /// Its name.
    pub id: TargetId,
    /// The compiled HPA: bounds, metrics, behavior, controller settings.
    pub rules: Rules,
    /// Demand that one replica serves, where it is known; finite and above zero.
    pub capacity: Option<f64>,
    /// Bounds of the warm pool.
    pub pool: Option<PoolSpec>,
    /// Time from a pod's creation to its readiness.
    pub startup: Option<Span>,
    /// The requests of a pod that may be changed; empty = all, without bounds.
    pub resources: BTreeMap<String, ResourceSpec>,
    /// How a pod gets other requests.
    pub resize: Resize,
    /// Name of each metric, in order, for explanations.
    pub metric_names: Vec<String>,
}

impl ValidTarget {
    /// `true` where a pod's request of this resource may be changed.
    #[must_use]
    pub fn allows(&self, resource: &str) -> bool {
        self.resources.is_empty() || self.resources.contains_key(resource)
    }

    /// An amount of a resource within its bounds.
    #[must_use]
    pub fn bounded(&self, resource: &str, amount: Quantity) -> Quantity {
        match self.resources.get(resource) {
            Some(bounds) if amount.milli() < bounds.min.milli() => bounds.min,
            Some(bounds) if amount.milli() > bounds.max.milli() => bounds.max,
            _ => amount,
        }
    }

    /// Those of these requests that may be changed; the others are masked.
    #[must_use]
    pub fn supported(&self, requests: &Resources) -> Resources {
        let mut supported = Resources::NONE;
        for (name, amount) in requests.iter().filter(|(name, _)| self.allows(name)) {
            supported.set(name, amount);
        }
        supported
    }

    /// These requests, each within its bounds.
    #[must_use]
    pub fn within_bounds(&self, requests: &Resources) -> Resources {
        let mut within = Resources::NONE;
        for (name, amount) in requests.iter() {
            within.set(name, self.bounded(name, amount));
        }
        within
    }
}

/// A spec that can be trusted: nothing of it is checked again.
#[derive(Clone, Debug)]
pub struct ValidSpec {
    spec: Spec,
    targets: Vec<ValidTarget>,
    /// Place of each target by its name: a scope may have thousands.
    places: BTreeMap<TargetId, usize>,
    hpa_alone: bool,
}

impl ValidSpec {
    /// Checks a spec whole.
    ///
    /// # Errors
    /// Every problem found, each with its path and the mend.
    pub fn new(spec: Spec) -> Result<Self, Vec<SpecProblem>> {
        Self::checked(spec, true)
    }

    /// Takes an HPA as Kubernetes' controller does, which validates nothing.
    ///
    /// Used by the conformance command alone: its vectors are computed whatever they hold.
    ///
    /// # Errors
    /// Every problem found, each with its path and the mend.
    pub fn as_kubernetes(spec: Spec) -> Result<Self, Vec<SpecProblem>> {
        Self::checked(spec, false)
    }

    fn checked(spec: Spec, strict: bool) -> Result<Self, Vec<SpecProblem>> {
        let mut problems = Vec::new();
        check_top(&spec, &mut problems);
        let targets = compile_targets(&spec, strict, &mut problems);
        if problems.is_empty() {
            let hpa_alone = matches!(spec.proposers.as_slice(), [only] if only.name == "hpa");
            let places = targets.iter().enumerate();
            let places = places.map(|(i, t)| (t.id.clone(), i)).collect();
            Ok(Self {
                spec,
                targets,
                places,
                hpa_alone,
            })
        } else {
            Err(problems)
        }
    }

    /// `true` where the reactive floor is asked for at all.
    #[must_use]
    pub fn needs_floor(&self) -> bool {
        let off = Floor::Relaxed {
            min_share_percent: 0,
        };
        // Their wishes are made of it, whether it lies under other wishes or not.
        let made_of_it = ["hpa", "llm"];
        let mut proposers = self.spec.proposers.iter();
        self.spec.combine.floor != off || proposers.any(|p| made_of_it.contains(&p.name.as_str()))
    }

    /// The spec as it was written.
    #[must_use]
    pub fn written(&self) -> &Spec {
        &self.spec
    }

    /// The targets, in the order of the spec.
    #[must_use]
    pub fn targets(&self) -> &[ValidTarget] {
        &self.targets
    }

    /// `true` where the decision must equal Kubernetes' own bit for bit.
    #[must_use]
    pub fn hpa_alone(&self) -> bool {
        self.hpa_alone
    }

    /// What is allowed.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.spec.mode
    }

    /// Index of a target by its name.
    #[must_use]
    pub fn index_of(&self, target: &TargetId) -> Option<usize> {
        self.places.get(target).copied()
    }
}

fn check_top(spec: &Spec, problems: &mut Vec<SpecProblem>) {
    let mut bad = |path: &str, message: String| problems.push(SpecProblem::new(path, message));
    if spec.targets.is_empty() || spec.targets.len() > TARGETS_MAX {
        bad(
            "targets",
            format!("{} targets: write 1 to {TARGETS_MAX}", spec.targets.len()),
        );
    }
    if spec.proposers.is_empty() {
        bad(
            "proposers",
            "empty: name at least one, such as `hpa`".to_owned(),
        );
    }
    let seconds = spec.interval.whole_seconds();
    if spec.interval <= Span::ZERO || seconds > INTERVAL_SECONDS_MAX {
        bad(
            "intervalSeconds",
            format!("{}: must be above 0 and at most 86400", spec.interval),
        );
    }
    check_combine(spec, &mut bad);
    if spec.guards.stale_after <= Span::ZERO {
        bad(
            "guards.staleAfterSeconds",
            format!("{}: must be above 0", spec.guards.stale_after),
        );
    }
    if spec.guards.missing_pods_percent_max > 100 {
        bad(
            "guards.missingPodsPercentMax",
            "must be 0 to 100".to_owned(),
        );
    }
    if spec.guards.budget.period <= Span::ZERO {
        bad("guards.budget.periodSeconds", "must be above 0".to_owned());
    }
}

fn check_combine(spec: &Spec, bad: &mut impl FnMut(&str, String)) {
    let gate = &spec.combine.gate;
    if gate.coverage_percent_min > gate.coverage_percent_max || gate.coverage_percent_max > 100 {
        bad(
            "combine.gate.coveragePercentMin",
            "must be at most coveragePercentMax, and that at most 100".to_owned(),
        );
    }
    if !(gate.observed_factor_max.is_finite() && gate.observed_factor_max >= 1.0) {
        bad(
            "combine.gate.observedFactorMax",
            format!("{}: must be 1 or more", gate.observed_factor_max),
        );
    }
    if let Floor::Relaxed { min_share_percent } = spec.combine.floor
        && min_share_percent > 100
    {
        bad(
            "combine.floor.Relaxed.minSharePercent",
            format!("{min_share_percent}: must be 0 to 100"),
        );
    }
}

fn compile_targets(spec: &Spec, strict: bool, problems: &mut Vec<SpecProblem>) -> Vec<ValidTarget> {
    let mut targets: Vec<ValidTarget> = Vec::new();
    for (i, target) in spec.targets.iter().enumerate() {
        let path = format!("targets[{i}]");
        if spec.targets[..i].iter().any(|t| t.id == target.id) {
            problems.push(SpecProblem::new(
                format!("{path}.id"),
                format!("`{}` stands there twice", target.id),
            ));
        }
        check_target(&path, target, problems);
        let compile = if strict {
            Rules::compile
        } else {
            Rules::compile_unchecked
        };
        match compile(&target.hpa, spec.controller.clone()) {
            Err(found) => problems.extend(
                found
                    .into_iter()
                    .map(|p| SpecProblem::new(format!("{path}.hpa.{}", p.path), p.message)),
            ),
            Ok(rules) => {
                if strict {
                    problems.extend(
                        rules
                            .strict_problems()
                            .into_iter()
                            .map(|p| SpecProblem::new(format!("{path}.hpa.{}", p.path), p.message)),
                    );
                }
                targets.push(ValidTarget {
                    id: target.id.clone(),
                    metric_names: rules.metric_names(),
                    rules,
                    capacity: target.capacity.map(Quantity::value),
                    pool: target.pool.clone(),
                    startup: target.startup,
                    resources: target.resources.clone(),
                    resize: target.resize,
                });
            }
        }
    }
    targets
}

fn check_target(path: &str, target: &super::TargetSpec, problems: &mut Vec<SpecProblem>) {
    if target.id.as_str().is_empty() {
        problems.push(SpecProblem::new(
            format!("{path}.id"),
            "empty: name the target",
        ));
    }
    if let Some(capacity) = target.capacity
        && (capacity.milli() <= 0 || capacity.unit() == Unit::Bytes)
    {
        let message = format!("{capacity}: must be above 0, such as `100 req/s`");
        problems.push(SpecProblem::new(format!("{path}.capacity"), message));
    }
    if let Some(startup) = target.startup
        && startup.is_negative()
    {
        problems.push(SpecProblem::new(
            format!("{path}.startupSeconds"),
            "must be 0 or more",
        ));
    }
    for (name, resource) in &target.resources {
        check_resource(&format!("{path}.resources.{name}"), resource, problems);
    }
    if let Some(pool) = &target.pool
        && pool.min > pool.max
    {
        let message = format!(
            "{} is above pool.max = {}: raise max or lower min",
            pool.min, pool.max
        );
        problems.push(SpecProblem::new(format!("{path}.pool.min"), message));
    }
}

fn check_resource(path: &str, resource: &ResourceSpec, problems: &mut Vec<SpecProblem>) {
    let ResourceSpec { min, max, step } = resource;
    let mut bad = |field: &str, message: String| {
        problems.push(SpecProblem::new(format!("{path}.{field}"), message));
    };
    if min.milli() <= 0 {
        bad("min", format!("{min}: must be above 0"));
    }
    if min.milli() > max.milli() {
        let message = format!("{min} is above max = {max}: raise max or lower min");
        bad("min", message);
    }
    if step.milli() <= 0 {
        bad("step", format!("{step}: must be above 0"));
    }
}
