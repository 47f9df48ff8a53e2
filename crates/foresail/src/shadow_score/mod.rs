//! The shadow's score: what the incumbent did beside what Foresail would have done, on one demand.
//!
//! A record holds demand and the incumbent's replicas, sync by sync. Both sides are flown through
//! fluid mode on the recorded demand with the same pods: the incumbent's replicas as they were, and
//! the engine of the object's spec. Pods are fitted to the incumbent's own latency, and what the fit
//! leaves open is told and counts as doubt. What is a gap in the record counts for neither side.
//!
//! The rule, its margins and how often it is right: `docs/shadow-score.md`.

mod calibrate;
mod fly;
mod grid;
mod hours;
mod pods;
mod row;
mod rule;
mod service;
mod settings;
mod simulated;
mod startup;
mod verdict;

pub use calibrate::{Basis, Calibration};
pub use hours::{Interval, Side};
pub use pods::{Known, pods_of};
pub use row::{Row, read};
pub use rule::{Answer, COST_MARGIN_PERCENT, COST_OF_PROMISE_PERCENT, LATE_MARGIN_PART};
pub use settings::Setting;
pub use verdict::{Case, HOURS_MIN, Verdict, judge};
