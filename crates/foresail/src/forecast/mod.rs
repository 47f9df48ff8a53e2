//! Forecasts from the command line: what is backtested, fitted, shown and explained.

pub mod backtest;
pub mod chosen;
pub mod duel;
pub mod fans;
pub mod histories;
pub mod level;
pub mod place;
pub mod pool_net;
pub mod pool_taught;
pub mod protocol;
pub mod stored;
pub mod terminal;

use foresail_core::propose::refit::RefitRequest;
use foresail_models::refit::RefitError;

/// Says on stderr that a refit failed, and why; whoever asked for it goes on without.
pub fn tell_refit(request: &RefitRequest, error: &RefitError) {
    let RefitRequest {
        target, forecaster, ..
    } = request;
    eprintln!("warning: {target} gets no model of {forecaster}: {error}");
}
