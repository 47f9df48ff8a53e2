//! What comes and what pods are put under, as a small file.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use foresail_core::quantity::time::Span;
use foresail_sim::config::{CpuStress, MemoryStress};
use foresail_sim::experiment::scenario::Part;
use serde::{Deserialize, Serialize};

/// The largest schedule file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// The most parts of the load.
const PARTS_MAX: usize = 10_000;

/// The highest rate, in requests per second.
const RATE_MAX: f64 = 1e6;

/// Begins and ends, in seconds from the run's begin.
pub type Windows = Vec<(f64, f64)>;

/// One schedule. Times count from the begin of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Pods at the begin.
    #[serde(default = "replicas")]
    pub replicas: u32,
    /// CPU that one request costs, in milliseconds of a core.
    #[serde(default = "cpu_per_request")]
    pub cpu_per_request_millis: f64,
    /// Memory that a pod uses for itself, in MiB.
    #[serde(default = "idle")]
    pub idle_mebibytes: f64,
    /// Requests per second, part after part; a rate or a ramp.
    pub load: Vec<Part>,
    /// Busy loops in pods.
    #[serde(default)]
    pub cpu: Vec<CpuStress>,
    /// Filled memory in pods.
    #[serde(default)]
    pub memory: Vec<MemoryStress>,
}

fn replicas() -> u32 {
    super::webapp::WEBAPP.replicas
}

/// Assumed: a small page with its logging; nothing is published.
fn cpu_per_request() -> f64 {
    1.0
}

/// Assumed: nginx with its exporter; the published README reckons with about as much.
fn idle() -> f64 {
    10.0
}

impl Default for Schedule {
    /// The published README's 30 minutes: 50 requests per second, loops at five minutes, memory at
    /// thirteen, and at twenty the ramp.
    fn default() -> Self {
        let second = Span::from_seconds;
        let part = |seconds, from, to| Part {
            length: second(seconds),
            from,
            to,
        };
        Self {
            replicas: replicas(),
            cpu_per_request_millis: cpu_per_request(),
            idle_mebibytes: idle(),
            load: vec![
                part(1200, 50.0, None),
                part(120, 10.0, Some(150.0)),
                part(180, 150.0, None),
                part(300, 50.0, None),
            ],
            cpu: vec![CpuStress {
                at: second(300),
                length: second(180),
                workers: 4,
                refresh: second(15),
            }],
            memory: vec![MemoryStress {
                at: second(780),
                length: second(180),
                mebibytes: 55,
            }],
        }
    }
}

impl Schedule {
    /// Reads a schedule, TOML by its name, else JSON.
    ///
    /// # Errors
    /// Where the file cannot be read or is no schedule; the message names the place.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut text = String::new();
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
        let bytes = read.with_context(|| format!("cannot read {name}"))?;
        ensure!(
            bytes as u64 <= BYTES_MAX,
            "{name} is larger than {BYTES_MAX} bytes: that is no schedule"
        );
        let schedule: Self = if path.extension().is_some_and(|e| e == "toml") {
            toml::from_str(&text).map_err(|e| anyhow::anyhow!("{name}: {e}"))?
        } else {
            serde_json::from_str(&text)
                .map_err(|e| anyhow::anyhow!("{name}: {e}; a TOML file must end in .toml"))?
        };
        schedule.check().with_context(|| format!("{name}"))?;
        Ok(schedule)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            !self.load.is_empty() && self.load.len() <= PARTS_MAX,
            "load: must have 1 to {PARTS_MAX} parts"
        );
        for (place, part) in self.load.iter().enumerate() {
            let fine = |rate: f64| (0.0..=RATE_MAX).contains(&rate);
            ensure!(
                fine(part.from) && part.to.is_none_or(fine),
                "load[{place}]: a rate must be 0 to {RATE_MAX} requests per second"
            );
            ensure!(
                part.length > Span::ZERO,
                "load[{place}].forSeconds: must be above 0"
            );
        }
        ensure!(
            self.cpu_per_request_millis > 0.0 && self.cpu_per_request_millis <= 60_000.0,
            "cpuPerRequestMillis {}: must be above 0 and at most 60000",
            self.cpu_per_request_millis
        );
        ensure!(
            self.idle_mebibytes >= 0.0 && self.idle_mebibytes.is_finite(),
            "idleMebibytes {}: must be 0 or more",
            self.idle_mebibytes
        );
        ensure!(self.replicas >= 1, "replicas 0: must be 1 or more");
        Ok(())
    }

    /// Length of all parts.
    #[must_use]
    pub fn length(&self) -> Span {
        self.load.iter().fold(Span::ZERO, |sum, p| sum + p.length)
    }

    /// The load of a run: cut where the run is shorter, the last rate held where it is longer.
    #[must_use]
    pub fn parts(&self, length: Span) -> Vec<(Span, f64, f64)> {
        let mut parts = Vec::with_capacity(self.load.len() + 1);
        let mut left = length;
        let mut last = 0.0;
        for part in &self.load {
            if left <= Span::ZERO {
                return parts;
            }
            let to = part.to.unwrap_or(part.from);
            let lasts = part.length.min(left);
            let share = lasts.nanos() as f64 / part.length.nanos() as f64;
            last = part.from + (to - part.from) * share;
            parts.push((lasts, part.from, last));
            left = left - lasts;
        }
        if left > Span::ZERO {
            parts.push((left, last, last));
        }
        parts
    }

    /// Begins and ends of the busy loops and of the filled memory, in seconds from the run's begin.
    #[must_use]
    pub fn stressed(&self) -> (Windows, Windows) {
        let of = |at: Span, length: Span| (at.seconds(), (at + length).seconds());
        let cpu = self.cpu.iter().map(|c| of(c.at, c.length)).collect();
        let memory = self.memory.iter().map(|m| of(m.at, m.length)).collect();
        (cpu, memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_run_cuts_and_a_longer_one_holds_the_last_rate() {
        let schedule = Schedule::default();
        let second = Span::from_seconds;
        assert_eq!(schedule.length(), second(1800));
        let cut = schedule.parts(second(1260));
        assert_eq!(cut, [(second(1200), 50.0, 50.0), (second(60), 10.0, 80.0)]);
        let long = schedule.parts(second(2000));
        assert_eq!(long.last(), Some(&(second(200), 50.0, 50.0)));
        assert_eq!(long.iter().fold(Span::ZERO, |s, p| s + p.0), second(2000));
    }
}
