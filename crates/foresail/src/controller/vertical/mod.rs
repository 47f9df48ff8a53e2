//! Requests of an object's pods: advised once a minute by the proposer `vpa`, and resized in place where
//! the object says so and may act.
//!
//! An object whose `spec.vertical.mode` is Off has none of this. What it learnt is stored as an engine's
//! memory is, under a name of its own.

mod advice;
mod goal;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;

use foresail_adapters::kubernetes::crd::status::{ResizeState, VerticalStatus};
use foresail_adapters::kubernetes::crd::{self, PredictiveAutoscaler, VerticalMode};
use foresail_adapters::kubernetes::event::Note;
use foresail_adapters::kubernetes::fault::Fault;
use foresail_adapters::kubernetes::resize::{Amounts, ContainerSize, PodSize};
use foresail_adapters::kubernetes::watch::Key;
use foresail_adapters::kubernetes::workload::WorkloadSeen;
use foresail_adapters::store::Batch;
use foresail_core::hpa::resolve::Container;
use foresail_core::observe::Health;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::{Mode, Resize};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt};

use super::Shared;
use super::act::{self, Unasked};
use super::look::Look;
use super::pilot::{Pilot, mode_of};
use super::rivals::Claim;
use super::tell::Story;
use crate::vertical::adviser::{Adviser, Wishes, knobs};
use crate::vertical::fit::{Fitted, Question, fit, told_change};
use crate::vertical::group::{self, Owner, PodGroup};
use crate::vertical::{past, subject};
use advice::Policies;
use goal::{Failure, Goal, Next, PodName};
pub(crate) use verdict::Verdict;

/// Time between two pieces of advice: the recommender's own tick.
const ADVISE_EVERY: Span = past::STEP;

/// Advice between two times that what was learnt is stored.
const ROUNDS_PER_SAVE: u32 = 10;

/// Between two decreases.
/// Source: specs/product_interface.md I.1.
const LOWERED_EVERY: Span = Span::from_seconds(600);

/// How long nothing is resized after the server refused a size, or the right.
const REFUSED: Span = Span::from_seconds(600);
const FORBIDDEN: Span = Span::from_seconds(60);

/// What is remembered of one object's requests.
#[derive(Debug, Default)]
pub(crate) struct Vertical {
    /// What was asked for when it was last looked at.
    written: crd::Vertical,
    policies: Policies,
    adviser: Option<Adviser>,
    advised_at: Option<Timestamp>,
    /// Advice since what was learnt was stored.
    rounds: u32,
    /// What an earlier life stored is not of these pods.
    forgets: bool,
    goal: Option<Goal>,
    lowered_at: Option<Timestamp>,
    /// Nothing is resized before then, and why.
    blocked: Option<(Timestamp, Verdict)>,
    /// What kept it from resizing at the last pass.
    held: Option<&'static str>,
    /// What is told as a condition.
    pub(crate) verdict: Verdict,
    pub(crate) status: VerticalStatus,
}

/// The name under which what was learnt is stored.
pub(crate) fn stored_as(uid: &str) -> String {
    format!("{uid}/vertical")
}

/// One pass's view.
struct Scene<'a> {
    shared: &'a Shared,
    object: Arc<PredictiveAutoscaler>,
    key: Key,
    uid: String,
    epoch: u64,
    look: &'a Look,
    health: Health,
    now: Timestamp,
    /// Why nothing may be resized, where that is so.
    hold: Option<Verdict>,
    /// This pass wrote replicas, or does not know whether it did: never both at once.
    replicas_moved: bool,
}

/// Looks after the requests of an object's pods, after its replicas.
pub(crate) async fn step(shared: &Shared, pilot: &mut Pilot, look: &Look, story: &mut Story) {
    if pilot.object.spec.vertical.mode == VerticalMode::Off {
        pilot.vertical = None;
        return;
    }
    let scene = Scene {
        shared,
        object: Arc::clone(&pilot.object),
        key: pilot.key.clone(),
        uid: pilot.identity.uid.clone(),
        epoch: pilot.identity.epoch,
        look,
        health: story.health,
        now: story.now,
        hold: hold(shared, pilot, story),
        replicas_moved: story.written.is_some() || pilot.unresolved.is_some(),
    };
    let vertical = pilot.vertical.get_or_insert_with(Box::default);
    vertical.pass(&scene, &mut story.resized).await;
}

/// Why nothing may be resized at all, where that is so.
fn hold(shared: &Shared, pilot: &Pilot, story: &Story) -> Option<Verdict> {
    let object = &pilot.object;
    if object.spec.vertical.mode != VerticalMode::Apply {
        return None;
    }
    if mode_of(object, shared.options.max_mode) != Mode::Auto {
        return Some(Verdict::not_auto());
    }
    let suspend = &object.spec.suspend;
    if suspend.hold_at.is_some() || suspend.scale_up || suspend.scale_down {
        return Some(Verdict::suspended());
    }
    let frozen = story.health == Health::Frozen || matches!(story.claim, Claim::Rival(_));
    if frozen {
        return Some(Verdict::frozen());
    }
    if !shared.world.features().resize {
        return Some(Verdict::no_resize());
    }
    None
}

impl Scene<'_> {
    fn owner(&self) -> Owner<'_> {
        let target = &self.object.spec.scale_target_ref;
        Owner {
            kind: &target.kind,
            name: &target.name,
        }
    }

    fn applies(&self) -> bool {
        self.object.spec.vertical.mode == VerticalMode::Apply
    }

    /// The pods as they are, whole: what the watch keeps of them is less.
    async fn group(&self, workload: &WorkloadSeen) -> Result<PodGroup, Fault> {
        let client = self.shared.world.clients.read.clone();
        let api: Api<Pod> = Api::namespaced(client, &self.key.0);
        let selector = workload.scale.selector.as_deref().unwrap_or_default();
        let pods = group::list(&api, selector, self.owner()).await?;
        let usage = self.shared.world.usage(&self.key.0).await;
        let of = |p: &Pod| {
            usage
                .as_ref()
                .ok()?
                .get(&p.name_any())?
                .as_ref()
                .ok()
                .cloned()
        };
        Ok(PodGroup {
            usage: match &usage {
                Ok(_) => Ok(pods.iter().filter_map(of).collect()),
                Err(fault) => Err(fault.to_string()),
            },
            pods,
            replicas: u32::try_from(self.look.scale.asked).unwrap_or(0),
            rolling: workload.rollout,
        })
    }

    /// An HPA that acts and reckons with a share of a request that is sized.
    fn reckoner(&self, policies: &Policies) -> Option<Verdict> {
        let (name, hpa) = self.look.hpa.as_ref()?;
        let shares = subject::shares(name, hpa);
        let found = shares.into_iter().find(|s| policies.size(&s.resource))?;
        Some(Verdict::reckoned_with(&found))
    }
}

impl Vertical {
    /// One that has nothing to go on from: the pods are others, or the time.
    pub(crate) fn anew() -> Self {
        Self {
            forgets: true,
            ..Self::default()
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let since = self.advised_at.map(|at| now - at);
        since.is_none_or(|s| !(Span::ZERO..ADVISE_EVERY).contains(&s))
    }

    async fn pass(&mut self, scene: &Scene<'_>, notes: &mut Vec<Note>) {
        let Some(workload) = scene.look.workload.as_deref() else {
            self.verdict = Verdict::unsupported(scene.owner());
            return;
        };
        // What held it is over, or began, or something else is asked for: all is looked at anew.
        let held = scene.hold.as_ref().map(|v| v.reason);
        let other = self.written != scene.object.spec.vertical;
        if other {
            self.written.clone_from(&scene.object.spec.vertical);
            self.blocked = None;
        }
        let changed = std::mem::replace(&mut self.held, held) != held || other;
        let advises = changed || self.is_due(scene.now);
        let pods = || scene.look.pods.iter().map(|p| &**p);
        let resizes = scene.applies() && scene.hold.is_none() && !scene.replicas_moved;
        let concerns = |goal: &Goal| goal.concerns(pods());
        if !(advises || resizes && self.goal.as_ref().is_some_and(concerns)) {
            return;
        }
        let group = match scene.group(workload).await {
            Ok(group) => group,
            Err(fault) => {
                self.verdict = Verdict::unread(&fault);
                return;
            }
        };
        if advises {
            self.advised_at = Some(scene.now);
        }
        if let Some(verdict) = unfit(&group) {
            self.verdict = verdict;
            return;
        }
        if advises && let Err(verdict) = self.advise(scene, &group) {
            self.verdict = verdict;
            return;
        }
        self.verdict = match (&scene.hold, scene.applies()) {
            (_, false) => Verdict::recommended(),
            (Some(hold), true) => hold.clone(),
            (None, true) => self.apply(scene, (workload, &group), advises, notes).await,
        };
    }

    /// Takes a look in, and advises.
    fn advise(&mut self, scene: &Scene<'_>, group: &PodGroup) -> Result<(), Verdict> {
        let containers = group.containers();
        let written = &scene.object.spec.vertical.containers;
        let policies = Policies::new(written, &containers, (&scene.key.0, scene.owner()));
        if policies.sized.is_empty() {
            return Err(Verdict::no_container(&containers));
        }
        if self.adviser.is_none() || policies.sized != self.policies.sized {
            self.begin(scene, &policies)?;
        }
        self.policies = policies;
        let Some(adviser) = &mut self.adviser else {
            return Ok(());
        };
        adviser.look(group, scene.health, scene.now);
        let (_, history) = adviser.history();
        let advised = adviser.advised(&scene.uid, &Fitted::default());
        if let Ok(advised) = advised {
            let before = std::mem::take(&mut self.status);
            self.status = advice::status(&advised, history, scene.now);
            let state = before.containers.iter().find_map(|c| c.resize);
            self.note(state);
        }
        self.rounds += 1;
        if self.rounds >= ROUNDS_PER_SAVE {
            let mut batch = Batch::new();
            self.keep(&scene.uid, &mut batch);
            scene.shared.post_later(batch);
        }
        match &group.usage {
            Ok(usage) if usage.is_empty() => Err(Verdict::no_usage("it knows none of the pods")),
            Ok(_) => Ok(()),
            Err(why) => Err(Verdict::no_usage(why)),
        }
    }

    /// An adviser for these containers, which goes on from the one before or from what is stored.
    fn begin(&mut self, scene: &Scene<'_>, policies: &Policies) -> Result<(), Verdict> {
        let wishes = Wishes {
            knobs: knobs(),
            resize: Resize::InPlace,
            mode: Mode::Advise,
            interval: ADVISE_EVERY,
        };
        let adviser = Adviser::new(policies.sized.clone(), &wishes);
        let mut adviser = adviser.map_err(|e| Verdict::policy_invalid(&e.to_string()))?;
        let learnt = match &self.adviser {
            Some(before) => Some(before.learnt()),
            None if self.forgets => None,
            None => scene.shared.learnt(&scene.uid),
        };
        if let Some(learnt) = learnt
            && let Err(error) = adviser.go_on(learnt)
        {
            tracing::warn!(object = %scene.key.1, %error, "requests are advised without their memory");
        }
        self.adviser = Some(adviser);
        Ok(())
    }

    /// Adds what was learnt to a batch.
    pub(crate) fn keep(&mut self, uid: &str, batch: &mut Batch) {
        let learnt = self.adviser.as_ref().map(Adviser::learnt);
        if let Some(Ok(bytes)) = learnt.map(|l| serde_json::to_vec(&l)) {
            batch.snapshot(&stored_as(uid), &bytes);
            self.rounds = 0;
        }
    }

    /// Writes how far the pods are into the status.
    fn note(&mut self, state: Option<ResizeState>) {
        let goal = self.goal.as_ref();
        let has_goal = |name: &str| goal.is_some_and(|g| g.sizes.contains_key(name));
        advice::note_resize(&mut self.status, state, has_goal);
    }

    /// Brings the pods to the size that is decided, a few at a pass.
    async fn apply(
        &mut self,
        scene: &Scene<'_>,
        (workload, group): (&WorkloadSeen, &PodGroup),
        advises: bool,
        notes: &mut Vec<Note>,
    ) -> Verdict {
        if group.rolling {
            return Verdict::rollout();
        }
        if let Some(verdict) = scene.reckoner(&self.policies) {
            return verdict;
        }
        if let Some((until, verdict)) = &self.blocked {
            if (Span::ZERO..=REFUSED).contains(&(*until - scene.now)) {
                return verdict.clone();
            }
            self.blocked = None;
        }
        if self.goal.is_none() {
            self.goal = self.adopted(group, &workload.template).map(Goal::new);
        }
        let mut next = self.goal.as_mut().map(|g| g.next(group, scene.now));
        let goal = self.goal.as_mut().zip(next.as_ref());
        let is_open = advises && goal.is_none_or(|(goal, next)| goal.may_change(next));
        let mut why = None;
        if is_open {
            match self.decide(scene, (workload, group)).await {
                Ok(Some(goal)) => {
                    self.goal = Some(goal.after(self.goal.take()));
                    next = self.goal.as_mut().map(|g| g.next(group, scene.now));
                }
                Ok(None) => {}
                Err(verdict) => why = Some(verdict),
            }
        }
        let Some(next) = next else {
            self.note(None);
            return why.unwrap_or_else(Verdict::kept);
        };
        let verdict = match scene.replicas_moved {
            true => None,
            false => self.write(scene, group, &next, notes).await,
        };
        self.tell(&next, notes);
        verdict.or(why).unwrap_or_else(|| Verdict::of(&next))
    }

    /// The size that most pods have already, where it is not the template's: an earlier life of the
    /// controller gave it, and pods that are made later shall have it too.
    fn adopted(&self, group: &PodGroup, template: &[Container]) -> Option<PodSize> {
        let mut sizes = group.sizes()?;
        let differs = |name: &String, size: &ContainerSize| {
            let sized = self.policies.sized.iter().find(|s| s.container == *name);
            let written = template.iter().find(|t| t.name == *name);
            let (Some(sized), Some(written)) = (sized, written) else {
                return false;
            };
            let mut resources = sized.bounds.keys();
            resources.any(|r| {
                let asked = written.requests.get(r);
                asked.is_some() && size.requests.get(r) != asked
            })
        };
        sizes.retain(|name, size| differs(name, size));
        (!sizes.is_empty()).then_some(sizes)
    }

    /// What the adviser would change, where it knows enough.
    fn wanted(
        &self,
        scene: &Scene<'_>,
        sizes: &PodSize,
        template: &[Container],
    ) -> Result<Option<BTreeMap<String, Amounts>>, Verdict> {
        let Some(adviser) = &self.adviser else {
            return Ok(None);
        };
        let needed = i64::from(scene.object.spec.vertical.min_history_seconds);
        let (_, history) = adviser.history();
        if history.whole_seconds() < needed {
            return Err(Verdict::low_history(history.whole_seconds(), needed));
        }
        let found = advice::changes(adviser.decided(), sizes, template);
        match found.silent.first() {
            Some((container, resource)) if found.wanted.is_empty() => {
                Err(Verdict::template_silent(container, resource))
            }
            _ => Ok((!found.wanted.is_empty()).then_some(found.wanted)),
        }
    }

    /// A size that the pods shall have from now on, where the adviser would change theirs.
    async fn decide(
        &mut self,
        scene: &Scene<'_>,
        (workload, group): (&WorkloadSeen, &PodGroup),
    ) -> Result<Option<Goal>, Verdict> {
        let Some(sizes) = group.sizes() else {
            return Ok(None);
        };
        let Some(wanted) = self.wanted(scene, &sizes, &workload.template)? else {
            return Ok(None);
        };
        let client = &scene.shared.world.clients.read;
        let room = subject::room(client, &scene.key.0).await;
        let room = room.map_err(|fault| Verdict::unread(&fault))?;
        let none = BTreeMap::new();
        let fitted = fit(&Question {
            now: &sizes,
            beside: &group.beside(),
            wanted: &wanted,
            used: self.adviser.as_ref().map_or(&none, Adviser::used),
            room: &room,
            keeps_limits: &self.policies.keeps_limits,
            pods: u32::try_from(group.pods.len()).unwrap_or(u32::MAX),
            surge: 0,
            adds: false,
        });
        if fitted.sizes.is_empty() {
            return Err(Verdict::no_room(&fitted));
        }
        let vpas = subject::vpas(client, &scene.key.0, scene.owner()).await;
        let vpas = vpas.map_err(|fault| Verdict::unread(&fault))?;
        if let Some(name) = vpas.first() {
            return Err(Verdict::vpa(name));
        }
        if lowers(&sizes, &fitted.sizes) {
            let since = self.lowered_at.map(|at| scene.now - at);
            if since.is_some_and(|s| (Span::ZERO..LOWERED_EVERY).contains(&s)) {
                return Err(Verdict::lowered_lately());
            }
            self.lowered_at = Some(scene.now);
        }
        let before = self.goal.as_ref().map(|g| &g.sizes);
        let mut all = before.cloned().unwrap_or_default();
        all.extend(fitted.sizes.clone());
        if before == Some(&all) {
            return Ok(None);
        }
        let told = self
            .adviser
            .as_ref()
            .map(|a| a.advised(&scene.uid, &fitted));
        let told = told.and_then(Result::ok).unwrap_or_default();
        for advised in told
            .iter()
            .filter(|a| fitted.sizes.contains_key(&a.container))
        {
            let object = format!("{}/{}", scene.key.0, scene.key.1);
            tracing::info!(
                object,
                container = advised.container,
                "{}",
                advised.explanation
            );
        }
        Ok(Some(Goal::new(all)))
    }

    /// Asks for what is next; why not, where that stops all of it.
    async fn write(
        &mut self,
        scene: &Scene<'_>,
        group: &PodGroup,
        next: &Next,
        notes: &mut Vec<Note>,
    ) -> Option<Verdict> {
        let goal = self.goal.as_mut()?;
        for back in &next.withdraw {
            if !back.again {
                notes.push(given_up(back.failure, &back.why));
            }
            tracing::warn!(
                object = scene.key.1,
                pod = back.pod.0,
                why = back.why,
                "keeps its size"
            );
            // Where it is not taken, the next look finds the pod as it is now.
            let _ = ask(scene, &back.pod, &back.to).await;
        }
        for name in &next.ask {
            let asked = ask(scene, name, &goal.sizes).await;
            let pod = group
                .pods
                .iter()
                .find(|p| p.metadata.uid.as_ref() == Some(&name.1));
            match (asked, pod) {
                (Ok(()), Some(pod)) => goal.asked(pod, scene.now),
                (Ok(()), None) => {}
                (Err(Unasked::Fault(fault @ (Fault::Invalid(_) | Fault::Forbidden(_)))), _) => {
                    let (wait, verdict) = refused(&name.0, &fault);
                    notes.push(warning("ResizeRefused", verdict.message.clone()));
                    self.blocked = Some((scene.now + wait, verdict.clone()));
                    return Some(verdict);
                }
                // What a pod asks for is seen in the pod: the next pass knows whether it was taken.
                (Err(why), _) => {
                    tracing::debug!(object = scene.key.1, pod = name.0, %why, "not resized yet");
                    return None;
                }
            }
        }
        None
    }

    /// Tells once that every pod has it.
    fn tell(&mut self, next: &Next, notes: &mut Vec<Note>) {
        let state = next
            .worst
            .as_ref()
            .map_or(ResizeState::Applied, |(s, _)| *s);
        self.note(Some(state));
        let Some(goal) = &mut self.goal else { return };
        if next.due == 0 && next.done > 0 && !goal.told {
            // What was there when this process began is no news.
            goal.told = true;
            if goal.was_asked {
                let text = format!(
                    "{} in {} pods, in place",
                    told_change(&goal.sizes),
                    next.done
                );
                notes.push(Note {
                    warning: false,
                    reason: "ResizeApplied".to_owned(),
                    text,
                    action: "Resize",
                });
            }
        }
    }
}

/// Pods of which nothing can be advised.
fn unfit(group: &PodGroup) -> Option<Verdict> {
    if group.running().next().is_none() {
        return Some(Verdict::no_pods());
    }
    group
        .sizes_pods_as_a_whole()
        .then(Verdict::sized_as_a_whole)
}

async fn ask(scene: &Scene<'_>, (name, uid): &PodName, to: &PodSize) -> Result<(), Unasked> {
    if !scene.shared.bucket() {
        return Err(Unasked::NotNow("too many writes at once".to_owned()));
    }
    let place = (scene.key.0.as_str(), scene.epoch);
    let asked = act::resize(scene.shared, place, (name, uid), to).await;
    if asked.is_ok() {
        let (object, sizes) = (&scene.key.1, told_change(to));
        tracing::info!(object, pod = name, sizes, "a resize is asked for");
    }
    asked
}

/// `true` where a request or limit goes down.
fn lowers(now: &PodSize, new: &PodSize) -> bool {
    let less = |(name, size): (&String, &ContainerSize)| {
        let Some(old) = now.get(name) else {
            return false;
        };
        let sides = [(&old.requests, &size.requests), (&old.limits, &size.limits)];
        let below = |(old, new): &(&Amounts, &Amounts)| {
            let mut amounts = new.iter();
            amounts.any(|(r, milli)| old.get(r).is_some_and(|o| milli < o))
        };
        sides.iter().any(below)
    };
    new.iter().any(less)
}

fn warning(reason: &str, text: String) -> Note {
    Note {
        warning: true,
        reason: reason.to_owned(),
        text,
        action: "Resize",
    }
}

fn given_up(failure: Failure, why: &str) -> Note {
    let reason = match failure {
        Failure::Infeasible => "ResizeInfeasible",
        Failure::Deferred | Failure::Late => "ResizeGivenUp",
    };
    warning(reason, format!("{why}; the pod keeps its size"))
}

/// How long nothing is asked for after this answer, and what is told meanwhile. A quota or a LimitRange
/// answers as a missing right does; only the latter names the subresource.
fn refused(pod: &str, fault: &Fault) -> (Span, Verdict) {
    let lacks = matches!(fault, Fault::Forbidden(why) if why.contains("pods/resize"));
    match lacks {
        true => (FORBIDDEN, Verdict::unread(fault)),
        false => (REFUSED, Verdict::refused(pod, fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(cpu: i64, limit: i64) -> PodSize {
        let of = |milli| Amounts::from([("cpu".to_owned(), milli)]);
        let size = ContainerSize {
            requests: of(cpu),
            limits: of(limit),
        };
        PodSize::from([("main".to_owned(), size)])
    }

    #[test]
    fn a_limit_that_goes_down_is_a_decrease_too() {
        let now = size(100, 200);
        assert!(!lowers(&now, &size(150, 200)));
        assert!(lowers(&now, &size(150, 199)));
        assert!(lowers(&now, &size(99, 200)));
        assert!(!lowers(&PodSize::new(), &now));
    }

    #[test]
    fn a_missing_right_is_told_apart_from_a_quota() {
        let right = r#"pods "web-1" is forbidden: User "a" cannot patch resource "pods/resize" in API group "" in the namespace "shop""#;
        let (wait, verdict) = refused("web-1", &Fault::Forbidden(right.to_owned()));
        assert_eq!((wait, verdict.reason), (FORBIDDEN, "Forbidden"));
        let quota = Fault::Forbidden("pods \"web-1\" is forbidden: exceeded quota: q".to_owned());
        let (wait, verdict) = refused("web-1", &quota);
        assert_eq!((wait, verdict.reason), (REFUSED, "Refused"));
        assert!(verdict.message.contains("web-1") && verdict.message.contains("quota"));
    }

    #[test]
    fn advice_is_due_once_a_minute_and_when_the_time_went_back() {
        let at = Timestamp::from_seconds;
        let mut vertical = Vertical::default();
        assert!(vertical.is_due(at(0)));
        vertical.advised_at = Some(at(100));
        assert!(!vertical.is_due(at(159)));
        assert!(vertical.is_due(at(160)) && vertical.is_due(at(99)));
    }
}
