//! The change itself: pods one after another while they run, or a rollout, never both at once.
//!
//! What is about to be written stands in the intent before it is written. Whatever goes wrong is put
//! back; what could not be put back stays in the intent, for `--undo`.

use std::time::{Duration, Instant};

use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::resize::{self, PodSize, Progress};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::intent::{Held, Intent, Lost, Stage, Way, read};
use super::subject::{Place, is_rolling};

/// How often a pod is looked at while its resize is waited for.
const LOOK: Duration = Duration::from_millis(500);

/// How often whoever works says so.
const RENEW: Duration = Duration::from_secs(5);

/// Rounds over the pods: those that were made meanwhile have the template's sizes.
const ROUNDS_MAX: usize = 20;

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a pod whose node has no room at present.
    pub deferred: Duration,
    /// For a resize under way, for a pod to be ready again, and for a rollout.
    pub working: Duration,
}

impl Default for Patience {
    /// Source: AEP-4016 of the Vertical Pod Autoscaler, in-place updates.
    fn default() -> Self {
        Self {
            deferred: Duration::from_secs(300),
            working: Duration::from_secs(3600),
        }
    }
}

/// Why a change ended before it was whole.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The node can never give as much, or the server refuses the sizes.
    #[error("{pod}: refused: {why}")]
    Refused {
        /// Which pod; the Deployment itself in a rollout.
        pod: String,
        /// The server's or the kubelet's own words.
        why: String,
    },
    /// It took longer than is waited.
    #[error("{what} was not done within {seconds} s: {why}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// What was seen last.
        why: String,
    },
    /// Somebody asked to end.
    #[error("interrupted")]
    Interrupted,
    /// The intent was lost: nothing more is touched.
    #[error("{0}")]
    Lost(#[from] Lost),
    /// The cluster gave no usable answer.
    #[error("{what}: {fault}")]
    Fault {
        /// What was asked.
        what: String,
        /// Why there was no answer.
        fault: Fault,
    },
}

impl Stopped {
    /// `true` where what was done is to be put back; without the intent, and while another's rollout
    /// is on, nothing more is touched.
    #[must_use]
    pub fn puts_back(&self) -> bool {
        match self {
            Self::Lost(lost) => matches!(lost, Lost::TooLarge(_)),
            _ => true,
        }
    }
}

/// A change in progress.
pub struct Change<'a> {
    place: &'a Place,
    held: Held,
    patience: Patience,
    /// The template as it was when the change began: another one is another's rollout.
    template: Option<PodTemplateSpec>,
    /// `true` once somebody asked to end.
    asked: &'a dyn Fn() -> bool,
    renewed: Instant,
    /// `true` on the way back: a refusal then answers the wish before, until the kubelet looks again.
    backs: bool,
}

impl std::fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// How one wait ended.
enum Waited {
    Done,
    Gone,
}

impl<'a> Change<'a> {
    /// A change whose intent is kept.
    pub fn new(
        place: &'a Place,
        held: Held,
        deployment: &Deployment,
        patience: Patience,
        asked: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            place,
            held,
            patience,
            template: template_of(deployment),
            asked,
            renewed: Instant::now(),
            backs: false,
        }
    }

    /// Carries the intent out. Returns how many pods were changed.
    ///
    /// # Errors
    /// [`Stopped`]; nothing is put back yet.
    pub async fn apply(&mut self) -> Result<usize, Stopped> {
        let to = read(&self.held.intent.to);
        match self.held.intent.way {
            Way::InPlace => self.resize_all(&to).await,
            Way::Rollout => self.roll_out().await,
        }
    }

    /// Says that the change is whole; the intent stays, so that it can be undone.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn conclude(&mut self) -> Result<(), Stopped> {
        self.held.stage(Stage::Applied, None).await?;
        Ok(())
    }

    /// Puts everything back that the intent remembers. Returns how many pods were changed.
    ///
    /// # Errors
    /// [`Stopped`]; the intent then stays.
    pub async fn put_back(mut self) -> Result<usize, Stopped> {
        // Whoever asks to end has asked for this.
        self.asked = &never;
        self.backs = true;
        let count = match self.held.intent.way {
            Way::InPlace => {
                self.held.stage(Stage::PuttingBack, None).await?;
                self.put_pods_back().await?
            }
            Way::Rollout => self.put_template_back().await?,
        };
        self.held.clear().await?;
        Ok(count)
    }

    /// Every pod that runs, one after another, until none is left that has other sizes.
    async fn resize_all(&mut self, to: &PodSize) -> Result<usize, Stopped> {
        let mut changed = 0;
        for _ in 0..ROUNDS_MAX {
            let pods = self.pods().await?;
            let left: Vec<&Pod> = pods.iter().filter(|p| !has(p, to)).collect();
            if left.is_empty() {
                return Ok(changed);
            }
            for pod in left {
                self.check_asked()?;
                changed += usize::from(self.resize_one(pod, to).await?);
            }
        }
        Err(Stopped::Late {
            what: self.place.what(),
            seconds: self.patience.working.as_secs(),
            why: "new pods come all the time".to_owned(),
        })
    }

    fn check_asked(&self) -> Result<(), Stopped> {
        match (self.asked)() {
            true => Err(Stopped::Interrupted),
            false => Ok(()),
        }
    }

    /// Pods that run, each with everything that is known of it.
    async fn pods(&self) -> Result<Vec<Pod>, Stopped> {
        let begin = Instant::now();
        loop {
            let read = async {
                let deployment = call(self.place.deployments().get(&self.place.name)).await?;
                self.place.list_pods(&deployment).await
            };
            match read.await {
                Ok(mut pods) => {
                    pods.retain(|p| {
                        PodSeen::from(p).state.phase == foresail_core::hpa::Phase::Running
                    });
                    return Ok(pods);
                }
                Err(fault) if fault.is_away() && begin.elapsed() < self.patience.working => {
                    self.check_asked()?;
                    tokio::time::sleep(LOOK).await;
                }
                Err(fault) => {
                    let what = self.place.what();
                    return Err(Stopped::Fault { what, fault });
                }
            }
        }
    }

    /// One pod; `false` where it went away meanwhile.
    async fn resize_one(&mut self, pod: &Pod, to: &PodSize) -> Result<bool, Stopped> {
        let name = pod.name_any();
        let former = resize::asked(pod);
        let deployment = self.held.remember(&name, &former).await?;
        self.renewed = Instant::now();
        self.check_rollout(&deployment)?;
        let was_ready = PodSeen::from(pod).is_ready();
        match self.ask_and_wait(pod, to, was_ready).await? {
            Waited::Gone => {
                eprintln!("pod {name} is gone");
                Ok(false)
            }
            Waited::Done => {
                eprintln!("pod {name} resized");
                Ok(true)
            }
        }
    }

    /// A template that is not the one that the change began with is somebody's rollout.
    fn check_rollout(&self, deployment: &Deployment) -> Result<(), Stopped> {
        if template_of(deployment) == self.template {
            return Ok(());
        }
        Err(Lost::Rollout.into())
    }

    /// Asks for sizes and waits until they are there.
    async fn ask_and_wait(
        &mut self,
        pod: &Pod,
        sizes: &PodSize,
        until_ready: bool,
    ) -> Result<Waited, Stopped> {
        let name = pod.name_any();
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let (begin, mut asked) = (Instant::now(), false);
        let mut deferred: Option<Instant> = None;
        loop {
            let late = |what: &str, most: Duration, why: String| Stopped::Late {
                what: format!("{what} of pod {name}"),
                seconds: most.as_secs(),
                why,
            };
            let working = self.patience.working;
            match call(self.place.pods().get(&name)).await {
                Ok(found) if found.metadata.uid.as_deref() != Some(uid.as_str()) => {
                    return Ok(Waited::Gone);
                }
                Ok(found) if found.metadata.deletion_timestamp.is_some() => {
                    return Ok(Waited::Gone);
                }
                Err(Fault::NotFound(_)) => return Ok(Waited::Gone),
                // The wish is written once it is seen that it does not stand there yet: an answer
                // that was lost is no reason to write twice.
                Ok(found) if !asks(&found, sizes) => {
                    if asked && begin.elapsed() > working {
                        return Err(late("the resize", working, "it was not taken".to_owned()));
                    }
                    self.check_asked()?;
                    self.ask(&name, &uid, sizes).await?;
                    asked = true;
                    continue;
                }
                Ok(found) => match resize::progress(&found) {
                    Progress::Done if !until_ready || PodSeen::from(&found).is_ready() => {
                        return Ok(Waited::Done);
                    }
                    Progress::Done if begin.elapsed() > working => {
                        let why = "it was ready before and is not now".to_owned();
                        return Err(late("the readiness", working, why));
                    }
                    Progress::Infeasible(why) if !self.backs || begin.elapsed() > working => {
                        let why = format!("Infeasible: {why}");
                        return Err(Stopped::Refused { pod: name, why });
                    }
                    Progress::Deferred(why) => {
                        let since = *deferred.get_or_insert_with(Instant::now);
                        if since.elapsed() >= self.patience.deferred {
                            let why = format!("Deferred: {why}");
                            return Err(late("the resize", self.patience.deferred, why));
                        }
                    }
                    Progress::InProgress(why) if begin.elapsed() > working => {
                        return Err(late("the resize", working, format!("InProgress {why}")));
                    }
                    Progress::Asked if begin.elapsed() > working => {
                        let why = "the kubelet has not answered".to_owned();
                        return Err(late("the resize", working, why));
                    }
                    Progress::Done
                    | Progress::InProgress(_)
                    | Progress::Infeasible(_)
                    | Progress::Asked => deferred = None,
                },
                Err(fault) if fault.is_away() && begin.elapsed() < working => {}
                Err(fault) => {
                    let what = format!("pod {name}");
                    return Err(Stopped::Fault { what, fault });
                }
            }
            self.check_asked()?;
            self.keep_believed().await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes a wish; an answer that did not come is looked for by whoever calls.
    async fn ask(&self, name: &str, uid: &str, sizes: &PodSize) -> Result<(), Stopped> {
        let pod = format!("pod {name}");
        match resize::ask(&self.place.pods_written(), name, uid, sizes).await {
            Ok(_) => Ok(()),
            Err(Fault::Invalid(why) | Fault::Forbidden(why)) => Err(Stopped::Refused { pod, why }),
            Err(Fault::NotFound(_) | Fault::Conflict(_)) => Ok(()),
            Err(fault) if fault.is_away() => {
                tokio::time::sleep(LOOK).await;
                Ok(())
            }
            Err(fault) => Err(Stopped::Fault { what: pod, fault }),
        }
    }

    /// Says from time to time that this process is still at work.
    async fn keep_believed(&mut self) -> Result<(), Stopped> {
        if self.renewed.elapsed() >= RENEW {
            match self.held.renew().await {
                Ok(_) => self.renewed = Instant::now(),
                // A server that is away is waited for where it is asked for more than this.
                Err(Lost::Fault(fault)) if fault.is_away() => {}
                Err(lost) => return Err(lost.into()),
            }
        }
        Ok(())
    }

    /// Writes the template, which begins the rollout, and waits for its end.
    async fn roll_out(&mut self) -> Result<usize, Stopped> {
        let to = read(&self.held.intent.to);
        let former = self.held.intent.former(None).unwrap_or_default();
        // What came before a crash may have written it already: the same template again is none.
        let template = template_patch(&to, &former);
        let deployment = self.held.stage(Stage::Applying, Some(&template)).await?;
        self.template = template_of(&deployment);
        self.wait_rolled(true).await
    }

    /// Waits for the end of a rollout; `heeds` what its controller says against it, which on the way
    /// back may still be said of the one before.
    async fn wait_rolled(&mut self, heeds: bool) -> Result<usize, Stopped> {
        let begin = Instant::now();
        loop {
            let told = match call(self.place.deployments().get(&self.place.name)).await {
                Ok(found) => {
                    self.check_rollout(&found)?;
                    if is_rolled(&found) {
                        let replicas = found.status.and_then(|s| s.updated_replicas);
                        return Ok(usize::try_from(replicas.unwrap_or(0)).unwrap_or(0));
                    }
                    if let Some(why) = stuck(&found).filter(|_| heeds) {
                        let pod = self.place.what();
                        return Err(Stopped::Refused { pod, why });
                    }
                    far(&found)
                }
                Err(fault) if fault.is_away() => fault.to_string(),
                Err(fault) => {
                    let what = self.place.what();
                    return Err(Stopped::Fault { what, fault });
                }
            };
            if begin.elapsed() > self.patience.working {
                return Err(Stopped::Late {
                    what: format!("the rollout of {}", self.place.what()),
                    seconds: self.patience.working.as_secs(),
                    why: told,
                });
            }
            self.check_asked()?;
            self.keep_believed().await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn put_template_back(&mut self) -> Result<usize, Stopped> {
        let former = self.held.intent.former(None).unwrap_or_default();
        let to = read(&self.held.intent.to);
        let template = template_patch(&former, &to);
        let written = self.held.stage(Stage::PuttingBack, Some(&template)).await?;
        self.template = template_of(&written);
        self.wait_rolled(false).await
    }

    async fn put_pods_back(&mut self) -> Result<usize, Stopped> {
        let to = read(&self.held.intent.to);
        let (mut changed, mut first) = (0, None);
        for pod in self.pods().await? {
            let name = pod.name_any();
            let Some(former) = self.held.intent.former(Some(&name)) else {
                continue;
            };
            if has(&pod, &former) {
                continue;
            }
            if !asks(&pod, &to) && !asks(&pod, &former) {
                eprintln!("warning: pod {name} has sizes that somebody else gave it; it stays");
                continue;
            }
            // One that cannot be put back is no reason to leave the others.
            match self.ask_and_wait(&pod, &former, false).await {
                Ok(_) => {
                    eprintln!("pod {name} put back");
                    changed += 1;
                }
                Err(stopped @ Stopped::Lost(_)) => return Err(stopped),
                Err(stopped) => first = first.or(Some(stopped)),
            }
        }
        match first {
            Some(stopped) => Err(stopped),
            None => Ok(changed),
        }
    }
}

fn never() -> bool {
    false
}

fn template_of(deployment: &Deployment) -> Option<PodTemplateSpec> {
    deployment.spec.as_ref().map(|s| s.template.clone())
}

/// `true` where a pod's spec asks for these sizes.
#[must_use]
pub fn asks(pod: &Pod, sizes: &PodSize) -> bool {
    let asked = resize::asked(pod);
    sizes
        .iter()
        .all(|(name, size)| asked.get(name) == Some(size))
}

/// `true` where a pod has these sizes and nothing of them is left to do.
#[must_use]
pub fn has(pod: &Pod, sizes: &PodSize) -> bool {
    asks(pod, sizes) && resize::progress(pod) == Progress::Done
}

/// A strategic merge patch of the template: these sizes, and nothing of what only `other` names.
#[must_use]
pub fn template_patch(sizes: &PodSize, other: &PodSize) -> Value {
    let side = |own: &resize::Amounts, foreign: Option<&resize::Amounts>| {
        let mut map = serde_json::Map::new();
        for name in foreign.into_iter().flat_map(|f| f.keys()) {
            map.insert(name.clone(), Value::Null);
        }
        for (name, milli) in own {
            let text = super::fit::quantity(name, *milli).to_string();
            map.insert(name.clone(), json!(text));
        }
        Value::Object(map)
    };
    let one = |(name, size): (&String, &resize::ContainerSize)| {
        let foreign = other.get(name);
        let requests = side(&size.requests, foreign.map(|f| &f.requests));
        let limits = side(&size.limits, foreign.map(|f| &f.limits));
        json!({"name": name, "resources": {"requests": requests, "limits": limits}})
    };
    let containers: Vec<Value> = sizes.iter().map(one).collect();
    json!({"spec": {"containers": containers}})
}

/// `true` once every pod is of the newest template, and available.
fn is_rolled(deployment: &Deployment) -> bool {
    let status = deployment.status.as_ref();
    let asked = deployment
        .spec
        .as_ref()
        .and_then(|s| s.replicas)
        .unwrap_or(1);
    let of = |count: Option<i32>| count.unwrap_or(0);
    !is_rolling(deployment)
        && status
            .is_some_and(|s| of(s.updated_replicas) >= asked && of(s.available_replicas) >= asked)
}

/// Why a rollout does not go on, in its controller's words.
fn stuck(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let stuck = |c: &&k8s_openapi::api::apps::v1::DeploymentCondition| {
        let late = c.type_ == "Progressing"
            && c.status == "False"
            && c.reason.as_deref() == Some("ProgressDeadlineExceeded");
        late || (c.type_ == "ReplicaFailure" && c.status == "True")
    };
    let found = conditions.iter().find(stuck)?;
    Some(format!(
        "{}: {}",
        found.reason.clone().unwrap_or_default(),
        found.message.clone().unwrap_or_default()
    ))
}

/// How far a rollout is.
fn far(deployment: &Deployment) -> String {
    let status = deployment.status.clone().unwrap_or_default();
    let of = |count: Option<i32>| count.unwrap_or(0);
    format!(
        "{} of {} pods are new, {} are available",
        of(status.updated_replicas),
        of(status.replicas),
        of(status.available_replicas)
    )
}

/// What one intent says of the work that is left, for people.
#[must_use]
pub fn told(intent: &Intent) -> String {
    let how = match intent.way {
        Way::InPlace => "in place",
        Way::Rollout => "by a rollout",
    };
    let stage = match intent.stage {
        Stage::Applying => "under way",
        Stage::PuttingBack => "being put back",
        Stage::Applied => "done",
    };
    format!("a change of {} {how}, {stage}", intent.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize};

    fn size(pairs: &[(&str, i64)]) -> PodSize {
        let requests: Amounts = pairs.iter().map(|(n, a)| ((*n).to_owned(), *a)).collect();
        let limits = Amounts::new();
        PodSize::from([("main".to_owned(), ContainerSize { requests, limits })])
    }

    #[test]
    fn a_template_is_put_back_to_what_it_was_also_where_it_named_nothing() {
        let (old, new) = (
            size(&[("cpu", 100)]),
            size(&[("cpu", 200), ("memory", 1_000_000)]),
        );
        let there = template_patch(&new, &old);
        let of = |patch: &Value| patch["spec"]["containers"][0]["resources"]["requests"].clone();
        assert_eq!(of(&there), json!({"cpu": "200m", "memory": "1000"}));
        let back = template_patch(&old, &new);
        assert_eq!(of(&back), json!({"cpu": "100m", "memory": null}));
    }

    #[test]
    fn a_rollout_is_over_when_every_pod_is_new_and_available() {
        let with = |updated: i32, available: i32, seen: i64| -> Deployment {
            let status = json!({"observedGeneration": seen, "replicas": 3, "updatedReplicas": updated, "availableReplicas": available});
            let spec = json!({"replicas": 3, "selector": {}, "template": {}});
            serde_json::from_value(
                json!({"metadata": {"generation": 2}, "spec": spec, "status": status}),
            )
            .unwrap()
        };
        assert!(is_rolled(&with(3, 3, 2)));
        assert!(!is_rolled(&with(2, 3, 2)), "an old pod is left");
        assert!(!is_rolled(&with(3, 2, 2)), "one is not available");
        assert!(!is_rolled(&with(3, 3, 1)), "its controller has not seen it");
        assert_eq!(stuck(&with(3, 3, 2)), None);
    }
}
