//! The experiment on a cluster: what each mode writes, and what is left when it ends or breaks off.

mod adviser;
mod ended;
mod faults;
mod length;
mod measured;
mod modes;
mod phases;
mod study;

#[path = "../../support/server.rs"]
mod server;

use crate::Row;

pub const ROWS: &[Row] = &[
    (
        "experiment::comparison_writes_nothing",
        false,
        modes::comparison_writes_nothing,
    ),
    (
        "experiment::hpa_only_makes_the_hpa_and_takes_it_away",
        false,
        modes::hpa_only_makes_the_hpa_and_takes_it_away,
    ),
    (
        "experiment::an_hpa_of_other_flags_is_refused",
        false,
        modes::an_hpa_of_other_flags_is_refused,
    ),
    (
        "experiment::what_is_lacking_is_told_with_its_mend",
        false,
        modes::what_is_lacking_is_told_with_its_mend,
    ),
    (
        "experiment::ai_scaler_saves_the_hpa_scales_and_puts_it_back",
        false,
        modes::ai_scaler_saves_the_hpa_scales_and_puts_it_back,
    ),
    (
        "experiment::an_interrupt_puts_the_hpa_back",
        false,
        ended::an_interrupt_puts_the_hpa_back,
    ),
    (
        "experiment::the_next_start_puts_back_what_a_kill_left",
        false,
        ended::the_next_start_puts_back_what_a_kill_left,
    ),
    (
        "experiment::an_hpa_that_comes_back_is_left_alone",
        false,
        ended::an_hpa_that_comes_back_is_left_alone,
    ),
    (
        "experiment::a_model_that_is_gone_leaves_the_hpa_in_charge",
        false,
        faults::a_model_that_is_gone_leaves_the_hpa_in_charge,
    ),
    (
        "experiment::a_prometheus_that_restarts_leaves_empty_cells",
        false,
        faults::a_prometheus_that_restarts_leaves_empty_cells,
    ),
    (
        "experiment::predictive_goes_on_without_prometheus_and_puts_the_hpa_back",
        false,
        faults::predictive_goes_on_without_prometheus_and_puts_the_hpa_back,
    ),
    (
        "experiment::an_api_server_that_restarts_gets_its_hpa_back",
        true,
        faults::an_api_server_that_restarts_gets_its_hpa_back,
    ),
];

/// Rows that take minutes and are run only where they are asked for.
pub const LONG: &[Row] = &[
    (
        "experiment::measured_live_and_rehearsed",
        false,
        measured::live_and_rehearsed,
    ),
    (
        "experiment::run_all_leaves_a_report_and_nothing_else",
        false,
        phases::run_all_leaves_a_report_and_nothing_else,
    ),
    (
        "experiment::run_all_at_length",
        false,
        length::run_all_at_length,
    ),
];
