//! The rules that no schema can say, each in CEL for the API server and in Rust for a file or an
//! object that is older than the rule: one list, one message.

use foresail_core::spec::SpecProblem;
use serde_json::{Value, json};

use super::behavior::{PolicyType, SelectPolicy};
use super::metric::{LabelOperator, Metric, MetricType, Role, TargetType};
use super::spec::{ActuationType, ContainerPolicy, PredictiveAutoscalerSpec as Spec, VerticalMode};

/// One rule.
struct Rule {
    /// Where it holds: fields from the top of the object, `[]` for each item of a list.
    at: &'static [&'static str],
    /// What must be true.
    cel: &'static str,
    /// What is told where it is not.
    message: &'static str,
    /// Where it is not true in a spec, as paths.
    broken: fn(&Spec) -> Vec<String>,
}

/// Every set point.
const TARGETS: [&str; 6] = [
    "spec.metrics[].resource.target",
    "spec.metrics[].containerResource.target",
    "spec.metrics[].pods.target",
    "spec.metrics[].object.target",
    "spec.metrics[].external.target",
    "spec.metrics[].prometheus.target",
];

/// Proposers without a wish where no demand is measured.
const ON_DEMAND: [&str; 9] = [
    "aapa",
    "aapa-published",
    "buffered",
    "confidence-aware",
    "persistence",
    "policy-aware",
    "predictive",
    "predictive-hpa",
    "simple-ceiling",
];

const RULES: &[Rule] = &[
    Rule {
        at: &["spec"],
        cel: "self.minReplicas <= self.maxReplicas",
        message: "minReplicas must be at most maxReplicas: raise maxReplicas or lower minReplicas",
        broken: |spec| when(spec.min_replicas > spec.max_replicas, "spec.minReplicas"),
    },
    Rule {
        at: &["spec.scaleTargetRef"],
        cel: "self == oldSelf",
        message: "scaleTargetRef cannot be changed: create a new object for another target",
        // One object alone has no past.
        broken: |_| Vec::new(),
    },
    Rule {
        at: &["spec"],
        cel: "self.minReplicas > 0 || self.metrics.exists(m, m.role != 'Forecast' && m.type in ['Object', 'External', 'Prometheus'])",
        message: "minReplicas 0 needs a metric of type Object, External or Prometheus, which can be read without a pod: add one or write 1",
        broken: |spec| {
            let readable = |m: &Metric| {
                use MetricType::{External, Object, Prometheus};
                m.role != Role::Forecast && matches!(m.kind, Object | External | Prometheus)
            };
            let stuck = spec.min_replicas < 1 && !spec.metrics.iter().any(readable);
            when(stuck, "spec.minReplicas")
        },
    },
    Rule {
        at: &["spec"],
        cel: "self.minReplicas > 0 || !has(self.behavior) || !has(self.behavior.scaleUp) || !has(self.behavior.scaleUp.policies) || (has(self.behavior.scaleUp.selectPolicy) && self.behavior.scaleUp.selectPolicy == 'Disabled') || self.behavior.scaleUp.policies.exists(p, p.type == 'Pods')",
        message: "percent policies alone cannot leave zero replicas: add a scaleUp policy of type Pods, or write minReplicas 1",
        broken: |spec| when(stuck_at_zero(spec), "spec.behavior.scaleUp.policies"),
    },
    Rule {
        at: &["spec.metrics"],
        cel: "self.all(m, !has(m.name) || self.exists_one(n, has(n.name) && n.name == m.name))",
        message: "two metrics have the same name: names must differ",
        broken: |spec| {
            each(spec, |i, m| {
                let same = |n: &Metric| m.name.is_some() && n.name == m.name;
                let twice = spec.metrics.iter().take(i).any(same);
                when(twice, &format!("spec.metrics[{i}].name"))
            })
        },
    },
    Rule {
        at: &["spec.metrics"],
        cel: "self.filter(m, m.role != 'React').size() <= 1",
        message: "at most one metric may have role Forecast or Both: its series is the demand that is forecast",
        broken: |spec| {
            let demands = spec.metrics.iter().filter(|m| m.role != Role::React);
            when(demands.count() > 1, "spec.metrics")
        },
    },
    Rule {
        at: &["spec.metrics"],
        cel: "self.exists(m, m.role != 'Forecast')",
        message: "at least one metric must have role React or Both: it is the reactive floor",
        broken: |spec| {
            let floor = spec.metrics.iter().any(|m| m.role != Role::Forecast);
            when(!floor, "spec.metrics")
        },
    },
    Rule {
        at: &["spec.metrics[]"],
        cel: "self.role == 'React' || self.type in ['External', 'Prometheus']",
        message: "role Forecast or Both is for metrics of type Prometheus and External: what pods use is no demand, it falls when replicas are added",
        broken: |spec| {
            each(spec, |i, m| {
                let total = matches!(m.kind, MetricType::External | MetricType::Prometheus);
                let path = format!("spec.metrics[{i}].role");
                when(m.role != Role::React && !total, &path)
            })
        },
    },
    Rule {
        at: &["spec.metrics[]"],
        cel: "has(self.resource) == (self.type == 'Resource') && has(self.containerResource) == (self.type == 'ContainerResource') && has(self.pods) == (self.type == 'Pods') && has(self.object) == (self.type == 'Object') && has(self.external) == (self.type == 'External') && has(self.prometheus) == (self.type == 'Prometheus')",
        message: "the field named like the metric's type must be given and no other: resource, containerResource, pods, object, external or prometheus",
        broken: |spec| {
            each(spec, |i, m| {
                let fits = m.fields() == [m.kind];
                when(!fits, &format!("spec.metrics[{i}]"))
            })
        },
    },
    Rule {
        at: &TARGETS,
        cel: "has(self.averageUtilization) == (self.type == 'Utilization') && has(self.averageValue) == (self.type == 'AverageValue') && has(self.value) == (self.type == 'Value')",
        message: "the field named like the target's type must be given and no other: averageUtilization, averageValue or value",
        broken: |spec| {
            each_target(spec, |_, target| {
                let given = [
                    (
                        target.average_utilization.is_some(),
                        TargetType::Utilization,
                    ),
                    (target.average_value.is_some(), TargetType::AverageValue),
                    (target.value.is_some(), TargetType::Value),
                ];
                given
                    .iter()
                    .any(|(there, kind)| *there != (*kind == target.kind))
            })
        },
    },
    Rule {
        at: &[TARGETS[0], TARGETS[1]],
        cel: "self.type in ['Utilization', 'AverageValue']",
        message: "the target of a resource of pods is of type Utilization or AverageValue",
        broken: |spec| {
            use MetricType::{ContainerResource, Resource};
            each_target(spec, |kind, target| {
                matches!(kind, Resource | ContainerResource) && target.kind == TargetType::Value
            })
        },
    },
    Rule {
        at: &[TARGETS[2]],
        cel: "self.type == 'AverageValue'",
        message: "the target of a metric of type Pods is of type AverageValue",
        broken: |spec| {
            each_target(spec, |kind, target| {
                kind == MetricType::Pods && target.kind != TargetType::AverageValue
            })
        },
    },
    Rule {
        at: &[TARGETS[3], TARGETS[4], TARGETS[5]],
        cel: "self.type in ['Value', 'AverageValue']",
        message: "the target of a metric of type Object, External or Prometheus is of type Value or AverageValue",
        broken: |spec| {
            use MetricType::{External, Object, Prometheus};
            each_target(spec, |kind, target| {
                matches!(kind, Object | External | Prometheus)
                    && target.kind == TargetType::Utilization
            })
        },
    },
    Rule {
        at: &[
            "spec.metrics[].pods.metric.selector.matchExpressions[]",
            "spec.metrics[].object.metric.selector.matchExpressions[]",
            "spec.metrics[].external.metric.selector.matchExpressions[]",
        ],
        cel: "(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",
        message: "In and NotIn need values; Exists and DoesNotExist have none",
        broken: |spec| each(spec, odd_selectors),
    },
    Rule {
        at: &["spec.actuation"],
        cel: "(self.type == 'HPAFloor') == has(self.hpaName)",
        message: "type HPAFloor needs hpaName, the HPA whose minReplicas is written; type Scale has none",
        broken: |spec| {
            let odd = spec
                .actuation
                .as_ref()
                .is_some_and(|a| (a.kind == ActuationType::HpaFloor) != a.hpa_name.is_some());
            when(odd, "spec.actuation.hpaName")
        },
    },
    Rule {
        at: &["spec"],
        cel: "has(self.forecast.capacity) || self.metrics.all(m, m.role == 'React' || !((has(m.prometheus) && m.prometheus.target.type == 'Value') || (has(m.external) && m.external.target.type == 'Value')))",
        message: "the metric that is forecast needs a target of type AverageValue, the demand that one replica serves, or write forecast.capacity",
        broken: |spec| {
            let known = spec.forecast.capacity.is_some();
            let unknown = spec
                .metrics
                .iter()
                .filter(|m| m.role != Role::React)
                .any(|m| {
                    let targets = [
                        m.prometheus.as_ref().map(|p| &p.target),
                        m.external.as_ref().map(|e| &e.target),
                    ];
                    targets
                        .into_iter()
                        .flatten()
                        .any(|t| t.kind == TargetType::Value)
                });
            when(unknown && !known, "spec.forecast.capacity")
        },
    },
    Rule {
        at: &["spec"],
        cel: "!has(self.proposers) || self.metrics.exists(m, m.role != 'React') || !self.proposers.exists(p, p.name in ['aapa', 'aapa-published', 'buffered', 'confidence-aware', 'persistence', 'policy-aware', 'predictive', 'predictive-hpa', 'simple-ceiling'])",
        message: "a proposer that forecasts needs a metric with role Forecast or Both: give the role to the metric that counts demand",
        broken: |spec| {
            let on_demand = spec.proposers.iter().flatten();
            let mut on_demand = on_demand.filter(|p| ON_DEMAND.contains(&p.name.as_str()));
            when(
                on_demand.next().is_some() && !forecasts(spec),
                "spec.proposers",
            )
        },
    },
    Rule {
        at: &["spec"],
        cel: "self.forecast.forecaster == 'auto' || self.metrics.exists(m, m.role != 'React')",
        message: "a forecaster is named but nothing is forecast: give the metric that counts demand the role Forecast or Both",
        broken: |spec| {
            let named = spec.forecast.forecaster != "auto";
            when(named && !forecasts(spec), "spec.forecast.forecaster")
        },
    },
    Rule {
        at: &["spec.vertical"],
        cel: "self.mode != 'Apply' || (self.containers.size() > 0 && self.containers.all(c, has(c.maxAllowed) && c.controlledResources.all(r, r == 'cpu' ? has(c.maxAllowed.cpu) : has(c.maxAllowed.memory))))",
        message: "mode Apply needs containers, each with maxAllowed of every resource that it controls: write how much a container may ask for at most, or mode Recommend",
        broken: |spec| {
            let unbound = |p: &ContainerPolicy| {
                let mut all = p.controlled_resources.iter();
                let most = p.max_allowed.as_ref();
                !all.all(|r| most.is_some_and(|m| m.milli(*r).is_some()))
            };
            let vertical = &spec.vertical;
            let odd = vertical.containers.is_empty() || vertical.containers.iter().any(unbound);
            when(
                vertical.mode == VerticalMode::Apply && odd,
                "spec.vertical.containers",
            )
        },
    },
    Rule {
        at: &["spec.vertical.containers"],
        cel: "self.all(c, self.exists_one(n, n.name == c.name))",
        message: "two policies are of the same container: names must differ",
        broken: |spec| {
            let all = spec.vertical.containers.iter().enumerate();
            all.flat_map(|(i, policy)| {
                let mut before = spec.vertical.containers.iter().take(i);
                let twice = before.any(|p| p.name == policy.name);
                when(twice, &format!("spec.vertical.containers[{i}].name"))
            })
            .collect()
        },
    },
    Rule {
        at: &["spec.vertical.containers[]"],
        cel: "!has(self.minAllowed) || !has(self.maxAllowed) || ((!has(self.minAllowed.cpu) || !has(self.maxAllowed.cpu) || !quantity(string(self.minAllowed.cpu)).isGreaterThan(quantity(string(self.maxAllowed.cpu)))) && (!has(self.minAllowed.memory) || !has(self.maxAllowed.memory) || !quantity(string(self.minAllowed.memory)).isGreaterThan(quantity(string(self.maxAllowed.memory)))))",
        message: "minAllowed must be at most maxAllowed: raise maxAllowed or lower minAllowed",
        broken: |spec| {
            let above = |p: &ContainerPolicy| {
                use super::spec::ControlledResource::{Cpu, Memory};
                let both = p.min_allowed.as_ref().zip(p.max_allowed.as_ref());
                let of = |r| both.and_then(|(min, max)| min.milli(r).zip(max.milli(r)));
                [Cpu, Memory]
                    .into_iter()
                    .filter_map(of)
                    .any(|(min, max)| min > max)
            };
            let all = spec.vertical.containers.iter().enumerate();
            let path = |i: usize| format!("spec.vertical.containers[{i}].minAllowed");
            all.flat_map(|(i, policy)| when(above(policy), &path(i)))
                .collect()
        },
    },
];

fn when(broken: bool, path: &str) -> Vec<String> {
    if broken {
        vec![path.to_owned()]
    } else {
        Vec::new()
    }
}

fn each(spec: &Spec, broken: impl Fn(usize, &Metric) -> Vec<String>) -> Vec<String> {
    let metrics = spec.metrics.iter().enumerate();
    metrics.flat_map(|(i, metric)| broken(i, metric)).collect()
}

fn each_target(
    spec: &Spec,
    broken: impl Fn(MetricType, &super::metric::MetricTarget) -> bool,
) -> Vec<String> {
    each(spec, |i, metric| {
        let targets = metric.targets().into_iter();
        let odd = targets.filter(|(kind, _, target)| broken(*kind, target));
        odd.map(|(_, field, _)| format!("spec.metrics[{i}].{field}.target"))
            .collect()
    })
}

fn forecasts(spec: &Spec) -> bool {
    spec.metrics.iter().any(|m| m.role != Role::React)
}

fn stuck_at_zero(spec: &Spec) -> bool {
    let up = spec.behavior.as_ref().and_then(|b| b.scale_up.as_ref());
    let Some(policies) = up.and_then(|up| up.policies.as_ref()) else {
        return false;
    };
    let off = up.and_then(|up| up.select_policy) == Some(SelectPolicy::Disabled);
    spec.min_replicas < 1 && !off && policies.iter().all(|p| p.kind != PolicyType::Pods)
}

fn odd_selectors(i: usize, metric: &Metric) -> Vec<String> {
    let mut odd = Vec::new();
    for (field, identifier) in metric.identifiers() {
        let demands = identifier
            .selector
            .iter()
            .flat_map(|s| s.match_expressions.iter().flatten());
        for (j, demand) in demands.enumerate() {
            let needs = matches!(demand.operator, LabelOperator::In | LabelOperator::NotIn);
            let has = demand.values.as_ref().is_some_and(|v| !v.is_empty());
            let path = format!("spec.metrics[{i}].{field}.metric.selector.matchExpressions[{j}]");
            odd.extend(when(needs != has, &path));
        }
    }
    odd
}

/// Every rule that a spec breaks, with its place.
pub(super) fn problems(spec: &Spec) -> Vec<SpecProblem> {
    let told = |rule: &Rule| {
        let paths = (rule.broken)(spec).into_iter();
        paths
            .map(|path| SpecProblem::new(path, rule.message))
            .collect::<Vec<_>>()
    };
    RULES.iter().flat_map(told).collect()
}

/// Writes every rule into the schema of the object.
///
/// # Errors
/// The place of a rule that the schema does not have.
pub(super) fn write(schema: &mut Value) -> Result<(), String> {
    for rule in RULES {
        for at in rule.at {
            let place = find(schema, at).ok_or_else(|| format!("no field {at}"))?;
            let rules = place
                .as_object_mut()
                .ok_or("a schema is an object")?
                .entry("x-kubernetes-validations")
                .or_insert_with(|| json!([]));
            let written = json!({"rule": rule.cel, "message": rule.message});
            rules
                .as_array_mut()
                .ok_or("rules are a list")?
                .push(written);
        }
    }
    Ok(())
}

fn find<'a>(schema: &'a mut Value, at: &str) -> Option<&'a mut Value> {
    let mut place = schema;
    for step in at.split('.') {
        let (name, items) = match step.strip_suffix("[]") {
            Some(name) => (name, true),
            None => (step, false),
        };
        place = place.get_mut("properties")?.get_mut(name)?;
        if items {
            place = place.get_mut("items")?;
        }
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_rule_on_proposers_name_the_same_ones() {
        let named = |rule: &&Rule| rule.message.starts_with("a proposer that forecasts");
        let cel = RULES.iter().find(named).unwrap().cel;
        let list = cel.rsplit_once("p.name in [").unwrap().1;
        let list = list.split_once(']').unwrap().0;
        let names: Vec<&str> = list.split(", ").map(|n| n.trim_matches('\'')).collect();
        assert_eq!(names, ON_DEMAND);
    }
}
