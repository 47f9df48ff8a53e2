//! One look at a target in a cluster: scale, pods, the HPA on it, and what its metrics read.
//!
//! Nothing is installed and nothing is written: it reads what the user's own kubeconfig may read.

use std::fmt::Display;

use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::crd::metric::{Metric, MetricType};
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::{self, Kinds, ScaleSeen, Target};
use foresail_adapters::kubernetes::selector::Selector;
use foresail_core::hpa::resolve::PodSpec;
use foresail_core::hpa::{self, MetricRule, Reading};
use foresail_core::observe::TargetState;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Replicas;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

use super::metric::{MetricRead, MetricReader, failed};

/// Where a target is looked at.
#[derive(Debug)]
pub struct Place {
    /// The clients; only the one that reads is used.
    pub clients: Clients,
    /// The namespace.
    pub namespace: String,
    /// The target.
    pub target: Target,
    /// What the server can do.
    pub features: Features,
    /// Kinds that were asked for.
    pub kinds: Kinds,
}

/// What one look showed.
#[derive(Debug)]
pub struct Shown {
    /// The target as the engine is told it.
    pub state: TargetState,
    /// Replicas that are asked for.
    pub replicas: u32,
    /// Metrics that could not be read, each with why.
    pub troubles: Vec<String>,
    /// The scale as it was read: a write must name its version.
    pub scale: ScaleSeen,
    /// Every pod that the scale's selector chooses.
    pub pods: Vec<PodSeen>,
    /// The HPA that scales the target, with its name.
    pub hpa: Option<(String, HpaSeen)>,
}

impl Place {
    /// The HPA that scales the target, with its name.
    ///
    /// # Errors
    /// [`Fault`] of the call.
    pub async fn hpa(&self) -> Result<Option<(String, HpaSeen)>, Fault> {
        let api: Api<HorizontalPodAutoscaler> =
            Api::namespaced(self.clients.read.clone(), &self.namespace);
        let listed = call(api.list(&ListParams::default())).await?;
        let mut all = listed.items.iter().map(|h| {
            let name = h.metadata.name.clone().unwrap_or_default();
            (name, HpaSeen::from(h))
        });
        Ok(all.find(|(_, seen)| seen.target.is_same(&self.target)))
    }

    /// Looks once; a metric that cannot be read is told as such and is never zero.
    ///
    /// # Errors
    /// [`Fault`] where the scale or the pods cannot be read.
    pub async fn look(
        &self,
        id: TargetId,
        metrics: &[(&Metric, &MetricRule)],
    ) -> Result<Shown, Fault> {
        let client = &self.clients.read;
        let api = self
            .kinds
            .api(client, &self.namespace, &self.target)
            .await?;
        let seen = scale::read(&api, &self.target.name).await?;
        let text = seen.selector.clone().unwrap_or_default();
        let (selector, pods) = match Selector::parse(seen.selector.as_deref()) {
            Err(state) => (state, Vec::new()),
            Ok(chosen) => (hpa::Selector::Valid, self.pods(&text, &chosen).await?),
        };
        let hpa = self.hpa().await?;
        let incumbent = hpa.as_ref().and_then(|(_, h)| h.wanted);
        let specs: Vec<PodSpec> = pods.iter().map(|p| p.spec.clone()).collect();
        let (mut readings, mut troubles) = (Vec::new(), Vec::new());
        let mut read_at: Option<Timestamp> = None;
        let reader = MetricReader {
            client,
            kinds: &self.kinds,
            custom_metrics: self.features.custom_metrics.as_deref(),
            namespace: &self.namespace,
            pods: &specs,
            selector: &text,
        };
        for (metric, rule) in metrics {
            let read = self.read(metric, rule, &reader).await;
            if let (Reading::Total(_), Some(at)) = (&read.reading, read.at) {
                read_at = Some(read_at.map_or(at, |old| old.min(at)));
            }
            if let Some(why) = read.trouble {
                troubles.push(format!("{}: {why}", rule.name()));
            }
            readings.push(read.reading);
        }
        let count = |n: i32| Replicas::saturating(i64::from(n));
        let ready = pods.iter().filter(|p| p.is_ready()).count();
        let state = TargetState {
            target: id,
            current: Setting::replicas(count(seen.asked)),
            status_replicas: count(seen.existing),
            ready: Replicas::new(u32::try_from(ready).unwrap_or(u32::MAX)),
            pods: pods.iter().map(|p| p.state).collect(),
            readings,
            read_at,
            selector,
            incumbent: incumbent.map(count),
            ..TargetState::default()
        };
        Ok(Shown {
            state,
            replicas: count(seen.asked).get(),
            troubles,
            scale: seen,
            pods,
            hpa,
        })
    }

    async fn pods(&self, text: &str, chosen: &Selector) -> Result<Vec<PodSeen>, Fault> {
        let api: Api<Pod> = Api::namespaced(self.clients.read.clone(), &self.namespace);
        let listed = call(api.list(&ListParams::default().labels(text))).await?;
        let all = listed.items.iter().map(PodSeen::from);
        Ok(all.filter(|p| chosen.matches(&p.labels)).collect())
    }

    async fn read(
        &self,
        metric: &Metric,
        rule: &MetricRule,
        reader: &MetricReader<'_>,
    ) -> MetricRead {
        match metric.kind {
            MetricType::Resource | MetricType::ContainerResource => {
                let usage = metrics::resource_metrics(&self.clients.read, &self.namespace).await;
                reader.resource(rule, usage.as_ref().map_err(|fault| fault as &dyn Display))
            }
            MetricType::Prometheus => failed(&"is read from --prometheus"),
            _ => reader.of_api(metric).await,
        }
    }
}
