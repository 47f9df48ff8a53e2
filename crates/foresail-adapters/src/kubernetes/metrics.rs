//! The three metrics APIs as the HPA reads them: resource, custom, external.
//!
//! What cannot be read is [`foresail_core::hpa::Reading::Failed`] with its [`Fault`], never an empty list that would
//! pass for zero. What one pod says wrongly is that pod's alone: the others of the same answer count.

use std::collections::BTreeMap;

use foresail_core::hpa::PodSample;
use foresail_core::hpa::resolve::PodMetrics;
use foresail_core::observe::VALUE_MAX;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::parse_kubernetes_milli;
use http::Request;
use kube::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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
#[serde(rename_all = "camelCase")]
struct ExternalItem {
    timestamp: Option<String>,
    value: String,
    #[serde(default)]
    metric_labels: Option<BTreeMap<String, String>>,
}

/// What an API says of pods: each by its name, with why it is no measurement where it is none.
pub type OfPods<T> = BTreeMap<String, Result<T, String>>;

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

/// A measured amount in thousandths. What is measured is neither negative nor beyond all measure: a
/// parser would saturate there, and the number would pass for one.
/// Source: specs/reliability.md 1.1 S1.
fn quantity(text: &str) -> Result<i64, String> {
    let milli = parse_kubernetes_milli(text).map_err(|e| e.to_string())?;
    if milli < 0 {
        return Err(format!("`{text}`: a measurement is not negative"));
    }
    if milli as f64 / 1000.0 > VALUE_MAX {
        return Err(format!(
            "`{text}`: more than {VALUE_MAX:e} is no measurement"
        ));
    }
    Ok(milli)
}

/// Keeps the newest sample of each pod; one that is no measurement counts only where there is no other.
fn keep<T>(of: &mut OfPods<T>, pod: String, read: Result<T, String>, at: fn(&T) -> Timestamp) {
    let better = match (of.get(&pod), &read) {
        (None, _) | (Some(Err(_)), Ok(_)) => true,
        (Some(Ok(old)), Ok(new)) => at(old) < at(new),
        (Some(_), Err(_)) => false,
    };
    if better {
        of.insert(pod, read);
    }
}

/// One item of a list: what was read, or the pod that it is of and why it could not be.
type Item<T> = Result<T, (String, String)>;

/// The items of a list. Where one has another form, it alone is none: its pod, and why.
fn items<T: DeserializeOwned>(text: &str, name: &str) -> Result<Vec<Item<T>>, Fault> {
    let whole: Result<List<T>, _> = serde_json::from_str(text);
    if let Ok(list) = whole {
        return Ok(list.items.into_iter().map(Ok).collect());
    }
    let list: List<Value> = parsed(text)?;
    let one = |item: Value| {
        let pod = item
            .pointer(name)
            .and_then(Value::as_str)
            .map(str::to_owned);
        match (serde_json::from_value(item), pod) {
            (Ok(read), _) => Ok(Ok(read)),
            (Err(error), Some(pod)) => Ok(Err((pod, error.to_string()))),
            // Nobody knows whose it is, so it is everybody's.
            (Err(error), None) => Err(Fault::Unknown(format!("no such list: {error}"))),
        }
    };
    list.items.into_iter().map(one).collect()
}

impl PodMetricsItem {
    /// `None` where it carries no time: what is not known to be fresh is no sample.
    fn read(self) -> Result<Option<PodMetrics>, String> {
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

/// One answer of a path, as text.
async fn get_text(client: &Client, path: &str) -> Result<String, Fault> {
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
    Ok(text)
}

fn parsed<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|e| Fault::Unknown(format!("no such list: {e}")))
}

/// One answer of a path, as JSON.
pub(super) async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, Fault> {
    parsed(&get_text(client, path).await?)
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
pub async fn resource_metrics(
    client: &Client,
    namespace: &str,
) -> Result<OfPods<PodMetrics>, Fault> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods",
        escaped(namespace)
    );
    usage_in(&get_text(client, &path).await?)
}

fn usage_in(text: &str) -> Result<OfPods<PodMetrics>, Fault> {
    let mut found: OfPods<PodMetrics> = OfPods::new();
    for item in items::<PodMetricsItem>(text, "/metadata/name")? {
        match item {
            Err((pod, why)) => keep(&mut found, pod, Err(why), |m: &PodMetrics| m.at),
            Ok(item) => {
                let pod = item.metadata.name.clone();
                if let Some(read) = item.read().transpose() {
                    keep(&mut found, pod, read, |m: &PodMetrics| m.at);
                }
            }
        }
    }
    Ok(found)
}

/// A metric of every pod that a selector chooses.
///
/// # Errors
/// As [`resource_metrics`].
pub async fn pods_metric(
    client: &Client,
    version: &str,
    namespace: &str,
    metric: &str,
    selectors: (&str, &str),
) -> Result<OfPods<PodSample>, Fault> {
    let (pods, series) = selectors;
    let path = format!(
        "/apis/custom.metrics.k8s.io/{version}/namespaces/{}/pods/*/{}?labelSelector={}&metricLabelSelector={}",
        escaped(namespace),
        escaped(metric),
        escaped(pods),
        escaped(series),
    );
    samples_in(&get_text(client, &path).await?)
}

fn samples_in(text: &str) -> Result<OfPods<PodSample>, Fault> {
    let mut found: OfPods<PodSample> = OfPods::new();
    for item in items::<CustomItem>(text, "/describedObject/name")? {
        let (pod, read) = match item {
            Err((pod, why)) => (pod, Err(why)),
            Ok(item) => {
                let Some(at) = parse_time(item.timestamp.as_deref()) else {
                    continue;
                };
                let window = Span::from_seconds(item.window_seconds.unwrap_or(60));
                let sample = |value| PodSample { value, at, window };
                (
                    item.described_object.name,
                    quantity(&item.value).map(sample),
                )
            }
        };
        keep(&mut found, pod, read, |s: &PodSample| s.at);
    }
    Ok(found)
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
            milli: quantity(&item.value).map_err(Fault::Unknown)?,
            at: parse_time(item.timestamp.as_deref()),
        }),
        _ => Err(Fault::Unknown(
            "not one value but several or none".to_owned(),
        )),
    }
}

/// Every series of an external metric, each once: of several values with the same labels the newest.
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
    series_in(&get_text(client, &path).await?)
}

fn series_in(text: &str) -> Result<Vec<Valued>, Fault> {
    let list: List<ExternalItem> = parsed(text)?;
    if list.items.is_empty() {
        return Err(Fault::Unknown("no series".to_owned()));
    }
    let mut found: Vec<(BTreeMap<String, String>, Valued)> = Vec::new();
    for item in list.items {
        let read = Valued {
            milli: quantity(&item.value).map_err(Fault::Unknown)?,
            at: parse_time(item.timestamp.as_deref()),
        };
        let labels = item.metric_labels.unwrap_or_default();
        // Adapters may leave labels out: without any, each value is a series of its own.
        let same = found
            .iter_mut()
            .find(|(l, _)| !l.is_empty() && *l == labels);
        match same {
            Some((_, old)) if old.at < read.at => *old = read,
            Some(_) => {}
            None => found.push((labels, read)),
        }
    }
    Ok(found.into_iter().map(|(_, valued)| valued).collect())
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

    const WHOLE: &str = r#"{"metadata":{"name":"a"},"timestamp":"2026-01-01T00:00:00Z","window":"10.013s",
        "containers":[{"name":"c","usage":{"cpu":"14998879n","memory":"20Mi"}}]}"#;

    fn usage(items: &[String]) -> OfPods<PodMetrics> {
        usage_in(&format!("{{\"items\":[{}]}}", items.join(","))).unwrap()
    }

    #[test]
    fn an_entry_without_a_time_is_no_sample_and_nonsense_is_no_zero() {
        let read = usage(&[WHOLE.to_owned(), r#"{"metadata":{"name":"b"}}"#.to_owned()]);
        let a = read["a"].as_ref().unwrap();
        assert_eq!(a.containers["c"]["cpu"], 15);
        assert_eq!(a.containers["c"]["memory"], 20 * 1024 * 1024 * 1000);
        assert_eq!(read.get("b"), None);
        for odd in [
            "\"NaN\"",
            "\"-5m\"",
            "\"1e308\"",
            "\"\"",
            "5",
            "null",
            "[]",
            "\"18446744073709551615\"",
        ] {
            let other = WHOLE.replace("\"a\"", "\"b\"");
            let read = usage(&[WHOLE.replace("\"14998879n\"", odd), other]);
            assert!(read["a"].is_err(), "{odd}");
            assert!(read["b"].is_ok(), "of another pod than {odd}");
        }
        assert!(usage_in(r#"{"items":[{"metadata":{}}]}"#).is_err());
    }

    #[test]
    fn of_several_entries_of_one_pod_the_newest_measurement_counts() {
        let of = |time: &str, cpu: &str| WHOLE.replace("00:00:00", time).replace("14998879n", cpu);
        let (old, new, bad) = (
            of("00:00:00", "1"),
            of("00:01:00", "2"),
            of("00:02:00", "NaN"),
        );
        for order in [[&old, &new, &bad], [&bad, &new, &old], [&new, &bad, &old]] {
            let read = usage(&order.map(Clone::clone));
            let one = read["a"].as_ref().unwrap();
            assert_eq!((read.len(), one.containers["c"]["cpu"]), (1, 2000));
        }
        let item = |time: &str, value: &str| {
            format!(
                r#"{{"describedObject":{{"name":"a"}},"timestamp":"2026-01-01T{time}Z","value":{value}}}"#
            )
        };
        let list =
            |all: &[String]| samples_in(&format!("{{\"items\":[{}]}}", all.join(","))).unwrap();
        let read = list(&[item("00:01:00", "\"7\""), item("00:00:00", "\"9\"")]);
        assert_eq!(read["a"].as_ref().unwrap().value, 7000);
        assert!(list(&[item("00:01:00", "7")])["a"].is_err());
    }

    #[test]
    fn a_series_that_two_scrapers_tell_counts_once() {
        let item = |labels: &str, time: &str, value: &str| {
            format!(
                r#"{{"metricLabels":{labels},"timestamp":"2026-01-01T{time}Z","value":"{value}"}}"#
            )
        };
        let sum = |all: &[String]| {
            let read = series_in(&format!("{{\"items\":[{}]}}", all.join(",")));
            read.map(|all| all.iter().map(|v| v.milli).sum::<i64>())
        };
        let (a, b) = (r#"{"queue":"a"}"#, r#"{"queue":"b"}"#);
        let twice = [
            item(a, "00:00:00", "3"),
            item(b, "00:00:00", "4"),
            item(a, "00:00:30", "5"),
        ];
        assert_eq!(sum(&twice).unwrap(), 9000);
        assert_eq!(
            sum(&[item("null", "00:00:00", "3"), item("null", "00:00:00", "3")]).unwrap(),
            6000
        );
        for odd in ["NaN", "-1", "1e308", ""] {
            assert!(
                sum(&[item(a, "00:00:00", "3"), item(b, "00:00:00", odd)]).is_err(),
                "{odd}"
            );
        }
    }
}
