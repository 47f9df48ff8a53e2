//! Targets that are watched: their replicas, rollouts, and who writes their number.

use foresail_core::hpa::resolve::Container;
use foresail_core::quantity::time::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{self as core, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ManagedFieldsEntry, ObjectMeta,
};

use super::pods::{self, time};
use super::scale::ScaleSeen;

/// Whoever last wrote the number of replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The field manager's name.
    pub manager: String,
    /// When it last wrote.
    pub at: Option<Timestamp>,
}

/// A Deployment, StatefulSet or ReplicaSet, pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadSeen {
    /// Its scale, as the scale subresource would tell it.
    pub scale: ScaleSeen,
    /// `true` while pods of more than one template are there, or the controller has not yet seen the
    /// newest spec.
    pub rollout: bool,
    /// Whoever owns `spec.replicas`.
    pub writers: Vec<Writer>,
    /// `true` where it is being deleted.
    pub deleting: bool,
    /// What the containers of its template ask for; a request that is not written is its limit.
    pub template: Vec<Container>,
    /// Why pods cannot be made, where the controller says so (a quota, an admission).
    pub replica_failure: Option<String>,
}

/// A selector as a query has it: `app=web,tier in (a,b)`.
#[must_use]
pub fn selector_text(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten();
    let mut all: Vec<String> = labels.map(|(k, v)| format!("{k}={v}")).collect();
    for rule in selector.match_expressions.iter().flatten() {
        let values = rule.values.clone().unwrap_or_default().join(",");
        all.push(match rule.operator.as_str() {
            "In" => format!("{} in ({values})", rule.key),
            "NotIn" => format!("{} notin ({values})", rule.key),
            "DoesNotExist" => format!("!{}", rule.key),
            _ => rule.key.clone(),
        });
    }
    all.join(",")
}

fn owns_replicas(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().map(|f| &f.0);
    fields.is_some_and(|f| f.pointer("/f:spec/f:replicas").is_some())
}

fn writers(meta: &ObjectMeta) -> Vec<Writer> {
    let owners = meta
        .managed_fields
        .iter()
        .flatten()
        .filter(|e| owns_replicas(e));
    let writer = |e: &ManagedFieldsEntry| Writer {
        manager: e.manager.clone().unwrap_or_default(),
        at: e.time.as_ref().map(time),
    };
    owners.map(writer).collect()
}

/// Containers of a template, as the API server makes pods of them.
///
/// Source: kubernetes/kubernetes:pkg/apis/core/v1/defaults.go, SetDefaults_Pod.
fn template(template: Option<&PodTemplateSpec>) -> Vec<Container> {
    let spec = template.and_then(|t| t.spec.as_ref());
    let one = |c: &core::Container| {
        let mut seen = pods::container(c);
        let limits = c.resources.as_ref().and_then(|r| r.limits.as_ref());
        for (name, amount) in limits.map(pods::amounts).unwrap_or_default() {
            seen.requests.entry(name).or_insert(amount);
        }
        seen
    };
    spec.map_or_else(Vec::new, |s| s.containers.iter().map(one).collect())
}

/// What the three kinds have in common.
struct Parts<'a> {
    meta: &'a ObjectMeta,
    asked: Option<i32>,
    existing: i32,
    selector: Option<&'a LabelSelector>,
    template: Option<&'a PodTemplateSpec>,
    rollout: bool,
    replica_failure: Option<String>,
}

impl Parts<'_> {
    fn seen(self) -> WorkloadSeen {
        let scale = ScaleSeen {
            uid: self.meta.uid.clone().unwrap_or_default(),
            version: self.meta.resource_version.clone().unwrap_or_default(),
            asked: self.asked.unwrap_or(1),
            existing: self.existing,
            selector: self.selector.map(selector_text),
        };
        WorkloadSeen {
            scale,
            rollout: self.rollout,
            writers: writers(self.meta),
            deleting: self.meta.deletion_timestamp.is_some(),
            template: template(self.template),
            replica_failure: self.replica_failure,
        }
    }
}

impl From<&Deployment> for WorkloadSeen {
    fn from(object: &Deployment) -> Self {
        let spec = object.spec.as_ref();
        let status = object.status.clone().unwrap_or_default();
        let existing = status.replicas.unwrap_or(0);
        let unseen = status.observed_generation < object.metadata.generation;
        // Only another template is a rollout: a Deployment that is being scaled has a generation
        // that its controller has not seen for a moment, and pods of one template.
        let old = existing > status.updated_replicas.unwrap_or(0);
        let conditions = status.conditions.unwrap_or_default();
        let failure = conditions
            .iter()
            .find(|c| c.type_ == "ReplicaFailure" && c.status == "True");
        Parts {
            meta: &object.metadata,
            asked: spec.and_then(|s| s.replicas),
            existing,
            selector: spec.map(|s| &s.selector),
            template: spec.map(|s| &s.template),
            rollout: old && !unseen,
            replica_failure: failure.map(|c| c.message.clone().unwrap_or_default()),
        }
        .seen()
    }
}

impl From<&StatefulSet> for WorkloadSeen {
    fn from(object: &StatefulSet) -> Self {
        let spec = object.spec.as_ref();
        let status = object.status.clone().unwrap_or_default();
        let rollout = status.update_revision.is_some()
            && status.current_revision != status.update_revision
            && status.updated_replicas.unwrap_or(0) < status.replicas;
        Parts {
            meta: &object.metadata,
            asked: spec.and_then(|s| s.replicas),
            existing: status.replicas,
            selector: spec.map(|s| &s.selector),
            template: spec.map(|s| &s.template),
            rollout,
            replica_failure: None,
        }
        .seen()
    }
}

impl From<&ReplicaSet> for WorkloadSeen {
    fn from(object: &ReplicaSet) -> Self {
        let spec = object.spec.as_ref();
        let status = object.status.clone().unwrap_or_default();
        Parts {
            meta: &object.metadata,
            asked: spec.and_then(|s| s.replicas),
            existing: status.replicas,
            selector: spec.map(|s| &s.selector),
            template: spec.and_then(|s| s.template.as_ref()),
            rollout: false,
            replica_failure: None,
        }
        .seen()
    }
}
