//! One look at a target in a cluster: scale, pods, the HPA on it, and what its metrics read.
//!
//! Nothing is installed and nothing is written: it reads what the user's own kubeconfig may read.

use foresail_adapters::kubernetes::client::Clients;
use foresail_adapters::kubernetes::crd::metric::{Metric, MetricType};
use foresail_adapters::kubernetes::discover::Features;
use foresail_adapters::kubernetes::fault::{Fault, call};
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::kubernetes::rival::HpaSeen;
use foresail_adapters::kubernetes::scale::{self, Kinds, ScaleSeen, Target};
use foresail_adapters::kubernetes::selector::Selector;
use foresail_core::hpa::resolve::{self, PodSpec};
use foresail_core::hpa::{self, MetricRule, Reading};
use foresail_core::observe::TargetState;
use foresail_core::propose::plan::{Setting, TargetId};
use foresail_core::quantity::time::Timestamp;
use foresail_core::quantity::units::Replicas;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;

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

/// What one metric read: the reading, and when it was measured where one time holds for all of it.
type Read = Result<(Reading, Option<Timestamp>), String>;

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
        for (metric, rule) in metrics {
            match self.read(metric, rule, &specs, &text).await {
                Ok((reading, at)) => {
                    if let (Reading::Total(_), Some(at)) = (&reading, at) {
                        read_at = Some(read_at.map_or(at, |old| old.min(at)));
                    }
                    readings.push(reading);
                }
                Err(why) => {
                    troubles.push(format!("{}: {why}", rule.name()));
                    readings.push(Reading::Failed);
                }
            }
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
        pods: &[PodSpec],
        selector: &str,
    ) -> Read {
        match metric.kind {
            MetricType::Resource | MetricType::ContainerResource => self.resource(rule, pods).await,
            MetricType::Pods => self.of_pods(metric, pods, selector).await,
            MetricType::Object => self.object(metric).await,
            MetricType::External => self.external(metric).await,
            MetricType::Prometheus => Err("is read from --prometheus".to_owned()),
        }
    }

    async fn resource(&self, rule: &MetricRule, pods: &[PodSpec]) -> Read {
        let all = metrics::resource_metrics(&self.clients.read, &self.namespace).await;
        let mut all = all.map_err(|f| f.to_string())?;
        all.retain(|m| pods.iter().any(|p| p.name == m.pod));
        match resolve::resource_reading(rule, pods, &all, &hpa::Gates::default()) {
            Reading::Failed => Err("the metrics API knows none of the pods".to_owned()),
            reading => Ok((reading, None)),
        }
    }

    async fn of_pods(&self, metric: &Metric, pods: &[PodSpec], selector: &str) -> Read {
        let (Some(written), Some(version)) = (&metric.pods, &self.features.custom_metrics) else {
            return Err("the server has no custom.metrics.k8s.io".to_owned());
        };
        let series = written.metric.series();
        let (client, name) = (&self.clients.read, &written.metric.name);
        let selectors = (selector, series.as_str());
        let asked = metrics::pods_metric(client, version, &self.namespace, name, selectors);
        match resolve::pods_reading(pods, &asked.await.map_err(|f| f.to_string())?) {
            Reading::Failed => Err("no pod has it".to_owned()),
            reading => Ok((reading, None)),
        }
    }

    async fn object(&self, metric: &Metric) -> Read {
        let (Some(written), Some(version)) = (&metric.object, &self.features.custom_metrics) else {
            return Err("the server has no custom.metrics.k8s.io".to_owned());
        };
        let (client, object) = (&self.clients.read, &written.described_object);
        let api_version = object.api_version.as_deref().unwrap_or("v1");
        let kind = self.kinds.resource(client, api_version, &object.kind).await;
        let kind = kind.map_err(|f| f.to_string())?;
        let resource = match kind.group.is_empty() {
            true => kind.plural,
            false => format!("{}.{}", kind.plural, kind.group),
        };
        let series = written.metric.series();
        let asked = metrics::object_metric(
            client,
            version,
            &self.namespace,
            (&resource, &object.name),
            (&written.metric.name, &series),
        );
        let value = asked.await.map_err(|f| f.to_string())?;
        Ok((Reading::Total(vec![value.milli]), value.at))
    }

    async fn external(&self, metric: &Metric) -> Read {
        let Some(written) = &metric.external else {
            return Err("the metric has no field `external`".to_owned());
        };
        let series = written.metric.series();
        let (client, name) = (&self.clients.read, &written.metric.name);
        let asked = metrics::external_metric(client, &self.namespace, name, &series);
        let values = asked.await.map_err(|f| f.to_string())?;
        let at = values.iter().filter_map(|v| v.at).min();
        Ok((Reading::Total(values.iter().map(|v| v.milli).collect()), at))
    }
}
