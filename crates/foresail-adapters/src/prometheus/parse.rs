//! Prometheus' JSON answers, read as they stream in.
//!
//! Of many series only the first one's points and the first few label sets are kept, so that an
//! answer never costs more memory than one series.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::SERIES_NAMED_MAX;

/// The labels of one series.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value of one label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Display for Labels {
    /// `name{a="b"}`, as PromQL writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.0.get("__name__") {
            f.write_str(name)?;
        }
        let others = self.0.iter().filter(|(k, _)| *k != "__name__");
        let pairs: Vec<_> = others.map(|(k, v)| format!("{k}={v:?}")).collect();
        write!(f, "{{{}}}", pairs.join(","))
    }
}

/// One point as it stands in the answer: Unix seconds and the value.
type Raw = (f64, f64);

/// What an answer holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// `true` where the server says `success`.
    pub success: bool,
    /// `vector`, `matrix`, `scalar` or `string`.
    pub kind: String,
    /// Number of series.
    pub series: u64,
    /// Label sets of the first ones.
    pub labels: Vec<Labels>,
    /// The points of the first series: time in Unix seconds and value, which may be NaN or ±Inf.
    pub points: Vec<(f64, f64)>,
    /// What the server warns of.
    pub warnings: Vec<String>,
    /// The server's own word for what is wrong.
    pub error: Option<String>,
}

/// Reads one answer.
///
/// # Errors
/// Where the bytes are no JSON of Prometheus' form.
pub fn parse(bytes: impl Read) -> Result<Found, serde_json::Error> {
    let Body {
        status,
        data,
        warnings,
        error,
        error_type,
    } = serde_json::from_reader(bytes)?;
    let error = error.map(|e| error_type.map_or(e.clone(), |t| format!("{t}: {e}")));
    let data = data.unwrap_or_default();
    Ok(Found {
        success: status == "success",
        kind: data.kind,
        series: data.result.count,
        labels: data.result.labels,
        points: data.result.points,
        warnings: warnings.unwrap_or_default(),
        error,
    })
}

/// Every series of an answer to a range query, for those who ask about many things at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Every {
    pub(super) success: bool,
    /// Labels and points: time in Unix seconds and value, which may be NaN or ±Inf.
    pub(super) series: Vec<(Labels, Vec<(f64, f64)>)>,
    pub(super) error: Option<String>,
}

/// Reads one answer whole: its size is bounded by whoever reads it in.
pub(super) fn parse_every<R: Read>(bytes: R) -> Result<Every, serde_json::Error> {
    let body: EveryBody = serde_json::from_reader(bytes)?;
    let told = body.error.map(|e| match body.error_type {
        Some(kind) => format!("{kind}: {e}"),
        None => e,
    });
    let line = |line: EveryLine| {
        let points = line.values.into_iter().map(|p| p.0).collect();
        (line.metric, points)
    };
    let lines = body.data.map(|d| d.result).unwrap_or_default();
    Ok(Every {
        success: body.status == "success",
        series: lines.into_iter().map(line).collect(),
        error: told,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EveryBody {
    status: String,
    #[serde(default)]
    data: Option<EveryData>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
}

#[derive(Deserialize)]
struct EveryData {
    #[serde(default)]
    result: Vec<EveryLine>,
}

#[derive(Deserialize)]
struct EveryLine {
    #[serde(default)]
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_type: Option<String>,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(default, rename = "resultType")]
    kind: String,
    #[serde(default)]
    result: Kept,
}

/// The `result`, of whichever type.
#[derive(Default)]
struct Kept {
    count: u64,
    labels: Vec<Labels>,
    points: Vec<Raw>,
}

/// An element of `result`: a series, or half of a scalar.
enum Element {
    Series(Option<Labels>, Vec<Raw>),
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ResultVisitor)
    }
}

struct ResultVisitor;

impl<'de> Visitor<'de> for ResultVisitor {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of series, or a scalar")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kept, A::Error> {
        let mut found = Kept::default();
        let mut time = None;
        loop {
            let wanted = Wanted {
                labels: found.labels.len() < SERIES_NAMED_MAX,
                points: found.count == 0,
            };
            let Some(element) = seq.next_element_seed(wanted)? else {
                return Ok(found);
            };
            match element {
                Element::Series(labels, points) => {
                    found.count += 1;
                    found.labels.extend(labels);
                    if found.count == 1 {
                        found.points = points;
                    }
                }
                Element::Number(at) => time = Some(at),
                Element::Text(text) => {
                    if let (Some(at), Ok(value)) = (time, number(&text)) {
                        found.count = 1;
                        found.points = vec![(at, value)];
                    }
                }
            }
        }
    }
}

/// What is kept of an element; the rest is read over.
struct Wanted {
    labels: bool,
    points: bool,
}

impl<'de> DeserializeSeed<'de> for Wanted {
    type Value = Element;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Wanted {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series, a time or a value")
    }

    fn visit_f64<E>(self, value: f64) -> Result<Element, E> {
        Ok(Element::Number(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_str<E>(self, value: &str) -> Result<Element, E> {
        Ok(Element::Text(value.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        let (mut labels, mut points) = (None, Vec::new());
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "metric" if self.labels => labels = Some(map.next_value()?),
                "value" if self.points => points = vec![map.next_value::<Point>()?.0],
                "values" if self.points => {
                    let values: Vec<Point> = map.next_value()?;
                    points = values.into_iter().map(|p| p.0).collect();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Element::Series(labels, points))
    }
}

/// `[1700000000.5, "1.25"]`.
struct Point(Raw);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, text) = <(f64, std::borrow::Cow<'_, str>)>::deserialize(deserializer)?;
        let value = number(&text).map_err(|()| de::Error::custom("a value is no number"))?;
        Ok(Self((at, value)))
    }
}

/// A value as Prometheus writes it: `NaN`, `+Inf` and `-Inf` are values too.
fn number(text: &str) -> Result<f64, ()> {
    text.parse().map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_series_a_scalar_and_nothing_are_told_apart() {
        let one = found(
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","a":"b"},"value":[10.5,"3"]}]}}"#,
        );
        assert_eq!(
            (one.series, &one.points[..]),
            (1, &[(10.5, 3.0)][..]),
            "{one:?}"
        );
        assert_eq!(one.labels[0].to_string(), r#"up{a="b"}"#);
        let scalar =
            found(r#"{"status":"success","data":{"resultType":"scalar","result":[10,"2.5"]}}"#);
        assert_eq!((scalar.series, &scalar.points[..]), (1, &[(10.0, 2.5)][..]));
        let none = found(r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#);
        assert_eq!((none.series, none.points.len()), (0, 0));
    }

    #[test]
    fn of_many_series_only_the_first_is_kept() {
        let many: Vec<String> = (0..50)
            .map(|i| format!(r#"{{"metric":{{"pod":"p{i}"}},"values":[[1,"{i}"],[2,"NaN"]]}}"#))
            .collect();
        let all = found(&format!(
            r#"{{"data":{{"result":[{}],"resultType":"matrix"}},"status":"success","warnings":["w"]}}"#,
            many.join(",")
        ));
        assert_eq!((all.series, all.labels.len(), all.points.len()), (50, 3, 2));
        assert!(all.points[1].1.is_nan());
        assert_eq!(all.warnings, ["w"]);
    }

    #[test]
    fn every_series_is_kept_where_it_is_asked_for() {
        let text = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"pod":"a"},"values":[[1,"2"],[2,"NaN"]]},{"metric":{"pod":"b"},"values":[[2,"3"]]}]}}"#;
        let every = parse_every(text.as_bytes()).unwrap();
        assert!(every.success);
        let pods: Vec<_> = every
            .series
            .iter()
            .map(|(l, p)| (l.get("pod"), p.len()))
            .collect();
        assert_eq!(pods, [(Some("a"), 2), (Some("b"), 1)]);
        let none = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(parse_every(none.as_bytes()).unwrap().series, []);
        let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        let error = parse_every(error.as_bytes()).unwrap();
        assert!(!error.success && error.error.as_deref() == Some("bad_data: parse error"));
        assert!(parse_every(&b"<html>"[..]).is_err());
    }

    #[test]
    fn the_servers_own_error_is_kept() {
        let error = found(r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#);
        assert!(!error.success);
        assert_eq!(error.error.as_deref(), Some("bad_data: parse error"));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in [
            "",
            "<html>",
            "[]",
            r#"{"status":"success","data":{"result":[{"values":[[1,"x"]]}]}}"#,
            r#"{"status":"success","data":{"result":[{"values":[[1"#,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let _ = parse(bytes);
        });
    }
}
