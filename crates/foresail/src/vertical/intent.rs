//! The intent: what is about to be written, kept on the Deployment before the first write.
//!
//! It is an annotation of the Deployment itself, not of its pod template, so that it starts no
//! rollout, and whoever comes after a crash finds it from any machine. It says who is at work and
//! until when that is believed: two commands never work on one Deployment at a time.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize, PodSize};
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::parse_kubernetes_milli;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fit::quantity;
use crate::cli::cluster::FIELD_MANAGER;
use crate::compare::prometheus::now;

/// The annotation that holds it.
pub const ANNOTATION: &str = "foresail.dev/vertical-intent";

/// How long after its last word somebody is believed to be at work.
pub const BELIEVED: Span = Span::from_seconds(20);

/// How often a write that met another writer is made anew.
const ATTEMPTS: usize = 8;

/// The most bytes of an intent: all annotations of an object together have 256 KiB.
const BYTES_MAX: usize = 200 << 10;

/// How pods get other sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// While they run, one after another.
    InPlace,
    /// By new ones of another template.
    Rollout,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Under way.
    Applying,
    /// Being put back.
    PuttingBack,
    /// Done; kept so that it can be undone.
    Applied,
}

/// One container's size as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    requests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<String, String>,
}

/// Sizes of containers by name, as they are written.
pub type WrittenSizes = BTreeMap<String, Written>;

/// Pods that had the same sizes before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    /// What they had.
    pub sizes: WrittenSizes,
    /// Their names; empty for the pod template.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<String>,
}

/// What is about to be written, and what was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Intent {
    /// Version of this form.
    pub v: u8,
    /// Who is at work.
    pub by: String,
    /// When it began.
    pub at: Timestamp,
    /// When whoever is at work last said so.
    pub renewed: Timestamp,
    /// How far it is.
    pub stage: Stage,
    /// How pods get it.
    pub way: Way,
    /// What they shall have.
    pub to: WrittenSizes,
    /// What was there before.
    pub from: Vec<Former>,
}

/// Version of the form.
const VERSION: u8 = 1;

/// Sizes as they are written.
#[must_use]
pub fn written(sizes: &PodSize) -> WrittenSizes {
    let side = |amounts: &Amounts| -> BTreeMap<String, String> {
        let text = |(name, milli): (&String, &i64)| {
            let text = quantity(name, *milli).to_string();
            (name.clone(), text)
        };
        amounts.iter().map(text).collect()
    };
    let one = |size: &ContainerSize| Written {
        requests: side(&size.requests),
        limits: side(&size.limits),
    };
    sizes.iter().map(|(n, s)| (n.clone(), one(s))).collect()
}

/// Written sizes as amounts; what is no quantity is left out.
#[must_use]
pub fn read(sizes: &WrittenSizes) -> PodSize {
    let side = |texts: &BTreeMap<String, String>| -> Amounts {
        let amount = |(name, text): (&String, &String)| {
            Some((name.clone(), parse_kubernetes_milli(text).ok()?))
        };
        texts.iter().filter_map(amount).collect()
    };
    let one = |size: &Written| ContainerSize {
        requests: side(&size.requests),
        limits: side(&size.limits),
    };
    sizes.iter().map(|(n, s)| (n.clone(), one(s))).collect()
}

impl Intent {
    /// A new one of this process.
    #[must_use]
    pub fn new(way: Way, to: &PodSize, from: Vec<Former>) -> Self {
        let at = now();
        Self {
            v: VERSION,
            by: whoami(at),
            at,
            renewed: at,
            stage: Stage::Applying,
            way,
            to: written(to),
            from,
        }
    }

    /// The one that a Deployment carries.
    ///
    /// # Errors
    /// Where the annotation is there and is none of this version.
    pub fn of(deployment: &Deployment) -> Result<Option<Self>, String> {
        let annotations = deployment.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|a| a.get(ANNOTATION)) else {
            return Ok(None);
        };
        let unread = |why: String| {
            format!(
                "the annotation {ANNOTATION} cannot be read ({why}): another version of foresail wrote it; undo with that one, or remove the annotation by hand"
            )
        };
        let found: Self = serde_json::from_str(text).map_err(|e| unread(e.to_string()))?;
        if found.v != VERSION {
            return Err(unread(format!("version {}", found.v)));
        }
        Ok(Some(found))
    }

    /// `true` where somebody is believed to be at work on it.
    #[must_use]
    pub fn is_worked_on(&self, now: Timestamp) -> bool {
        self.stage != Stage::Applied && now - self.renewed < BELIEVED
    }

    /// What a pod, or the template where none is named, had before.
    #[must_use]
    pub fn former(&self, pod: Option<&str>) -> Option<PodSize> {
        let mut all = self.from.iter();
        let found = match pod {
            None => all.find(|f| f.pods.is_empty()),
            Some(name) => all.find(|f| f.pods.iter().any(|p| p == name)),
        };
        found.map(|f| read(&f.sizes))
    }

    /// Remembers what a pod had; the first word counts.
    fn remember(&mut self, pod: &str, sizes: &PodSize) {
        if self.former(Some(pod)).is_some() {
            return;
        }
        let sizes = written(sizes);
        match self
            .from
            .iter_mut()
            .find(|f| f.sizes == sizes && !f.pods.is_empty())
        {
            Some(former) => former.pods.push(pod.to_owned()),
            None => self.from.push(Former {
                sizes,
                pods: vec![pod.to_owned()],
            }),
        }
    }
}

/// A name of this process that no other has.
fn whoami(at: Timestamp) -> String {
    format!("{}-{}", std::process::id(), at.nanos())
}

/// Why an intent could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Somebody else took it over, or took it away.
    #[error("somebody else took over, or removed the annotation {ANNOTATION}")]
    TakenOver,
    /// A rollout began that is not ours.
    #[error("a rollout of the Deployment began")]
    Rollout,
    /// More pods than an annotation can hold.
    #[error("the intent of so many pods has {0} bytes, an annotation holds {BYTES_MAX}")]
    TooLarge(usize),
    /// The call.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The annotation cannot be read.
    #[error("{0}")]
    Unread(String),
}

/// An intent that this process keeps.
#[derive(Debug)]
pub struct Held {
    api: Api<Deployment>,
    name: String,
    /// As it was last written.
    pub intent: Intent,
}

impl Held {
    /// Keeps a new intent, where the Deployment has none under way, or takes over the `former` one
    /// as it was read.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn take(
        api: Api<Deployment>,
        name: &str,
        mut intent: Intent,
        former: Option<&Intent>,
    ) -> Result<Self, Lost> {
        if former.is_some() {
            intent.by = whoami(now());
            intent.renewed = now();
        }
        let held = Self {
            api,
            name: name.to_owned(),
            intent,
        };
        let expected = former.cloned();
        let fits = move |found: &Option<Intent>| match (found, &expected) {
            (None, None) => true,
            (Some(found), None) => found.stage == Stage::Applied,
            (Some(found), Some(expected)) => found == expected,
            (None, Some(_)) => false,
        };
        let intent = held.intent.clone();
        held.write(Some(&intent), None, fits).await?;
        Ok(held)
    }

    /// Says that this process is still at work.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn renew(&mut self) -> Result<Deployment, Lost> {
        let mut intent = self.intent.clone();
        intent.renewed = now();
        self.put(intent, None).await
    }

    /// Remembers what a pod had, before it is changed.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn remember(&mut self, pod: &str, sizes: &PodSize) -> Result<Deployment, Lost> {
        let mut intent = self.intent.clone();
        intent.renewed = now();
        intent.remember(pod, sizes);
        self.put(intent, None).await
    }

    /// Says how far it is, and changes the pod template in the same write where there is one, so that
    /// neither is there without the other.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn stage(
        &mut self,
        stage: Stage,
        template: Option<&Value>,
    ) -> Result<Deployment, Lost> {
        let mut intent = self.intent.clone();
        intent.renewed = now();
        intent.stage = stage;
        self.put(intent, template).await
    }

    /// Takes the intent away: nothing of it is left to do.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn clear(self) -> Result<(), Lost> {
        let by = self.intent.by.clone();
        let fits = move |found: &Option<Intent>| found.as_ref().is_some_and(|f| f.by == by);
        self.write(None, None, fits).await.map(drop)
    }

    async fn put(&mut self, intent: Intent, template: Option<&Value>) -> Result<Deployment, Lost> {
        let by = self.intent.by.clone();
        let fits = move |found: &Option<Intent>| found.as_ref().is_some_and(|f| f.by == by);
        let written = self.write(Some(&intent), template, fits).await?;
        self.intent = intent;
        Ok(written)
    }

    /// Writes against the version that was read, anew where somebody else was faster and what is
    /// there still fits.
    async fn write(
        &self,
        intent: Option<&Intent>,
        template: Option<&Value>,
        fits: impl Fn(&Option<Intent>) -> bool,
    ) -> Result<Deployment, Lost> {
        let text = intent.map(|i| json!(i).to_string());
        if let Some(long) = text.as_ref().map(String::len).filter(|n| *n > BYTES_MAX) {
            return Err(Lost::TooLarge(long));
        }
        let by = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            let read = match call(self.api.get(&self.name)).await {
                Ok(read) => read,
                Err(fault) if fault.is_away() => {
                    last = Some(fault);
                    continue;
                }
                Err(fault) => return Err(fault.into()),
            };
            let found = Intent::of(&read).map_err(Lost::Unread)?;
            // A write of which no answer came may have been carried out.
            let is_ours = found.as_ref() == intent && last.is_some();
            if is_ours {
                return Ok(read);
            }
            if !fits(&found) {
                return Err(Lost::TakenOver);
            }
            let version = read.metadata.resource_version;
            let mut body = json!({"metadata": {
                "uid": read.metadata.uid, "resourceVersion": version, "annotations": {ANNOTATION: text},
            }});
            if let Some(template) = template {
                body["spec"] = json!({"template": template});
            }
            match call(self.api.patch(&self.name, &by, &Patch::Strategic(body))).await {
                Ok(written) => return Ok(written),
                Err(fault @ Fault::Conflict(_)) => last = Some(fault),
                Err(fault) if fault.is_away() => last = Some(fault),
                Err(fault) => return Err(fault.into()),
            }
        }
        let none = || Fault::Conflict("it changes all the time".to_owned());
        Err(last.unwrap_or_else(none).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(cpu: i64) -> PodSize {
        let memory = (64 << 20) * 1000;
        let size = ContainerSize {
            requests: Amounts::from([("cpu".to_owned(), cpu), ("memory".to_owned(), memory)]),
            limits: Amounts::new(),
        };
        PodSize::from([("main".to_owned(), size)])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = serde_json::to_string(&written(&sizes(100))).unwrap();
        assert_eq!(
            text,
            r#"{"main":{"requests":{"cpu":"100m","memory":"64Mi"}}}"#
        );
        assert_eq!(read(&written(&sizes(100))), sizes(100));
    }

    #[test]
    fn pods_of_one_size_stand_together_and_the_first_word_on_a_pod_counts() {
        let mut intent = Intent::new(Way::InPlace, &sizes(200), Vec::new());
        for pod in ["a", "b"] {
            intent.remember(pod, &sizes(100));
        }
        intent.remember("c", &sizes(150));
        intent.remember("a", &sizes(200));
        assert_eq!(intent.from.len(), 2);
        assert_eq!(intent.former(Some("a")), Some(sizes(100)));
        assert_eq!(intent.former(Some("d")), None);
        assert_eq!(intent.former(None), None);
    }

    #[test]
    fn an_intent_is_believed_for_a_while_and_another_version_is_refused() {
        let mut intent = Intent::new(Way::Rollout, &sizes(200), Vec::new());
        let began = intent.renewed;
        assert!(intent.is_worked_on(began + Span::from_seconds(19)));
        assert!(!intent.is_worked_on(began + BELIEVED));
        intent.stage = Stage::Applied;
        assert!(!intent.is_worked_on(began));
        let deployment = |text: &str| {
            let mut object = Deployment::default();
            let annotations = [(ANNOTATION.to_owned(), text.to_owned())];
            object.metadata.annotations = Some(BTreeMap::from(annotations));
            object
        };
        let text = json!(intent).to_string();
        assert_eq!(Intent::of(&deployment(&text)).unwrap(), Some(intent));
        let newer = text.replace("\"v\":1", "\"v\":2");
        assert!(
            Intent::of(&deployment(&newer))
                .unwrap_err()
                .contains("version 2")
        );
        assert!(Intent::of(&deployment("{}")).is_err());
        assert_eq!(Intent::of(&Deployment::default()), Ok(None));
    }
}
