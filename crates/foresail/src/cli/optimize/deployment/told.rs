//! What is advised, for people and for programs.

use std::io::Write;

use anyhow::Result;
use foresail_adapters::kubernetes::resize::PodSize;
use foresail_core::quantity::time::Span;
use serde_json::{Value, json};

use crate::cli::{Output, print_csv, print_table};
use crate::vertical::adviser::{Advised, patch};
use crate::vertical::fit::{Fitted, quantity};
use crate::vertical::intent::Way;
use crate::vertical::subject::{HpaTarget, Place, RESOURCES, Rivals, Subject};

/// Columns of the table.
const COLUMNS: [&str; 9] = [
    "container",
    "resource",
    "request",
    "advised",
    "limit",
    "advised limit",
    "lower",
    "target",
    "upper",
];

/// What is advised.
pub(super) struct Advice<'a> {
    pub(super) place: &'a Place,
    pub(super) subject: &'a Subject,
    pub(super) way: Way,
    /// What most pods have.
    pub(super) sizes: &'a PodSize,
    pub(super) advised: Vec<Advised>,
    pub(super) fitted: &'a Fitted,
    pub(super) rivals: &'a Rivals,
    pub(super) history: (u64, Span),
    pub(super) with_past: bool,
}

/// An amount as it is told; a dash for none.
fn amount(resource: &str, milli: Option<i64>) -> String {
    milli.map_or_else(|| "-".to_owned(), |m| quantity(resource, m).to_string())
}

impl Advice<'_> {
    /// `true` where something is to be changed.
    pub(super) fn changes(&self) -> bool {
        !self.fitted.sizes.is_empty()
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for advised in &self.advised {
            for resource in RESOURCES {
                rows.push(self.row(advised, resource));
            }
        }
        rows
    }

    fn row(&self, advised: &Advised, resource: &str) -> Vec<String> {
        let now = self.sizes.get(&advised.container);
        let new = self.fitted.sizes.get(&advised.container);
        let request = now.and_then(|s| s.requests.get(resource)).copied();
        let limit = now.and_then(|s| s.limits.get(resource)).copied();
        let new_request = new.and_then(|s| s.requests.get(resource)).copied();
        let new_limit = new.and_then(|s| s.limits.get(resource)).copied();
        let kept = |old: Option<i64>, new: Option<i64>| match new.filter(|_| new != old) {
            Some(_) => amount(resource, new),
            None => "keep".to_owned(),
        };
        let range = advised.ranges.get(resource);
        let known = |of: fn(&foresail_core::propose::requests::RequestRange) -> String| {
            range.map_or_else(|| "?".to_owned(), of)
        };
        vec![
            advised.container.clone(),
            resource.to_owned(),
            amount(resource, request),
            kept(request, new_request),
            amount(resource, limit),
            kept(limit, new_limit),
            known(|r| r.lower.to_string()),
            known(|r| r.target.to_string()),
            known(|r| r.upper.to_string()),
        ]
    }

    /// How the pods would get it.
    pub(super) fn how(&self) -> &'static str {
        match self.way {
            Way::InPlace => "in place, one pod after another",
            Way::Rollout => "by a rollout",
        }
    }

    fn head(&self) -> String {
        let (samples, span) = self.history;
        let qos = self
            .subject
            .group
            .qos()
            .map_or_else(|| "?".to_owned(), |q| q.to_string());
        let source = match self.with_past {
            true => "Prometheus and metrics.k8s.io",
            false => "metrics.k8s.io",
        };
        format!(
            "{}: {} pods, {qos}, changed {}\n{samples} samples over {} s from {source}",
            self.place.what(),
            self.subject.group.pods.len(),
            self.how(),
            span.whole_seconds()
        )
    }

    /// Everything that speaks beside the numbers.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = self.fitted.notes.clone();
        notes.extend(self.rivals.hpas.iter().filter_map(|h| self.of_hpa(h)));
        let vpa =
            |name: &String| format!("the VerticalPodAutoscaler {name} sets these requests too");
        notes.extend(self.rivals.vpas.iter().map(vpa));
        if self.way == Way::InPlace {
            let changed =
                |(container, _): &&(String, String)| self.fitted.sizes.contains_key(container);
            let restarts = self.subject.group.restarts();
            for (container, resource) in restarts.iter().filter(changed) {
                notes.push(format!(
                    "{container} is started anew where its {resource} changes (resizePolicy)"
                ));
            }
        }
        notes
    }

    /// What becomes of an HPA's target that is a share of the request.
    fn of_hpa(&self, hpa: &HpaTarget) -> Option<String> {
        let sum = |sizes: &dyn Fn(&String) -> Option<i64>| -> i64 {
            self.sizes.keys().filter_map(sizes).sum()
        };
        let resource = hpa.resource.as_str();
        let old = sum(&|name: &String| self.sizes.get(name)?.requests.get(resource).copied());
        let new = sum(&|name: &String| {
            let size = self.fitted.sizes.get(name).or(self.sizes.get(name))?;
            size.requests.get(resource).copied()
        });
        (old != new && new > 0).then(|| {
            let same = i64::from(hpa.percent) * old / new;
            format!(
                "the HorizontalPodAutoscaler {} aims at {} % of the {resource} request: with {} in the place of {} a pod, {same} % keeps its replicas",
                hpa.name,
                hpa.percent,
                quantity(resource, new),
                quantity(resource, old)
            )
        })
    }

    /// `true` where somebody else reckons with what would change.
    pub(super) fn has_rivals(&self) -> bool {
        !self.rivals.vpas.is_empty() || self.rivals.hpas.iter().any(|h| self.of_hpa(h).is_some())
    }

    fn value(&self) -> Result<Value> {
        let one = |advised: &Advised| -> Result<Value> {
            Ok(json!({
                "container": advised.container,
                "resources": advised.ranges,
                "size": crate::vertical::intent::written(self.sizes).get(&advised.container),
                "advised": crate::vertical::intent::written(&self.fitted.sizes).get(&advised.container),
                "explanation": serde_json::to_value(&advised.explanation)?,
            }))
        };
        let containers = self.advised.iter().map(one).collect::<Result<Vec<_>>>()?;
        let patch = self.changes().then(|| patch(&self.fitted.sizes));
        Ok(json!({
            "v": 1, "deployment": format!("{}/{}", self.place.namespace, self.place.name),
            "way": self.way, "qos": self.subject.group.qos().map(|q| q.to_string()),
            "samples": self.history.0, "historySeconds": self.history.1.whole_seconds(),
            "containers": containers, "notes": self.notes(), "patch": patch,
        }))
    }

    /// Prints the advice.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn print(&self, output: Output, out: &mut dyn Write) -> Result<()> {
        match output {
            Output::Json => writeln!(out, "{}", self.value()?)?,
            Output::Csv => print_csv(&COLUMNS, &self.rows(), out)?,
            Output::Table => {
                writeln!(out, "{}", self.head())?;
                print_table(&COLUMNS, self.rows(), out)?;
                for advised in &self.advised {
                    writeln!(out, "{}", advised.explanation)?;
                }
                for note in self.notes() {
                    writeln!(out, "note: {note}")?;
                }
                if self.changes() {
                    let text = serde_saphyr::to_string(&patch(&self.fitted.sizes))?;
                    let (name, namespace) = (&self.place.name, &self.place.namespace);
                    writeln!(
                        out,
                        "\n# kubectl patch deployment {name} -n {namespace} --patch-file FILE\n{text}"
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Says that nothing was written.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn print_end(&self, output: Output, out: &mut dyn Write) -> Result<()> {
        if output == Output::Table {
            let what = match self.changes() {
                true => "advice: nothing was written; --apply changes the pods",
                false => "requests are kept; nothing was written",
            };
            writeln!(out, "{what}")?;
        }
        Ok(())
    }
}
