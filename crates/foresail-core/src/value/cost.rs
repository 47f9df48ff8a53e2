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
