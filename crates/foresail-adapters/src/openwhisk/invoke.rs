//! Invocations: sent once, waited for, and read back from their records.
//!
//! A blocking call answers with the record (200), with the record of an activation that failed (502),
//! or with its id where it takes longer than the server waits (202); then the record is asked for
//! until it is there. A failed activation is told as such and is no sample of a time.
//! Source: apache/openwhisk, docs/rest_api.md; docs/annotations.md; apiv1swagger.json, `Activation`.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::activation::Activation;
use super::client::{Call, OpenWhisk};
use super::failure::Failure;

/// The time between two looks for a record that is not there yet.
const LOOK: Duration = Duration::from_millis(250);

/// The longest time between two looks.
const LOOK_MAX: Duration = Duration::from_secs(4);

/// Records of one page.
/// Source: apache/openwhisk, Collection.MAX_LIST_LIMIT.
const PAGE: usize = 200;

/// The most records of one listing.
const LISTED_MAX: usize = 1_000_000;

/// How much longer than the server may block an answer is waited for.
/// Source: apache/openwhisk, whisk.controller.activation.max-wait-for-blocking-activation, 60 s.
const BLOCKS_FOR: Duration = Duration::from_secs(70);

/// What one invocation came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// Its record.
    pub record: Activation,
    /// From the request to the answer, in seconds; where the record had to be asked for, from its
    /// begin to its end.
    pub latency: f64,
    /// The records of a sequence's components, in their order; one that is called twice is there
    /// twice. Empty for a plain action.
    pub components: Vec<Activation>,
}

impl Invocation {
    /// `true` where it and every component succeeded.
    #[must_use]
    pub fn success(&self) -> bool {
        self.record.success && self.components.iter().all(|c| c.success)
    }

    /// `true` where a container had to be initialised for it.
    #[must_use]
    pub fn is_cold(&self) -> bool {
        let mut all = self.components.iter().chain([&self.record]);
        all.any(|a| a.cold_start > 0.0)
    }
}

/// What sending one came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    /// It ended, well or not.
    Ended(Box<Invocation>),
    /// It did not end in the time that was waited for.
    Late,
    /// The client only tells.
    Told,
}

impl OpenWhisk {
    /// Invokes an action or sequence once and waits for its end, for `wait` at most.
    ///
    /// # Errors
    /// [`Failure`] where it could not be sent, or its answer is none; it is not sent again.
    pub async fn invoke(
        &self,
        name: &str,
        parameters: &Map<String, Value>,
        wait: Duration,
    ) -> Result<Sent, Failure> {
        let head = ["api", "v1", "namespaces", self.namespace(), "actions"];
        let path: Vec<&str> = head.into_iter().chain(name.split('/')).collect();
        let query = [
            ("blocking", "true".to_owned()),
            ("result", "false".to_owned()),
        ];
        let body = Value::Object(parameters.clone());
        let call = Call {
            method: Method::POST,
            body: Some(&body),
            repeatable: false,
            timeout: Some(wait.min(BLOCKS_FOR)),
            ..Call::get(&path, &query)
        };
        if self.only_tells(&call) {
            return Ok(Sent::Told);
        }
        let (begin, end) = (Instant::now(), Instant::now() + wait);
        let said = match self.ask(&call).await {
            // It may run, but its answer comes too late.
            Err(Failure::Unknown { .. }) if begin.elapsed() >= wait => return Ok(Sent::Late),
            other => other?,
        };
        let took = begin.elapsed().as_secs_f64();
        let value = match said.status {
            200 | 202 => Self::parse(&call, &said.bytes)?,
            // An activation that failed has its record in the answer; a proxy's page has none.
            500 | 502 => match serde_json::from_slice(&said.bytes) {
                Ok(value) if id_of(&value).is_some() => value,
                _ => return Err(Self::failure(&call, &said)),
            },
            _ => return Err(Self::failure(&call, &said)),
        };
        let Some(id) = id_of(&value) else {
            return Err(Failure::Unknown {
                what: format!("POST {}", path.join("/")),
                why: "it has no activationId".to_owned(),
            });
        };
        let (record, latency) = if said.status == 202 {
            let Some(record) = self.await_record(&id, end).await? else {
                return Ok(Sent::Late);
            };
            let latency = record.lasted() / 1000.0;
            (record, latency)
        } else {
            (record_of(&value)?, took)
        };
        let mut components = Vec::new();
        for id in &record.components {
            // Records are written some time after the answer.
            match self.await_record(id, end).await? {
                Some(component) => components.push(component),
                None => return Ok(Sent::Late),
            }
        }
        Ok(Sent::Ended(Box::new(Invocation {
            record,
            latency,
            components,
        })))
    }

    /// The record of an activation; `None` where it is not there yet.
    ///
    /// # Errors
    /// [`Failure`] of the call.
    pub async fn record(&self, id: &str) -> Result<Option<Activation>, Failure> {
        let path = self.records();
        let path: Vec<&str> = path.into_iter().chain([id]).collect();
        let call = Call::get(&path, &[]);
        match self.json(&call).await {
            Ok(value) => record_of(&value).map(Some),
            Err(Failure::NotFound { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    async fn await_record(&self, id: &str, end: Instant) -> Result<Option<Activation>, Failure> {
        let mut nap = LOOK;
        loop {
            if let Some(record) = self.record(id).await? {
                return Ok(Some(record));
            }
            if Instant::now() + nap > end {
                return Ok(None);
            }
            tokio::time::sleep(nap).await;
            nap = (nap * 2).min(LOOK_MAX);
        }
    }

    /// Records of what began within a time, of one action or of all. Units: milliseconds of the
    /// epoch. What has not ended has no record.
    ///
    /// # Errors
    /// [`Failure`] of the call, [`Failure::TooLarge`] for more than a listing takes.
    pub async fn records_between(
        &self,
        name: Option<&str>,
        since: i64,
        until: i64,
    ) -> Result<Vec<Activation>, Failure> {
        let path = self.records();
        let (mut all, mut ids, mut read) = (Vec::new(), BTreeSet::new(), 0);
        loop {
            let mut query = vec![
                ("docs", "true".to_owned()),
                ("limit", PAGE.to_string()),
                ("skip", read.to_string()),
                ("since", since.to_string()),
                ("upto", until.to_string()),
            ];
            query.extend(name.map(|n| ("name", n.to_owned())));
            let call = Call::get(&path, &query);
            let value = self.json(&call).await?;
            let Some(page) = value.as_array() else {
                return Err(not_a_record("the list is none"));
            };
            for value in page {
                let record = record_of(value)?;
                // What ended in the meantime moves the pages: some come twice.
                if record.id.is_empty() || ids.insert(record.id.clone()) {
                    all.push(record);
                }
            }
            if page.len() < PAGE {
                return Ok(all);
            }
            read += page.len();
            if read >= LISTED_MAX {
                let what = "GET activations".to_owned();
                let limit = LISTED_MAX;
                return Err(Failure::TooLarge { what, limit });
            }
        }
    }

    fn records(&self) -> [&str; 5] {
        ["api", "v1", "namespaces", self.namespace(), "activations"]
    }
}

fn id_of(value: &Value) -> Option<String> {
    value.get("activationId")?.as_str().map(str::to_owned)
}

fn record_of(value: &Value) -> Result<Activation, Failure> {
    Activation::parse(&value.to_string()).map_err(|e| not_a_record(&e))
}

fn not_a_record(why: &str) -> Failure {
    Failure::Unknown {
        what: "GET activations".to_owned(),
        why: format!("it is no record of an activation ({why})"),
    }
}
