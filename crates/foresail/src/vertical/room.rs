//! What a namespace allows of its pods' sizes: LimitRanges and ResourceQuotas.
//!
//! Units: thousandths of a core for `cpu`, of a byte for `memory`; ratios in thousandths.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::resize::Amounts;
use foresail_core::quantity::units::parse_kubernetes_milli;
use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Scopes whose quotas never count a Deployment's pods that ask for something.
const OTHER_SCOPES: [&str; 2] = ["BestEffort", "Terminating"];

/// The edges of one LimitRange's kind of thing, all LimitRanges of the namespace together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// The least request, and the least limit.
    pub min: Amounts,
    /// The most that may be asked for, and the largest limit.
    pub max: Amounts,
    /// The most that a limit may be of its request, in thousandths.
    pub ratio: Amounts,
}

/// What one quota leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Its name.
    pub name: String,
    /// What all requests may still grow by.
    pub requests: Amounts,
    /// What all limits may still grow by.
    pub limits: Amounts,
}

/// What a namespace allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Edges of each container.
    pub container: Edges,
    /// Edges of a pod's containers together.
    pub pod: Edges,
    /// Every quota that counts them.
    pub quotas: Vec<Quota>,
}

fn milli(quantity: &Quantity) -> Option<i64> {
    parse_kubernetes_milli(&quantity.0).ok()
}

/// Takes amounts in; of two for one resource the one that `pick` prefers.
fn merge(
    into: &mut Amounts,
    amounts: Option<&BTreeMap<String, Quantity>>,
    pick: impl Fn(i64, i64) -> i64,
) {
    for (name, quantity) in amounts.into_iter().flatten() {
        if let Some(amount) = milli(quantity) {
            let held = into.entry(name.clone()).or_insert(amount);
            *held = pick(*held, amount);
        }
    }
}

impl Room {
    /// The room that these objects leave.
    #[must_use]
    pub fn new(ranges: &[LimitRange], quotas: &[ResourceQuota]) -> Self {
        let mut room = Self::default();
        let specs = ranges.iter().filter_map(|r| r.spec.as_ref());
        for item in specs.flat_map(|s| &s.limits) {
            let edges = match item.type_.as_str() {
                "Container" => &mut room.container,
                "Pod" => &mut room.pod,
                _ => continue,
            };
            merge(&mut edges.min, item.min.as_ref(), i64::max);
            merge(&mut edges.max, item.max.as_ref(), i64::min);
            let ratio = item.max_limit_request_ratio.as_ref();
            merge(&mut edges.ratio, ratio, i64::min);
        }
        room.quotas = quotas.iter().filter_map(quota).collect();
        room
    }
}

/// What a quota leaves; `None` where it does not count such pods. What it has not counted yet is
/// taken for spent: missing is never zero.
fn quota(object: &ResourceQuota) -> Option<Quota> {
    let spec = object.spec.as_ref()?;
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    if scopes.iter().any(|s| OTHER_SCOPES.contains(&s.as_str())) {
        return None;
    }
    let used = object.status.as_ref().and_then(|s| s.used.as_ref());
    let mut found = Quota {
        name: object.metadata.name.clone().unwrap_or_default(),
        ..Quota::default()
    };
    for (key, hard) in spec.hard.iter().flatten() {
        let (side, resource) = match key.as_str() {
            "cpu" | "requests.cpu" => (&mut found.requests, "cpu"),
            "memory" | "requests.memory" => (&mut found.requests, "memory"),
            "limits.cpu" => (&mut found.limits, "cpu"),
            "limits.memory" => (&mut found.limits, "memory"),
            _ => continue,
        };
        let spent = used.and_then(|u| u.get(key)).and_then(milli);
        let left = match (milli(hard), spent) {
            (Some(hard), Some(spent)) => (hard - spent).max(0),
            _ => 0,
        };
        let held = side.entry(resource.to_owned()).or_insert(left);
        *held = left.min(*held);
    }
    (!found.requests.is_empty() || !found.limits.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_narrowest_of_several_ranges_holds() {
        let range = |max: &str, ratio: &str| -> LimitRange {
            let item = json!({"type": "Container", "max": {"cpu": max}, "min": {"memory": "32Mi"},
                "maxLimitRequestRatio": {"cpu": ratio}});
            serde_json::from_value(json!({"metadata": {"name": "r"}, "spec": {"limits": [item]}}))
                .unwrap()
        };
        let room = Room::new(&[range("2", "4"), range("1500m", "2.5")], &[]);
        assert_eq!(room.container.max["cpu"], 1500);
        assert_eq!(room.container.ratio["cpu"], 2500);
        assert_eq!(room.container.min["memory"], 32 * (1 << 20) * 1000);
        assert_eq!(room.pod, Edges::default());
    }

    #[test]
    fn a_quota_leaves_what_is_not_used_and_nothing_where_it_has_not_counted() {
        let quota = |scopes: &[&str], used: &serde_json::Value| -> ResourceQuota {
            let spec = json!({"hard": {"requests.cpu": "2", "limits.memory": "1Gi", "pods": "9"}, "scopes": scopes});
            let object = json!({"metadata": {"name": "q"}, "spec": spec, "status": {"used": used}});
            serde_json::from_value(object).unwrap()
        };
        let used = json!({"requests.cpu": "500m"});
        let room = Room::new(&[], &[quota(&[], &used), quota(&["BestEffort"], &used)]);
        assert_eq!(room.quotas.len(), 1);
        assert_eq!(room.quotas[0].requests["cpu"], 1500);
        assert_eq!(
            room.quotas[0].limits["memory"], 0,
            "not counted is not free"
        );
        assert!(!room.quotas[0].requests.contains_key("memory"));
    }
}
