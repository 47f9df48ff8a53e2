//! Kubernetes' own answers against ours: vectors in, verdicts out.

mod compare;
mod parse;
mod run;

pub use compare::Verdict;
pub use parse::{Problem, parse};
pub use run::{Answer, answer};
