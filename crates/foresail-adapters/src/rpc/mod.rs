//! gRPC between a learner and whoever acts for it: FIRM's published messages, and an environment.
//!
//! [`interaction`] is what FIRM's client and server say (proto2, port 50051), with the published
//! numbers and rules; [`environment`] is ours, for what those messages have no room for. The code is made
//! from the `.proto` files beside it (`tests/rpc_code_is_current.rs` compares).
//! Source: specs/hpa_aware_studies.md 2.3; the limits: specs/reliability.md Q16, Q17.

pub mod client;
pub mod secret;
pub mod server;

use std::time::Duration;

pub use tonic;

/// What is made from a `.proto` file, by its name; generated code is held to no lint.
macro_rules! generated {
    ($(#[doc = $told:literal])+ $name:ident) => {
        $(#[doc = $told])+
        #[allow(
            missing_debug_implementations,
            unreachable_pub,
            unused_qualifications,
            clippy::all,
            clippy::allow_attributes_without_reason,
            clippy::must_use_candidate,
            clippy::needless_pass_by_value,
            reason = "generated"
        )]
        #[rustfmt::skip]
        pub mod $name {
            include!(concat!("generated/", stringify!($name), ".code"));
        }
    };
}

generated! {
    /// FIRM's messages, as published.
    interaction
}

generated! {
    /// A component as an environment, step by step.
    environment
}

/// The published port.
pub const PORT: u16 = 50_051;

/// The largest message that is taken in, in bytes; tonic's own limit is four times that.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Calls of one connection at once.
pub const STREAMS_MAX: u32 = 32;

/// The longest that an answer may take; the server ends what takes longer.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// The largest list of headers, in bytes.
pub const HEADERS_BYTES_MAX: u32 = 8 << 10;

/// Time between two signs of life of a connection that is otherwise silent.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// The key of a call's metadata that makes a published `PerformAction` safe to send again: the same
/// text gets the same answer and acts no more.
pub const REQUEST_KEY: &str = "x-foresail-request";

/// What a status is where all is well.
pub const OK: &str = "OK";

/// Why there is no server or no connection; the text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RpcError(pub String);

/// `true` where an address is this machine's own.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|a| a.is_loopback())
}

/// A small file of credentials or certificates.
pub(crate) fn read(flag: &str, path: &std::path::Path) -> Result<String, RpcError> {
    const BYTES_MAX: u64 = 1 << 20;
    let name = path.display();
    let size = std::fs::metadata(path).map_err(|e| RpcError(format!("{flag} {name}: {e}")))?;
    if size.len() > BYTES_MAX {
        return Err(RpcError(format!(
            "{flag} {name}: {} bytes are no such file",
            size.len()
        )));
    }
    std::fs::read_to_string(path).map_err(|e| RpcError(format!("{flag} {name}: {e}")))
}
