//! A search for the cheapest sizes of a workflow's stages that keep its promise.
//!
//! A tuner asks for trials; each goes as advice into one engine (`referee`), and only what that
//! decides is applied and measured (`measure`), one configuration at a time. What was measured is in
//! a journal, so that a search that was cut short goes on where it was. In the end the best is
//! measured again and stays in force; where the search fails or is interrupted, the former setting
//! is given back.

pub mod found;
pub mod journal;
pub mod measure;
pub mod referee;
pub mod report;
pub mod search;
pub mod simulated;

pub use found::{Conclusion, Cut, End, Found, Row};
pub use journal::Journal;
pub use measure::{Ended, Measured, Protocol};
pub use referee::Referee;
pub use search::Search;
pub use simulated::Simulated;
