//! Small nets: linear and recurrent layers, dropout, normalisation, losses, optimizers, safetensors; and
//! DDPG, an actor and a critic that learn from what was tried.
//!
//! Knows nothing of autoscaling. Pure given a seed: chance comes in as a stream, and the same stream
//! gives the same weights, bit for bit, on every run on one machine. A layer has `forward` and
//! `backward` for [`LANES`] samples at a time; what backward needs is kept in a tape. Gradients add
//! up over tapes until they are cleared, so that a batch is any number of samples.
//! Names, shapes and gate order of parameters are PyTorch's.

pub mod activation;
pub mod batch_norm;
pub mod ddpg;
pub mod dropout;
pub mod gru;
mod kernel;
pub mod linear;
pub mod loss;
pub mod lstm;
pub mod mlp;
pub mod optimize;
pub mod parameter;
pub mod real;
pub mod safetensors;

pub use kernel::{LANES, Row, instruction_set};
pub use parameter::{Layer, Parameter, named};
pub use real::Real;
