//! One object with what is known around it.

use std::collections::BTreeMap;

use foresail_adapters::kubernetes::crd::{self, GROUP, KIND, PredictiveAutoscaler};
use foresail_adapters::kubernetes::scale::Target;
use foresail_core::quantity::time::Span;
use foresail_core::spec::SpecProblem;
use serde_json::Value;

/// What Prometheus said of one query.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Why its answer is not one series; `None` where it is.
    pub(crate) several: Option<String>,
    /// The 99 % quantile of its values over the last days.
    pub(crate) p99: Option<f64>,
}

/// What is known beside the objects that are judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Objects of any kind.
    pub(crate) documents: Vec<Value>,
    /// `true` where everything of a cluster is among them.
    pub(crate) is_cluster: bool,
    /// Time between two scrapes.
    pub(crate) scrape_interval: Option<Span>,
    /// Prometheus' answers by query.
    pub(crate) asked: BTreeMap<String, Asked>,
}

impl Facts {
    /// What files tell.
    pub(crate) fn of(documents: &[(String, Value)]) -> Self {
        Self {
            documents: documents.iter().map(|(_, value)| value.clone()).collect(),
            ..Self::default()
        }
    }

    /// Adds what a cluster tells; of two the file's counts.
    pub(crate) fn add_cluster(&mut self, listed: Vec<Value>) {
        let known: Vec<_> = self.documents.iter().map(identity).collect();
        let new = listed.into_iter().filter(|o| !known.contains(&identity(o)));
        self.documents.extend(new);
        self.is_cluster = true;
    }
}

fn identity(object: &Value) -> [String; 4] {
    let text = |path: &str| {
        let value = object.pointer(path).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let version = text("/apiVersion");
    let group = version.split_once('/').map_or("", |(group, _)| group);
    [
        group.to_owned(),
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name"),
    ]
}

/// `true` for an object of ours, whatever its version.
pub(crate) fn is_ours(value: &Value) -> bool {
    let [group, kind, ..] = identity(value);
    kind == KIND && (group == GROUP || group.is_empty())
}

/// One object that is judged.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// As it was written.
    pub(crate) raw: &'a Value,
    /// As it is read, or why it cannot be.
    pub(crate) object: Result<PredictiveAutoscaler, Vec<SpecProblem>>,
    /// `namespace/name`.
    pub(crate) name: String,
    /// Its namespace; empty where a file names none.
    pub(crate) namespace: String,
    /// What is known beside it.
    pub(crate) facts: &'a Facts,
}

impl<'a> Case<'a> {
    /// An object with what is known beside it.
    pub(crate) fn new(raw: &'a Value, facts: &'a Facts) -> Self {
        let [_, _, namespace, name] = identity(raw);
        let object = crd::read(raw);
        let name = match namespace.is_empty() {
            true => name,
            false => format!("{namespace}/{name}"),
        };
        Self {
            raw,
            object,
            name,
            namespace,
            facts,
        }
    }

    /// What it scales.
    pub(crate) fn target(&self) -> Option<Target> {
        Some(self.object.as_ref().ok()?.target())
    }

    /// Objects of a kind in its namespace; of files also those that name none.
    pub(crate) fn beside<'b>(&'b self, kind: &'b str) -> impl Iterator<Item = &'a Value> + 'b {
        self.facts.documents.iter().filter(move |o| {
            let [_, of, namespace, _] = identity(o);
            of == kind && (namespace == self.namespace || namespace.is_empty())
        })
    }

    /// The object that it scales, where that is known.
    pub(crate) fn workload(&self) -> Option<&'a Value> {
        let target = self.target()?;
        let mut all = self.facts.documents.iter();
        all.find(|o| {
            let [group, kind, namespace, name] = identity(o);
            let here = namespace == self.namespace || namespace.is_empty();
            here && group == target.group() && kind == target.kind && name == target.name
        })
    }

    /// Seconds from a pod's creation to its readiness, as told or as learnt.
    pub(crate) fn startup_seconds(&self) -> Option<i32> {
        let object = self.object.as_ref().ok()?;
        let told = Some(object.spec.forecast.startup_seconds).filter(|s| *s > 0);
        told.or_else(|| object.status.as_ref()?.startup_seconds)
    }
}
