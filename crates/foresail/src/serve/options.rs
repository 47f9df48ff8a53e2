//! What a server is told: where it listens, who may come in, and its limits.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::authorize::Authorizer;

/// The port unless another is given.
pub const PORT: u16 = 8088;

/// How much is taken from clients.
///
/// Source: specs/reliability.md Q24.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a client may take for a request's head.
    pub header: Duration,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long a client may take for it.
    pub body_time: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Event streams of one client at once.
    pub streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            header_bytes: 32 << 10,
            body: 64 << 10,
            body_time: Duration::from_secs(10),
            connections: 256,
            streams: 4,
        }
    }
}

/// What a server is told.
#[derive(Clone)]
pub struct Options {
    /// Where it listens.
    pub bind: IpAddr,
    /// On which port; 0 = any that is free.
    pub port: u16,
    /// Names by which it may be asked, beside those of loopback and the address itself.
    pub hosts: Vec<String>,
    /// Who checks whoever asks; nobody is checked where absent.
    pub authorizer: Option<Arc<dyn Authorizer>>,
    /// How much is taken from clients.
    pub limits: Limits,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("bind", &self.bind)
            .field("port", &self.port)
            .field("hosts", &self.hosts)
            .field("checked", &self.authorizer.is_some())
            .field("limits", &self.limits)
            .finish()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: PORT,
            hosts: Vec::new(),
            authorizer: None,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Refuses what would let anybody in.
    ///
    /// # Errors
    /// Where others than this machine can reach it and nobody checks them.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.bind.is_loopback() || self.authorizer.is_some(),
            "--bind {}: others can reach this address, and nobody would check them; leave --bind away, or let a cluster check tokens with --auth tokenreview",
            self.bind
        );
        Ok(())
    }
}
