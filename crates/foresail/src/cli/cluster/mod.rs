//! Commands that speak to a cluster: who is asked, within which time, and what a refusal means.
//!
//! A command that changes something prints its plan and asks; nothing is written before the answer.

pub mod approve;
pub(crate) mod aware_checkup;
pub(crate) mod checkup;
pub mod describe;
#[cfg(test)]
mod fake;
pub mod get;
pub mod lint;
pub mod migrate;
pub(crate) mod rights;
pub(crate) mod story;
pub mod suspend;
mod table;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use foresail_adapters::kubernetes::client::{Clients, Place};
use foresail_adapters::kubernetes::crd::PredictiveAutoscaler;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_core::quantity::time::Span;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;

use crate::compare::prometheus::runtime;
use crate::exit::{Code, Coded};

/// Whose fields the command line's writes are, in `managedFields`.
pub(crate) const FIELD_MANAGER: &str = "foresail-cli";

/// Which cluster, which namespace, and for how long.
#[derive(Args, Clone, Debug)]
pub struct ClusterArgs {
    /// Namespace [default: that of the context]
    #[arg(long, short = 'n', value_name = "NAME")]
    pub namespace: Option<String>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig [default: KUBECONFIG, that of the user, or the pod's own account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The longest that is waited for the cluster
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub timeout: Span,
}

impl ClusterArgs {
    /// `true` where a flag names a cluster or a place in one.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.namespace.is_some() || self.context.is_some() || self.kubeconfig.is_some()
    }

    /// The cluster that the flags name; nothing is asked of it yet.
    ///
    /// # Errors
    /// Where there is no usable kubeconfig, or `--timeout` is none.
    pub fn connect(&self) -> Result<Cluster> {
        anyhow::ensure!(
            self.timeout > Span::ZERO,
            "--timeout {}: must be above 0s",
            self.timeout
        );
        let place = Place {
            kubeconfig: self.kubeconfig.clone(),
            context: self.context.clone(),
        };
        let runtime = runtime()?;
        let clients = runtime.block_on(Clients::new(&place));
        let clients = clients.map_err(|e| refusal(Code::Unreachable, e.to_string()))?;
        let mut cluster = Cluster::new(runtime, clients, self.timeout);
        if let Some(namespace) = &self.namespace {
            cluster.namespace.clone_from(namespace);
        }
        Ok(cluster)
    }
}

/// What a command that writes is told besides.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Consent {
    /// Do it without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
}

impl Consent {
    /// Prints a plan and asks for consent.
    ///
    /// # Errors
    /// Where it is refused, or where nobody can be asked.
    pub(crate) fn ask(self, plan: &str, out: &mut dyn Write) -> Result<()> {
        writeln!(out, "{plan}")?;
        out.flush()?;
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            bail!("nobody can be asked here: pass --yes; nothing was changed");
        }
        eprint!("Do it? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => bail!("not confirmed; nothing was changed"),
        }
    }
}

/// A cluster, and where its answers are waited for.
#[derive(Debug)]
pub struct Cluster {
    runtime: tokio::runtime::Runtime,
    /// The clients.
    pub clients: Clients,
    /// The namespace that is meant where none is named.
    pub namespace: String,
    /// The longest wait.
    pub timeout: Span,
}

impl Cluster {
    /// A cluster behind given clients.
    #[must_use]
    pub fn new(runtime: tokio::runtime::Runtime, clients: Clients, timeout: Span) -> Self {
        let namespace = clients.namespace.clone();
        Self {
            runtime,
            clients,
            namespace,
            timeout,
        }
    }

    /// What asking comes to, within the time that the user gives.
    ///
    /// # Errors
    /// Those of `work`; code 8 where it takes longer.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let most = Duration::from_nanos(self.timeout.nanos().unsigned_abs());
        let within = async { tokio::time::timeout(most, work).await };
        self.runtime.block_on(within).unwrap_or_else(|_| {
            let told = format!(
                "the cluster gave no whole answer within {}; raise --timeout",
                self.timeout
            );
            Err(refusal(Code::Timeout, told))
        })
    }

    /// What asking comes to, however long it takes.
    pub(crate) fn wait_long<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Objects of ours in the namespace.
    pub(crate) fn objects(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.clients.read.clone(), &self.namespace)
    }

    /// Objects of ours, to be written.
    pub(crate) fn objects_written(&self) -> Api<PredictiveAutoscaler> {
        Api::namespaced(self.clients.write.clone(), &self.namespace)
    }

    /// The client that only looks.
    pub(crate) fn read(&self) -> Client {
        self.clients.read.clone()
    }

    /// One of our objects by its name.
    ///
    /// # Errors
    /// With the code of what went wrong: 5 where there is none.
    pub(crate) async fn object(&self, name: &str) -> Result<PredictiveAutoscaler> {
        let found = call(self.objects().get(name)).await;
        found.map_err(|fault| coded(&self.what(name), &fault))
    }

    /// An object of ours as it is told.
    pub(crate) fn what(&self, name: &str) -> String {
        format!("PredictiveAutoscaler {}/{name}", self.namespace)
    }

    /// Changes some fields of one of our objects.
    ///
    /// # Errors
    /// With the code of what went wrong.
    pub(crate) async fn change(&self, name: &str, patch: &Value) -> Result<PredictiveAutoscaler> {
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let (api, patch) = (self.objects_written(), Patch::Merge(patch));
        let changed = call(api.patch(name, &parameters, &patch)).await;
        changed.map_err(|fault| coded(&self.what(name), &fault))
    }
}

/// A fault of a call as an error with its exit code and mend.
pub(crate) fn coded(what: &str, fault: &Fault) -> anyhow::Error {
    let no_kind = |text: &str| {
        text.contains("could not find the requested resource")
            || text.contains("404 page not found")
    };
    let (code, mend) = match fault {
        Fault::NotFound(text) if no_kind(text) => (
            Code::NotFound,
            "the cluster does not know this kind: install its definition (`kubectl apply --server-side -f deploy/crd.yaml`, or the chart)",
        ),
        Fault::NotFound(_) => (
            Code::NotFound,
            "check the name and --namespace; `foresail get -A` shows what there is",
        ),
        Fault::Conflict(_) | Fault::Gone(_) => (
            Code::Conflict,
            "somebody else is at it too: look again and repeat",
        ),
        Fault::Forbidden(_) => (
            Code::Forbidden,
            "ask for the right that is named; `foresail doctor` shows which ones are lacking",
        ),
        Fault::Invalid(_) => (
            Code::Usage,
            "mend what the server names; nothing was changed by this call",
        ),
        Fault::Busy { .. } => (Code::Unreachable, "wait a moment and repeat"),
        Fault::Unknown(_) => (
            Code::Unreachable,
            "check --kubeconfig, --context and that the API server answers",
        ),
        _ => (Code::Unreachable, "look at the cluster and repeat"),
    };
    refusal(code, format!("{what}: {fault}; {mend}"))
}

/// An error with its exit code.
pub(crate) fn refusal(code: Code, message: impl Into<String>) -> anyhow::Error {
    let message = message.into();
    Coded { code, message }.into()
}

/// An object as it is printed: without what only servers read.
pub(crate) fn printable(object: &PredictiveAutoscaler) -> Result<Value> {
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    Ok(serde_json::to_value(object)?)
}

#[cfg(test)]
mod codes {
    use super::*;
    use crate::exit::code_of;

    #[test]
    fn each_fault_has_its_exit_code_and_a_mend() {
        for (fault, code) in [
            (Fault::NotFound("web".into()), Code::NotFound),
            (Fault::Conflict("web".into()), Code::Conflict),
            (Fault::Gone("web".into()), Code::Conflict),
            (Fault::Forbidden("web".into()), Code::Forbidden),
            (Fault::Invalid("web".into()), Code::Usage),
            (Fault::Busy { after: None }, Code::Unreachable),
            (Fault::Unknown("web".into()), Code::Unreachable),
        ] {
            let error = coded("HorizontalPodAutoscaler shop/web", &fault);
            assert_eq!(code_of(&error), code, "{fault}");
            assert!(error.to_string().contains("shop/web: "), "{error}");
            assert!(error.to_string().contains("; "), "{error}");
        }
        let no_kind = Fault::NotFound("the server could not find the requested resource".into());
        assert!(coded("x", &no_kind).to_string().contains("crd.yaml"));
    }
}
