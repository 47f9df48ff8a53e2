//! The three metrics APIs as the HPA reads them: resource, custom, external.
//!
//! What cannot be read is [`foresail_core::hpa::Reading::Failed`] with its [`Fault`], never an empty list that would
//! pass for zero.

use std::collections::BTreeMap;

use foresail_core::hpa::PodSample;
use foresail_core::hpa::resolve::PodMetrics;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::parse_kubernetes_milli;
use http::Request;
use kube::Client;
use serde::Deserialize;

use super::fault::{Fault, call};

/// The largest answer that is taken in.
const ANSWER_BYTES_MAX: usize = 64 << 20;

#[derive(Deserialize)]
struct List<T> {
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct PodMetricsItem {
    metadata: Named,
    timestamp: Option<String>,
    window: Option<String>,
    #[serde(default)]
    containers: Vec<ContainerItem>,
}

#[derive(Deserialize)]
struct ContainerItem {
    name: String,
    #[serde(default)]
    usage: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CustomItem {
    described_object: Named,
    timestamp: Option<String>,
    #[serde(default)]
    window_seconds: Option<i64>,
    value: String,
}

#[derive(Deserialize)]
struct ExternalItem {
    timestamp: Option<String>,
    value: String,
}

/// One value with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Valued {
    /// Thousandths.
    pub milli: i64,
    /// When it was measured; `None` where nobody says.
    pub at: Option<Timestamp>,
}

/// Reads a Go duration such as `10.013s` or `1m30s`; `None` where it is none.
#[must_use]
pub fn go_duration(text: &str) -> Option<Span> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit_end = rest[end..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |i| end + i);
        let factor = match &rest[end..unit_end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * factor;
        rest = &rest[unit_end..];
    }
    (!text.is_empty())
        .then(|| Span::from_seconds_f64(seconds))
        .flatten()
}

fn parse_time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|t| t.parse().ok())
}

fn quantity(text: &str) -> Result<i64, Fault> {
    parse_kubernetes_milli(text).map_err(|e| Fault::Unknown(e.to_string()))
}

impl PodMetricsItem {
    /// `None` where it carries no time: what is not known to be fresh is no sample.
    fn read(self) -> Result<Option<PodMetrics>, Fault> {
        let Some(at) = parse_time(self.timestamp.as_deref()) else {
            return Ok(None);
        };
        let window = self.window.as_deref().and_then(go_duration);
        let mut containers = BTreeMap::new();
        for container in self.containers {
            let mut usage = BTreeMap::new();
            for (resource, amount) in container.usage {
                usage.insert(resource, quantity(&amount)?);
            }
            containers.insert(container.name, usage);
        }
        Ok(Some(PodMetrics {
            pod: self.metadata.name,
            at,
            window: window.unwrap_or(Span::ZERO),
            containers,
        }))
    }
}

/// One answer of a path, as JSON.
pub(super) async fn get<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
) -> Result<T, Fault> {
    let request = Request::get(path)
        .header("accept", "application/json")
        .body(Vec::new())
        .map_err(|e| Fault::Invalid(e.to_string()))?;
    let text = call(client.request_text(request)).await?;
    if text.len() > ANSWER_BYTES_MAX {
        let told = format!(
            "an answer of {} bytes; at most {ANSWER_BYTES_MAX} are read",
            text.len()
        );
        return Err(Fault::Unknown(told));
    }
    serde_json::from_str(&text).map_err(|e| Fault::Unknown(format!("no such list: {e}")))
}

/// A text as a part of a query.
fn escaped(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    let one = |b: u8| match keep(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    text.bytes().map(one).collect()
}

/// What every pod of a namespace uses.
///
/// # Errors
/// [`Fault`] of the call, or where the answer is no such list.
pub async fn resource_metrics(client: &Client, namespace: &str) -> Result<Vec<PodMetrics>, Fault> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
        escaped(namespace)
    );
    let list: List<PodMetricsItem> = get(client, &path).await?;
    let mut found: BTreeMap<String, PodMetrics> = BTreeMap::new();
    for item in list.items {
        // Of two entries of one pod the newer counts.
        if let Some(metrics) = item.read()? {
            let newer = found
                .get(&metrics.pod)
                .is_none_or(|old| old.at < metrics.at);
            if newer {
                found.insert(metrics.pod.clone(), metrics);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// A metric of every pod that a selector chooses: pod and sample.
///
/// # Errors
/// As [`resource_metrics`].
pub async fn pods_metric(
    client: &Client,
    version: &str,
    namespace: &str,
    metric: &str,
    selectors: (&str, &str),
) -> Result<Vec<(String, PodSample)>, Fault> {
    let (pods, series) = selectors;
    let path = format!(
        "/apis/custom.metrics.k8s.io/{version}/namespaces/{}/pods/*/{}?labelSelector={}&metricLabelSelector={}",
        escaped(namespace),
        escaped(metric),
        escaped(pods),
        escaped(series),
    );
    let list: List<CustomItem> = get(client, &path).await?;
    let mut samples = Vec::new();
    for item in list.items {
        let Some(at) = parse_time(item.timestamp.as_deref()) else {
            continue;
        };
        let window = Span::from_seconds(item.window_seconds.unwrap_or(60));
        let value = quantity(&item.value)?;
        samples.push((item.described_object.name, PodSample { value, at, window }));
    }
    Ok(samples)
}

/// A metric of one object; `resource` is its plural with its group (`ingresses.networking.k8s.io`).
///
/// # Errors
/// As [`resource_metrics`]; an answer of other than one value is none.
pub async fn object_metric(
    client: &Client,
    version: &str,
    namespace: &str,
    object: (&str, &str),
    metric: (&str, &str),
) -> Result<Valued, Fault> {
    let path = format!(
        "/apis/custom.metrics.k8s.io/{version}/namespaces/{}/{}/{}/{}?metricLabelSelector={}",
        escaped(namespace),
        escaped(object.0),
        escaped(object.1),
        escaped(metric.0),
        escaped(metric.1),
    );
    let mut list: List<CustomItem> = get(client, &path).await?;
    match (list.items.pop(), list.items.is_empty()) {
        (Some(item), true) => Ok(Valued {
            milli: quantity(&item.value)?,
            at: parse_time(item.timestamp.as_deref()),
        }),
        _ => Err(Fault::Unknown(
            "not one value but several or none".to_owned(),
        )),
    }
}

/// Every series of an external metric.
///
/// # Errors
/// As [`resource_metrics`]; an empty list is none.
pub async fn external_metric(
    client: &Client,
    namespace: &str,
    metric: &str,
    selector: &str,
) -> Result<Vec<Valued>, Fault> {
    let path = format!(
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/{}?labelSelector={}",
        escaped(namespace),
        escaped(metric),
        escaped(selector),
    );
    let list: List<ExternalItem> = get(client, &path).await?;
    if list.items.is_empty() {
        return Err(Fault::Unknown("no series".to_owned()));
    }
    let read = |item: ExternalItem| {
        Ok(Valued {
            milli: quantity(&item.value)?,
            at: parse_time(item.timestamp.as_deref()),
        })
    };
    list.items.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_go_writes_them() {
        assert_eq!(go_duration("10s"), Some(Span::from_seconds(10)));
        assert_eq!(go_duration("1m30s"), Some(Span::from_seconds(90)));
        let parts = go_duration("10.013s").unwrap();
        assert!((parts.seconds() - 10.013).abs() < 1e-9);
        for bad in ["", "10", "s", "1x"] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_entry_without_a_time_is_no_sample_and_nonsense_is_no_zero() {
        let item = |text: &str| serde_json::from_str::<PodMetricsItem>(text).unwrap().read();
        let whole = r#"{"metadata":{"name":"a"},"timestamp":"2026-01-01T00:00:00Z","window":"10.013s",
            "containers":[{"name":"c","usage":{"cpu":"14998879n","memory":"20Mi"}}]}"#;
        let read = item(whole).unwrap().unwrap();
        assert_eq!(read.containers["c"]["cpu"], 15);
        assert_eq!(read.containers["c"]["memory"], 20 * 1024 * 1024 * 1000);
        assert_eq!(item(r#"{"metadata":{"name":"a"}}"#).unwrap(), None);
        let odd = whole.replace("14998879n", "NaN");
        assert!(item(&odd).is_err());
    }
}
