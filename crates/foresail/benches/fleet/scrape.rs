//! The controller's own metrics, read over its own address.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Every sample by its name with labels.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    samples: BTreeMap<String, f64>,
    pub bytes: usize,
}

/// Asks for `/metrics`.
pub fn scrape(address: SocketAddr) -> std::io::Result<Scrape> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let lines = text.lines().filter(|l| l.starts_with("foresail_"));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    Ok(Scrape {
        samples: lines.filter_map(sample).collect(),
        bytes: text.len(),
    })
}

impl Scrape {
    /// The sum of all samples of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let is = |key: &&String| key.split('{').next() == Some(name);
        let keys = self.samples.keys().filter(is);
        keys.filter_map(|k| self.samples.get(k)).sum()
    }

    /// Samples of a name that are not zero, by their labels.
    pub fn some(&self, name: &str) -> Vec<(String, f64)> {
        let of = self
            .samples
            .iter()
            .filter(|(k, v)| k.split('{').next() == Some(name) && **v > 0.0);
        of.map(|(k, v)| (k.clone(), *v)).collect()
    }

    /// Buckets of a histogram: upper edge, and how many lie at or below.
    fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let head = format!("{name}_bucket{{le=\"");
        let read = |(key, count): (&String, &f64)| {
            let edge = key.strip_prefix(&head)?.strip_suffix("\"}")?;
            let edge = match edge {
                "+Inf" => f64::INFINITY,
                edge => edge.parse().ok()?,
            };
            Some((edge, *count))
        };
        let mut all: Vec<_> = self.samples.iter().filter_map(read).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }

    /// What a histogram took in since another scrape.
    pub fn since(&self, before: &Self, name: &str) -> Distribution {
        let then: Vec<f64> = before.buckets(name).iter().map(|b| b.1).collect();
        let now = self.buckets(name).into_iter().enumerate();
        let buckets = now.map(|(i, (edge, n))| (edge, n - then.get(i).copied().unwrap_or(0.0)));
        Distribution {
            buckets: buckets.collect(),
        }
    }
}

/// A histogram between two scrapes.
#[derive(Clone, Debug)]
pub struct Distribution {
    buckets: Vec<(f64, f64)>,
}

impl Distribution {
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |b| b.1)
    }

    /// The upper edge of the bucket in which a quantile lies, in milliseconds.
    pub fn at_most_ms(&self, share: f64) -> f64 {
        let place = share * self.count();
        let found = self.buckets.iter().find(|b| b.1 >= place && b.1 > 0.0);
        found.map_or(f64::NAN, |b| b.0 * 1e3)
    }

    /// The share that is at or below a value; of the bucket in which it lies nothing counts.
    pub fn share_within(&self, seconds: f64) -> f64 {
        let below = self.buckets.iter().rfind(|b| b.0 <= seconds);
        below.map_or(0.0, |b| b.1) / self.count()
    }
}
