//! Forecasts from the command line: what is backtested, fitted, shown and explained.

pub mod backtest;
pub mod chosen;
pub mod duel;
pub mod fans;
pub mod histories;
pub mod level;
pub mod place;
pub mod protocol;
pub mod stored;
pub mod terminal;
