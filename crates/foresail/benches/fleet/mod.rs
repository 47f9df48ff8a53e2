//! A fleet of objects behind an API server of one process, and what a controller of them costs.

pub mod api;
pub mod process;
pub mod scrape;
pub mod store;
pub mod world;
