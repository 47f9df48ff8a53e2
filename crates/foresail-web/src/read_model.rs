//! What a report needs to know, as plain data; `run.json` is this, and rebuilds the report.

use serde::{Deserialize, Serialize};

/// Version of the form of `run.json`.
pub const VERSION: u8 = 1;

/// A whole comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunReport {
    /// Version of this form.
    pub v: u8,
    /// What was compared.
    pub title: String,
    /// What came out, in plain words: which policy to trust, and why.
    pub headline: String,
    /// Sentences that add to the headline.
    pub notes: Vec<String>,
    /// What the policies met.
    pub workload: WorkloadReport,
    /// The promise, as it is written.
    pub slo: String,
    /// The command that gives the same report.
    pub command: String,
    /// Everything that was assumed.
    pub assumptions: Vec<Assumption>,
    /// Every policy.
    pub policies: Vec<PolicyReport>,
    /// The HPA at every setting of its frontier.
    pub frontier: Vec<FrontierPoint>,
    /// The verdict on the user's own HPA, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnReport>,
    /// Every policy beside the plain HPA; absent where that was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<PairedReport>,
    /// What one who knows the future would do; absent in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle: Option<OracleReport>,
    /// Pairs of measures that are drawn against each other instead of cost and promise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tradeoffs: Vec<Tradeoff>,
}

/// The verdict on the user's own HPA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnReport {
    /// The HPA's name.
    pub name: String,
    /// What came out, in sentences.
    pub verdict: Vec<String>,
    /// What the intervals rest on.
    pub basis: String,
    /// The HPA, the best plain one, and predicting on top of each.
    pub rows: Vec<OwnRow>,
    /// The best plain settings as a manifest to apply.
    pub manifest: String,
}

/// One line of the verdict's table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnRow {
    /// What was run.
    pub name: String,
    /// With which settings.
    pub settings: String,
    /// What a week costs.
    pub cost_a_week: Ranged,
    /// Requests that broke the promise, in percent.
    pub violations_percent: Ranged,
    /// Bootstrap weeks that kept the promise, in percent.
    pub kept_weeks_percent: Option<f64>,
    /// Cost against the user's HPA, in percent.
    pub cost_change_percent: Option<Ranged>,
    /// Broken requests against the user's HPA, in percentage points.
    pub violations_change_points: Option<Ranged>,
}

/// Every policy beside the plain HPA, on the same bootstrap weeks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairedReport {
    /// What the intervals rest on.
    pub basis: String,
    /// Settings of the plain HPA that were tried.
    pub settings: usize,
    /// One line per policy.
    pub rows: Vec<PairedRow>,
}

/// One policy beside the plain HPA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairedRow {
    /// The policy's name.
    pub name: String,
    /// Change of cost in percent.
    pub cost_change_percent: Ranged,
    /// Change of the share of requests that broke the promise, in percentage points.
    pub violations_change_points: Ranged,
    /// Bad minutes as a share of the plain HPA's, in percent; absent with several items.
    pub bad_minutes_percent: Option<Ranged>,
    /// Share of the weeks in which no plain setting was as cheap with as few violations, in percent.
    pub unmatched_weeks_percent: Option<f64>,
}

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ranged {
    /// The number.
    pub value: f64,
    /// The interval's ends, where there is one.
    pub interval: Option<(f64, f64)>,
}

/// Two measures against each other: every policy a point, a swept setting as the line to beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tradeoff {
    /// Name of its file, without an ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What a reader should see in it.
    pub caption: String,
    /// Key of the measure to the right, and the axis' name.
    pub x: (String, String),
    /// Key of the measure upwards, and the axis' name.
    pub y: (String, String),
    /// Points of the line, in the order of the swept setting: name, right, up.
    pub line: Vec<(String, f64, f64)>,
}

/// The oracle: the cheapest plans of one who knows all demand to come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OracleReport {
    /// `true` where no policy can be better in this model; else it is a reference.
    pub exact: bool,
    /// What it is, in one sentence.
    pub summary: String,
    /// Its plans, by rising cost.
    pub points: Vec<OraclePoint>,
}

/// One plan of the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OraclePoint {
    /// What it cost.
    pub cost: f64,
    /// Requests that broke the promise, in percent.
    pub violations_percent: f64,
}

/// What the policies met.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadReport {
    /// Its name.
    pub name: String,
    /// What it is, in one sentence.
    pub summary: String,
    /// Begin and end as RFC 3339.
    pub from: String,
    /// End.
    pub to: String,
    /// Begin as seconds since 1970.
    pub start_seconds: i64,
    /// Length of one bucket of the series in seconds.
    pub bucket_seconds: i64,
    /// Items that were simulated.
    pub items: usize,
    /// Requests of all items.
    pub requests: u64,
    /// Demand per bucket, mean, in requests per second.
    pub demand: Vec<f64>,
}

/// One thing that was assumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assumption {
    /// What.
    pub name: String,
    /// How much, with its unit.
    pub value: String,
    /// Which flag or file changes it.
    pub change: String,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// What it does.
    pub summary: String,
    /// What it gets to see, and when.
    pub pipeline: String,
    /// Every measure, in one order for all policies.
    pub measures: Vec<Measure>,
    /// Ready replicas per bucket, mean.
    pub ready: Vec<f64>,
    /// Replicas asked for per bucket, at its end.
    pub current: Vec<f64>,
    /// Demand per bucket that fills the ready replicas' CPU requests, in requests per second.
    pub capacity: Vec<f64>,
    /// Requests per bucket that broke the promise.
    pub violations: Vec<f64>,
    /// Share of requests that waited longer, by milliseconds: the tail of the distribution.
    pub wait_tail: Vec<(f64, f64)>,
    /// Explanations to show on hover: bucket and text; the largest change of each bucket.
    pub told: Vec<(usize, String)>,
    /// The archetypes of the first item's demand over time, for policies that tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archetypes: Vec<ArchetypeRun>,
}

/// An archetype that is in force from a bucket on, until the next one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArchetypeRun {
    /// The first bucket.
    pub from: usize,
    /// Its name; empty while none is known.
    pub archetype: String,
    /// Its probability in whole percent.
    pub confidence_percent: u8,
}

impl PolicyReport {
    /// One measure by its key.
    #[must_use]
    pub fn measure(&self, key: &str) -> Option<f64> {
        self.measures.iter().find(|m| m.key == key).map(|m| m.value)
    }
}

/// One measured number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measure {
    /// Its key in `summary.csv`, with its unit at the end.
    pub key: String,
    /// Its name for people.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// The number; none where nothing could be measured, written `null`.
    #[serde(deserialize_with = "number_or_none")]
    pub value: f64,
    /// Digits after the point.
    pub digits: usize,
    /// Whether less or more of it is better; neither for plain facts.
    pub better: Better,
}

/// JSON has no NaN: `null` stands for it.
fn number_or_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::NAN))
}

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// A plain fact.
    Neither,
}

/// The HPA at one setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FrontierPoint {
    /// CPU utilization that is aimed at, in percent.
    pub target_percent: u32,
    /// Down window in seconds.
    pub down_window_seconds: i32,
    /// What it cost.
    pub cost: f64,
    /// Requests that broke the promise, in percent.
    pub violations_percent: f64,
}

/// Points that no other point beats in both, by rising cost.
#[must_use]
pub fn non_dominated(points: &[FrontierPoint]) -> Vec<&FrontierPoint> {
    let mut sorted: Vec<_> = points.iter().collect();
    sorted.sort_by(|a, b| {
        a.cost
            .total_cmp(&b.cost)
            .then(a.violations_percent.total_cmp(&b.violations_percent))
    });
    let mut best = f64::INFINITY;
    sorted.retain(|p| {
        let keep = p.violations_percent < best;
        if keep {
            best = p.violations_percent;
        }
        keep
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_without_a_number_is_read_as_it_was_written() {
        let measure = Measure {
            key: "regret".to_owned(),
            name: String::new(),
            meaning: String::new(),
            value: f64::NAN,
            digits: 2,
            better: Better::Lower,
        };
        let text = serde_json::to_string(&measure).unwrap();
        let read: Measure = serde_json::from_str(&text).unwrap();
        assert!(read.value.is_nan() && text.contains("null"), "{text}");
    }

    #[test]
    fn dominated_points_are_left_out() {
        let point = |cost, violations_percent| FrontierPoint {
            target_percent: 0,
            down_window_seconds: 0,
            cost,
            violations_percent,
        };
        let points = [
            point(3.0, 1.0),
            point(1.0, 5.0),
            point(2.0, 6.0),
            point(4.0, 1.0),
        ];
        let kept: Vec<_> = non_dominated(&points).iter().map(|p| p.cost).collect();
        assert_eq!(kept, [1.0, 3.0]);
    }
}
