//! Reinforcement learning of joint settings: AWARE's parts as parts of one product.
//!
//! A learner sees a target ([`state`]), moves on joint axes ([`axes`]), is paid for the SLO preserved
//! and the resources used ([`reward`]), and acts only where it is as good as the rules
//! ([`bootstrap`], [`lifecycle`]). What it wishes is a wish like any other: the same floor and guards.
//! Source: Qiu et al., AWARE, USENIX ATC 2023; Qiu et al., FIRM, OSDI 2020.

pub mod axes;
pub mod bootstrap;
pub mod env;
pub mod episode;
pub mod learner;
pub mod lifecycle;
pub mod meta;
pub mod reward;
pub mod saved;
pub mod state;
pub mod training;
