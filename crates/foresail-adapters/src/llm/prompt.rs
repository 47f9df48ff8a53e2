//! The prompt of a question: the same bytes for the same question.
//!
//! Many endpoints do not show the model the schema that they hold it to, so keys, types and ranges
//! stand in words too. The system message is the same for every question, so that an endpoint can
//! keep what it computed of it.

use foresail_core::engine::Hash;

use super::question::{Question, ROWS_MAX, Row};

/// The most bytes of a prompt.
pub const PROMPT_BYTES_MAX: usize = 8 << 10;

/// Rows whose mean is told beside them.
/// Source: alcocuzzi/etp, autoscaler/ollama_predictor.py.
const MEAN_ROWS: usize = 3;

/// Numbers from here on cannot be measurements of a pod and are told as unknown.
const NUMBER_MAX: f64 = 1e12;

const SYSTEM: &str = r#"You advise a Kubernetes autoscaler about one workload, w1. The autoscaler has already computed from the newest measurements how many replicas w1 needs now: the baseline. Do not compute it again. Look at the trend of the measurements and say whether w1 will need more or fewer replicas than the baseline within the horizon.
Rules:
- Answer with exactly one JSON object and nothing else: no code fence, no text before or after it, no line breaks.
- It has exactly these three keys in this order: "reasoning", "delta", "confidence_pct".
- "reasoning" is a string of at most 160 characters: one short sentence on the trend.
- "delta" is one of the whole numbers -2, -1, 0, 1, 2: what is added to the baseline.
- "confidence_pct" is a whole number from 0 to 100: how sure you are.
- Without a clear trend "delta" is 0. The baseline plus "delta" should not be below min_replicas or above max_replicas.
The form: {"reasoning":"...","delta":0,"confidence_pct":50}
In the measurements "-" means that a value is not known; it does not mean zero. The newest row is the last."#;

/// The two messages that a dialogue begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What holds for every question.
    pub system: &'static str,
    /// The question itself.
    pub user: String,
}

impl Prompt {
    /// The prompt of a question, at most [`PROMPT_BYTES_MAX`] bytes with the system message.
    #[must_use]
    pub fn of(question: &Question) -> Self {
        Self {
            system: SYSTEM,
            user: user(question),
        }
    }

    /// Names the prompt: the hash of both messages.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(format!("{}\0{}", self.system, self.user).as_bytes())
    }
}

fn user(question: &Question) -> String {
    let rows = question.rows.len().saturating_sub(ROWS_MAX);
    let rows = &question.rows[rows..];
    let mut lines = vec![
        format!("current_replicas: {}", question.current),
        format!("ready_replicas: {}", question.ready),
        format!("min_replicas: {}", question.min),
        format!("max_replicas: {}", question.max),
        format!("baseline: {}", question.baseline),
        format!("horizon_seconds: {}", question.horizon_seconds),
    ];
    lines.extend(means(question, rows));
    lines.push("measurements:".to_owned());
    lines.push(
        "age_s,cpu_m_per_pod,memory_mib_per_pod,cpu_request_m,memory_request_mib,requests_per_s,pods"
            .to_owned(),
    );
    lines.extend(rows.iter().map(line));
    lines.push("What is delta?".to_owned());
    lines.join("\n")
}

fn line(row: &Row) -> String {
    let pods = row.pods.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let cells = [
        row.cpu_milli,
        row.memory_mib,
        row.cpu_request_milli,
        row.memory_request_mib,
        row.requests_per_second,
    ];
    let cells = cells.map(number).join(",");
    format!("{},{cells},{pods}", row.age_seconds)
}

/// Targets, the means of the newest rows, and how much of the target they are.
fn means(question: &Question, rows: &[Row]) -> Vec<String> {
    let newest = &rows[rows.len().saturating_sub(MEAN_ROWS)..];
    let percent_of = |mean: Option<f64>, request: Option<f64>, target: Option<u32>| {
        let at = request? * f64::from(target?) / 100.0;
        (at > 0.0).then_some(100.0 * mean? / at)
    };
    let mut lines = Vec::new();
    let mut tell = |name: &str, value: Option<f64>| {
        if let Some(value) = value {
            lines.push(format!("{name}: {}", number(Some(value))));
        }
    };
    let cpu = mean(newest, |r| r.cpu_milli);
    let cpu_request = mean(newest, |r| r.cpu_request_milli);
    tell(
        "cpu_target_percent_of_request",
        question.cpu_target_percent.map(f64::from),
    );
    tell("cpu_mean_m", cpu);
    tell(
        "cpu_percent_of_target",
        percent_of(cpu, cpu_request, question.cpu_target_percent),
    );
    let memory = mean(newest, |r| r.memory_mib);
    let memory_request = mean(newest, |r| r.memory_request_mib);
    tell(
        "memory_target_percent_of_request",
        question.memory_target_percent.map(f64::from),
    );
    tell("memory_mean_mib", memory);
    tell(
        "memory_percent_of_target",
        percent_of(memory, memory_request, question.memory_target_percent),
    );
    tell(
        "requests_per_s_target_per_replica",
        question.requests_target,
    );
    tell(
        "requests_per_s_mean",
        mean(newest, |r| r.requests_per_second),
    );
    lines
}

/// The mean of the rows in which a value is known; `None` where it is in none.
fn mean(rows: &[Row], of: impl Fn(&Row) -> Option<f64>) -> Option<f64> {
    let known: Vec<f64> = rows
        .iter()
        .filter_map(of)
        .filter(|v| plausible(*v))
        .collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn plausible(value: f64) -> bool {
    (0.0..NUMBER_MAX).contains(&value)
}

/// Two digits; `-` for what is unknown or cannot be.
fn number(value: Option<f64>) -> String {
    let known = value.filter(|v| plausible(*v));
    known.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let row = |age_seconds, cpu| Row {
            age_seconds,
            cpu_milli: Some(cpu),
            memory_mib: Some(31.0),
            cpu_request_milli: Some(100.0),
            memory_request_mib: None,
            requests_per_second: Some(12.345),
            pods: Some(3),
        };
        Question {
            current: 3,
            ready: 2,
            min: 1,
            max: 10,
            baseline: 4,
            horizon_seconds: 300,
            cpu_target_percent: Some(60),
            memory_target_percent: Some(80),
            requests_target: None,
            rows: vec![row(60, 60.0), row(30, 70.0), row(0, 80.0)],
        }
    }

    #[test]
    fn a_question_is_told_as_pinned() {
        let want = "current_replicas: 3\nready_replicas: 2\nmin_replicas: 1\nmax_replicas: 10\nbaseline: 4\n\
            horizon_seconds: 300\ncpu_target_percent_of_request: 60.00\ncpu_mean_m: 70.00\n\
            cpu_percent_of_target: 116.67\nmemory_target_percent_of_request: 80.00\n\
            memory_mean_mib: 31.00\nrequests_per_s_mean: 12.35\nmeasurements:\n\
            age_s,cpu_m_per_pod,memory_mib_per_pod,cpu_request_m,memory_request_mib,requests_per_s,pods\n\
            60,60.00,31.00,100.00,-,12.35,3\n30,70.00,31.00,100.00,-,12.35,3\n\
            0,80.00,31.00,100.00,-,12.35,3\nWhat is delta?";
        assert_eq!(Prompt::of(&question()).user, want);
        let hash = Prompt::of(&question()).hash();
        let other = Prompt::of(&Question {
            baseline: 5,
            ..question()
        });
        assert_ne!(hash, other.hash());
    }

    #[test]
    fn what_is_unknown_is_a_dash_and_never_zero() {
        let mut asked = question();
        let row = &mut asked.rows[2];
        (row.cpu_milli, row.pods) = (Some(f64::NAN), None);
        row.requests_per_second = Some(-1.0);
        let user = Prompt::of(&asked).user;
        assert!(user.contains("\n0,-,31.00,100.00,-,-,-\n"), "{user}");
        // The mean is that of the rows in which it is known.
        assert!(user.contains("cpu_mean_m: 65.00"), "{user}");
    }

    #[test]
    fn the_newest_rows_are_told_and_the_prompt_is_bounded() {
        let extreme = Row {
            age_seconds: u32::MAX,
            cpu_milli: Some(999_999_999_999.0),
            memory_mib: Some(f64::MAX),
            cpu_request_milli: Some(1e-300),
            memory_request_mib: Some(f64::INFINITY),
            requests_per_second: Some(999_999_999_999.99),
            pods: Some(u32::MAX),
        };
        let asked = Question {
            rows: vec![extreme; 5000],
            requests_target: Some(f64::MAX),
            ..question()
        };
        let prompt = Prompt::of(&asked);
        assert_eq!(prompt.user.matches("4294967295,").count(), ROWS_MAX);
        assert!(prompt.system.len() + prompt.user.len() < PROMPT_BYTES_MAX);
    }
}
