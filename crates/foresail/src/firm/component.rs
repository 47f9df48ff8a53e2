//! One component that is served: which Deployment, and within which bounds.

use std::collections::BTreeMap;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};
use foresail_adapters::kubernetes::scale::Target;
use foresail_core::hpa::{HpaSpec, MetricSpec};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::Quantity;
use foresail_core::spec::{CombineRule, ProposerSpec, Resize, ResourceSpec, Spec};

/// The longest part of a component's name.
/// Source: RFC 1123, a label and a subdomain.
const NAME_BYTES_MAX: usize = 253;

/// `NAMESPACE/NAME` of a Deployment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComponentName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl FromStr for ComponentName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let good = |part: &str| {
            !part.is_empty() && part.len() <= NAME_BYTES_MAX && part.chars().all(letter)
        };
        match text.split_once('/') {
            Some((namespace, name)) if good(namespace) && good(name) => Ok(Self {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(format!(
                "{text:?}: write NAMESPACE/NAME of a Deployment, such as shop/web"
            )),
        }
    }
}

impl std::fmt::Display for ComponentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ComponentName {
    /// What is scaled.
    #[must_use]
    pub fn target(&self) -> Target {
        Target {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: self.name.clone(),
        }
    }
}

/// Bounds of every axis and what the heuristic aims at.
///
/// The defaults are those of AWARE's multidimensional pod autoscaler.
/// Source: AWARE's artifact, `rl_env.py`; specs/hpa_aware_studies.md 2.7.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The fewest and the most replicas.
    pub replicas: (i32, i32),
    /// Least, most and step of a pod's CPU.
    pub cpu: [Quantity; 3],
    /// Least, most and step of a pod's memory.
    pub memory: [Quantity; 3],
    /// The HPA's target for CPU, in percent of the request.
    pub cpu_percent: i32,
    /// `true`: requests may change with one replica too, where the server resizes in place.
    pub resizes_only_replica: bool,
    /// Time between two steps.
    pub interval: Span,
}

impl Default for Bounds {
    fn default() -> Self {
        let cpu = |milli| Quantity::from_milli(milli, foresail_core::quantity::units::Unit::Count);
        let mib = |n: i64| {
            Quantity::from_milli(
                n * (1 << 20) * 1000,
                foresail_core::quantity::units::Unit::Bytes,
            )
        };
        Self {
            replicas: (1, 20),
            cpu: [cpu(128), cpu(2048), cpu(128)],
            memory: [mib(256), mib(3072), mib(128)],
            cpu_percent: 60,
            resizes_only_replica: false,
            interval: Span::from_seconds(60),
        }
    }
}

/// `LEAST..MOST` of a resource.
///
/// # Errors
/// Where it is none.
pub fn range(text: &str) -> Result<(Quantity, Quantity), String> {
    let refused = || format!("{text:?}: write LEAST..MOST, such as 128m..2048m");
    let (least, most) = text.split_once("..").ok_or_else(refused)?;
    let quantity = |part: &str| part.parse::<Quantity>().map_err(|e| e.to_string());
    let (least, most) = (quantity(least)?, quantity(most)?);
    if least.milli() <= 0 || most.milli() < least.milli() || least.unit() != most.unit() {
        return Err(refused());
    }
    Ok((least, most))
}

impl Bounds {
    /// The spec of a component: the learner first, HPA and VPA where it has no wish, the HPA's floor
    /// under all.
    ///
    /// # Errors
    /// Where the bounds are none.
    pub fn spec(&self, name: &ComponentName) -> Result<Spec> {
        let (least, most) = self.replicas;
        ensure!(
            1 <= least && least <= most,
            "{least}..{most} replicas: the least must be 1 or more, and not above the most"
        );
        let id = TargetId::new(&name.to_string());
        let hpa = HpaSpec {
            min_replicas: Some(least),
            max_replicas: most,
            metrics: vec![MetricSpec::cpu_utilization(self.cpu_percent)],
            ..HpaSpec::default()
        };
        let mut spec = Spec::of_hpa(id, hpa);
        spec.interval = self.interval;
        spec.proposers = ["aware", "hpa", "vpa"].map(ProposerSpec::named).to_vec();
        spec.combine.rule = CombineRule::First;
        let bounds = |[min, max, step]: [Quantity; 3]| ResourceSpec { min, max, step };
        let target = spec.targets.first_mut().context("no target")?;
        target.resources = BTreeMap::from([
            ("cpu".to_owned(), bounds(self.cpu)),
            ("memory".to_owned(), bounds(self.memory)),
        ]);
        target.resize = match self.resizes_only_replica {
            true => Resize::InPlace,
            false => Resize::Recreate,
        };
        Ok(spec)
    }
}

/// All problems of a spec as one error.
pub(crate) fn refused(problems: &[foresail_core::spec::SpecProblem]) -> anyhow::Error {
    let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow!("{}", all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ranges_are_checked() {
        let name: ComponentName = "shop/web".parse().unwrap();
        assert_eq!(
            (name.namespace.as_str(), name.name.as_str()),
            ("shop", "web")
        );
        for bad in ["", "web", "/web", "shop/", "Shop/web", "a/b/c", "a/b\n"] {
            assert!(bad.parse::<ComponentName>().is_err(), "{bad:?}");
        }
        assert!(range("128m..2048m").is_ok());
        for bad in ["", "128m", "2..1", "0..1", "1..1Gi"] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_multidimensional_autoscaler() {
        let spec = Bounds::default()
            .spec(&"shop/web".parse().unwrap())
            .unwrap();
        let target = &spec.targets[0];
        assert_eq!(
            (target.hpa.min_replicas, target.hpa.max_replicas),
            (Some(1), 20)
        );
        let told = |name: &str| {
            let r = &target.resources[name];
            format!("{} {} {}", r.min, r.max, r.step)
        };
        assert_eq!(told("cpu"), "128m 2048m 128m");
        assert_eq!(told("memory"), "256Mi 3Gi 128Mi");
    }
}
