//! Advisers that follow a script: no language model, and told as such wherever they appear.
//!
//! They write the JSON that a model is asked for and go through the same reader, so that a rehearsal
//! exercises all of it. The one that is meant to be of use is `trend`; the others misbehave on purpose.

use std::time::Duration;

use foresail_adapters::llm::{
    Answered, Ask, Attempt, Breaker, Failure, Prompt, Question, Row, Rung, Tokens, answer,
};
use foresail_core::quantity::units::larger;
use serde_json::json;

/// One script of the list.
#[derive(Clone, Copy, Debug)]
pub struct Script {
    /// Its name.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    says: fn(&Question) -> Says,
}

/// What is said.
enum Says {
    /// These words.
    Words(String),
    /// Nothing: nobody can be reached.
    Nothing,
}

/// Every script.
pub static SCRIPTS: [Script; 9] = [
    Script {
        name: "trend",
        summary: "adds or takes away by how CPU of all pods has moved over the last rows",
        says: |q| trend(q),
    },
    Script {
        name: "steady",
        summary: "always no change",
        says: |_| words("as it is", 0, 80),
    },
    Script {
        name: "up",
        summary: "always two more",
        says: |_| words("more is safer", 2, 90),
    },
    Script {
        name: "down",
        summary: "always two fewer",
        says: |_| words("less is cheaper", -2, 90),
    },
    Script {
        name: "wild",
        summary: "always nine more, which are cut to two",
        says: |_| words("nine more", 9, 100),
    },
    Script {
        name: "formula",
        summary: "no change, for a reason that a spreadsheet would run",
        says: |_| words("=HYPERLINK(\"http://localhost\")", 0, 50),
    },
    Script {
        name: "fenced",
        summary: "one more, in a fence and among words",
        says: |_| match words("a little more", 1, 70) {
            Says::Words(text) => Says::Words(format!("Here you are:\n```json\n{text}\n```")),
            nothing @ Says::Nothing => nothing,
        },
    },
    Script {
        name: "garbage",
        summary: "never any JSON",
        says: |_| Says::Words("I would scale up a bit.".to_owned()),
    },
    Script {
        name: "fail",
        summary: "never answers",
        says: |_| Says::Nothing,
    },
];

fn words(reasoning: &str, delta: i64, confidence: u32) -> Says {
    let all = json!({"reasoning": reasoning, "delta": delta, "confidence_pct": confidence});
    Says::Words(all.to_string())
}

/// Growth of CPU per pod from which on one replica is added or taken away, and two.
const GROWTH: (f64, f64) = (0.2, 0.6);

/// CPU of all pods in the last two rows against that in the two before: CPU of one pod falls with every
/// replica that is added, which is no trend.
fn trend(question: &Question) -> Says {
    let all = |r: &Row| Some(r.cpu_milli? * f64::from(r.pods?));
    let cpu: Vec<f64> = question.rows.iter().filter_map(all).collect();
    let Some([a, b, c, d]) = cpu.last_chunk::<4>().copied() else {
        return words("too few rows for a trend", 0, 50);
    };
    let (before, now) = ((a + b) / 2.0, (c + d) / 2.0);
    let growth = (now - before) / larger(before, 1.0);
    let delta = match growth {
        g if g > GROWTH.1 => 2,
        g if g > GROWTH.0 => 1,
        g if g < -GROWTH.1 => -2,
        g if g < -GROWTH.0 => -1,
        _ => 0,
    };
    let sure = 50.0
        + 45.0
            * if growth.abs() < 1.0 {
                growth.abs()
            } else {
                1.0
            };
    let reasoning = format!("CPU of all pods went from {before:.0} m to {now:.0} m");
    words(&reasoning, delta, sure as u32)
}

/// A script as an adviser.
#[derive(Clone, Debug)]
pub struct Scripted {
    script: Script,
    latency: Duration,
    breaker: Breaker,
}

impl Scripted {
    /// The adviser of a script that answers after `latency` of simulated time.
    #[must_use]
    pub fn new(script: Script, latency: Duration) -> Self {
        Self {
            script,
            latency,
            breaker: Breaker::default(),
        }
    }

    /// The script of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Script> {
        SCRIPTS.into_iter().find(|s| s.name == name)
    }
}

impl Ask for Scripted {
    fn ask(&mut self, question: &Question, _deadline: Duration) -> Answered {
        let hash = Prompt::of(question).hash().as_str().to_owned();
        if let Err((failures, left)) = self.breaker.admit() {
            return Answered::untried(hash, Failure::Open { failures, left });
        }
        let latency_ms = u64::try_from(self.latency.as_millis()).unwrap_or(u64::MAX);
        let (raw, read) = match (self.script.says)(question) {
            Says::Words(text) => {
                let read = answer::parse(&text).map_err(Failure::BadAnswer);
                (Some(text), read)
            }
            Says::Nothing => {
                let why = "the script never answers".to_owned();
                (None, Err(Failure::Unreachable { why }))
            }
        };
        self.breaker.tell(read.is_ok());
        let attempt = Attempt {
            rung: Rung::JsonSchema,
            raw,
            failure: read.as_ref().err().cloned(),
            latency_ms,
            tokens: Tokens::default(),
        };
        Answered {
            question: hash,
            failure: read.as_ref().err().cloned(),
            answer: read.ok(),
            rung: Some(Rung::JsonSchema),
            attempts: vec![attempt],
            latency_ms,
            tokens: Tokens::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(cpu: &[f64]) -> Question {
        let row = |c: &f64| Row {
            cpu_milli: Some(*c),
            pods: Some(1),
            ..Row::default()
        };
        Question {
            rows: cpu.iter().map(row).collect(),
            ..Question::default()
        }
    }

    fn delta(script: &str, cpu: &[f64]) -> Option<i32> {
        let script = Scripted::named(script).unwrap();
        let mut adviser = Scripted::new(script, Duration::from_secs(1));
        let told = adviser.ask(&question(cpu), Duration::from_secs(15));
        told.answer.map(|a| a.delta)
    }

    /// By hand: from 20 to 25 is a quarter more, to 40 twice as much, and the other way round.
    #[test]
    fn the_trend_is_that_of_the_last_four_rows() {
        assert_eq!(delta("trend", &[20.0, 20.0, 25.0, 25.0]), Some(1));
        assert_eq!(delta("trend", &[900.0, 20.0, 20.0, 40.0, 40.0]), Some(2));
        assert_eq!(delta("trend", &[20.0, 20.0, 21.0, 22.0]), Some(0));
        assert_eq!(delta("trend", &[40.0, 40.0, 28.0, 28.0]), Some(-1));
        assert_eq!(delta("trend", &[40.0, 40.0, 4.0, 4.0]), Some(-2));
        assert_eq!(delta("trend", &[40.0]), Some(0));
        assert_eq!(delta("trend", &[0.0, 0.0, 0.0, 0.0]), Some(0));
    }

    #[test]
    fn scripts_go_through_the_reader_of_models() {
        assert_eq!(delta("wild", &[]), Some(2), "cut to what is allowed");
        assert_eq!(delta("fenced", &[]), Some(1));
        assert_eq!(delta("garbage", &[]), None);
        let mut failing = Scripted::new(Scripted::named("fail").unwrap(), Duration::ZERO);
        let mut ask = || failing.ask(&question(&[]), Duration::ZERO).failure;
        for _ in 0..3 {
            assert!(matches!(ask(), Some(Failure::Unreachable { .. })));
        }
        assert!(matches!(ask(), Some(Failure::Open { .. })));
    }
}
