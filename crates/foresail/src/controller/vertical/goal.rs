//! The size that an object's pods shall have, and how far each of them is; pure.
//!
//! Nobody announces a resize and nobody remembers one: what a pod asks for stands in the pod, so each
//! look begins anew, and pods that are made later are resized as those before. A tenth of the pods, one
//! at least, is under way at once. A pod that does not get it is asked to go back and left alone for a
//! while; no pod is ever made anew.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::crd::status::ResizeState;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::resize::{self, PodSize, Progress};
use foresail_core::quantity::time::{Span, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::vertical::apply::{Patience, asks, has};
use crate::vertical::group::PodGroup;

/// How long a pod is left alone that did not get its size.
const LEFT_ALONE: Span = Span::from_seconds(3600);

/// One pod of so many is under way at once.
const AT_ONCE: usize = 10;

/// Why a pod did not get its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its node can never give as much.
    Infeasible,
    /// Its node had no room for long.
    Deferred,
    /// The kubelet did not get done, or the pod was not ready again.
    Late,
}

/// A pod that was asked.
#[derive(Clone, Debug)]
struct Asked {
    at: Timestamp,
    /// Since when its node has no room.
    deferred: Option<Timestamp>,
    was_ready: bool,
    /// What it had before.
    former: PodSize,
}

/// A pod that is left alone.
#[derive(Clone, Debug)]
struct LeftOut {
    until: Timestamp,
    failure: Failure,
    why: String,
    /// What it goes back to.
    former: PodSize,
}

/// A pod by its name and its unique name.
pub(super) type PodName = (String, String);

/// A pod that is asked to go back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Withdrawn {
    pub(super) pod: PodName,
    pub(super) to: PodSize,
    pub(super) failure: Failure,
    pub(super) why: String,
    /// It was asked to before, and does not do it yet.
    pub(super) again: bool,
}

/// What is to be done next, and how far all is.
#[derive(Clone, Debug, Default)]
pub(super) struct Next {
    /// Pods that are to be asked now.
    pub(super) ask: Vec<PodName>,
    pub(super) withdraw: Vec<Withdrawn>,
    /// Pods that have it.
    pub(super) done: usize,
    /// Pods that run.
    pub(super) all: usize,
    /// Pods that have not got it yet and are not left alone.
    pub(super) due: usize,
    /// The pod that is least far, with the kubelet's own words.
    pub(super) worst: Option<(ResizeState, String)>,
}

/// Sizes of containers that every pod of an object shall have.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) sizes: PodSize,
    asked: BTreeMap<String, Asked>,
    left_out: BTreeMap<String, LeftOut>,
    /// A pod that was left alone may be asked again: what is decided for it is looked at anew.
    stale: bool,
    /// This process asked a pod for it.
    pub(super) was_asked: bool,
    /// It was told that all pods have it.
    pub(super) told: bool,
}

fn span(of: std::time::Duration) -> Span {
    Span::from_nanos(i64::try_from(of.as_nanos()).unwrap_or(i64::MAX))
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

impl Goal {
    pub(super) fn new(sizes: PodSize) -> Self {
        Self {
            sizes,
            asked: BTreeMap::new(),
            left_out: BTreeMap::new(),
            stale: false,
            was_asked: false,
            told: false,
        }
    }

    /// The same in the place of another: pods that are left alone stay so.
    pub(super) fn after(self, before: Option<Self>) -> Self {
        Self {
            left_out: before.map(|b| b.left_out).unwrap_or_default(),
            ..self
        }
    }

    /// `true` where something else may be decided: every pod has this, or one that was left alone may be
    /// asked again.
    pub(super) fn may_change(&mut self, next: &Next) -> bool {
        let stale = std::mem::take(&mut self.stale);
        stale || (next.due == 0 && self.left_out.is_empty())
    }

    /// `true` where one of these pods may have something left to do: it was asked, or asks for
    /// something else.
    pub(super) fn concerns<'a>(&self, mut pods: impl Iterator<Item = &'a PodSeen>) -> bool {
        let differs = |pod: &PodSeen| {
            let mut containers = pod.spec.containers.iter();
            let other = |name: &str, milli: i64, c: &foresail_core::hpa::resolve::Container| {
                c.requests.get(name) != Some(&milli)
            };
            containers.any(|c| {
                let size = self.sizes.get(&c.name);
                let mut requests = size.into_iter().flat_map(|s| &s.requests);
                requests.any(|(name, milli)| other(name, *milli, c))
            })
        };
        let runs = |p: &PodSeen| {
            p.state.phase == foresail_core::hpa::Phase::Running
                && !p.state.deleting
                && !self.left_out.contains_key(&p.uid)
        };
        !self.asked.is_empty() || pods.any(|p| runs(p) && differs(p))
    }

    /// A pod was asked.
    pub(super) fn asked(&mut self, pod: &Pod, now: Timestamp) {
        let mut former = resize::asked(pod);
        former.retain(|name, _| self.sizes.contains_key(name));
        let asked = Asked {
            at: now,
            deferred: None,
            was_ready: PodSeen::from(pod).is_ready(),
            former,
        };
        self.asked.insert(uid(pod), asked);
        self.was_asked = true;
    }

    /// What is to be done next, by what the pods are now.
    pub(super) fn next(&mut self, group: &PodGroup, now: Timestamp) -> Next {
        let running: Vec<&Pod> = group.running().collect();
        let there = |id: &String| running.iter().any(|p| p.metadata.uid.as_ref() == Some(id));
        self.asked.retain(|id, _| there(id));
        self.stale |= self.left_out.values().any(|out| now >= out.until);
        self.left_out.retain(|id, out| there(id) && now < out.until);
        let mut next = Next {
            all: running.len(),
            ..Next::default()
        };
        let (mut waiting, mut under_way) = (Vec::new(), 0);
        for pod in &running {
            match self.look(pod, now) {
                Seen::Done => next.done += 1,
                Seen::Asks(state, why) => {
                    under_way += 1;
                    next.is_at(state, &why);
                }
                Seen::Waits => {
                    waiting.push((pod.name_any(), uid(pod)));
                    next.is_at(ResizeState::Pending, "not asked yet");
                }
                Seen::LeftOut(state, why) => next.is_at(state, &why),
                Seen::Failed(withdrawn) => {
                    next.is_at(state_of(withdrawn.failure), &withdrawn.why);
                    next.withdraw.push(withdrawn);
                }
            }
        }
        next.due = waiting.len() + under_way;
        let at_once = running.len().div_ceil(AT_ONCE).max(1);
        waiting.truncate(at_once.saturating_sub(under_way));
        next.ask = waiting;
        next
    }

    fn look(&mut self, pod: &Pod, now: Timestamp) -> Seen {
        let id = uid(pod);
        if let Some(out) = self.left_out.get(&id) {
            if !asks(pod, &self.sizes) {
                return Seen::LeftOut(state_of(out.failure), out.why.clone());
            }
            // It got it after all, or has not gone back yet.
            if !has(pod, &self.sizes) || !PodSeen::from(pod).is_ready() {
                return Seen::Failed(Withdrawn {
                    pod: (pod.name_any(), id.clone()),
                    to: out.former.clone(),
                    failure: out.failure,
                    why: out.why.clone(),
                    again: true,
                });
            }
            self.left_out.remove(&id);
        }
        if !asks(pod, &self.sizes) {
            return Seen::Waits;
        }
        let done = has(pod, &self.sizes);
        let Some(asked) = self.asked.get_mut(&id) else {
            if done {
                return Seen::Done;
            }
            // Somebody asked before this process began.
            let mut former = resize::granted(pod);
            former.retain(|name, _| self.sizes.contains_key(name));
            let asked = Asked {
                at: now,
                deferred: None,
                was_ready: false,
                former,
            };
            self.asked.insert(id, asked);
            return Seen::Asks(ResizeState::Pending, pod.name_any());
        };
        if done && (!asked.was_ready || PodSeen::from(pod).is_ready()) {
            self.asked.remove(&id);
            return Seen::Done;
        }
        let (state, why, failed) = judged(asked, &resize::progress(pod), now);
        let why = format!("{}: {why}", pod.name_any());
        match failed {
            None => Seen::Asks(state, why),
            Some(failure) => {
                let former = asked.former.clone();
                self.leave_out(pod, failure, why, former, now)
            }
        }
    }

    fn leave_out(
        &mut self,
        pod: &Pod,
        failure: Failure,
        why: String,
        former: PodSize,
        now: Timestamp,
    ) -> Seen {
        let id = uid(pod);
        self.asked.remove(&id);
        let out = LeftOut {
            until: now + LEFT_ALONE,
            failure,
            why: why.clone(),
            former: former.clone(),
        };
        self.left_out.insert(id.clone(), out);
        Seen::Failed(Withdrawn {
            pod: (pod.name_any(), id),
            to: former,
            failure,
            why,
            again: false,
        })
    }
}

impl Next {
    fn is_at(&mut self, state: ResizeState, why: &str) {
        if self.worst.as_ref().is_none_or(|(worst, _)| state > *worst) {
            self.worst = Some((state, why.to_owned()));
        }
    }
}

/// How one pod is.
enum Seen {
    Done,
    Waits,
    Asks(ResizeState, String),
    LeftOut(ResizeState, String),
    Failed(Withdrawn),
}

fn state_of(failure: Failure) -> ResizeState {
    match failure {
        Failure::Infeasible => ResizeState::Infeasible,
        Failure::Deferred => ResizeState::Deferred,
        Failure::Late => ResizeState::InProgress,
    }
}

/// How far a pod is that was asked, and whether it is given up.
fn judged(
    asked: &mut Asked,
    progress: &Progress,
    now: Timestamp,
) -> (ResizeState, String, Option<Failure>) {
    let patience = Patience::default();
    let late = (now - asked.at > span(patience.working)).then_some(Failure::Late);
    match progress {
        Progress::Infeasible(why) => (
            ResizeState::Infeasible,
            format!("Infeasible: {why}"),
            Some(Failure::Infeasible),
        ),
        Progress::Deferred(why) => {
            let since = *asked.deferred.get_or_insert(now);
            let long = now - since >= span(patience.deferred);
            (
                ResizeState::Deferred,
                format!("Deferred: {why}"),
                long.then_some(Failure::Deferred),
            )
        }
        Progress::InProgress(why) => {
            asked.deferred = None;
            (ResizeState::InProgress, format!("InProgress {why}"), late)
        }
        Progress::Asked => (
            ResizeState::Pending,
            "the kubelet has not answered".to_owned(),
            late,
        ),
        Progress::Done => (
            ResizeState::InProgress,
            "it was ready before and is not now".to_owned(),
            late,
        ),
    }
}

#[cfg(test)]
mod tests;
