//! The demand of a live run, for the mode that forecasts it: the past before the run, and each minute of
//! it as it is over.

use anyhow::Result;
use foresail_adapters::prometheus::Prometheus;
use foresail_core::quantity::time::{Span, Timestamp};
use tokio::runtime::Runtime;

use crate::compare::prometheus::{coded, floor};
use crate::controller::demand::{DemandFeed, Minutes};
use crate::watch::observe::{MINUTE, minutes};

/// Where demand is read, and how far back.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// PromQL that gives it in requests per second.
    pub query: String,
    /// The past that is learnt before the run; zero = none.
    pub past: Span,
}

/// The demand of one run under way.
#[derive(Debug)]
pub struct Feed {
    query: String,
    feed: DemandFeed,
}

impl Demand {
    /// The past until `now`, and the feed that goes on from there.
    ///
    /// # Errors
    /// Where Prometheus does not answer, or not in numbers.
    pub fn begin(
        &self,
        (server, runtime): (&Prometheus, &Runtime),
        now: Timestamp,
    ) -> Result<(Feed, Minutes)> {
        let end = floor(now, MINUTE);
        let begin = end - self.past;
        let past = match begin < end {
            true => runtime.block_on(minutes(server, &self.query, begin, end)),
            false => Ok(Vec::new()),
        };
        let past = past.map_err(|e| coded(&e))?;
        let feed = DemandFeed {
            known_until: Some(end),
            ..DemandFeed::default()
        };
        let query = self.query.clone();
        Ok((Feed { query, feed }, past))
    }
}

impl Feed {
    /// The minutes that are over since the last look, for `most` at the longest, and what kept them from
    /// being read.
    pub fn minutes(
        &mut self,
        (server, runtime): (&Prometheus, &Runtime),
        now: Timestamp,
        most: Span,
    ) -> (Minutes, String) {
        let time = std::time::Duration::from_nanos(most.nanos().unsigned_abs());
        let asked = runtime.block_on(async {
            let minutes = self.feed.minutes(server, &self.query, now);
            tokio::time::timeout(time, minutes).await
        });
        match asked {
            Ok(minutes) => (minutes, self.feed.trouble.clone().unwrap_or_default()),
            Err(_) => (
                Vec::new(),
                format!("Prometheus did not answer within {most}"),
            ),
        }
    }
}
