//! The scale of any target: read, and written against the version that was read.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v1::Scale;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::discovery::pinned_kind;
use kube::{Api, Client, core::GroupVersionKind};
use tokio::sync::Mutex;

use super::fault::{Fault, call, within};

/// Names what is scaled.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// `group/version`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl Target {
    /// `Kind/name`, as it is shown.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// The group without its version; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(g, _)| g)
    }

    /// `true` where another reference names the same object, whatever its version.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.group(), &self.kind, &self.name) == (other.group(), &other.kind, &other.name)
    }
}

/// A target's scale at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleSeen {
    /// The target's unique name.
    pub uid: String,
    /// The version that a write must name.
    pub version: String,
    /// Replicas that are asked for.
    pub asked: i32,
    /// Replicas that exist.
    pub existing: i32,
    /// The pods' selector as text; `None` where there is none.
    pub selector: Option<String>,
}

/// Kinds as the server knows them; each is asked for once.
#[derive(Debug, Default)]
pub struct Kinds {
    known: Mutex<BTreeMap<(String, String), ApiResource>>,
}

impl Kinds {
    /// The resource of a kind.
    ///
    /// # Errors
    /// [`Fault::NotFound`] where the server has no such kind.
    pub async fn resource(
        &self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<ApiResource, Fault> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.known.lock().await.get(&key) {
            return Ok(found.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let found = call(pinned_kind(client, &gvk)).await;
        let (resource, _) = found.map_err(|fault| match fault {
            Fault::Unknown(why) if why.contains("not found") || why.contains("Missing") => {
                Fault::NotFound(format!("the server has no {kind} in {api_version}"))
            }
            other => other,
        })?;
        self.known.lock().await.insert(key, resource.clone());
        Ok(resource)
    }

    /// The API of a target's kind within a namespace.
    ///
    /// # Errors
    /// As [`Kinds::resource`].
    pub async fn api(
        &self,
        client: &Client,
        namespace: &str,
        target: &Target,
    ) -> Result<Api<DynamicObject>, Fault> {
        let resource = self
            .resource(client, &target.api_version, &target.kind)
            .await?;
        Ok(Api::namespaced_with(client.clone(), namespace, &resource))
    }
}

fn seen(scale: &Scale) -> ScaleSeen {
    let (spec, status) = (scale.spec.as_ref(), scale.status.as_ref());
    ScaleSeen {
        uid: scale.metadata.uid.clone().unwrap_or_default(),
        version: scale.metadata.resource_version.clone().unwrap_or_default(),
        asked: spec.and_then(|s| s.replicas).unwrap_or(0),
        existing: status.map_or(0, |s| s.replicas),
        selector: status.and_then(|s| s.selector.clone()),
    }
}

/// Reads a target's scale.
///
/// # Errors
/// [`Fault`] of the call.
pub async fn read(api: &Api<DynamicObject>, name: &str) -> Result<ScaleSeen, Fault> {
    call(api.get_scale(name)).await.map(|s| seen(&s))
}

/// Writes a number of replicas against the version that was read: a PUT that the server refuses
/// where anything changed since. `most` bounds the wait for its answer.
///
/// # Errors
/// [`Fault::Conflict`] where something changed; [`Fault::Unknown`] where it is not known.
pub async fn write(
    api: &Api<DynamicObject>,
    name: &str,
    namespace: &str,
    read: &ScaleSeen,
    replicas: i32,
    most: std::time::Duration,
) -> Result<ScaleSeen, Fault> {
    let mut scale = Scale::default();
    scale.metadata.name = Some(name.to_owned());
    scale.metadata.namespace = Some(namespace.to_owned());
    scale.metadata.uid = Some(read.uid.clone()).filter(|u| !u.is_empty());
    scale.metadata.resource_version = Some(read.version.clone());
    scale.spec.get_or_insert_default().replicas = Some(replicas);
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let put = api.replace_scale(name, &parameters, &scale);
    within(most, put).await.map(|s| seen(&s))
}

/// Whose fields our writes are, in `managedFields`.
pub const FIELD_MANAGER: &str = "foresail-controller";
