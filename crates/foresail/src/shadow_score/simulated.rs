//! The object's spec as the simulator can fly it.

use anyhow::{Result, bail};
use foresail_core::hpa::MetricSpec;
use foresail_core::spec::{Mode, Spec, SpecProblem};
use foresail_models::registry::engine_of;
use foresail_models::rng::Seed;

/// A spec that can be flown, and what a reader must know of it.
#[derive(Clone, Debug)]
pub(super) struct Simulated {
    pub(super) spec: Spec,
    pub(super) notes: Vec<String>,
}

/// What the record knows of a metric.
fn is_known(metric: &MetricSpec) -> bool {
    metric.external.is_some() || metric.resource_name() == Some("cpu")
}

fn name(metric: &MetricSpec) -> String {
    let of_pods = metric.resource_name().map(str::to_owned);
    let named = [&metric.external, &metric.pods, &metric.object];
    let named = named.into_iter().flatten().next();
    of_pods
        .or_else(|| named.map(|n| n.metric.name.clone()))
        .unwrap_or_else(|| metric.kind.clone())
}

/// The spec in mode `Auto`, with the pods' CPU and the demand as its metrics.
///
/// The first metric from outside is taken for the demand; `demand` names another one.
///
/// # Errors
/// Where the spec is not valid, has not one target, or no metric that the record knows.
pub(super) fn simulated(spec: &Spec, demand: Option<&str>) -> Result<Simulated> {
    let mut spec = spec.clone();
    // It shall be flown, whatever the object may do in the cluster.
    spec.mode = Mode::Auto;
    let [target] = &mut spec.targets[..] else {
        bail!(
            "the spec has {} targets: score one at a time",
            spec.targets.len()
        );
    };
    let metrics = std::mem::take(&mut target.hpa.metrics);
    let given = !metrics.is_empty();
    let mut notes = Vec::new();
    let mut outside = false;
    for metric in metrics {
        let named = name(&metric);
        let chosen = metric.external.is_none() || demand.is_none_or(|d| d == named);
        let second = metric.external.is_some() && outside;
        if is_known(&metric) && chosen && !second {
            outside |= metric.external.is_some();
            target.hpa.metrics.push(metric);
        } else {
            notes.push(format!(
                "metric {named} is left out: the record holds demand and replicas alone; in the cluster it can only add replicas"
            ));
        }
    }
    if given && target.hpa.metrics.is_empty() {
        bail!(
            "no metric of the spec can be simulated ({}): add one of resource cpu, or an external one of the demand",
            notes.len()
        );
    }
    if let Err(problems) = engine_of(spec.clone(), Seed::default()) {
        bail!("the spec is not valid: {}", SpecProblem::joined(&problems));
    }
    Ok(Simulated { spec, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::hpa::{HpaSpec, MetricIdentifier, MetricTarget, NamedMetric};
    use foresail_core::propose::plan::TargetId;

    fn external(name: &str) -> MetricSpec {
        let target = MetricTarget {
            kind: "AverageValue".to_owned(),
            average_value: Some(foresail_core::hpa::Amount::Text("10".to_owned())),
            ..MetricTarget::default()
        };
        MetricSpec {
            kind: "External".to_owned(),
            external: Some(NamedMetric {
                metric: MetricIdentifier {
                    name: name.to_owned(),
                    selector: None,
                },
                described_object: None,
                target,
            }),
            ..MetricSpec::default()
        }
    }

    fn spec(metrics: Vec<MetricSpec>) -> Spec {
        let hpa = HpaSpec {
            max_replicas: 10,
            metrics,
            ..HpaSpec::default()
        };
        let mut spec = Spec::of_hpa(TargetId::new("web"), hpa);
        spec.mode = Mode::Shadow;
        spec
    }

    fn kept(simulated: &Simulated) -> Vec<String> {
        let metrics = &simulated.spec.targets[0].hpa.metrics;
        metrics.iter().map(name).collect()
    }

    #[test]
    fn cpu_and_one_demand_stay_and_the_rest_is_told() {
        let all = vec![
            MetricSpec::utilization("memory", 70),
            external("rps"),
            MetricSpec::cpu_utilization(60),
            external("queue"),
        ];
        let first = simulated(&spec(all.clone()), None).unwrap();
        assert_eq!(kept(&first), ["rps", "cpu"]);
        assert_eq!(first.spec.mode, Mode::Auto);
        assert!(first.notes[0].contains("memory") && first.notes[1].contains("queue"));
        let named = simulated(&spec(all), Some("queue")).unwrap();
        assert_eq!(kept(&named), ["cpu", "queue"]);
    }

    #[test]
    fn what_cannot_be_flown_is_refused() {
        let memory = spec(vec![MetricSpec::utilization("memory", 70)]);
        let error = simulated(&memory, None).unwrap_err().to_string();
        assert!(error.contains("no metric of the spec"), "{error}");
        let mut two = spec(Vec::new());
        two.targets.push(two.targets[0].clone());
        assert!(
            simulated(&two, None)
                .unwrap_err()
                .to_string()
                .contains("2 targets")
        );
        let mut bad = spec(Vec::new());
        bad.targets[0].hpa.max_replicas = 0;
        assert!(
            simulated(&bad, None)
                .unwrap_err()
                .to_string()
                .contains("not valid")
        );
        assert!(simulated(&spec(Vec::new()), None).unwrap().notes.is_empty());
    }
}
