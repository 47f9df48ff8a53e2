//! What capacity costs.

use serde::{Deserialize, Serialize};

/// Prices per hour; the currency is the user's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Price {
    /// For one replica, whatever its size.
    pub replica_hour: f64,
    /// For one core of CPU request.
    pub cpu_core_hour: f64,
    /// For one GiB of memory request.
    pub memory_gib_hour: f64,
}

impl Default for Price {
    /// 0.04 a replica-hour, the price of one vCPU of a small cloud machine.
    fn default() -> Self {
        Self {
            replica_hour: 0.04,
            cpu_core_hour: 0.0,
            memory_gib_hour: 0.0,
        }
    }
}

impl Price {
    /// Serverless functions: nothing for a replica as such, 0.173 $ a vCPU-hour and 0.0123 $ a
    /// GB-hour, paid for the time that a function runs.
    ///
    /// Source: specs/aapa_aquatope.md 2.5, the prices of the published resource manager, which it
    /// multiplied by seconds and megabytes.
    pub const FUNCTIONS: Self = Self {
        replica_hour: 0.0,
        cpu_core_hour: 0.173,
        memory_gib_hour: 0.0123,
    };

    /// `true` where no price is negative or not a number.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        [self.replica_hour, self.cpu_core_hour, self.memory_gib_hour]
            .iter()
            .all(|p| p.is_finite() && *p >= 0.0)
    }

    /// Cost of capacity.
    ///
    /// Units: `replica_minutes` in replica·minutes, requests per replica in cores and GiB.
    #[must_use]
    pub fn cost(&self, replica_minutes: f64, cpu_cores: f64, memory_gib: f64) -> f64 {
        let hourly =
            self.replica_hour + cpu_cores * self.cpu_core_hour + memory_gib * self.memory_gib_hour;
        replica_minutes / 60.0 * hourly
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_paid_by_the_hour_and_the_gigabyte() {
        // Source: specs/aapa_aquatope.md 3.4, resource map: 1.5 s and 0.4 s.
        let runs = [(1.5, 1.3, 1139.0), (0.4, 6.0, 128.0)];
        let price = Price::FUNCTIONS;
        let cost = runs.map(|(s, cpu, mib)| price.cost(s / 60.0, cpu, mib / 1024.0));
        let cost = cost[0] + cost[1];
        assert!((cost - 2.149_13e-4).abs() < 1e-9, "{cost}");
        // The published objective took both prices by the second and memory by the megabyte, so
        // that memory weighed a thousand times too much: its figure is no money.
        let published = runs.map(|(s, cpu, mb)| s * (cpu * 0.173 + mb * 0.0123));
        let published = published[0] + published[1];
        assert!((published - 22.396_86).abs() < 1e-5, "{published}");
        assert!(published / cost > 1e5);
    }

    #[test]
    fn an_hour_of_two_replicas_costs_twice_the_price() {
        let price = Price {
            replica_hour: 0.04,
            cpu_core_hour: 0.01,
            memory_gib_hour: 0.001,
        };
        let cost = price.cost(120.0, 1.0, 2.0);
        assert!((cost - 2.0 * (0.04 + 0.01 + 0.002)).abs() < 1e-12, "{cost}");
    }
}
