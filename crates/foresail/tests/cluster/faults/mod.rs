//! Rows of the fault catalogue (specs/reliability.md A) on the real control plane: one file each.
//!
//! Each has the form of E.5: a start state, the fault, what is seen under it, its end, the recovery
//! without a hand, and then three logs that must tell of the same writes ([`laws`]).

mod f01_conflicts;
mod f02_too_many_requests;
mod f03_server_errors;
mod f04_black_hole;
mod f05_reply_lost;
mod f06_watches;
mod f09_server_killed;
mod f12_metric_gone;
mod f30_killed;
mod f31_disk_full;
mod f32_damaged;
mod f33_other_version;
mod f34_skewed_clocks;
mod f34_two_leaders;
mod f35_paused;
mod f37_bounds;
mod f38_rivals;
mod f39_other_target;
mod f40_no_place;
mod laws;
mod record;
mod scene;

use crate::Row;

pub const ROWS: &[&[Row]] = &[
    f01_conflicts::ROWS,
    f02_too_many_requests::ROWS,
    f03_server_errors::ROWS,
    f04_black_hole::ROWS,
    f05_reply_lost::ROWS,
    f06_watches::ROWS,
    f12_metric_gone::ROWS,
    f30_killed::ROWS,
    f31_disk_full::ROWS,
    f32_damaged::ROWS,
    f33_other_version::ROWS,
    f34_skewed_clocks::ROWS,
    f34_two_leaders::ROWS,
    f35_paused::ROWS,
    f37_bounds::ROWS,
    f38_rivals::ROWS,
    f39_other_target::ROWS,
    f40_no_place::ROWS,
    f09_server_killed::ROWS,
];
