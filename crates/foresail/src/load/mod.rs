//! Load on a server or on the pods of a workload: what is sent, and what came of it.
//!
//! The generator itself is `foresail_adapters::load`; here it gets its chance, its tally and, in a
//! cluster, its pods. [`run`] blocks its thread: whoever has an async runtime gives it one of its own.

pub mod forward;
pub mod summary;
pub mod tally;

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use foresail_adapters::load::arrivals::{Gaps, Shape};
use foresail_adapters::load::generator::{self, Plan};
use foresail_adapters::load::targets::{Target, Targets};
use foresail_core::quantity::time::Span;
use foresail_models::rng::{Seed, child, uniform};
use http::Uri;

use summary::Summary;
use tally::Tally;

/// From a request's being due to the end of its answer. Source: alcocuzzi/etp, load_generator.py.
pub const TIMEOUT: Span = Span::from_seconds(5);

/// The most connections at once. Source: alcocuzzi/etp, load_generator.py.
pub const CONNECTIONS: usize = 512;

/// How requests follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly within the rate.
    Even,
    /// As a Poisson process of this seed.
    Poisson(Seed),
}

/// What is sent, and to whom.
#[derive(Clone, Debug)]
pub struct Load {
    /// The rate over time.
    pub shape: Shape,
    /// How requests follow each other.
    pub spacing: Spacing,
    /// Who gets them, in turns; may change meanwhile.
    pub targets: Arc<Targets>,
    /// The header `Host`.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// From a request's being due to the end of its answer, at most.
    pub timeout: Span,
    /// The most connections at once.
    pub connections: usize,
}

impl Load {
    /// Load on one address, with the usual time-out and number of connections.
    ///
    /// # Errors
    /// Where the address is none that is spoken here, or its name is not known.
    pub fn on_url(url: &str, shape: Shape, spacing: Spacing) -> Result<Self> {
        let (host, path) = parts(url)?;
        let address = resolve(&host)?;
        Ok(Self {
            shape,
            spacing,
            targets: Arc::new(Targets::new(vec![Target {
                name: host.clone(),
                address,
            }])),
            host,
            path,
            timeout: TIMEOUT,
            connections: CONNECTIONS,
        })
    }

    /// Load on servers that are found meanwhile, such as pods.
    ///
    /// # Errors
    /// Where the path is none.
    pub fn on_targets(
        targets: Arc<Targets>,
        host: &str,
        path: &str,
        shape: Shape,
        spacing: Spacing,
    ) -> Result<Self> {
        let (_, path) = parts(&format!("http://localhost{path}"))
            .with_context(|| format!("--path {path}: must begin with /"))?;
        Ok(Self {
            shape,
            spacing,
            targets,
            host: host.to_owned(),
            path,
            timeout: TIMEOUT,
            connections: CONNECTIONS,
        })
    }

    /// The bytes of a request.
    fn request(&self) -> Vec<u8> {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: foresail/{version}\r\nAccept: */*\r\n\r\n",
            self.path, self.host
        )
        .into_bytes()
    }

    /// Times between requests in units of the mean.
    fn gaps(&self) -> Gaps {
        match self.spacing {
            Spacing::Even => Gaps::Even,
            Spacing::Poisson(seed) => {
                let mut stream = child(seed, "load/arrivals");
                Gaps::Drawn(Box::new(move || -(1.0 - uniform(&mut stream)).ln()))
            }
        }
    }
}

/// Sends all of it, or until `stop` says so, and tells what came of it. Each second's line goes to
/// `tally`'s rows as soon as nothing of that second can change any more.
///
/// # Errors
/// Where the system gives no sockets, or a line cannot be written.
pub fn run(load: &Load, mut tally: Tally<'_>, stop: &dyn Fn() -> bool) -> Result<Summary> {
    ensure!(
        load.timeout > Span::ZERO,
        "--timeout {}: must be above 0s",
        load.timeout
    );
    ensure!(load.connections >= 1, "--connections 0: must be 1 or more");
    let request = load.request();
    let plan = Plan {
        shape: &load.shape,
        gaps: load.gaps(),
        request: &request,
        timeout: load.timeout,
        connections: load.connections,
    };
    let cpu = thread_seconds();
    let wall = generator::run(plan, &load.targets, &mut tally, stop)
        .context("this system gives no way to wait for sockets")?;
    let cpu = cpu.and_then(|begin| Some(thread_seconds()? - begin));
    tally.end(wall.as_secs_f64(), cpu)
}

/// CPU that this thread has used, in seconds.
#[cfg(unix)]
fn thread_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

#[cfg(not(unix))]
fn thread_seconds() -> Option<f64> {
    None
}

/// Host with port, and path with query, of an address.
fn parts(url: &str) -> Result<(String, String)> {
    let parsed: Uri = url
        .parse()
        .with_context(|| format!("{url}: is no address, such as http://localhost:8080/"))?;
    ensure!(
        parsed.scheme_str() == Some("http"),
        "{url}: only http is spoken; for https put a proxy before it that ends TLS"
    );
    let host = parsed
        .host()
        .with_context(|| format!("{url}: has no host"))?;
    let port = parsed.port_u16().unwrap_or(80);
    let path = parsed.path_and_query().map_or("/", |p| p.as_str());
    Ok((format!("{host}:{port}"), path.to_owned()))
}

/// The address of a host; IPv4 first, as servers in containers often have no other.
fn resolve(host: &str) -> Result<SocketAddr> {
    let found = host
        .to_socket_addrs()
        .with_context(|| format!("{host}: the name is not known"))?;
    let all: Vec<SocketAddr> = found.collect();
    let first = all.iter().find(|a| a.is_ipv4()).or(all.first());
    first
        .copied()
        .with_context(|| format!("{host}: the name has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_or_refused_with_the_mend() {
        let of = |url: &str| parts(url).unwrap();
        assert_eq!(
            of("http://localhost:18080"),
            ("localhost:18080".to_owned(), "/".to_owned())
        );
        assert_eq!(
            of("http://[::1]/a?b=c"),
            ("[::1]:80".to_owned(), "/a?b=c".to_owned())
        );
        let told = |url: &str| format!("{:#}", parts(url).unwrap_err());
        assert!(told("https://localhost/").contains("only http is spoken"));
        assert!(
            told("localhost:80").contains("only http is spoken"),
            "{}",
            told("localhost:80")
        );
        assert!(
            told("http://").contains("is no address"),
            "{}",
            told("http://")
        );
    }

    #[test]
    fn poisson_gaps_are_of_mean_one_and_the_same_again() {
        let shape = Shape::new(&[(Span::from_seconds(1), 1.0, 1.0)]).unwrap();
        let load = |seed| {
            let spacing = Spacing::Poisson(Seed(seed));
            let load = Load::on_url("http://127.0.0.1:1/", shape.clone(), spacing).unwrap();
            let Gaps::Drawn(mut draw) = load.gaps() else {
                panic!("they are drawn")
            };
            (0..10_000).map(|_| draw()).collect::<Vec<f64>>()
        };
        let gaps = load(1);
        let mean = gaps.iter().sum::<f64>() / 10_000.0;
        let square = gaps.iter().map(|g| g * g).sum::<f64>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert!(
            (square - 2.0).abs() < 0.2,
            "{square}: an exponential's is 2"
        );
        assert_eq!(gaps, load(1));
        assert_ne!(gaps, load(2));
    }
}
