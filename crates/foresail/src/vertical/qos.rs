//! A pod's quality of service class, as Kubernetes tells it from requests and limits.

use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize};

/// The class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Every container may use exactly what it asks for.
    Guaranteed,
    /// Something is asked for, or bounded.
    Burstable,
    /// Nothing is.
    BestEffort,
}

impl std::fmt::Display for Qos {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        })
    }
}

/// The resources that make a class.
const COUNTED: [&str; 2] = ["cpu", "memory"];

fn add(into: &mut Amounts, amounts: &Amounts) {
    let counted = COUNTED.iter().filter_map(|r| Some((*r, *amounts.get(*r)?)));
    for (resource, amount) in counted.filter(|(_, a)| *a > 0) {
        *into.entry(resource.to_owned()).or_insert(0) += amount;
    }
}

/// The class of a pod with these containers, init containers included.
///
/// Source: kubernetes/kubernetes:pkg/apis/core/v1/helper/qos, ComputePodQOS.
pub fn qos<'a>(containers: impl IntoIterator<Item = &'a ContainerSize>) -> Qos {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut bounded = true;
    for one in containers {
        add(&mut requests, &one.requests);
        add(&mut limits, &one.limits);
        let has = |r: &&str| one.limits.get(*r).is_some_and(|a| *a > 0);
        bounded &= COUNTED.iter().all(has);
    }
    match (requests.is_empty() && limits.is_empty(), bounded) {
        (true, _) => Qos::BestEffort,
        (false, true) if requests == limits => Qos::Guaranteed,
        _ => Qos::Burstable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(requests: &[(&str, i64)], limits: &[(&str, i64)]) -> ContainerSize {
        let side = |of: &[(&str, i64)]| of.iter().map(|(n, a)| ((*n).to_owned(), *a)).collect();
        ContainerSize {
            requests: side(requests),
            limits: side(limits),
        }
    }

    #[test]
    fn classes_are_told_as_kubernetes_tells_them() {
        let both = [("cpu", 100), ("memory", 1000)];
        assert_eq!(qos(&[size(&both, &both)]), Qos::Guaranteed);
        assert_eq!(qos(&[size(&both, &[("cpu", 100)])]), Qos::Burstable);
        assert_eq!(qos(&[size(&both, &both), size(&[], &[])]), Qos::Burstable);
        let larger = [("cpu", 200), ("memory", 1000)];
        assert_eq!(qos(&[size(&both, &larger)]), Qos::Burstable);
        assert_eq!(qos(&[size(&[("cpu", 1)], &[])]), Qos::Burstable);
        assert_eq!(qos(&[size(&[], &[])]), Qos::BestEffort);
        // Zero and other resources count for nothing.
        assert_eq!(
            qos(&[size(&[("cpu", 0), ("gpu", 1)], &[])]),
            Qos::BestEffort
        );
    }
}
