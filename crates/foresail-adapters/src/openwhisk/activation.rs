//! Activation records as a table: cold start, overhead, execution, storage, CPU time.
//!
//! The columns are those of the published helper, with what it computed and then dropped kept, in
//! milliseconds; `cpu_time` is cores times duration. A failed activation is counted apart and never
//! taken for a fast one; a sequence has no CPU of its own.
//! Source: the published AQUATOPE code, `helpers/process_data.py`; Apache OpenWhisk, activation record.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};

use foresail_core::quantity::units::larger;
use serde::Deserialize;
use serde_json::Value;

/// The longest record, in bytes.
const LINE_MAX: u64 = 4 << 20;

/// The most records of one report.
const RECORDS_MAX: usize = 1_000_000;

/// Why a record was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivationError {
    /// The file cannot be read.
    #[error("the activations cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A line that is no record.
    #[error(
        "line {line}: {why}; give one activation record a line, a JSON object each (`jq -c .` writes them so)"
    )]
    Record {
        /// Its number, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// More than a report takes.
    #[error("more than {RECORDS_MAX} records; report them in parts")]
    TooMany,
}

#[derive(Deserialize)]
struct Annotation {
    key: String,
    value: Value,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "statusCode")]
    status_code: Option<i64>,
    success: Option<bool>,
    #[serde(default)]
    result: Value,
}

/// A record, as far as it is read; other fields are left alone.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "activationId")]
    activation_id: Option<String>,
    name: Option<String>,
    start: f64,
    end: Option<f64>,
    duration: Option<f64>,
    #[serde(rename = "cpuUtil")]
    cpu_util: Option<f64>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    logs: Vec<String>,
    response: Response,
}

/// One activation. Units: cores and milliseconds; absent = the record does not tell, or contradicts
/// itself: no time is negative, and none beyond its begin and end.
#[derive(Clone, Debug, PartialEq)]
pub struct Activation {
    /// Its id; empty where the record has none.
    pub id: String,
    /// When it began, in milliseconds of the epoch.
    pub began: f64,
    /// When it ended, in milliseconds of the epoch.
    pub ended: f64,
    /// Of a sequence, the ids of what it ran, in their order.
    pub components: Vec<String>,
    /// Path of the action, else its name.
    pub action: String,
    /// CPU limit.
    pub cpu: Option<f64>,
    /// CPU that was used, as the record has it.
    pub cpu_util: Option<f64>,
    /// From begin to end.
    pub duration: f64,
    /// Time to initialise a new container; 0 where it was warm.
    pub cold_start: f64,
    /// From the begin to the begin of the function's own code.
    pub start: Option<f64>,
    /// From the end of its own code to the end.
    pub end: Option<f64>,
    /// Its own code without storage.
    pub exec: Option<f64>,
    /// Reading from storage.
    pub get: Option<f64>,
    /// Writing to storage.
    pub put: Option<f64>,
    /// `false` where it failed.
    pub success: bool,
    /// `true` for a sequence or a composition.
    pub sequence: bool,
}

impl Activation {
    /// Reads one record.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let record: Record = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let annotation = |key: &str| {
            let found = record.annotations.iter().find(|a| a.key == key);
            found.map(|a| &a.value)
        };
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        let duration = record
            .duration
            .or_else(|| record.end.map(|end| end - record.start))
            .filter(|d| d.is_finite() && *d >= 0.0)
            .ok_or("it has neither a duration nor an end after its start")?;
        let sequence = annotation("kind").and_then(Value::as_str) == Some("sequence");
        let limits = annotation("limits");
        let cpu = number(limits.and_then(|l| l.get("cpu"))).filter(|_| !sequence);
        let times = record.response.result.get("timestamps");
        let time = |key: &str| number(times.and_then(|t| t.get(key))).filter(|t| *t >= 0.0);
        let (began, ended) = (time("main_start_ms"), time("main_end_ms"));
        let (get, put) = (time("minio_get_ms"), time("minio_put_ms"));
        let end = record.end.unwrap_or(record.start + duration);
        let within = |time: f64| (0.0..=duration).contains(&time).then_some(time);
        let own = began.zip(ended).map(|(b, e)| e - b);
        let own = own.map(|own| own - get.unwrap_or(0.0) - put.unwrap_or(0.0));
        let path = annotation("path").and_then(Value::as_str);
        // Either of the two tells of a failure.
        let answer = &record.response;
        let success =
            answer.status_code.is_none_or(|code| code == 0) && answer.success.unwrap_or(true);
        Ok(Self {
            id: record.activation_id.unwrap_or_default(),
            began: record.start,
            ended: end,
            components: if sequence { record.logs } else { Vec::new() },
            action: path.map(str::to_owned).or(record.name).unwrap_or_default(),
            cpu,
            cpu_util: record.cpu_util,
            duration,
            cold_start: number(annotation("initTime")).unwrap_or(0.0),
            start: began.and_then(|b| within(b - record.start)),
            end: ended.and_then(|e| within(end - e)),
            exec: own.and_then(within),
            get,
            put,
            success,
            sequence,
        })
    }

    /// From its begin to its end, in milliseconds; of a sequence the pauses between its components
    /// too, which its `duration` leaves out.
    #[must_use]
    pub fn lasted(&self) -> f64 {
        larger(self.ended - self.began, self.duration)
    }

    /// Cores times milliseconds.
    #[must_use]
    pub fn cpu_time(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu * self.duration)
    }
}

/// Reads records, one a line; empty lines are left out.
///
/// # Errors
/// [`ActivationError`] with the line that is none.
pub fn read(mut source: impl BufRead) -> Result<Vec<Activation>, ActivationError> {
    let mut all = Vec::new();
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        let wrong = |why: String| ActivationError::Record { line, why };
        let bytes = source.by_ref().take(LINE_MAX + 1).read_line(&mut text)?;
        if bytes as u64 > LINE_MAX {
            return Err(wrong(format!("it has more than {LINE_MAX} bytes")));
        }
        if bytes == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        if all.len() >= RECORDS_MAX {
            return Err(ActivationError::TooMany);
        }
        all.push(Activation::parse(&text).map_err(wrong)?);
    }
    Ok(all)
}

/// The activations of one action at one CPU limit. Units: as in [`Activation`], means.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Which action.
    pub action: String,
    /// Its CPU limit.
    pub cpu: Option<f64>,
    /// CPU that was used.
    pub cpu_util: Option<f64>,
    /// From begin to end.
    pub duration: f64,
    /// Time to initialise, warm ones counted as 0.
    pub cold_start: f64,
    /// Execution without storage.
    pub exec: Option<f64>,
    /// Reading from storage.
    pub get: Option<f64>,
    /// Writing to storage.
    pub put: Option<f64>,
    /// Cores times milliseconds, summed up.
    pub cpu_time: Option<f64>,
    /// Activations.
    pub concurrency: usize,
    /// Those that were cold.
    pub cold: usize,
    /// Those that failed, which no mean counts.
    pub failed: usize,
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_usize, 0.0), |(n, sum), v| (n + 1, sum + v));
    (count > 0).then(|| sum / count as f64)
}

/// Means by action and CPU limit, in their order; a sequence is none of them.
#[must_use]
pub fn groups(all: &[Activation]) -> Vec<Group> {
    let mut by: BTreeMap<(&str, i64), Vec<&Activation>> = BTreeMap::new();
    for activation in all.iter().filter(|a| !a.sequence) {
        // Thousandths of a core, as limits are written.
        let cpu = activation.cpu.map_or(-1, |c| (c * 1000.0).round() as i64);
        by.entry((&activation.action, cpu))
            .or_default()
            .push(activation);
    }
    let group = |((action, _), members): ((&str, i64), Vec<&Activation>)| {
        let good: Vec<&&Activation> = members.iter().filter(|a| a.success).collect();
        let of = |value: fn(&Activation) -> Option<f64>| mean(good.iter().filter_map(|a| value(a)));
        let cpu_times: Vec<f64> = good.iter().filter_map(|a| a.cpu_time()).collect();
        Group {
            action: action.to_owned(),
            cpu: members[0].cpu,
            cpu_util: of(|a| a.cpu_util),
            duration: of(|a| Some(a.duration)).unwrap_or(f64::NAN),
            cold_start: of(|a| Some(a.cold_start)).unwrap_or(f64::NAN),
            exec: of(|a| a.exec),
            get: of(|a| a.get),
            put: of(|a| a.put),
            cpu_time: (!cpu_times.is_empty()).then(|| cpu_times.iter().sum()),
            concurrency: good.len(),
            cold: good.iter().filter(|a| a.cold_start > 0.0).count(),
            failed: members.len() - good.len(),
        }
    };
    by.into_iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with the fields of OpenWhisk's documentation and the published functions' answer.
    fn record(cpu: f64, cold: Option<u32>, status: u32) -> String {
        let cold = cold.map_or(String::new(), |ms| {
            format!(r#",{{"key":"initTime","value":{ms}}}"#)
        });
        format!(
            r#"{{"activationId":"0a","name":"resize","namespace":"guest","start":1000,"end":1500,"duration":500,"cpuUtil":0.6,
            "annotations":[{{"key":"path","value":"guest/resize"}},{{"key":"kind","value":"blackbox"}},
            {{"key":"limits","value":{{"cpu":{cpu},"memory":256,"timeout":60000}}}}{cold}],
            "response":{{"statusCode":{status},"success":{ok},"result":{{"timestamps":{{"main_start_ms":1120,"main_end_ms":1480,"minio_get_ms":100,"minio_put_ms":60}}}}}}}}"#,
            ok = status == 0
        )
        .replace('\n', "")
    }

    #[test]
    fn a_record_is_split_as_the_published_helper_splits_it() {
        let got = Activation::parse(&record(2.0, Some(120), 0)).unwrap();
        assert_eq!(got.action, "guest/resize");
        assert_eq!((got.duration, got.cold_start), (500.0, 120.0));
        assert_eq!((got.start, got.end), (Some(120.0), Some(20.0)));
        assert_eq!(
            (got.get, got.put, got.exec),
            (Some(100.0), Some(60.0), Some(200.0))
        );
        assert_eq!(got.cpu_time(), Some(1000.0));
        // The parts are the whole.
        let parts = [got.start, got.get, got.exec, got.put, got.end];
        let sum: f64 = parts.into_iter().flatten().sum();
        assert!((sum - got.duration).abs() < 1e-9);
    }

    #[test]
    fn means_are_by_action_and_limit_and_failures_are_none_of_them() {
        let lines = [
            record(1.0, Some(100), 0),
            record(1.0, None, 0),
            record(1.0, None, 2),
            record(2.0, None, 0),
        ];
        let all = read(lines.join("\n").as_bytes()).unwrap();
        let groups = groups(&all);
        assert_eq!(groups.len(), 2);
        assert_eq!(
            (groups[0].concurrency, groups[0].cold, groups[0].failed),
            (2, 1, 1)
        );
        assert_eq!(
            (groups[0].cold_start, groups[0].cpu_time),
            (50.0, Some(1000.0))
        );
        assert_eq!(groups[1].cpu, Some(2.0));
    }

    #[test]
    fn a_sequence_has_no_cpu_and_what_is_not_told_is_absent() {
        let text = r#"{"name":"pipeline","start":0,"duration":700,"annotations":[{"key":"kind","value":"sequence"},{"key":"limits","value":{"cpu":1,"memory":256}}],"response":{"success":true}}"#;
        let got = Activation::parse(text).unwrap();
        assert!(got.sequence && got.cpu.is_none() && got.exec.is_none() && got.get.is_none());
        assert!(groups(&[got]).is_empty());
    }

    #[test]
    fn times_that_contradict_each_other_are_absent() {
        let of = |began: f64, ended: f64, get: f64| {
            let text = format!(
                r#"{{"name":"f","start":1000,"end":1500,"response":{{"result":{{"timestamps":{{"main_start_ms":{began},"main_end_ms":{ended},"minio_get_ms":{get}}}}}}}}}"#
            );
            let got = Activation::parse(&text).unwrap();
            (got.start, got.end, got.exec, got.get)
        };
        let own = of(1100.0, 1400.0, 50.0);
        assert_eq!(own, (Some(100.0), Some(100.0), Some(250.0), Some(50.0)));
        // Began before the activation, ended after it.
        assert_eq!(of(900.0, 1400.0, 0.0).0, None);
        assert_eq!(of(1100.0, 1600.0, 0.0).1, None);
        // Storage took longer than all of its own code; ended before it began.
        assert_eq!(of(1100.0, 1400.0, 301.0).2, None);
        assert_eq!(of(1400.0, 1100.0, 0.0).2, None);
        assert_eq!(of(1100.0, 1400.0, -1.0).3, None);
    }

    #[test]
    fn either_of_status_and_success_tells_of_a_failure() {
        let of = |response: &str| {
            let text = format!(r#"{{"name":"f","start":0,"end":1,"response":{response}}}"#);
            Activation::parse(&text).unwrap().success
        };
        assert!(of("{}") && of(r#"{"statusCode":0,"success":true}"#));
        for failed in [
            r#"{"statusCode":0,"success":false}"#,
            r#"{"statusCode":2,"success":true}"#,
            r#"{"statusCode":1}"#,
            r#"{"success":false}"#,
        ] {
            assert!(!of(failed), "{failed}");
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let lines = format!("{}\n\nnothing\n", record(1.0, None, 0));
        let error = read(lines.as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with("line 3: ") && error.contains("jq -c ."),
            "{error}"
        );
        let error = Activation::parse(r#"{"start":5,"end":2,"response":{}}"#).unwrap_err();
        assert!(error.contains("duration"), "{error}");
    }
}
