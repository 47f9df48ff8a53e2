//! Rows of the fault catalogue (specs/reliability.md A) on the real control plane: one file each.
//!
//! Each has the form of E.5: a start state, the fault, what is seen under it, its end, the recovery
//! without a hand, and then three logs that must tell of the same writes ([`laws`]).

mod f01_conflicts;
mod f02_too_many_requests;
mod f03_server_errors;
mod f04_black_hole;
mod f05_reply_lost;
mod f06_silent;
mod f06_watches;
mod f09_etcd_stopped;
mod f09_server_killed;
mod f11_clock;
mod f12_metric_gone;
mod f13_some_missing;
mod f14_nonsense;
mod f15_stale;
mod f16_doubled;
mod f30_killed;
mod f31_disk_full;
mod f32_damaged;
mod f33_other_version;
mod f34_skewed_clocks;
mod f34_two_leaders;
mod f35_paused;
mod f36_stored_before;
mod f37_bounds;
mod f38_rivals;
mod f39_other_target;
mod f40_no_place;
mod laws;
mod of_pods;
mod record;
mod rhythm;
mod scene;
mod settled;

use crate::Row;

pub const ROWS: &[&[Row]] = &[
    f01_conflicts::ROWS,
    f02_too_many_requests::ROWS,
    f03_server_errors::ROWS,
    f04_black_hole::ROWS,
    f05_reply_lost::ROWS,
    f06_silent::ROWS,
    f06_watches::ROWS,
    f11_clock::ROWS,
    f12_metric_gone::ROWS,
    f13_some_missing::ROWS,
    f14_nonsense::ROWS,
    f15_stale::ROWS,
    f16_doubled::ROWS,
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
    f09_etcd_stopped::ROWS,
    f09_server_killed::ROWS,
    f36_stored_before::ROWS,
];
