//! The pods of an object as far as they are known: what is fitted later begins here.

use anyhow::{Context, Result, ensure};
use foresail_core::hpa::{Amount, NamedMetric};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Quantity, larger};
use foresail_core::spec::Spec;
use foresail_core::value::slo::Slo;
use foresail_sim::config::{ClusterConfig, Shape, Times};

/// What is known of an object's pods beside its spec.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Demand that one replica serves at the most, in requests per second; absent = what its spec
    /// counts it for.
    pub capacity: Option<f64>,
    /// Mean time that a request is served.
    pub service: Span,
    /// Time from a pod's creation to its readiness; absent = that of the spec, or 45 seconds.
    pub startup: Option<Span>,
    /// CPU request of a pod, in thousandths of a core; its CPU is used up at the capacity.
    pub cpu_request_millicores: u32,
    /// The promise.
    pub slo: Slo,
}

impl Default for Known {
    fn default() -> Self {
        let cluster = ClusterConfig::default();
        Self {
            capacity: None,
            service: cluster.service.mean,
            startup: None,
            cpu_request_millicores: cluster.cpu_request_millicores,
            slo: cluster.slo,
        }
    }
}

/// What the spec counts a replica for, in requests per second: its capacity, else the average value
/// of its first metric from outside.
fn counted_for(spec: &Spec) -> Option<f64> {
    let target = spec.targets.first()?;
    let average = || {
        let metrics = target.hpa.metrics.iter();
        let external = metrics.filter_map(|m| m.external.as_ref());
        let amount = |m: &NamedMetric| m.target.average_value.as_ref().map(Amount::text);
        let mut known = external.filter_map(|m| amount(m)?.parse::<Quantity>().ok());
        known.next().map(Quantity::value)
    };
    let capacity = target.capacity.map(|c| c.value());
    capacity.or_else(average).filter(|c| *c > 0.0)
}

/// The pods that a score begins with.
///
/// # Errors
/// Where nothing tells the capacity of a replica, or a value is out of its range.
pub fn pods_of(spec: &Spec, known: &Known) -> Result<ClusterConfig> {
    let capacity = known.capacity.or_else(|| counted_for(spec)).context(
        "nothing tells how much demand one replica serves: give --capacity, in requests per second",
    )?;
    ensure!(
        capacity.is_finite() && (1e-6..=1e9).contains(&capacity),
        "capacity {capacity}: must be above 0, in requests per second"
    );
    ensure!(
        known.service > Span::ZERO,
        "service time {}: must be above 0",
        known.service
    );
    let of_spec = spec.targets.first().and_then(|t| t.startup);
    let default = ClusterConfig::default();
    let startup = known.startup.or(of_spec).unwrap_or(default.startup.mean);
    ensure!(
        !startup.is_negative(),
        "startup {startup}: must be 0s or more"
    );
    let slots = larger((capacity * known.service.seconds()).round(), 1.0);
    ensure!(
        slots <= 100_000.0,
        "capacity {capacity} and service time {}: that are {slots} requests at once in one pod, more than 100000; give a shorter service time",
        known.service
    );
    let span = |seconds| Span::from_seconds_f64(seconds).context("a time out of range");
    let cores = f64::from(known.cpu_request_millicores) / 1000.0;
    Ok(ClusterConfig {
        service: Times {
            mean: span(slots / capacity)?,
            shape: Shape::Exponential,
        },
        concurrency: slots as u32,
        cpu_request_millicores: known.cpu_request_millicores,
        cpu_per_request: span(cores / capacity)?,
        startup: Times {
            mean: startup,
            shape: Shape::Constant,
        },
        slo: known.slo,
        ..default
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_core::hpa::HpaSpec;
    use foresail_core::propose::plan::TargetId;
    use foresail_core::quantity::units::Unit;

    fn spec() -> Spec {
        let hpa = HpaSpec {
            max_replicas: 10,
            ..HpaSpec::default()
        };
        Spec::of_hpa(TargetId::new("web"), hpa)
    }

    #[test]
    fn a_replica_serves_what_is_known_of_it() {
        let mut spec = spec();
        let error = pods_of(&spec, &Known::default()).unwrap_err().to_string();
        assert!(error.contains("--capacity"), "{error}");
        spec.targets[0].capacity = Some(Quantity::from_f64(37.0, Unit::PerSecond));
        let pods = pods_of(&spec, &Known::default()).unwrap();
        assert!((pods.full_capacity() - 37.0).abs() < 1e-6);
        assert!((pods.request_capacity() - 37.0).abs() < 1e-6);
        assert_eq!(pods.concurrency, 4);
        let known = Known {
            capacity: Some(0.2),
            startup: Some(Span::from_seconds(7)),
            ..Known::default()
        };
        let pods = pods_of(&spec, &known).unwrap();
        assert_eq!(
            (pods.concurrency, pods.service.mean),
            (1, Span::from_seconds(5))
        );
        assert_eq!(pods.startup.mean, Span::from_seconds(7));
    }
}
