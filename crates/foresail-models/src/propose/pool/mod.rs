//! Pools sized by the peak of busy containers that the next window is thought to have.
//!
//! A pool holds what the upper quantile of that peak needs; what is idle beyond it stays for the
//! keep-alive after its last use. Where nothing is told of a function, its keep-alive alone holds.
//! Source: Zhou, Zhang & Delimitrou, AQUATOPE, ASPLOS 2023, the container pool scheduler; its rule is
//! not in the published code and is stated in docs/aquatope.md.

pub mod forecast;
pub mod net;
pub mod reactive;

use foresail_core::propose::plan::Setting;
use foresail_core::propose::{Basis, PeakAhead, Peaks, Proposal};
use foresail_core::quantity::time::Span;
use foresail_core::quantity::units::{Replicas, larger};

use crate::forecast::quantile::normal_quantile;
use crate::knobs::Knob;

/// How long an idle container beyond the pool stays.
pub(crate) const KEEP_ALIVE: Knob = Knob::number(
    "keepAliveSeconds",
    [600.0, 0.0, 604_800.0],
    "how long an idle container beyond the pool stays warm after its last use",
);

/// The quantile that sizes a pool.
pub(crate) const QUANTILE: Knob = Knob::number(
    "quantilePercent",
    [95.0, 50.0, 99.9],
    "quantile of the next window's peak that the pool holds",
);

/// How a quantile that is no whole number becomes containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Up, whatever is above the whole number.
    Up,
    /// To the nearest: a peak is a whole number, of which a smooth band is half a container wider
    /// on each side.
    Nearest,
}

impl Rounding {
    /// The containers that hold a quantile of the peak.
    #[must_use]
    pub fn containers(self, quantile: f64) -> Replicas {
        // Rounding errors of a whole number are no container.
        let most = match self {
            Self::Up => quantile - 1e-9,
            Self::Nearest => quantile - 0.5,
        };
        Replicas::saturating(larger(most, 0.0).ceil() as i64)
    }
}

/// The quantile of a peak whose doubt is normal; `level` is a share above 0 and below 1.
///
/// Units: containers.
#[must_use]
pub fn normal_quantile_of(mean: f64, deviation: f64, level: f64) -> f64 {
    mean + normal_quantile(level) * deviation
}

/// The wish of all targets: pools by what is ahead of each, and one keep-alive.
pub(crate) fn wish(peaks: Peaks, keep_alive: Span, rounding: Rounding) -> Proposal {
    let setting = |ahead: Option<&PeakAhead>| Setting {
        pool: Some(ahead.map_or(Replicas::ZERO, |a| rounding.containers(a.high))),
        keep_alive: Some(keep_alive),
        ..Setting::default()
    };
    let plan = peaks.targets.iter();
    let plan = plan.map(|(id, ahead)| (id.clone(), setting(ahead.as_ref().ok())));
    Proposal::certain(plan.collect(), Basis::Peaks(Box::new(peaks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specified_example_of_the_rule_holds() {
        // Source: specs/aapa_aquatope.md 3.4: μ = 3.2, σ = 1.1, q = .95 → ceil(5.0094) = 6.
        let quantile = normal_quantile_of(3.2, 1.1, 0.95);
        assert!((quantile - 5.0094).abs() < 1e-4);
        assert_eq!(Rounding::Up.containers(quantile), Replicas::new(6));
        assert_eq!(Rounding::Nearest.containers(quantile), Replicas::new(5));
    }

    #[test]
    fn a_whole_number_stays_and_nothing_is_below_zero() {
        for (quantile, up, nearest) in [
            (2.0, 2, 2),
            (2.1, 3, 2),
            (2.6, 3, 3),
            (0.01, 1, 0),
            (-3.0, 0, 0),
        ] {
            assert_eq!(Rounding::Up.containers(quantile), Replicas::new(up));
            assert_eq!(
                Rounding::Nearest.containers(quantile),
                Replicas::new(nearest)
            );
        }
    }
}
