//! The course of one stress: which pods are under it, and what follows from what they tell.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use foresail_adapters::kubernetes::ready_pods::{ReadyPod, ready_pods};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;

use super::command::{self, Event, From};
use super::{Ended, Kind, News, PodTold, Stress, Summary};

/// How long after its time a command is waited for before it is told to end.
const OVERDUE: Duration = Duration::from_secs(10);

/// How long the early ends are waited for.
const ENDING: Duration = Duration::from_secs(20);

/// One pod under stress.
#[derive(Debug)]
struct Under {
    name: String,
    /// Commands that were tried.
    number: u32,
    /// Those of them that came to run.
    started: u32,
    /// The process of the one that runs.
    pid: Option<u64>,
    /// `true` while one is tried or runs.
    busy: bool,
    ended: Ended,
}

/// A stress that goes on.
pub(super) struct Course<'a> {
    pods: Api<Pod>,
    stress: &'a Stress,
    tell: &'a mut dyn FnMut(&News),
    under: BTreeMap<String, Under>,
    /// `true` once pods were looked at.
    looked: bool,
    until: Instant,
    sender: UnboundedSender<(From, Event)>,
    events: UnboundedReceiver<(From, Event)>,
    tasks: JoinSet<()>,
    failed_looks: u32,
}

fn duration(span: foresail_core::quantity::time::Span) -> Duration {
    Duration::from_nanos(span.nanos().max(0).unsigned_abs())
}

impl<'a> Course<'a> {
    pub(super) fn new(pods: Api<Pod>, stress: &'a Stress, tell: &'a mut dyn FnMut(&News)) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        Self {
            pods,
            stress,
            tell,
            under: BTreeMap::new(),
            looked: false,
            until: Instant::now() + duration(stress.length),
            sender,
            events,
            tasks: JoinSet::new(),
            failed_looks: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        first: Vec<ReadyPod>,
        stop: impl Future<Output = ()>,
    ) -> Summary {
        self.look(first);
        let mut stop = pin!(stop);
        let mut next_look = Instant::now() + duration(self.stress.refresh);
        let overdue = self.until + OVERDUE;
        loop {
            let now = Instant::now();
            if now >= overdue || (now >= self.until && !self.is_busy()) || self.is_through() {
                break;
            }
            let wake = next_look.min(if now < self.until {
                self.until
            } else {
                overdue
            });
            tokio::select! {
                () = &mut stop => break,
                event = self.events.recv() => {
                    if let Some((from, event)) = event {
                        self.take(&from, event);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    if Instant::now() >= next_look {
                        next_look = Instant::now() + duration(self.stress.refresh);
                        self.look_again().await;
                    }
                }
            }
        }
        self.end().await
    }

    fn is_busy(&self) -> bool {
        self.under.values().any(|u| u.busy)
    }

    /// `true` where nothing can follow any more: memory is filled once, and all of it has ended.
    fn is_through(&self) -> bool {
        matches!(self.stress.kind, Kind::Memory { .. }) && !self.is_busy()
    }

    async fn look_again(&mut self) {
        match ready_pods(&self.pods, &self.stress.selector).await {
            Ok(ready) => self.look(ready),
            // Nothing is known of the pods then: those under stress stay so.
            Err(fault) => {
                self.failed_looks += 1;
                (self.tell)(&News::NoLook(fault.to_string()));
            }
        }
    }

    /// Takes in which pods are ready: forgets those that are gone, and begins in those that lack.
    fn look(&mut self, ready: Vec<ReadyPod>) {
        for (uid, under) in &mut self.under {
            // A pod that is not ready for a while, under stress as it is, is not gone by that.
            let gone = !ready.iter().any(|p| p.uid == *uid);
            if gone && !under.busy && matches!(under.ended, Ended::Died(_)) {
                under.ended = Ended::Gone;
            }
        }
        let is_first = !std::mem::replace(&mut self.looked, true);
        for pod in ready {
            let busy = self.under.values().filter(|u| u.busy).count();
            if self.stress.pods_max.is_some_and(|most| busy >= most) {
                return;
            }
            let wanted = match (self.under.get(&pod.uid), self.stress.kind) {
                (None, Kind::Cpu { .. }) => true,
                // Memory goes into the pods of the first look alone.
                (None, Kind::Memory { .. }) => is_first,
                (Some(under), Kind::Cpu { .. }) => !under.busy && under.ended != Ended::Time,
                (Some(_), Kind::Memory { .. }) => false,
            };
            if wanted {
                self.begin(pod);
            }
        }
    }

    fn begin(&mut self, pod: ReadyPod) {
        let left = self.until.saturating_duration_since(Instant::now());
        let seconds = left.as_secs_f64().ceil() as u64;
        if seconds == 0 {
            return;
        }
        let under = self.under.entry(pod.uid.clone()).or_insert(Under {
            name: pod.name,
            number: 0,
            started: 0,
            pid: None,
            busy: false,
            ended: Ended::Runs,
        });
        under.number += 1;
        under.busy = true;
        under.ended = Ended::Runs;
        let place = (under.name.clone(), self.stress.container.clone());
        let from = From {
            uid: pod.uid,
            number: under.number,
        };
        // What an earlier command may still do, its stream having broken, is ended before.
        let old = under.pid.take();
        let (pods, text) = (self.pods.clone(), self.stress.kind.text(seconds));
        let sender = self.sender.clone();
        self.tasks.spawn(async move {
            if let Some(pid) = old {
                command::end(pods.clone(), place.0.clone(), place.1.clone(), pid).await;
            }
            command::run(pods, place, text, from, sender).await;
        });
    }

    fn take(&mut self, from: &From, event: Event) {
        let Some(under) = self.under.get_mut(&from.uid) else {
            return;
        };
        if under.number != from.number {
            return;
        }
        let pod = under.name.clone();
        let left = self.until.saturating_duration_since(Instant::now());
        let ended = match event {
            Event::Runs(pid) => {
                under.pid = Some(pid);
                under.started += 1;
                let seconds = left.as_secs_f64().ceil() as u64;
                return (self.tell)(&News::Begun { pod, seconds });
            }
            Event::Refused(free) => Ended::Refused(free),
            // The container's clock counts whole seconds.
            Event::Done if left <= Duration::from_secs(2) => {
                under.pid = None;
                Ended::Time
            }
            Event::Done => {
                under.pid = None;
                Ended::Died("it ended before its time".to_owned())
            }
            Event::Died(why) => Ended::Died(why),
        };
        under.busy = false;
        under.ended = ended.clone();
        (self.tell)(&News::Over { pod, ended });
    }

    /// Ends what still runs, and tells what came of all.
    async fn end(mut self) -> Summary {
        let mut ends = JoinSet::new();
        for under in self.under.values_mut() {
            if let Some(pid) = under.pid.take() {
                let (pods, pod) = (self.pods.clone(), under.name.clone());
                ends.spawn(command::end(pods, pod, self.stress.container.clone(), pid));
                if under.busy {
                    under.ended = Ended::Told;
                }
            }
        }
        let all = async { while ends.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, all).await.is_err() {
            tracing::warn!("some pods did not take an early end; their commands end by themselves");
        }
        self.tasks.abort_all();
        let told = |under: Under| PodTold {
            pod: under.name,
            started: under.started,
            ended: under.ended,
        };
        let mut pods: Vec<PodTold> = self.under.into_values().map(told).collect();
        pods.sort_by(|a, b| a.pod.cmp(&b.pod));
        Summary {
            kind: self.stress.kind.name(),
            pods,
            failed_looks: self.failed_looks,
        }
    }
}
