//! Questions to the API server about one lease, and what its answers mean.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::Api;
use kube::api::PostParams;

use super::state::{Answer, Epoch, Question, Record, Seen};
use crate::clock::Clock;

/// One lease at one server, asked in the name of one candidate.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Arc<dyn Clock>,
    /// The object as it was read last: what we do not know of it is written back as it was.
    last: Arc<Mutex<Option<Lease>>>,
}

impl Exchange {
    pub(super) fn new(
        api: Api<Lease>,
        name: String,
        identity: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            api,
            name,
            identity,
            clock,
            last: Arc::default(),
        }
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Asks once, and gives up at `until` on the own clock.
    pub(super) async fn ask(&self, question: Question, until: Duration) -> Answer {
        let asked = async {
            match question {
                Question::Get => self.api.get(&self.name).await,
                Question::Put { record, base } => {
                    let lease = self.lease(&record, Some(base));
                    self.api
                        .replace(&self.name, &PostParams::default(), &lease)
                        .await
                }
                Question::Create(record) => {
                    let lease = self.lease(&record, None);
                    self.api.create(&PostParams::default(), &lease).await
                }
            }
        };
        tokio::select! {
            biased;
            answer = asked => self.understand(answer),
            () = self.clock.wait(until) => Answer::Failed,
        }
    }

    /// The object to write.
    fn lease(&self, record: &Record, base: Option<String>) -> Lease {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lease = last.clone().filter(|_| base.is_some()).unwrap_or_default();
        drop(last);
        lease.metadata.name = Some(self.name.clone());
        lease.metadata.resource_version = base;
        lease.metadata.managed_fields = None;
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(record.holder.clone());
        spec.lease_duration_seconds = Some(i32::try_from(record.seconds).unwrap_or(i32::MAX));
        spec.lease_transitions = Some(i32::try_from(record.epoch.0).unwrap_or(i32::MAX));
        spec.acquire_time = record.acquired.and_then(time);
        spec.renew_time = record.renewed.and_then(time);
        lease
    }

    fn understand(&self, answer: kube::Result<Lease>) -> Answer {
        match answer {
            Ok(lease) => {
                let seen = seen(&lease);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
                // Without a version it cannot be written against: as good as no answer.
                seen.map_or(Answer::Failed, Answer::Seen)
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Answer::Missing,
            Err(kube::Error::Api(status)) if status.code == 409 => Answer::Conflict,
            Err(error) => {
                tracing::debug!(lease = self.name, %error, "the lease could not be asked for");
                Answer::Failed
            }
        }
    }
}

fn time(micros: i64) -> Option<MicroTime> {
    jiff::Timestamp::from_microsecond(micros)
        .ok()
        .map(MicroTime)
}

/// What stands in a lease; `None` without a version. What is missing or below zero is nothing.
fn seen(lease: &Lease) -> Option<Seen> {
    let version = lease
        .metadata
        .resource_version
        .clone()
        .filter(|v| !v.is_empty())?;
    let none = LeaseSpec::default();
    let spec = lease.spec.as_ref().unwrap_or(&none);
    let micros = |time: &Option<MicroTime>| time.as_ref().map(|t| t.0.as_microsecond());
    let record = Record {
        holder: spec.holder_identity.clone().unwrap_or_default(),
        seconds: u32::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0),
        epoch: Epoch(u64::try_from(spec.lease_transitions.unwrap_or(0)).unwrap_or(0)),
        acquired: micros(&spec.acquire_time),
        renewed: micros(&spec.renew_time),
    };
    Some(Seen { record, version })
}
