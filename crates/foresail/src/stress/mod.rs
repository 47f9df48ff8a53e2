//! Stress in the pods of a workload: busy loops, or filled memory, by commands in their containers.
//!
//! Pods are looked at again and again: new ones get their busy loops from the next look on, and loops
//! that have died begin anew. Memory is filled once in the pods that are there at the begin, as in the
//! published experiment; a pod refuses more than is free. Every command ends by itself, and an early
//! end is told to each. Source of defaults: alcocuzzi/etp, cpu_stressor.py and memory_stressor.py.

mod command;
mod course;
pub mod text;

use std::future::Future;

use anyhow::{Context, Result, ensure};
use foresail_adapters::kubernetes::ready_pods::ready_pods;
use foresail_core::quantity::time::Span;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use serde::Serialize;

use course::Course;

/// Pods that are meant where nobody names others.
pub const SELECTOR: &str = "app.kubernetes.io/name=webapp";

/// The container that is meant where nobody names another.
pub const CONTAINER: &str = "nginx";

/// How long it lasts where nobody says.
pub const LENGTH: Span = Span::from_seconds(300);

/// How long it lasts with a duration of 0.
pub const FOR_EVER: Span = Span::from_seconds(86_400);

/// Time between two looks for pods where nobody says.
pub const REFRESH: Span = Span::from_seconds(15);

/// The most busy loops in one pod.
const WORKERS_MAX: u32 = 64;

/// The most memory in one pod, in MiB.
const MEBIBYTES_MAX: u32 = 1 << 20;

/// What is done to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// So many busy loops.
    Cpu {
        /// At once, in each pod.
        workers: u32,
    },
    /// So much memory filled.
    Memory {
        /// MiB in each pod.
        mebibytes: u32,
    },
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
        }
    }

    fn text(self, seconds: u64) -> String {
        match self {
            Self::Cpu { workers } => text::cpu(workers, seconds),
            Self::Memory { mebibytes } => text::memory(mebibytes, seconds),
        }
    }
}

/// What is done, where, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Stress {
    /// What is done.
    pub kind: Kind,
    /// Namespace of the pods.
    pub namespace: String,
    /// Their labels.
    pub selector: String,
    /// The container in them.
    pub container: String,
    /// For how long.
    pub length: Span,
    /// In so many pods at most, the first by name; all where absent.
    pub pods_max: Option<usize>,
    /// Time between two looks for pods.
    pub refresh: Span,
}

impl Stress {
    /// Stress with everything else as published.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            selector: SELECTOR.to_owned(),
            container: CONTAINER.to_owned(),
            length: LENGTH,
            pods_max: None,
            refresh: REFRESH,
        }
    }

    fn check(&self) -> Result<()> {
        match self.kind {
            Kind::Cpu { workers } => ensure!(
                (1..=WORKERS_MAX).contains(&workers),
                "--workers {workers}: must be 1 to {WORKERS_MAX}"
            ),
            Kind::Memory { mebibytes } => ensure!(
                (1..=MEBIBYTES_MAX).contains(&mebibytes),
                "--mb {mebibytes}: must be 1 to {MEBIBYTES_MAX}"
            ),
        }
        ensure!(
            self.length >= Span::from_seconds(1) && self.length <= Span::from_seconds(7 * 86_400),
            "--duration {}: must be 1 second to 7 days, or 0 for a day",
            self.length
        );
        ensure!(
            self.refresh >= Span::from_seconds(1),
            "--refresh {}: must be 1 second or more",
            self.refresh
        );
        ensure!(self.pods_max != Some(0), "--max-pods 0: must be 1 or more");
        Ok(())
    }
}

/// How the last command in a pod ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It goes on.
    Runs,
    /// Its time was over.
    Time,
    /// It was told to.
    Told,
    /// More memory was asked for than was free, so many MiB.
    Refused(u64),
    /// Its pod is gone.
    Gone,
    /// It died, or its stream broke; why.
    Died(String),
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodTold {
    /// Its name.
    pub pod: String,
    /// Commands that came to run in it; more than one where some died.
    pub started: u32,
    /// How the last one ended.
    pub ended: Ended,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// `cpu` or `memory`.
    pub kind: &'static str,
    /// By the pods' names.
    pub pods: Vec<PodTold>,
    /// Looks for pods that got no answer.
    pub failed_looks: u32,
}

/// News while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A command runs in a pod.
    Begun {
        /// The pod.
        pod: String,
        /// Seconds that it will take.
        seconds: u64,
    },
    /// A command has ended.
    Over {
        /// The pod.
        pod: String,
        /// How.
        ended: Ended,
    },
    /// Pods could not be listed; those that are known go on.
    NoLook(String),
}

/// Puts pods under stress until the time is over or `stop` is, and ends what it began.
///
/// `client` must be one for streams
/// ([`stream_client`](foresail_adapters::kubernetes::client::stream_client)); it needs the rights to
/// list pods, and to get and create `pods/exec`.
///
/// # Errors
/// Where an option is out of its range, pods cannot be listed at the begin, or none is ready.
pub async fn run(
    client: &Client,
    stress: &Stress,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(&News),
) -> Result<Summary> {
    stress.check()?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), &stress.namespace);
    let place = || format!("pods {} in namespace {}", stress.selector, stress.namespace);
    let first = ready_pods(&pods, &stress.selector)
        .await
        .with_context(place)?;
    if first.is_empty() {
        return Err(anyhow::Error::new(crate::exit::Coded {
            code: crate::exit::Code::NotFound,
            message: format!("{}: none is ready; `kubectl get pods` says why", place()),
        }));
    }
    let course = Course::new(pods, stress, &mut tell);
    Ok(course.run(first, stop).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named_with_its_flag() {
        let good = Stress::new(Kind::Cpu { workers: 2 }, "default");
        assert!(good.check().is_ok());
        let told = |stress: Stress| stress.check().unwrap_err().to_string();
        let kind = |kind| Stress {
            kind,
            ..good.clone()
        };
        assert!(told(kind(Kind::Cpu { workers: 0 })).starts_with("--workers 0:"));
        assert!(told(kind(Kind::Memory { mebibytes: 0 })).starts_with("--mb 0:"));
        let length = Span::from_seconds(-1);
        assert!(
            told(Stress {
                length,
                ..good.clone()
            })
            .starts_with("--duration")
        );
        let pods_max = Some(0);
        assert!(
            told(Stress {
                pods_max,
                ..good.clone()
            })
            .starts_with("--max-pods 0")
        );
    }
}
