//! Requests of a Deployment's pods, live: looked at, advised by the engine, fitted to what the
//! namespace admits, and changed while the pods run or by a rollout.
//!
//! `subject` and `group` read, `adviser` and `past` feed the engine, `fit` (with `room` and `qos`) makes sizes of
//! requests, `intent` keeps what is about to be written, `apply` writes it.

pub mod adviser;
pub mod apply;
pub mod fit;
pub mod group;
pub mod intent;
pub mod past;
pub mod qos;
pub mod room;
pub mod subject;
