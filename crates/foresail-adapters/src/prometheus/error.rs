//! Why Prometheus gave no answer that can be used, each with the mend.

use super::parse::Labels;
use crate::access::AccessError;

/// Label sets that are named where a query returned several series.
pub(super) const SERIES_NAMED_MAX: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// The access cannot be used as it is given.
    #[error("{0}")]
    Access(String),
    /// No connection, a broken one, or a TLS handshake that failed.
    #[error("cannot reach {url}: {why}; check the address, and --ca-file for a CA of your own")]
    Unreachable {
        /// Which server.
        url: String,
        /// Every cause in a row.
        why: String,
    },
    /// No answer in time.
    #[error(
        "{url} gave no whole answer within {seconds} s; ask for less, or raise prometheus.timeout"
    )]
    TimedOut {
        /// Which server.
        url: String,
        /// How long it was waited for.
        seconds: f64,
    },
    /// The server answered with a failure of its own.
    #[error("{url} answered {status}: {text}; it is up but cannot answer now, try again later")]
    Server {
        /// Which server.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        text: String,
    },
    /// The server does not let us in.
    #[error(
        "{url} answered {status}: {text}; pass --bearer-token-file, or --client-cert and --client-key"
    )]
    Forbidden {
        /// Which server.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its own words.
        text: String,
    },
    /// The server sends us elsewhere; a token is not carried there.
    #[error("{url} redirects to {to}; give that address if you trust it")]
    Redirected {
        /// Which server.
        url: String,
        /// Where to.
        to: String,
    },
    /// The server refused the query.
    #[error("Prometheus refused the query `{query}`: {text}")]
    Refused {
        /// Which query.
        query: String,
        /// Its own words.
        text: String,
    },
    /// Something else than Prometheus answered.
    #[error(
        "{url} did not answer with Prometheus' JSON but with `{begin}`: {why}; give the address of Prometheus itself, with its path prefix if it has one"
    )]
    NotPrometheus {
        /// Which server.
        url: String,
        /// The begin of the answer.
        begin: String,
        /// What is wrong with it.
        why: String,
    },
    /// The answer is too large; what came of it was let go.
    #[error(
        "the answer to `{query}` is larger than {limit_mib} MiB; aggregate with sum(), or ask for less"
    )]
    TooLarge {
        /// Which query.
        query: String,
        /// The limit in MiB.
        limit_mib: u64,
    },
    /// No series at all: the value is unknown, not zero.
    #[error(
        "the query `{query}` returned no series {when}: that is unknown, not zero; check the metric's name, its labels and that something scrapes it"
    )]
    Empty {
        /// Which query.
        query: String,
        /// Of which time.
        when: String,
    },
    /// More than one series.
    #[error(
        "the query `{query}` returned {count} series ({named}), and one is needed; aggregate them: sum({query})"
    )]
    Several {
        /// Which query.
        query: String,
        /// How many.
        count: u64,
        /// The label sets of the first ones.
        named: String,
    },
    /// A result of another type.
    #[error("the query `{query}` returned {found}; {mend}")]
    WrongType {
        /// Which query.
        query: String,
        /// What came.
        found: &'static str,
        /// What to do.
        mend: &'static str,
    },
}

impl From<AccessError> for PrometheusError {
    fn from(error: AccessError) -> Self {
        Self::Access(error.0)
    }
}

impl PrometheusError {
    /// `true` where the same question may have an answer a moment later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Server { .. })
    }

    pub(super) fn several(query: &str, count: u64, first: &[Labels]) -> Self {
        let mut named: Vec<String> = first.iter().map(ToString::to_string).collect();
        if count > named.len() as u64 {
            named.push("…".to_owned());
        }
        Self::Several {
            query: query.to_owned(),
            count,
            named: named.join(", "),
        }
    }
}
