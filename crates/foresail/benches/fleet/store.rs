//! Objects in memory as an API server keeps them: versions, lists in pages, watches.

use std::collections::{BTreeMap, VecDeque};

use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A kind that is served.
#[derive(Debug)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    kind: &'static str,
) -> Kind {
    Kind {
        group,
        version,
        plural,
        kind,
    }
}

pub const AUTOSCALERS: usize = 0;
pub const PODS: usize = 1;
pub const DEPLOYMENTS: usize = 2;

/// What the controller asks for.
pub const KINDS: [Kind; 8] = [
    kind(
        "autoscaling.foresail.dev",
        "v1alpha1",
        "predictiveautoscalers",
        "PredictiveAutoscaler",
    ),
    kind("", "v1", "pods", "Pod"),
    kind("apps", "v1", "deployments", "Deployment"),
    kind("apps", "v1", "statefulsets", "StatefulSet"),
    kind("apps", "v1", "replicasets", "ReplicaSet"),
    kind(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
    ),
    kind("coordination.k8s.io", "v1", "leases", "Lease"),
    kind("events.k8s.io", "v1", "events", "Event"),
];

impl Kind {
    /// `group/version`, as objects write it.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }
}

/// Namespace and name.
pub type Key = (String, String);

/// Changes that a watch may begin before; older versions are gone.
const LOG_MAX: usize = 200_000;

#[derive(Debug, Default)]
struct Table {
    /// Objects as text: what is listed often is written once.
    objects: BTreeMap<Key, String>,
    log: VecDeque<(u64, Bytes)>,
    watches: Vec<UnboundedSender<Bytes>>,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page {
    pub items: Vec<String>,
    /// Where the next page begins.
    pub next: Option<Key>,
    pub version: u64,
}

/// Every object of every kind.
#[derive(Debug, Default)]
pub struct Objects {
    version: u64,
    tables: [Table; KINDS.len()],
}

impl Objects {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn text(&self, kind: usize, key: &Key) -> Option<&str> {
        self.tables[kind].objects.get(key).map(String::as_str)
    }

    pub fn get(&self, kind: usize, key: &Key) -> Option<Value> {
        serde_json::from_str(self.text(kind, key)?).ok()
    }

    pub fn count(&self, kind: usize) -> usize {
        self.tables[kind].objects.len()
    }

    /// Puts an object in, under a new version, and tells every watch.
    pub fn put(&mut self, kind: usize, key: &Key, mut object: Value) -> String {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let text = object.to_string();
        let before = self.tables[kind].objects.insert(key.clone(), text.clone());
        let what = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.tell(kind, what, &text);
        text
    }

    pub fn delete(&mut self, kind: usize, key: &Key) {
        let Some(mut object) = self.get(kind, key) else {
            return;
        };
        self.tables[kind].objects.remove(key);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(kind, "DELETED", &object.to_string());
    }

    fn tell(&mut self, kind: usize, what: &str, text: &str) {
        let line = Bytes::from(format!("{{\"type\":\"{what}\",\"object\":{text}}}\n"));
        let table = &mut self.tables[kind];
        table.watches.retain(|w| w.send(line.clone()).is_ok());
        table.log.push_back((self.version, line));
        if table.log.len() > LOG_MAX {
            table.log.pop_front();
        }
    }

    /// A page of a kind's objects, of one namespace or of all.
    pub fn list(
        &self,
        kind: usize,
        namespace: Option<&str>,
        after: Option<&Key>,
        limit: usize,
    ) -> Page {
        let begin = namespace.map_or_else(Key::default, |n| (n.to_owned(), String::new()));
        let begin = after.cloned().unwrap_or(begin);
        let of_namespace = |k: &Key| namespace.is_none_or(|n| k.0 == n);
        let mut found = self.tables[kind]
            .objects
            .range(begin..)
            .take_while(|(key, _)| of_namespace(key));
        let items = found
            .by_ref()
            .take(limit)
            .map(|(_, text)| text.clone())
            .collect();
        Page {
            items,
            next: found.next().map(|(key, _)| key.clone()),
            version: self.version,
        }
    }

    /// What happened since a version, and a channel of what happens from now on; `None` where the
    /// version is gone.
    pub fn watch(
        &mut self,
        kind: usize,
        since: u64,
    ) -> Option<(Vec<Bytes>, UnboundedReceiver<Bytes>)> {
        let table = &mut self.tables[kind];
        let is_gone = table.log.len() >= LOG_MAX && table.log.front().is_some_and(|l| l.0 > since);
        if is_gone {
            return None;
        }
        let begin = table.log.partition_point(|(version, _)| *version <= since);
        let missed = table.log.range(begin..).map(|(_, l)| l.clone()).collect();
        let (send, receive) = unbounded_channel();
        table.watches.push(send);
        Some((missed, receive))
    }
}
