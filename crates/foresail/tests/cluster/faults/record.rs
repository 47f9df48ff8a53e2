//! The three logs of a row as one list of writes: the controller's decisions, the proxy's requests,
//! the API server's audit log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::scene::Scene;
use crate::entry::Entry;
use crate::process::Controller;
use crate::rig::wait_until;

/// One line of the decision log about a number that should be written.
#[derive(Clone, Debug)]
pub struct Decided {
    pub object: String,
    pub id: String,
    pub from: i64,
    pub to: i64,
    /// The reactive floor at the same moment.
    pub floor: Option<i64>,
    /// The version of the scale that was read for it.
    pub version: String,
    pub health: String,
    /// As it is known in the end.
    pub outcome: String,
    pub why: String,
}

impl Decided {
    /// `true` where a request was made for it.
    pub fn was_sent(&self) -> bool {
        let own = self.why.contains("are asked for by now");
        match self.outcome.as_str() {
            "stale" => !own,
            "dropped" | "not_leading" => false,
            _ => true,
        }
    }

    /// Epoch and number within it.
    pub fn order(&self) -> (u64, u64) {
        let mut parts = self.id.rsplit('/').map(|p| p.parse().unwrap_or(0));
        let seq = parts.next().unwrap_or(0);
        (parts.next().unwrap_or(0), seq)
    }
}

/// What one controller logged of its decisions.
pub fn decided(controller: &Controller) -> Vec<Decided> {
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<Decided> = Vec::new();
    for line in controller.log() {
        let (id, outcome) = (text(&line, "decision_id"), text(&line, "outcome"));
        if id.is_empty() || outcome.is_empty() {
            continue;
        }
        if line["message"] == "a write without an answer is known" {
            let known = all.iter_mut().rev().find(|d| d.id == id);
            if let Some(known) = known {
                known.outcome = outcome.to_lowercase();
            }
            continue;
        }
        all.push(Decided {
            object: text(&line, "object")
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .to_owned(),
            id,
            from: line["from"].as_i64().unwrap_or(-1),
            to: line["to"].as_i64().unwrap_or(-1),
            floor: line["floor"].as_i64(),
            version: text(&line, "version"),
            health: text(&line, "health"),
            outcome,
            why: text(&line, "why"),
        });
    }
    all
}

/// One write of replicas as the proxy and the server saw it.
#[derive(Clone, Debug)]
pub struct Put {
    pub entry: Entry,
    pub object: String,
    pub to: i64,
    pub version: String,
    /// What the server made of it by its audit log; nothing where it never came there.
    pub code: Option<u64>,
    /// The version that the server gave it.
    pub stored: Option<u64>,
}

impl Put {
    pub fn is_accepted(&self) -> bool {
        self.code == Some(200)
    }
}

fn number(value: Option<&Value>) -> Option<u64> {
    value?.as_str()?.parse().ok()
}

/// All writes of replicas of one controller, in the order in which they came to its proxy.
///
/// Panics where the audit log and the proxy's log tell different things.
pub fn puts(scene: &Scene, controller: &Controller) -> Vec<Put> {
    let entries = controller.proxy.scale_puts();
    let prefix = format!("{}-", controller.proxy.name);
    let sent = entries.iter().filter(|e| e.server.is_some()).count();
    let audit = || -> BTreeMap<u64, Value> {
        let own = |event: Value| {
            let id = event["auditID"]
                .as_str()?
                .strip_prefix(&prefix)?
                .parse()
                .ok()?;
            let is_scale =
                event["objectRef"]["subresource"] == "scale" && event["verb"] == "update";
            (is_scale && event["stage"] == "ResponseComplete").then_some((id, event))
        };
        scene
            .rig
            .audit(scene.mark)
            .into_iter()
            .filter_map(own)
            .collect()
    };
    // The last events may come a moment later.
    let begin = Instant::now();
    let events = wait_until(Duration::from_secs(20), "the audit log", || {
        let events = audit();
        let late = begin.elapsed() > Duration::from_secs(10);
        (events.len() >= sent || late).then_some(events)
    });
    let put = |entry: Entry| {
        let event = events.get(&entry.number);
        let code = event.and_then(|e| e["responseStatus"]["code"].as_u64());
        if let Some(server) = entry.server {
            assert_eq!(code, Some(u64::from(server)), "the audit log of {entry:?}");
        }
        let stored =
            event.and_then(|e| number(e.pointer("/responseObject/metadata/resourceVersion")));
        let version = entry
            .body
            .pointer("/metadata/resourceVersion")
            .and_then(Value::as_str);
        Put {
            object: entry.target().to_owned(),
            to: entry
                .body
                .pointer("/spec/replicas")
                .and_then(Value::as_i64)
                .unwrap_or(-1),
            version: version.unwrap_or_default().to_owned(),
            code,
            stored,
            entry,
        }
    };
    let known = entries.len();
    let puts: Vec<Put> = entries.into_iter().map(put).collect();
    for id in events.keys() {
        assert!(
            puts.iter().any(|p| p.entry.number == *id),
            "{prefix}{id} of {known} is not in the proxy's log"
        );
    }
    puts
}

/// A time in which one process believes in its lease.
#[derive(Clone, Debug)]
pub struct Term {
    pub epoch: u64,
    pub begin: Instant,
    pub end: Instant,
}

/// The leases that a controller held, by what went through its proxy.
pub fn terms(controller: &Controller) -> Vec<Term> {
    let deadline = Duration::from_secs(u64::from(controller.start.times.1));
    let mut terms: Vec<Term> = Vec::new();
    for entry in controller.proxy.log() {
        let is_lease = matches!(entry.verb, "PUT" | "POST") && entry.path.contains("/leases");
        if !is_lease {
            continue;
        }
        let holder = entry
            .body
            .pointer("/spec/holderIdentity")
            .and_then(Value::as_str);
        if holder.is_none_or(str::is_empty) {
            if let Some(last) = terms.last_mut() {
                last.end = last.end.min(entry.at);
            }
            continue;
        }
        let granted = matches!(entry.told, Some(200 | 201));
        let (Some(ended), true) = (entry.ended, granted) else {
            continue;
        };
        let epoch = entry
            .answer
            .pointer("/spec/leaseTransitions")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        match terms.last_mut().filter(|t| t.epoch == epoch) {
            Some(term) => term.end = entry.at + deadline,
            None => terms.push(Term {
                epoch,
                begin: ended,
                end: entry.at + deadline,
            }),
        }
    }
    terms
}
