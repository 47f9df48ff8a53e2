//! The controller: watches, passes on time, one write client, a lease, a store.
//!
//! One process leads; the others watch and wait. Every pass of an object is made by one task at a
//! time, at most eight of all objects at once, and ends within ten seconds. Whatever fails becomes a
//! condition; nothing stops the loop.

mod act;
mod clock;
mod condition_set;
pub mod conditions;
pub(crate) mod demand;
mod fits;
mod floors;
mod health;
mod http;
mod jumps;
mod live;
mod look;
pub mod meters;
mod options;
mod pass;
mod pilot;
mod rivals;
mod run;
mod score;
mod shared;
mod shown;
mod status;
mod tell;
mod vertical;
mod world;

pub(crate) use act::HPA_MIN;
pub use options::{LatencyQueries, Options};
pub(crate) use pilot::APPROVED;
pub use run::run;
pub(crate) use shared::Shared;
