//! What queueing theory says: the M/M/c queue in closed form.

/// The stationary M/M/c queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErlangC {
    /// Probability that a request has to wait.
    pub wait_probability: f64,
    /// Mean wait of all requests, in units of the mean service time.
    pub mean_wait: f64,
}

/// The Erlang B loss, server by server.
///
/// Units: `offered` in Erlang (arrival rate × mean service time).
/// Source: Gross & Harris, Fundamentals of Queueing Theory, 2.4: B₀ = 1,
/// Bₖ = a·Bₖ₋₁/(k + a·Bₖ₋₁).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErlangB {
    offered: f64,
    servers: u32,
    loss: f64,
}

impl ErlangB {
    /// The loss without any server: all of it.
    #[must_use]
    pub fn new(offered: f64) -> Self {
        Self {
            offered,
            servers: 0,
            loss: 1.0,
        }
    }

    /// Adds servers until there are `servers`.
    #[inline]
    pub fn grow_to(&mut self, servers: u32) {
        while self.servers < servers {
            self.servers += 1;
            let lost = self.offered * self.loss;
            self.loss = lost / (f64::from(self.servers) + lost);
        }
    }

    /// Probability that a request has to wait where none is lost, with as many servers.
    ///
    /// P = B/(1 − (a/c)(1 − B)); 1 where the queue has no stationary state.
    #[must_use]
    pub fn wait_probability(&self) -> f64 {
        let c = f64::from(self.servers);
        if self.offered < c {
            self.loss / (1.0 - self.offered / c * (1.0 - self.loss))
        } else {
            1.0
        }
    }
}

/// Waiting probability and mean wait of M/M/c; `None` where it has no stationary state.
///
/// The mean wait is P/(c − a) service times, P by [`ErlangB::wait_probability`].
/// Units: `offered` in Erlang (arrival rate × mean service time).
/// Source: Gross & Harris, Fundamentals of Queueing Theory, 2.3.
#[must_use]
pub fn erlang_c(offered: f64, servers: u32) -> Option<ErlangC> {
    let c = f64::from(servers);
    if !(offered.is_finite() && offered >= 0.0 && offered < c) {
        return None;
    }
    let mut queue = ErlangB::new(offered);
    queue.grow_to(servers);
    let wait_probability = queue.wait_probability();
    Some(ErlangC {
        wait_probability,
        mean_wait: wait_probability / (c - offered),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_waits_as_often_as_it_is_busy() {
        let queue = erlang_c(0.8, 1).unwrap();
        assert!((queue.wait_probability - 0.8).abs() < 1e-12);
        assert!((queue.mean_wait - 4.0).abs() < 1e-12, "ρ/(1−ρ)");
    }

    #[test]
    fn sixteen_servers_at_nine_tenths_agree_with_the_published_figure() {
        let queue = erlang_c(14.4, 16).unwrap();
        assert!((queue.wait_probability - 0.591_343).abs() < 1e-6);
        assert!((queue.mean_wait - 0.369_590).abs() < 1e-6);
    }

    #[test]
    fn an_overloaded_queue_has_no_stationary_state() {
        assert_eq!(erlang_c(4.0, 4), None);
        assert_eq!(erlang_c(f64::NAN, 4), None);
    }
}
