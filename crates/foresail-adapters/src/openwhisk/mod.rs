//! OpenWhisk: what its activation records say.

pub mod activation;
