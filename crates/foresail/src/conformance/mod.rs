//! Kubernetes' own answers against ours: vectors in, verdicts out.

mod compare;
mod form;
mod parse;
mod run;
mod selector;

pub use compare::Verdict;
pub use parse::{Problem, parse};
pub use run::{Answer, answer};
