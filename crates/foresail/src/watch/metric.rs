//! How a metric of one target is read from a cluster, for whoever looks: the controller and `watch`.

use std::fmt::Display;

use foresail_adapters::kubernetes::crd::metric::{Metric, MetricType};
use foresail_adapters::kubernetes::metrics;
use foresail_adapters::kubernetes::scale::Kinds;
use foresail_core::hpa::resolve::{self, PodMetrics, PodSpec};
use foresail_core::hpa::{Gates, MetricRule, Reading};
use foresail_core::quantity::time::Timestamp;
use kube::Client;

/// One metric as it was read.
#[derive(Clone, Debug)]
pub(crate) struct MetricRead {
    pub(crate) reading: Reading,
    /// When it was measured, where that is known of the whole.
    pub(crate) at: Option<Timestamp>,
    /// Why it could not be read, or what of it is no measurement.
    pub(crate) trouble: Option<String>,
    /// `true` where a part of it is no measurement: the rest may be too little to go down by.
    pub(crate) nonsense: bool,
}

/// A metric that could not be read.
pub(crate) fn failed(why: &dyn Display) -> MetricRead {
    MetricRead {
        reading: Reading::Failed,
        at: None,
        trouble: Some(why.to_string()),
        nonsense: false,
    }
}

/// A value that is of no single pod.
fn total(values: Vec<i64>, at: Option<Timestamp>) -> MetricRead {
    MetricRead {
        reading: Reading::Total(values),
        at,
        trouble: None,
        nonsense: false,
    }
}

/// What is needed to read the metrics of one target.
pub(crate) struct MetricReader<'a> {
    pub(crate) client: &'a Client,
    pub(crate) kinds: &'a Kinds,
    /// Version of the custom metrics API, where the server has it.
    pub(crate) custom_metrics: Option<&'a str>,
    pub(crate) namespace: &'a str,
    pub(crate) pods: &'a [PodSpec],
    /// The pods' selector as text.
    pub(crate) selector: &'a str,
}

impl MetricReader<'_> {
    /// What the pods use, out of what all pods of the namespace do.
    pub(crate) fn resource(
        &self,
        rule: &MetricRule,
        usage: Result<&metrics::OfPods<PodMetrics>, &dyn Display>,
    ) -> MetricRead {
        let usage = match usage {
            Ok(usage) => usage,
            Err(why) => return failed(why),
        };
        let (mut ours, mut bad): (Vec<PodMetrics>, _) = (Vec::new(), None);
        for pod in self.pods {
            match usage.get(&pod.name) {
                Some(Ok(metrics)) => ours.push(metrics.clone()),
                Some(Err(why)) => bad = bad.or(Some(format!("pod {}: {why}", pod.name))),
                None => {}
            }
        }
        let reading = resolve::resource_reading(rule, self.pods, &ours, &Gates::default());
        let nonsense = bad.is_some();
        let none = || {
            matches!(reading, Reading::Failed)
                .then(|| "the metrics API knows none of the pods".to_owned())
        };
        MetricRead {
            at: ours.iter().map(|m| m.at).max(),
            trouble: bad.or_else(none),
            nonsense,
            reading,
        }
    }

    /// A metric of a custom or external metrics API; what the pods use and what Prometheus tells are
    /// the caller's to read.
    pub(crate) async fn of_api(&self, metric: &Metric) -> MetricRead {
        match metric.kind {
            MetricType::Pods => self.of_pods(metric).await,
            MetricType::Object => self.object(metric).await,
            MetricType::External => self.external(metric).await,
            MetricType::Resource | MetricType::ContainerResource | MetricType::Prometheus => {
                failed(&"is no metric of a metrics API")
            }
        }
    }

    async fn of_pods(&self, metric: &Metric) -> MetricRead {
        let (Some(written), Some(version)) = (&metric.pods, self.custom_metrics) else {
            return failed(&"the server has no custom.metrics.k8s.io");
        };
        let series = written.metric.series();
        let selectors = (self.selector, series.as_str());
        let name = &written.metric.name;
        match metrics::pods_metric(self.client, version, self.namespace, name, selectors).await {
            Err(fault) => failed(&fault),
            Ok(of_pods) => {
                let (mut values, mut bad) = (Vec::new(), None);
                for (pod, read) in of_pods {
                    match read {
                        Ok(sample) => values.push((pod, sample)),
                        Err(why) => bad = bad.or(Some(format!("pod {pod}: {why}"))),
                    }
                }
                let nonsense = bad.is_some();
                let none = || values.is_empty().then(|| "no pod has it".to_owned());
                MetricRead {
                    at: values.iter().map(|(_, s)| s.at).max(),
                    reading: resolve::pods_reading(self.pods, &values),
                    trouble: bad.or_else(none),
                    nonsense,
                }
            }
        }
    }

    async fn object(&self, metric: &Metric) -> MetricRead {
        let (Some(written), Some(version)) = (&metric.object, self.custom_metrics) else {
            return failed(&"the server has no custom.metrics.k8s.io");
        };
        let object = &written.described_object;
        let api_version = object.api_version.as_deref().unwrap_or("v1");
        let kind = self
            .kinds
            .resource(self.client, api_version, &object.kind)
            .await;
        let resource = match kind {
            Ok(kind) if kind.group.is_empty() => kind.plural,
            Ok(kind) => format!("{}.{}", kind.plural, kind.group),
            Err(fault) => return failed(&fault),
        };
        let series = written.metric.series();
        let asked = (written.metric.name.as_str(), series.as_str());
        let named = (resource.as_str(), object.name.as_str());
        match metrics::object_metric(self.client, version, self.namespace, named, asked).await {
            Err(fault) => failed(&fault),
            Ok(value) => total(vec![value.milli], value.at),
        }
    }

    async fn external(&self, metric: &Metric) -> MetricRead {
        let Some(written) = &metric.external else {
            return failed(&"the metric has no field `external`");
        };
        let series = written.metric.series();
        let name = &written.metric.name;
        match metrics::external_metric(self.client, self.namespace, name, &series).await {
            Err(fault) => failed(&fault),
            Ok(values) => {
                // One series without a time, and nobody knows how old the sum is.
                let at = values.iter().map(|v| v.at).min().flatten();
                total(values.iter().map(|v| v.milli).collect(), at)
            }
        }
    }
}
