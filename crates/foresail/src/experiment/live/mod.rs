//! The experiment on a cluster: the same rows as the rehearsal, measured instead of simulated.
//!
//! What is written, and by whom: `hpa_only` makes the HPA where there is none and takes it away at
//! the end; `ai_scaler` and `predictive` save the HPA, take it away, set replicas through the scale, and
//! put the HPA back; `comparison` writes nothing. What an end that nobody saw left behind is put back by the next
//! start, or by `experiment --restore`.

pub mod asking;
pub mod check;
pub mod demand;
pub mod engines;
pub mod hpa;
pub mod keep;
pub mod run;
pub mod site;
pub mod strain;
pub mod twin;
pub mod usage;
