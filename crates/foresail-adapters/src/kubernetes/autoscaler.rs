//! Our own objects as a watch shows them: the spec whole, the status as the text that came.
//!
//! A status is written by ourselves and comes back with every write, in full. Whoever leads never
//! looks at it again, and whoever begins to lead reads it once: so it stays a text, which takes a
//! tenth of the memory of its parts. Who manages which field is skipped.
//!
//! An object may be older than a rule of the schema. One whose spec is of another form hides no other
//! one of its list: it is there by its name, with a spec of which nothing is known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use foresail_core::spec::SpecProblem;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::{ObjectMeta, Request};
use kube::{Client, Resource};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::crd::check;
use super::crd::{
    GROUP, KIND, PredictiveAutoscaler, PredictiveAutoscalerSpec, PredictiveAutoscalerStatus,
    VERSION,
};
use super::fault::{Fault, call};
use super::rival::ANNOTATIONS;
use super::scale::FIELD_MANAGER;

/// The answer to a write holds metadata alone, where the server can leave out the rest.
/// Source: Kubernetes API concepts, "Metadata-only fetches".
const METADATA_ALONE: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// The metadata that is read; the rest is skipped.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    annotations: Option<BTreeMap<String, String>>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    // What kubectl last applied is another copy of the whole object.
    let annotations = read.annotations.map(|all| {
        let ours = all.into_iter().filter(|(k, _)| k.starts_with(ANNOTATIONS));
        ours.collect::<BTreeMap<_, _>>()
    });
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        generation: read.generation,
        creation_timestamp: read.creation_timestamp,
        annotations: annotations.filter(|all| !all.is_empty()),
        ..ObjectMeta::default()
    })
}

/// An object as it comes from a watch.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Form")]
pub struct Arriving {
    metadata: ObjectMeta,
    spec: PredictiveAutoscalerSpec,
    status: Option<Box<RawValue>>,
    unreadable: Vec<SpecProblem>,
}

/// The same before its spec is read.
#[derive(Deserialize)]
struct Form {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Option<Box<RawValue>>,
    #[serde(default)]
    status: Option<Box<RawValue>>,
}

impl From<Form> for Arriving {
    fn from(form: Form) -> Self {
        let text = form.spec.as_ref().map_or("null", |spec| spec.get());
        let (spec, unreadable) = match serde_json::from_str(text) {
            Ok(spec) => (spec, Vec::new()),
            Err(error) => (PredictiveAutoscalerSpec::unknown(), problems(text, &error)),
        };
        Self {
            metadata: form.metadata,
            spec,
            status: form.status,
            unreadable,
        }
    }
}

/// Why a spec cannot be read: by the schema, which names each field, else as the reader says.
fn problems(spec: &str, error: &serde_json::Error) -> Vec<SpecProblem> {
    let found = serde_json::from_str::<Value>(spec)
        .map(|spec| check::form_problems(&check::without_nulls(&spec)));
    match found {
        Ok(found) if !found.is_empty() => found,
        _ => vec![SpecProblem::new("spec", error.to_string())],
    }
}

impl Resource for Arriving {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind(_: &()) -> Cow<'_, str> {
        KIND.into()
    }

    fn group(_: &()) -> Cow<'_, str> {
        GROUP.into()
    }

    fn version(_: &()) -> Cow<'_, str> {
        VERSION.into()
    }

    fn plural(kind: &()) -> Cow<'_, str> {
        PredictiveAutoscaler::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// An object of ours, pruned.
#[derive(Clone, Debug)]
pub struct AutoscalerSeen {
    /// Metadata and spec; it holds no status and no version. The spec is
    /// [`PredictiveAutoscalerSpec::unknown`] where it cannot be read.
    pub object: Arc<PredictiveAutoscaler>,
    /// Why the spec cannot be read; empty where it can.
    pub unreadable: Vec<SpecProblem>,
    status: Option<Box<RawValue>>,
}

impl AutoscalerSeen {
    /// What is kept of an object that came. Where nothing changed but its status, metadata and spec
    /// are those of `before`, so that all who hold them share them.
    #[must_use]
    pub fn new(arriving: Arriving, before: Option<&Self>) -> Self {
        let Arriving {
            mut metadata,
            spec,
            status,
            unreadable,
        } = arriving;
        metadata.resource_version = None;
        let same = before.filter(|b| b.object.metadata == metadata);
        let object = same.map_or_else(
            || {
                Arc::new(PredictiveAutoscaler {
                    metadata,
                    spec,
                    status: None,
                })
            },
            |b| Arc::clone(&b.object),
        );
        Self {
            object,
            unreadable,
            status,
        }
    }

    /// The status; empty where there is none, or where another version wrote what this one cannot read.
    #[must_use]
    pub fn status(&self) -> PredictiveAutoscalerStatus {
        let read = self.status.as_ref().map(|s| serde_json::from_str(s.get()));
        match read {
            Some(Ok(status)) => status,
            Some(Err(error)) => {
                let name = self.object.metadata.name.as_deref();
                tracing::debug!(name, %error, "a status that cannot be read counts as none");
                PredictiveAutoscalerStatus::default()
            }
            None => PredictiveAutoscalerStatus::default(),
        }
    }
}

/// A page of objects of which only the epoch in the status is read.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    items: Vec<EpochTold>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct EpochTold {
    #[serde(default)]
    status: Option<GuardTold>,
}

#[derive(Deserialize)]
struct GuardTold {
    #[serde(default)]
    guard: Option<EpochField>,
}

#[derive(Deserialize)]
struct EpochField {
    #[serde(default)]
    epoch: Option<i64>,
}

impl EpochTold {
    fn epoch(&self) -> Option<i64> {
        self.status.as_ref()?.guard.as_ref()?.epoch
    }
}

/// Objects of one page: those of a large fleet at once take more memory than everything else.
const PAGE: u32 = 500;

/// The highest epoch under which a status of a namespace's objects, or of all, was written; 0 where
/// none tells one. What cannot be read tells none.
pub async fn highest_epoch(client: &Client, namespace: Option<&str>) -> i64 {
    let mut highest = 0;
    let mut asked = ListParams::default().limit(PAGE);
    let path = PredictiveAutoscaler::url_path(&(), namespace);
    loop {
        let Ok(request) = Request::new(path.clone()).list(&asked) else {
            return highest;
        };
        let Ok(page) = call(client.request::<Page>(request)).await else {
            return highest;
        };
        let told = page.items.iter().filter_map(EpochTold::epoch);
        highest = told.fold(highest, i64::max);
        match page.metadata.next.filter(|next| !next.is_empty()) {
            Some(next) => asked = asked.continue_token(&next),
            None => return highest,
        }
    }
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    uid: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Applied<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Named<'a>,
    status: &'a PredictiveAutoscalerStatus,
}

/// Any object, of which nothing is read.
#[derive(Deserialize)]
struct Unread {}

/// How a status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusForm {
    /// By server-side apply.
    Applied,
    /// As a merge patch: what was stored before a rule fits no schema, and apply refuses to look at it.
    Merged,
}

/// Writes the status of one object under our field manager; of the answer nothing is read.
///
/// # Errors
/// [`Fault`] of the call; [`Fault::Conflict`] where the name is another object's by now.
pub async fn write_status(
    client: &Client,
    namespace: &str,
    (name, uid): (&str, &str),
    status: &PredictiveAutoscalerStatus,
    form: StatusForm,
) -> Result<(), Fault> {
    let fields = Applied {
        api_version: "autoscaling.foresail.dev/v1alpha1",
        kind: KIND,
        metadata: Named { name, uid },
        status,
    };
    let parameters = PatchParams::apply(FIELD_MANAGER);
    let (patch, parameters) = match form {
        StatusForm::Applied => (Patch::Apply(fields), parameters.force()),
        StatusForm::Merged => (Patch::Merge(fields), parameters),
    };
    let path = PredictiveAutoscaler::url_path(&(), Some(namespace));
    let mut request = Request::new(path)
        .patch_subresource("status", name, &parameters, &patch)
        .map_err(|e| Fault::Invalid(e.to_string()))?;
    let accept = http::HeaderValue::from_static(METADATA_ALONE);
    request.headers_mut().insert(http::header::ACCEPT, accept);
    call(client.request::<Unread>(request)).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::crd::Mode;
    use serde_json::json;

    fn arriving(generation: i64, version: &str, status: &str) -> Arriving {
        let text = format!(
            r#"{{"apiVersion":"autoscaling.foresail.dev/v1alpha1","kind":"PredictiveAutoscaler",
            "metadata":{{"name":"web","namespace":"shop","uid":"u","generation":{generation},"resourceVersion":"{version}",
              "annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"long","foresail.dev/approved":"id"}},
              "managedFields":[{{"manager":"m","fieldsV1":{{"f:spec":{{}}}}}}]}},
            "spec":{{"scaleTargetRef":{{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}},"maxReplicas":5,
              "metrics":[{{"type":"Resource","resource":{{"name":"cpu","target":{{"type":"Utilization","averageUtilization":50}}}}}}]}},
            "status":{status}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_kept_is_the_spec_our_annotations_and_the_status_as_it_came() {
        let first = AutoscalerSeen::new(
            arriving(1, "7", r#"{"readyReplicas":3,"lastDecision":{"id":"a"}}"#),
            None,
        );
        let meta = &first.object.metadata;
        let kept: Vec<_> = meta.annotations.iter().flatten().collect();
        assert_eq!(
            kept,
            [(&"foresail.dev/approved".to_owned(), &"id".to_owned())]
        );
        assert_eq!(
            (&meta.managed_fields, &meta.resource_version),
            (&None, &None)
        );
        assert_eq!(first.object.spec.max_replicas, 5);
        let status = first.status();
        assert_eq!(status.ready_replicas, Some(3));
        assert_eq!(status.last_decision.unwrap()["id"], "a");
    }

    #[test]
    fn another_status_shares_the_object_and_another_generation_does_not() {
        let first = AutoscalerSeen::new(arriving(1, "7", "null"), None);
        assert_eq!(first.status(), PredictiveAutoscalerStatus::default());
        let echo = AutoscalerSeen::new(arriving(1, "8", r#"{"readyReplicas":4}"#), Some(&first));
        assert!(Arc::ptr_eq(&first.object, &echo.object));
        assert_eq!(echo.status().ready_replicas, Some(4));
        let changed = AutoscalerSeen::new(arriving(2, "9", "null"), Some(&echo));
        assert!(!Arc::ptr_eq(&first.object, &changed.object));
        assert_eq!(changed.object.metadata.generation, Some(2));
    }

    #[test]
    fn a_status_of_another_form_counts_as_none() {
        let odd = AutoscalerSeen::new(arriving(1, "7", r#"{"readyReplicas":"many"}"#), None);
        assert_eq!(odd.status(), PredictiveAutoscalerStatus::default());
    }

    #[test]
    fn what_cannot_be_read_is_there_by_its_name_and_does_nothing() {
        let good = json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": "Auto", "maxReplicas": 9, "metrics": [],
        });
        let seen = |spec: &Value| {
            let metadata = json!({"name": "web", "namespace": "shop", "uid": "u"});
            let object = json!({"metadata": metadata, "spec": spec});
            let arriving: Arriving = serde_json::from_str(&object.to_string()).unwrap();
            AutoscalerSeen::new(arriving, None)
        };
        let read = seen(&good);
        assert_eq!(read.unreadable, Vec::new());
        assert_eq!(read.object.spec.max_replicas, 9);
        for (field, value) in [
            ("maxReplicas", json!("nine")),
            ("mode", json!("Fast")),
            ("metrics", json!(7)),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let read = seen(&bad);
            let told = SpecProblem::joined(&read.unreadable);
            assert!(told.contains(&format!("spec.{field}: ")), "{told}");
            assert_eq!(read.object.spec.mode, Mode::Off);
            assert_eq!(read.object.metadata.name.as_deref(), Some("web"));
        }
        assert!(!seen(&Value::Null).unreadable.is_empty());
    }

    #[test]
    fn the_epoch_is_read_past_everything_else() {
        let read = |text: &str| serde_json::from_str::<EpochTold>(text).unwrap().epoch();
        assert_eq!(
            read(r#"{"spec":{},"status":{"guard":{"epoch":4}}}"#),
            Some(4)
        );
        assert_eq!(read(r#"{"status":{"guard":{}}}"#), None);
        assert_eq!(read("{}"), None);
    }
}
