//! Where a live run happens: the deployment, its pods and metrics, Prometheus.

use anyhow::{Result, anyhow};
use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::crd::metric::Metric;
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::scale::{Kinds, Target};
use foresail_adapters::prometheus::Prometheus;
use foresail_core::hpa::MetricRule;
use foresail_core::propose::plan::TargetId;
use foresail_core::spec::{SpecProblem, ValidSpec};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::Api;
use kube::api::ListParams;

use super::super::rules::Rules;
use crate::watch::cluster::{Place, Shown};

/// The deployment and what tells of it.
#[derive(Debug)]
pub struct Site {
    /// Where it is looked at.
    pub place: Place,
    /// Where its usage is asked for.
    pub prometheus: Prometheus,
    /// What the HPA reads, as it is read and as it is judged.
    metrics: Vec<(Metric, MetricRule)>,
    id: TargetId,
}

impl Site {
    /// The deployment that the rules name, in a namespace; nothing is asked yet.
    ///
    /// # Errors
    /// Where the rules make no valid HPA.
    pub fn new(
        clients: Clients,
        namespace: &str,
        prometheus: Prometheus,
        rules: &Rules,
    ) -> Result<Self> {
        let valid = ValidSpec::new(rules.beside());
        let valid = valid.map_err(|p| anyhow!("{}", SpecProblem::joined(&p)))?;
        let written = rules.hpa().spec().metrics;
        let judged = valid.targets()[0].rules.metrics().to_vec();
        let read = written.into_iter().zip(judged).map(|(written, rule)| {
            let metric = serde_json::from_value(serde_json::to_value(written)?)?;
            Ok((metric, rule))
        });
        Ok(Self {
            metrics: read.collect::<Result<_>>()?,
            id: rules.target(),
            place: Place {
                clients,
                namespace: namespace.to_owned(),
                target: Target {
                    api_version: "apps/v1".to_owned(),
                    kind: "Deployment".to_owned(),
                    name: rules.options.deployment.clone(),
                },
                // Only metrics of resources are read, and those need no other API.
                features: Features::default(),
                kinds: Kinds::default(),
            },
            prometheus,
        })
    }

    /// The deployment's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.target.name
    }

    /// The deployment as it is told.
    #[must_use]
    pub fn what(&self) -> String {
        format!("Deployment {}/{}", self.place.namespace, self.name())
    }

    /// Looks once at scale, pods, HPA, and what the metrics API reads.
    ///
    /// # Errors
    /// [`Fault`] where one of the first three cannot be read; a metric that cannot be is told as such.
    pub async fn look(&self) -> Result<Shown, Fault> {
        let metrics: Vec<_> = self.metrics.iter().map(|(m, r)| (m, r)).collect();
        self.place.look(self.id.clone(), &metrics).await
    }

    /// The deployment.
    ///
    /// # Errors
    /// [`Fault`] of the call.
    pub async fn deployment(&self) -> Result<Deployment, Fault> {
        let api: Api<Deployment> =
            Api::namespaced(self.place.clients.read.clone(), &self.place.namespace);
        call(api.get(self.name())).await
    }

    /// Names of those pods that the deployment's own ReplicaSets made: a selector may choose others.
    ///
    /// # Errors
    /// [`Fault`] of the calls.
    pub async fn own_pods(&self, uid: &str, pods: &[PodSeen]) -> Result<Vec<String>, Fault> {
        let api: Api<ReplicaSet> =
            Api::namespaced(self.place.clients.read.clone(), &self.place.namespace);
        let listed = call(api.list(&ListParams::default())).await?;
        let of_us = |set: &&ReplicaSet| {
            let owners = set.metadata.owner_references.iter().flatten();
            let mut owners = owners.filter(|o| o.controller == Some(true));
            owners.any(|o| o.uid == uid)
        };
        let prefix = |set: &ReplicaSet| set.metadata.name.as_ref().map(|n| format!("{n}-"));
        let sets: Vec<String> = listed
            .items
            .iter()
            .filter(of_us)
            .filter_map(prefix)
            .collect();
        let own = |pod: &&PodSeen| {
            // What a ReplicaSet appends has no dash, so that no longer name is taken for a shorter one.
            let rest = |set: &String| pod.spec.name.strip_prefix(set.as_str());
            let mut rests = sets.iter().filter_map(rest);
            !pod.state.deleting && rests.any(|rest| !rest.contains('-'))
        };
        let names = pods.iter().filter(own).map(|p| p.spec.name.clone());
        Ok(names.collect())
    }
}
