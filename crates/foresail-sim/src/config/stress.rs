//! Stress: CPU that is burnt and memory that is filled in pods beside their requests.

use foresail_core::quantity::time::Span;
use serde::{Deserialize, Serialize};

use super::{ClusterConfig, ConfigProblem, problem};

/// The most stressors of one run.
const STRESSORS_MAX: usize = 64;

/// The most busy loops in one pod.
const WORKERS_MAX: u32 = 1000;

/// MiB in a GiB.
const MIB_PER_GIB: f64 = 1024.0;

/// What pods are put under beside their requests, and the limit that all of it meets.
///
/// Source: alcocuzzi/etp, autoscaler/cpu_stressor.py and memory_stressor.py.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Stress {
    /// CPU that a pod may use at most, in thousandths of a core: requests and loops together.
    pub cpu_limit_millicores: u32,
    /// Busy loops.
    pub cpu: Vec<CpuStress>,
    /// Filled memory.
    pub memory: Vec<MemoryStress>,
}

/// Busy loops in every pod; each of them wants a core. Times count from the begin of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuStress {
    /// Begin.
    #[serde(rename = "atSeconds")]
    pub at: Span,
    /// Length.
    #[serde(rename = "forSeconds")]
    pub length: Span,
    /// Loops in each pod.
    pub workers: u32,
    /// How often new pods are looked for; those found are stressed from then on.
    #[serde(rename = "refreshSeconds", default = "refresh")]
    pub refresh: Span,
}

fn refresh() -> Span {
    Span::from_seconds(15)
}

/// Memory that is filled in every pod that exists at the begin; later ones are left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemoryStress {
    /// Begin.
    #[serde(rename = "atSeconds")]
    pub at: Span,
    /// Length.
    #[serde(rename = "forSeconds")]
    pub length: Span,
    /// MiB in each pod.
    pub mebibytes: u32,
}

impl Stress {
    /// Checks every knob.
    pub(super) fn check(&self, config: &ClusterConfig) -> Result<(), ConfigProblem> {
        if self.cpu_limit_millicores == 0 {
            return Err(problem("stress", "cpuLimitMillicores 0: must be above 0"));
        }
        if self.cpu.len() + self.memory.len() > STRESSORS_MAX {
            let text = format!("more than {STRESSORS_MAX} stressors: leave some out");
            return Err(problem("stress", text));
        }
        let times = self.cpu.iter().map(|c| (c.at, c.length));
        let times = times.chain(self.memory.iter().map(|m| (m.at, m.length)));
        for (at, length) in times {
            if at.is_negative() || length <= Span::ZERO {
                let text = format!("from {at} for {length}: must begin at 0 or later and last");
                return Err(problem("stress", text));
            }
        }
        for cpu in &self.cpu {
            if cpu.workers == 0 || cpu.workers > WORKERS_MAX {
                let text = format!("workers {}: must be 1 to {WORKERS_MAX}", cpu.workers);
                return Err(problem("stress", text));
            }
            if cpu.refresh < Span::from_seconds(1) {
                let text = format!("refreshSeconds {}: must be 1 or more", cpu.refresh);
                return Err(problem("stress", text));
            }
        }
        self.check_memory(config)
    }

    fn check_memory(&self, config: &ClusterConfig) -> Result<(), ConfigProblem> {
        if self.memory.is_empty() {
            return Ok(());
        }
        let Some(usage) = config.memory_use else {
            let text = "memory is filled and nobody looks at it: give memoryUse too";
            return Err(problem("stress", text));
        };
        let at_once = |m: &MemoryStress| {
            let others = self.memory.iter().filter(|o| o.holds(m.at));
            others.map(|o| f64::from(o.mebibytes)).sum::<f64>() / MIB_PER_GIB
        };
        let most = self
            .memory
            .iter()
            .map(at_once)
            .fold(0.0, |a: f64, b| if b > a { b } else { a });
        if usage.idle_gib + most >= config.memory_request_gib {
            let text = format!(
                "{:.0} MiB at once beside the {:.0} that a pod uses, of {:.0} asked for: it would be killed; fill less",
                most * MIB_PER_GIB,
                usage.idle_gib * MIB_PER_GIB,
                config.memory_request_gib * MIB_PER_GIB
            );
            return Err(problem("stress", text));
        }
        Ok(())
    }
}

impl MemoryStress {
    /// `true` while it holds.
    pub(crate) fn holds(&self, at: Span) -> bool {
        self.at <= at && (at - self.at) < self.length
    }
}
