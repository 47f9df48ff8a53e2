//! How long a function runs with so much CPU and memory.

use foresail_core::quantity::units::{larger, smaller};
use foresail_core::value::workflow::Size;
use serde::{Deserialize, Serialize};

/// Service time of one function over the size of its pod, without noise.
///
/// ```text
/// seconds = fixed + work · ((1 − p) / min(c, 1) + p / c) + pressure · max(0, need/memory − 1)
/// c = min(cpu, coresMax)
/// ```
///
/// Below one core all work is throttled alike; above, only the parallel share p gets quicker
/// (Amdahl 1967), up to `cores_max`. Too little memory costs time in proportion to what is lacking.
/// With p = 1 and no `cores_max` it is the surface of the reference workflow.
/// Source: specs/aapa_aquatope.md PART 4, reference workflow; the parallel share is ours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Surface {
    /// Seconds that no resource shortens: calls, I/O.
    #[serde(default)]
    pub fixed_seconds: f64,
    /// Work in core·seconds.
    pub work_core_seconds: f64,
    /// The share of the work that several cores share, in percent.
    #[serde(default = "all")]
    pub parallel_percent: f64,
    /// More cores than this are of no use.
    #[serde(default = "any")]
    pub cores_max: f64,
    /// Memory that it needs to run unhindered, in MiB.
    #[serde(default)]
    pub memory_mib: f64,
    /// Seconds that it takes longer with half the memory that it needs.
    #[serde(default = "pressure")]
    pub pressure_seconds: f64,
}

fn all() -> f64 {
    100.0
}

/// No pod has more cores than this.
fn any() -> f64 {
    1000.0
}

/// Source: specs/aapa_aquatope.md PART 4, reference workflow.
fn pressure() -> f64 {
    2.0
}

impl Surface {
    /// A surface whose work is all parallel: seconds that nothing shortens, work in core·seconds,
    /// memory needed in MiB.
    #[must_use]
    pub fn new(fixed_seconds: f64, work_core_seconds: f64, memory_mib: f64) -> Self {
        Self {
            fixed_seconds,
            work_core_seconds,
            parallel_percent: all(),
            cores_max: any(),
            memory_mib,
            pressure_seconds: pressure(),
        }
    }

    /// The same surface of which only a share, in percent, runs on several cores, and on so many at
    /// most.
    #[must_use]
    pub fn parallel(self, parallel_percent: f64, cores_max: f64) -> Self {
        Self {
            parallel_percent,
            cores_max,
            ..self
        }
    }

    /// Seconds that one call takes; infinite without CPU or memory.
    #[must_use]
    pub fn seconds(&self, size: Size) -> f64 {
        let share = self.parallel_percent / 100.0;
        let cores = smaller(size.cpu_cores, self.cores_max);
        let work = self.work_core_seconds * ((1.0 - share) / smaller(cores, 1.0) + share / cores);
        let lacking = larger(0.0, self.memory_mib / size.memory_mib - 1.0);
        self.fixed_seconds + work + self.pressure_seconds * lacking
    }

    /// What is wrong with it; `None` where nothing is.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let least = [
            ("fixedSeconds", self.fixed_seconds),
            ("workCoreSeconds", self.work_core_seconds),
            ("memoryMib", self.memory_mib),
            ("pressureSeconds", self.pressure_seconds),
        ];
        let negative = least.iter().find(|(_, v)| !(v.is_finite() && *v >= 0.0));
        if let Some((key, value)) = negative {
            return Some(format!("{key}: {value}: must be 0 or more"));
        }
        if !(0.0..=100.0).contains(&self.parallel_percent) {
            let value = self.parallel_percent;
            return Some(format!("parallelPercent: {value}: must be 0 to 100"));
        }
        if !(self.cores_max.is_finite() && self.cores_max > 0.0) {
            let value = self.cores_max;
            return Some(format!("coresMax: {value}: must be above 0"));
        }
        let nothing = self.fixed_seconds + self.work_core_seconds <= 0.0;
        nothing.then(|| "takes no time: give workCoreSeconds or fixedSeconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(surface: Surface, cpu_cores: f64, memory_mib: f64) -> f64 {
        surface.seconds(Size {
            cpu_cores,
            memory_mib,
        })
    }

    #[test]
    fn the_general_form_holds_the_reference_and_amdahl() {
        let plain = Surface::new(0.3, 2.0, 512.0);
        assert!((at(plain, 0.5, 512.0) - 4.3).abs() < 1e-12);
        assert!((at(plain, 4.0, 256.0) - (0.3 + 0.5 + 2.0)).abs() < 1e-12);
        let half = plain.parallel(50.0, 4.0);
        // Throttled alike below a core; above, the serial half stays, and 8 cores are as good as 4.
        assert!((at(half, 0.5, 1024.0) - 4.3).abs() < 1e-12);
        assert!((at(half, 4.0, 1024.0) - (0.3 + 1.0 + 0.25)).abs() < 1e-12);
        assert!((at(half, 8.0, 1024.0) - at(half, 4.0, 1024.0)).abs() < 1e-12);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let bad = |surface: Surface| surface.problem().unwrap();
        assert!(bad(Surface::new(-1.0, 2.0, 1.0)).starts_with("fixedSeconds"));
        assert!(bad(Surface::new(0.0, 0.0, 1.0)).starts_with("takes no time"));
        assert!(bad(Surface::new(0.0, 1.0, f64::NAN)).starts_with("memoryMib"));
        assert!(bad(Surface::new(0.0, 1.0, 1.0).parallel(101.0, 1.0)).starts_with("parallel"));
    }
}
