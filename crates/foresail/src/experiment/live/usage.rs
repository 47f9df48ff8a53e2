//! What pods use, by Prometheus, each pod counted once and whole.
//!
//! The published queries average over series: a pod with two containers, a pause container and a
//! cgroup of its own has four, so that the mean is that of none of them; they take page cache for
//! memory, the requests of one container for those of the pod, and pods by a part of their name.

use foresail_adapters::kubernetes::pods::PodSeen;
use foresail_adapters::prometheus::{Prometheus, PrometheusError};
use foresail_core::hpa::Gates;
use foresail_core::hpa::resolve::request;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::spec::STALE_AFTER;

use super::super::interval::Requests;

/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// Thousandths of a byte in a MiB.
const MILLI_MIB: f64 = MIB * 1000.0;

/// The container whose requests the published collector reads.
/// Source: alcocuzzi/etp, autoscaler/metrics_collector.py.
const NGINX: &str = "nginx";

/// What is said where Prometheus knows none of the pods.
const NO_SAMPLES: &str = "Prometheus has no samples of these pods: does it scrape cAdvisor?";

/// Means over the pods; what is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Used {
    /// CPU of a pod, in millicores.
    pub cpu: Option<f64>,
    /// Memory of a pod, in MiB: the working set, as the HPA has it.
    pub memory: Option<f64>,
    /// Why something is not known.
    pub trouble: Option<String>,
}

/// The pods of a query: their names, one of which a label must be as a whole.
fn chosen(namespace: &str, pods: &[String]) -> String {
    // A dot is the only character of a name that means something in a pattern.
    let plain: Vec<String> = pods.iter().map(|p| p.replace('.', "\\\\.")).collect();
    format!(
        "namespace=\"{namespace}\",pod=~\"{}\",container!=\"\",container!=\"POD\"",
        plain.join("|")
    )
}

/// CPU of a pod on average, in millicores.
#[must_use]
pub fn cpu_query(namespace: &str, pods: &[String]) -> String {
    let chosen = chosen(namespace, pods);
    // A container that two jobs scrape is one container.
    format!(
        "avg(sum by (pod) (max by (pod, container) (rate(container_cpu_usage_seconds_total{{{chosen}}}[1m])))) * 1000"
    )
}

/// Memory of a pod on average, in MiB.
#[must_use]
pub fn memory_query(namespace: &str, pods: &[String]) -> String {
    let chosen = chosen(namespace, pods);
    format!(
        "avg(sum by (pod) (max by (pod, container) (container_memory_working_set_bytes{{{chosen}}}))) / 1048576"
    )
}

/// Asks what pods use, for `most` at the longest.
pub async fn used(
    server: &Prometheus,
    (namespace, pods): (&str, &[String]),
    now: Timestamp,
    most: Span,
) -> Used {
    if pods.is_empty() {
        let trouble = Some("there is no pod to measure".to_owned());
        return Used {
            trouble,
            ..Used::default()
        };
    }
    let both = async {
        let mut used = Used::default();
        match value(server, &cpu_query(namespace, pods), (now, NO_SAMPLES)).await {
            Ok(cpu) => used.cpu = Some(cpu),
            // Who is away for one query is so for the next.
            Err(why) => {
                used.trouble = Some(why);
                return used;
            }
        }
        match value(server, &memory_query(namespace, pods), (now, NO_SAMPLES)).await {
            Ok(memory) => used.memory = Some(memory),
            Err(why) => used.trouble = Some(why),
        }
        used
    };
    let time = std::time::Duration::from_nanos(most.nanos().unsigned_abs());
    tokio::time::timeout(time, both)
        .await
        .unwrap_or_else(|_| Used {
            trouble: Some(format!("Prometheus did not answer within {most}")),
            ..Used::default()
        })
}

/// The one number of 0 or more that a query gives; what to say where it gives none at all.
pub(super) async fn value(
    server: &Prometheus,
    query: &str,
    (now, empty): (Timestamp, &str),
) -> Result<f64, String> {
    let told = server.at(query, now, STALE_AFTER).await;
    let told = told.map_err(|error| match error {
        PrometheusError::Empty { .. } => empty.to_owned(),
        other => other.to_string(),
    })?;
    let value = told.value.filter(|v| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| "Prometheus gives no number of 0 or more".to_owned())
}

/// What a whole pod requests, and nginx alone, on average over the pods: by the pods themselves,
/// which the HPA divides by too.
#[must_use]
pub fn requests(pods: &[PodSeen]) -> (Requests, Requests) {
    let gates = Gates::default();
    let mean = |resource: &str, of_nginx: bool| {
        let one = |pod: &PodSeen| {
            let all = &pod.spec.containers;
            let named = all.iter().find(|c| c.name == NGINX).or(all.first());
            let container = of_nginx.then(|| named.map(|c| c.name.as_str())).flatten();
            request(&pod.spec, resource, container, &gates)
        };
        let all: Option<Vec<i64>> = pods.iter().filter(|p| !p.state.deleting).map(one).collect();
        // One pod without a request leaves the HPA without an answer too.
        let all = all.filter(|a| !a.is_empty())?;
        Some(all.iter().sum::<i64>() as f64 / all.len() as f64)
    };
    let both = |of_nginx| {
        (
            mean("cpu", of_nginx),
            mean("memory", of_nginx).map(|m| m / MILLI_MIB),
        )
    };
    (both(false), both(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_whole_pods_and_counts_each_once() {
        let pods = ["web-1-a".to_owned(), "web.x-1-b".to_owned()];
        assert_eq!(
            cpu_query("shop", &pods),
            "avg(sum by (pod) (max by (pod, container) (rate(container_cpu_usage_seconds_total{namespace=\"shop\",\
             pod=~\"web-1-a|web\\\\.x-1-b\",container!=\"\",container!=\"POD\"}[1m])))) * 1000"
        );
        let memory = memory_query("shop", &pods);
        assert!(
            memory.contains("container_memory_working_set_bytes{") && memory.contains("/ 1048576")
        );
    }
}
