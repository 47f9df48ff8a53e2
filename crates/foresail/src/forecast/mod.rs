//! Forecasts from the command line: what is backtested, fitted and shown.

pub mod backtest;
pub mod protocol;
