//! The kubelet's `/metrics/resource` as samples of containers and of their node.
//!
//! Source: kubernetes KEP-727, resource metrics endpoint: `container_cpu_usage_seconds_total`,
//! `container_memory_working_set_bytes`, `node_cpu_usage_seconds_total`, `node_memory_working_set_bytes`.

use std::collections::BTreeMap;

use foresail_core::quantity::time::Timestamp;

use super::{CpuStat, CpuUsage, MemoryStat, Stat};

/// How names of nodes begin.
pub const NODE: &str = "node/";

/// The most samples that one answer may hold.
const SAMPLES_MAX: usize = 20_000;

/// The name under which a container's samples are kept.
#[must_use]
pub fn name_of(namespace: &str, pod: &str, container: &str) -> String {
    format!("{namespace}/{pod}/{container}")
}

/// One line of the text format: name, labels, value, and its time in milliseconds where it has one.
struct Line<'a> {
    metric: &'a str,
    labels: BTreeMap<&'a str, String>,
    value: f64,
    at: Option<i64>,
}

/// A quoted text with its escapes undone, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.strip_prefix('"')?.char_indices();
    while let Some((i, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[i + 2..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

fn labels(mut text: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut found = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((found, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = quoted(rest)?;
        found.insert(name.trim(), value);
        text = rest;
    }
}

fn line(text: &str) -> Option<Line<'_>> {
    let end = text.find(['{', ' '])?;
    let (metric, rest) = text.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (BTreeMap::new(), rest),
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words.next()?.parse().ok()?;
    let at = match words.next() {
        Some(word) => Some(word.parse().ok()?),
        None => None,
    };
    Some(Line {
        metric,
        labels,
        value,
        at,
    })
}

/// A kubelet's answer as samples: of every container, and of its node under `node/NODE`.
///
/// A line without a time is of `now`. What is no finite number of 0 or more is no sample.
///
/// # Errors
/// The first line that is none of the text format, or an answer without a single sample.
pub fn parse(text: &str, node: &str, now: Timestamp) -> Result<Vec<Stat>, String> {
    let mut found: BTreeMap<String, Stat> = BTreeMap::new();
    for (number, written) in text.lines().enumerate() {
        if written.is_empty() || written.starts_with('#') {
            continue;
        }
        let read = line(written).ok_or_else(|| format!("line {}: not a metric", number + 1))?;
        take(&mut found, &read, node, now);
        if found.len() > SAMPLES_MAX {
            return Err(format!("more than {SAMPLES_MAX} containers on one node"));
        }
    }
    if found.is_empty() {
        return Err("no container and no node in it".to_owned());
    }
    Ok(found.into_values().collect())
}

fn take(found: &mut BTreeMap<String, Stat>, line: &Line<'_>, node: &str, now: Timestamp) {
    let (is_cpu, is_node) = match line.metric {
        "container_cpu_usage_seconds_total" => (true, false),
        "container_memory_working_set_bytes" => (false, false),
        "node_cpu_usage_seconds_total" => (true, true),
        "node_memory_working_set_bytes" => (false, true),
        _ => return,
    };
    if !line.value.is_finite() || line.value < 0.0 {
        return;
    }
    let label = |name: &str| line.labels.get(name).map(String::as_str);
    let name = match (label("namespace"), label("pod"), label("container")) {
        _ if is_node => format!("{NODE}{node}"),
        (Some(namespace), Some(pod), Some(container)) => name_of(namespace, pod, container),
        _ => return,
    };
    let at = line.at.and_then(|ms| ms.checked_mul(1_000_000));
    let stat = found.entry(name.clone()).or_insert_with(|| Stat {
        name,
        timestamp: at.map_or(now, Timestamp::from_nanos),
        cpu: None,
        memory: None,
        ts: 0.0,
        rest: serde_json::Map::new(),
    });
    if is_cpu {
        let total = (line.value * 1e9) as u64;
        stat.cpu = Some(CpuStat {
            usage: CpuUsage { total },
        });
        // The rate is one of the processor: its time is the sample's.
        stat.timestamp = at.map_or(now, Timestamp::from_nanos);
    } else {
        let working_set = line.value as u64;
        stat.memory = Some(MemoryStat { working_set });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelets_answer_is_samples_of_containers_and_of_the_node() {
        let text = "# HELP x y\n# TYPE container_cpu_usage_seconds_total counter\n\
            container_cpu_usage_seconds_total{container=\"main\",namespace=\"shop\",pod=\"web-1\"} 1.5 1700000000123\n\
            container_memory_working_set_bytes{container=\"main\",namespace=\"shop\",pod=\"web-1\"} 1.048576e+06 1700000000123\n\
            container_start_time_seconds{container=\"main\",namespace=\"shop\",pod=\"web-1\"} 1.6e9\n\
            node_cpu_usage_seconds_total 12.25 1700000000123\nnode_memory_working_set_bytes NaN\n\
            scrape_error 0\n";
        let all = parse(text, "n1", Timestamp::from_seconds(5)).unwrap();
        let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["node/n1", "shop/web-1/main"]);
        assert_eq!(all[1].cpu.as_ref().unwrap().usage.total, 1_500_000_000);
        assert_eq!(all[1].memory.as_ref().unwrap().working_set, 1 << 20);
        assert_eq!(
            all[1].timestamp,
            Timestamp::from_nanos(1_700_000_000_123_000_000)
        );
        assert_eq!(all[0].memory, None, "NaN is no measurement");
    }

    #[test]
    fn escapes_are_undone_and_nonsense_is_refused_with_its_line() {
        let (text, rest) = quoted(r#""a\"b\\c\nd",x"#).unwrap();
        assert_eq!((text.as_str(), rest), ("a\"b\\c\nd", ",x"));
        let bad = parse(
            "# fine\nnode_cpu_usage_seconds_total one\n",
            "n",
            Timestamp::default(),
        );
        assert_eq!(bad.unwrap_err(), "line 2: not a metric");
        assert!(parse("up 1\n", "n", Timestamp::default()).is_err());
    }
}
