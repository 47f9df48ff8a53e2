//! OpenWhisk's REST interface against a stand-in that follows its published API: each answer that it
//! can give, then searches and schedules from the command line.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "tests may fail loudly and print what they measured; whole numbers stand in JSON as they are"
)]

mod client;
mod commands;
mod money;
mod server;
mod stopped;
mod told;
