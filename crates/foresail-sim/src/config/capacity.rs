//! What one replica is worth: what it is counted for, and what it can do.

use foresail_core::quantity::units::smaller;

use super::ClusterConfig;
use crate::cluster::millicores_per_request;

impl ClusterConfig {
    /// Demand that fills one replica's CPU request, or its slots where that is less: what a number
    /// of replicas is sized by, and 100 % for the HPA. In requests per second.
    ///
    /// Where requests do not share CPU (`cpuBound` off) a replica serves more than this.
    #[must_use]
    pub fn request_capacity(&self) -> f64 {
        let slots = f64::from(self.concurrency) / self.service.mean.seconds();
        let cpu_seconds = self.cpu_per_request.seconds();
        let cores = f64::from(self.cpu_request_millicores) / 1000.0;
        if cpu_seconds > 0.0 {
            smaller(slots, cores / cpu_seconds)
        } else {
            slots
        }
    }

    /// Demand that one replica can serve, in requests per second: what its slots let through, and
    /// where requests share its CPU what that lets through.
    #[must_use]
    pub fn full_capacity(&self) -> f64 {
        self.servers() / self.service.mean.seconds()
    }

    /// Requests that one replica serves at once at full speed: its slots, or what its CPU is enough
    /// for where requests share that.
    pub(crate) fn servers(&self) -> f64 {
        let slots = f64::from(self.concurrency);
        let each = millicores_per_request(self.cpu_per_request, self.service.mean);
        if self.cpu_bound && each > 0.0 {
            smaller(slots, f64::from(self.cpu_request_millicores) / each)
        } else {
            slots
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_serves_what_its_slots_let_through_and_only_a_bound_one_what_its_cpu_does() {
        let mut config = ClusterConfig::default();
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got}, not {want}");
        near(config.request_capacity(), 10.0);
        near(config.full_capacity(), 100.0);
        config.cpu_bound = true;
        near(config.full_capacity(), 10.0);
        config.cpu_request_millicores = 20_000;
        near(config.request_capacity(), 100.0);
        near(config.full_capacity(), 100.0);
    }
}
