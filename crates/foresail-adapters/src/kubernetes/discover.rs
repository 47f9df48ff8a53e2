//! What the server can do, found by asking it: absent means a condition, not a failure.

use kube::Client;
use serde::Deserialize;

use super::fault::Fault;
use super::metrics::get;

/// The least version of Kubernetes.
pub const KUBERNETES_MIN: (u32, u32) = (1, 30);

/// What the server can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Its version, `v1.37.2`.
    pub version: String,
    /// Major and minor, where they can be read.
    pub minor: Option<(u32, u32)>,
    /// `metrics.k8s.io` is served.
    pub resource_metrics: bool,
    /// The version of `custom.metrics.k8s.io` that is served.
    pub custom_metrics: Option<String>,
    /// `external.metrics.k8s.io` is served.
    pub external_metrics: bool,
    /// Pods can be resized in place.
    pub resize: bool,
    /// Our own resource is there.
    pub our_kind: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
    major: String,
    minor: String,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
}

/// Digits at the start of a version's part: clouds write `30+`.
fn number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Asks the server what it can do.
///
/// # Errors
/// [`Fault`] where it does not answer.
pub async fn features(client: &Client) -> Result<Features, Fault> {
    let version: Version = get(client, "/version").await?;
    let groups: Groups = get(client, "/apis").await?;
    let core: Resources = get(client, "/api/v1").await?;
    let served = |name: &str| groups.groups.iter().find(|g| g.name == name);
    let ours = match served("autoscaling.foresail.dev") {
        Some(_) => get::<Resources>(client, "/apis/autoscaling.foresail.dev/v1alpha1")
            .await
            .ok(),
        None => None,
    };
    let is_ours = |r: &Resource| r.name == "predictiveautoscalers";
    Ok(Features {
        minor: number(&version.major).zip(number(&version.minor)),
        version: version.git_version,
        resource_metrics: served("metrics.k8s.io").is_some(),
        custom_metrics: served("custom.metrics.k8s.io")
            .and_then(|g| g.versions.first())
            .map(|v| v.version.clone()),
        external_metrics: served("external.metrics.k8s.io").is_some(),
        resize: core.resources.iter().any(|r| r.name == "pods/resize"),
        our_kind: ours.is_some_and(|r| r.resources.iter().any(is_ours)),
    })
}

impl Features {
    /// `true` where the version is one that we work with, or cannot be read.
    #[must_use]
    pub fn is_new_enough(&self) -> bool {
        self.minor.is_none_or(|m| m >= KUBERNETES_MIN)
    }

    /// `true` where `behavior.*.tolerance` counts for the HPA too (beta and on since 1.35).
    #[must_use]
    pub fn has_tolerance(&self) -> bool {
        self.minor.is_none_or(|m| m >= (1, 35))
    }

    /// `true` where an HPA may scale to zero (on by default since 1.37).
    #[must_use]
    pub fn scales_to_zero(&self) -> bool {
        self.minor.is_none_or(|m| m >= (1, 37))
    }
}
