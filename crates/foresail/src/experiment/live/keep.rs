//! The HPA that `ai_scaler` takes away, kept in two places until it is back: a file beside the rows,
//! and an annotation of the deployment. Both are there before the HPA is deleted.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use foresail_adapters::atomic::WholeFile;
use foresail_adapters::kubernetes::fault::call;
use foresail_core::quantity::time::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hpa::{MADE, differences};
use super::site::Site;
use crate::cli::cluster::migrate::hpa::Hpa;
use crate::cli::cluster::{FIELD_MANAGER, coded};

/// The annotation of a deployment whose HPA was taken away: that HPA, and when.
pub(crate) const KEPT: &str = "foresail.dev/experiment-hpa";

/// The largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// An HPA that was taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kept {
    /// The deployment's unique name: another one under the old name has another HPA.
    pub uid: String,
    /// When it was taken away.
    pub at: Timestamp,
    /// What makes the same one again.
    pub manifest: Value,
}

/// What putting back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// Nothing had been left behind.
    Nothing,
    /// The HPA of this name is there again.
    Back(String),
    /// It was there already.
    There(String),
    /// Another one was made meanwhile, and stays: how it differs.
    Other(String, Vec<String>),
    /// One that a run had made is taken away.
    Removed(String),
}

impl Restored {
    /// In a sentence; `None` where there is nothing to tell.
    #[must_use]
    pub fn told(&self, file: &Path) -> Option<String> {
        Some(match self {
            Self::Nothing => return None,
            Self::Back(name) => format!("the HorizontalPodAutoscaler {name} is back as it was"),
            Self::There(name) => format!("the HorizontalPodAutoscaler {name} was back already"),
            Self::Removed(name) => {
                format!("the HorizontalPodAutoscaler {name}, which a run had made, is taken away")
            }
            Self::Other(name, differs) => format!(
                "somebody made the HorizontalPodAutoscaler {name} meanwhile, and it stays ({}); what was saved is in {}",
                differs.join("; "),
                set_aside(file).display()
            ),
        })
    }
}

/// Where an HPA is kept on disk.
#[must_use]
pub fn file(folder: &Path, site: &Site) -> PathBuf {
    let namespace = &site.place.namespace;
    folder.join(format!("hpa_{namespace}_{}.json", site.name()))
}

/// Where an HPA stays that could not be put back.
fn set_aside(file: &Path) -> PathBuf {
    file.with_extension("was.json")
}

fn write(path: &Path, kept: &Kept) -> Result<()> {
    let mut file = WholeFile::begin(path)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    Ok(file.commit()?)
}

fn of_deployment(deployment: &Deployment) -> Result<Option<Kept>> {
    let annotations = deployment.metadata.annotations.iter().flatten();
    let Some((_, text)) = annotations.into_iter().find(|(name, _)| *name == KEPT) else {
        return Ok(None);
    };
    let read = serde_json::from_str(text);
    read.map(Some).with_context(|| {
        format!("annotation {KEPT} of the deployment is not what was written there: make the HPA by hand from it, and remove it")
    })
}

fn of_file(path: &Path) -> Result<Option<Kept>> {
    let named = || path.display().to_string();
    match std::fs::metadata(path) {
        Err(_) => return Ok(None),
        Ok(there) => anyhow::ensure!(
            there.len() <= BYTES_MAX,
            "{} is no HPA: it is too large",
            named()
        ),
    }
    let bytes = std::fs::read(path).with_context(named)?;
    let read = serde_json::from_slice(&bytes);
    read.map(Some)
        .with_context(|| format!("{}: no HPA that a run saved; move it away", named()))
}

/// `true` where a run has left something behind, by what the cluster tells.
///
/// # Errors
/// Where that cannot be read.
pub(crate) fn is_left(deployment: &Deployment, hpa: Option<&Hpa>) -> Result<bool> {
    let made = hpa.is_some_and(|h| h.annotation(MADE).is_some());
    Ok(made || of_deployment(deployment)?.is_some())
}

async fn annotate(site: &Site, uid: &str, value: Value) -> Result<()> {
    let api: Api<Deployment> =
        Api::namespaced(site.place.clients.write.clone(), &site.place.namespace);
    // With its unique name: another one under the old name is not written to.
    let patch = json!({"metadata": {"uid": uid, "annotations": {KEPT: value}}});
    let parameters = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let changed = call(api.patch(site.name(), &parameters, &Patch::Merge(patch))).await;
    changed.map(drop).map_err(|f| coded(&site.what(), &f))
}

/// Saves an HPA in both places; it may be deleted once this has succeeded.
///
/// # Errors
/// Where one of them cannot be written.
pub(crate) async fn save(
    site: &Site,
    deployment: &Deployment,
    hpa: &Hpa,
    path: &Path,
    at: Timestamp,
) -> Result<()> {
    let manifest: Value = serde_json::from_str(&hpa.original()?)?;
    let uid = deployment.metadata.uid.clone().unwrap_or_default();
    let kept = Kept {
        uid: uid.clone(),
        at,
        manifest,
    };
    write(path, &kept)?;
    annotate(site, &uid, Value::String(serde_json::to_string(&kept)?)).await
}

/// Puts back what a run left behind; again where it was broken off.
///
/// # Errors
/// Where the cluster does not answer or refuses; everything saved stays where it is then.
pub async fn restore(site: &Site, path: &Path) -> Result<Restored> {
    let deployment = site.deployment().await;
    let deployment = deployment.map_err(|f| coded(&site.what(), &f))?;
    let uid = deployment.metadata.uid.clone().unwrap_or_default();
    let hpa = site.find_hpa().await?;
    let annotated = of_deployment(&deployment)?;
    let is_annotated = annotated.is_some();
    let kept = match annotated {
        Some(kept) => Some(kept),
        None => of_file(path)?.filter(|kept| kept.uid == uid),
    };
    let restored = match (&kept, hpa) {
        (Some(kept), None) => {
            site.make_hpa(&kept.manifest).await?;
            Restored::Back(name_of(&kept.manifest))
        }
        (Some(kept), Some(there)) => {
            let differs = differences(there.spec(), &kept.manifest["spec"]);
            match differs.is_empty() {
                true => Restored::There(there.name()),
                false => Restored::Other(there.name(), differs),
            }
        }
        (None, Some(there)) if there.annotation(MADE).is_some() => {
            site.delete_hpa(&there).await?;
            Restored::Removed(there.name())
        }
        (None, _) => Restored::Nothing,
    };
    if let (Some(kept), Restored::Other(..)) = (&kept, &restored) {
        write(&set_aside(path), kept)?;
    }
    if is_annotated {
        annotate(site, &uid, Value::Null).await?;
    }
    if kept.is_some() && path.exists() {
        let removed = std::fs::remove_file(path);
        removed.with_context(|| path.display().to_string())?;
    }
    Ok(restored)
}

fn name_of(manifest: &Value) -> String {
    let name = manifest.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}
