//! AWARE, distributed: what measures (`foresail collector`), what acts (`foresail firm-server`), and the
//! learner's environment between them and `foresail aware agent`.
//!
//! ```text
//! kubelets ──► collector ──► Redis, or a store within the server ──► firm-server ◄──gRPC── agent
//!                                                                      │ engine, guards
//!                                                                      └──► scale, pods/resize
//! ```
//!
//! A step of the agent enters the server's engine as advice, passes the floor and every guard, and is
//! written once: the number of a step that was answered is remembered over a restart, so a step that is
//! sent again gets its answer and acts no more.
//! Source: specs/hpa_aware_studies.md 2.3, 2.4, 2.7; specs/reliability.md Q16 to Q18.

pub mod agent_env;
pub mod agent_journal;
pub mod collect;
pub mod component;
pub mod kept;
pub mod live;
pub mod pilot;
pub mod place;
pub mod played;
pub mod post;
pub mod resize;
mod rival;
pub mod service;
pub mod wire;

use anyhow::{Context, Result};
use tokio::runtime::Runtime;

/// The runtime of the server and the collector, which wait for the most part.
///
/// # Errors
/// Where the system gives no threads.
pub(crate) fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let built = builder.worker_threads(2).enable_all().build();
    built.context("no runtime")
}
