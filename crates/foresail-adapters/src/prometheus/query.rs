//! Queries: one value at a time, or a series over a range, cut and joined.

use std::collections::BTreeMap;
use std::io::Read;

use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::sync::mpsc;

use super::parse::{Found, Labels, parse, parse_every};
use super::{ANSWER_BYTES_MAX, Access, PrometheusError};
use crate::access::causes;
use crate::retry::Backoff;

/// Bytes of a failure's text that are read.
const FAILURE_BYTES_MAX: usize = 64 << 10;

/// Characters of a foreign answer that are shown.
const BEGIN_CHARS: usize = 60;

/// Longer queries go into the body: proxies cut long addresses.
const ADDRESS_BYTES_MAX: usize = 4096;

/// Pieces of an answer that wait to be parsed; the server is slowed down beyond.
const PIECES_MAX: usize = 4;

/// The least time for which a sample stands for what came after it.
/// Source: foresail_core::spec::STALE_AFTER.
const HOLD_MIN: Span = foresail_core::spec::STALE_AFTER;

/// The most time for which Prometheus itself lets a sample stand.
/// Source: prometheus/prometheus:promql/engine.go, defaultLookbackDelta.
const HOLD_MAX: Span = Span::from_seconds(300);

/// Reads an answer as it streams in.
type Parser<T> = fn(std::io::BufReader<Pieces>) -> Result<T, serde_json::Error>;

/// A server that can be asked.
#[derive(Debug)]
pub struct Prometheus {
    access: Access,
    base: Url,
    client: Client,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct At {
    /// The value; `None` where it is no number or infinite.
    pub value: Option<f64>,
    /// When it was measured, as far as the server tells; else when it was asked for.
    pub measured_at: Timestamp,
    /// What the server warns of.
    pub warnings: Vec<String>,
}

/// Steps of time: the value of a step is the query's at the step's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Begin of the first step.
    pub start: Timestamp,
    /// End of the last step.
    pub end: Timestamp,
    /// Length of a step.
    pub step: Span,
}

/// A series over a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranged {
    /// One value per step; a step without a sample is a gap.
    pub series: Series,
    /// Steps whose value was NaN or infinite; gaps too.
    pub not_numbers: u64,
    /// Steps whose sample was older than it may be; gaps too.
    pub stale: u64,
    /// What the server warns of, each once.
    pub warnings: Vec<String>,
    /// Range queries that were made.
    pub queries: u64,
}

/// One series of many.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What tells it from the others.
    pub labels: Labels,
    /// Its finite values, each at the end of its step, in the order of time.
    pub points: Vec<(Timestamp, f64)>,
}

/// Steps of one query: the index of the first one, and how many.
type Chunk = (usize, usize);

impl Range {
    /// Number of whole steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        let step = self.step.nanos().max(1);
        usize::try_from((self.end - self.start).nanos() / step).unwrap_or(0)
    }

    /// When the value of a step is asked for: at its end.
    #[must_use]
    pub fn asked_at(&self, index: usize) -> Timestamp {
        let steps = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
        self.start + Span::from_nanos(self.step.nanos().saturating_mul(steps))
    }

    /// For how long a sample may stand: two steps, within the limits.
    fn hold(&self) -> Span {
        (self.step + self.step).clamp(HOLD_MIN, HOLD_MAX)
    }

    /// The step whose end lies at `seconds`; times are whole milliseconds.
    fn index_of(&self, seconds: f64) -> Option<usize> {
        let at = Timestamp::from_nanos((seconds * 1000.0).round() as i64 * 1_000_000);
        let since = (at - self.asked_at(0)).nanos();
        (since >= 0 && since % self.step.nanos() == 0)
            .then(|| usize::try_from(since / self.step.nanos()).ok())
            .flatten()
    }

    /// The steps in chunks of at most `points_max`, without a doubled or missing one.
    fn chunks(&self, points_max: u32) -> Vec<Chunk> {
        let (steps, most) = (self.steps(), points_max.max(1) as usize);
        let firsts = (0..steps).step_by(most);
        firsts
            .map(|first| (first, most.min(steps - first)))
            .collect()
    }
}

impl Prometheus {
    /// A client for one server; nothing is asked yet.
    ///
    /// # Errors
    /// [`PrometheusError::Access`] where address or certificates cannot be used.
    pub fn new(access: Access) -> Result<Self, PrometheusError> {
        let base = access.base()?;
        let client = access.client(&base)?;
        Ok(Self {
            access,
            base,
            client,
        })
    }

    /// The value of a query at one time, which must be one series or a scalar.
    ///
    /// A sample older than `hold` does not stand; how old it is, is asked for with `timestamp()`:
    /// Prometheus itself lets a dead target look alive for five minutes.
    ///
    /// # Errors
    /// [`PrometheusError`], an empty answer included.
    pub async fn at(&self, query: &str, now: Timestamp, hold: Span) -> Result<At, PrometheusError> {
        let ask = async |query: &str| {
            let pairs = [("time", seconds(now)), ("lookback_delta", span(hold))];
            self.ask("api/v1/query", query, &pairs).await
        };
        let found = ask(query).await?;
        one_series(query, &found, &["vector", "scalar"])?;
        let Some((_, value)) = found.points.first().copied() else {
            let when = format!("at {now}");
            let query = query.to_owned();
            return Err(PrometheusError::Empty { query, when });
        };
        let mut measured_at = now;
        if found.kind == "vector" {
            match ask(&clock_of(query)).await {
                Ok(told) => {
                    let at = told.points.first().and_then(|p| time_of(p.1));
                    measured_at = at.unwrap_or(now);
                }
                // Not every expression has a time of its own.
                Err(PrometheusError::Refused { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(At {
            value: Some(value).filter(|v| v.is_finite()),
            measured_at,
            warnings: found.warnings,
        })
    }

    /// A query's one series over a range, in as many queries as the server's limit asks for.
    ///
    /// A query that fails because the server is away is asked again a few times.
    ///
    /// # Errors
    /// [`PrometheusError`], an answer without any series included.
    pub async fn range(&self, query: &str, range: &Range) -> Result<Ranged, PrometheusError> {
        let mut join = Join::new(query, range);
        for chunk in range.chunks(self.access.points_max) {
            let found = self.chunk(query, range, chunk).await?;
            let times = match found.series {
                0 => Found::default(),
                _ => self.times(query, range, chunk).await?,
            };
            join.add(&found, &times, chunk, &self.base)?;
        }
        join.end()
    }

    /// When the samples of one chunk were measured; nothing where the expression cannot tell.
    async fn times(
        &self,
        query: &str,
        range: &Range,
        chunk: Chunk,
    ) -> Result<Found, PrometheusError> {
        match self.chunk(&clock_of(query), range, chunk).await {
            Err(PrometheusError::Refused { .. }) => Ok(Found::default()),
            other => other,
        }
    }

    async fn chunk(
        &self,
        query: &str,
        range: &Range,
        chunk: Chunk,
    ) -> Result<Found, PrometheusError> {
        let found = self.chunk_for(query, range, chunk, parse).await?;
        if found.success {
            return Ok(found);
        }
        Err(unsuccessful(query, found.error))
    }

    /// One chunk of a range, asked for again a few times where the server is away.
    async fn chunk_for<T: Send + 'static>(
        &self,
        query: &str,
        range: &Range,
        (first, count): Chunk,
        parse: Parser<T>,
    ) -> Result<T, PrometheusError> {
        let pairs = [
            ("start", seconds(range.asked_at(first))),
            ("end", seconds(range.asked_at(first + count - 1))),
            ("step", span(range.step)),
            ("lookback_delta", span(range.hold())),
        ];
        let path = "api/v1/query_range";
        let mut delays = Backoff::default();
        loop {
            match self.ask_for(path, query, &pairs, parse).await {
                Err(error) if error.is_passing() => match delays.next() {
                    Some(delay) => tokio::time::sleep(delay).await,
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }

    /// Every series of a query over a range, each with its labels and the values of the steps that
    /// have one; an empty answer is an empty list, for there may be none of what is asked about.
    ///
    /// Units: the query's own.
    ///
    /// # Errors
    /// [`PrometheusError`] of each query; an answer above the limit of bytes included.
    pub async fn every_series(
        &self,
        query: &str,
        range: &Range,
    ) -> Result<Vec<Line>, PrometheusError> {
        let mut lines: BTreeMap<Labels, Vec<(Timestamp, f64)>> = BTreeMap::new();
        for chunk in range.chunks(self.access.points_max) {
            let every = self
                .chunk_for(
                    query,
                    range,
                    chunk,
                    parse_every::<std::io::BufReader<Pieces>>,
                )
                .await?;
            if !every.success {
                return Err(unsuccessful(query, every.error));
            }
            for (labels, points) in every.series {
                let whole = |(at, value): (f64, f64)| {
                    let index = range.index_of(at).filter(|_| value.is_finite())?;
                    Some((range.asked_at(index), value))
                };
                let line = lines.entry(labels).or_default();
                line.extend(points.into_iter().filter_map(whole));
            }
        }
        let line = |(labels, points)| Line { labels, points };
        Ok(lines.into_iter().map(line).collect())
    }

    async fn ask(
        &self,
        path: &str,
        query: &str,
        pairs: &[(&str, String)],
    ) -> Result<Found, PrometheusError> {
        let found = self.ask_for(path, query, pairs, parse).await?;
        if found.success {
            return Ok(found);
        }
        Err(unsuccessful(query, found.error))
    }

    /// One request; `parse` makes of the answer what its caller wants to know.
    async fn ask_for<T: Send + 'static>(
        &self,
        path: &str,
        query: &str,
        pairs: &[(&str, String)],
        parse: Parser<T>,
    ) -> Result<T, PrometheusError> {
        let mut url = self
            .base
            .join(path)
            .map_err(|e| PrometheusError::Access(e.to_string()))?;
        url.query_pairs_mut().append_pair("query", query);
        for (name, value) in pairs {
            url.query_pairs_mut().append_pair(name, value);
        }
        let request = if url.as_str().len() <= ADDRESS_BYTES_MAX {
            self.client.get(url)
        } else {
            let body = url.query().unwrap_or("").to_owned();
            url.set_query(None);
            let form = "application/x-www-form-urlencoded";
            self.client.post(url).header(CONTENT_TYPE, form).body(body)
        };
        let request = match self.access.authorization()? {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        };
        let response = request.send().await.map_err(|e| self.failed(&e))?;
        if response.status() == StatusCode::OK {
            self.read(response, query, parse).await
        } else {
            Err(self.refusal(response, query).await)
        }
    }

    /// Parses the answer while it comes in; one that is too large is let go at the limit.
    async fn read<T: Send + 'static>(
        &self,
        mut response: Response,
        query: &str,
        parse: Parser<T>,
    ) -> Result<T, PrometheusError> {
        let (pieces, waiting) = mpsc::channel(PIECES_MAX);
        let parser = tokio::task::spawn_blocking(move || parse(Pieces::new(waiting)));
        let (mut bytes, mut begin) = (0_u64, Vec::new());
        while let Some(piece) = response.chunk().await.map_err(|e| self.failed(&e))? {
            bytes += piece.len() as u64;
            if bytes > ANSWER_BYTES_MAX {
                return Err(PrometheusError::TooLarge {
                    query: query.to_owned(),
                    limit_mib: ANSWER_BYTES_MAX >> 20,
                });
            }
            if begin.len() < 4 * BEGIN_CHARS {
                begin.extend(piece.iter().take(4 * BEGIN_CHARS));
            }
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        drop(pieces);
        let foreign = |why: String| PrometheusError::NotPrometheus {
            url: self.base.to_string(),
            begin: one_line(&begin, BEGIN_CHARS),
            why,
        };
        match parser.await {
            Ok(parsed) => parsed.map_err(|e| foreign(e.to_string())),
            Err(broken) => Err(foreign(broken.to_string())),
        }
    }

    fn failed(&self, error: &reqwest::Error) -> PrometheusError {
        let url = self.base.to_string();
        if error.is_timeout() {
            let seconds = self.access.timeout.as_secs_f64();
            return PrometheusError::TimedOut { url, seconds };
        }
        let why = match std::error::Error::source(error) {
            Some(source) => causes(source),
            None => causes(error),
        };
        PrometheusError::Unreachable { url, why }
    }

    /// What an answer other than 200 means, with the server's own words.
    async fn refusal(&self, mut response: Response, query: &str) -> PrometheusError {
        let status = response.status();
        let to = response.headers().get(LOCATION).cloned();
        let mut body = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece);
            if body.len() > FAILURE_BYTES_MAX {
                body.truncate(FAILURE_BYTES_MAX);
                break;
            }
        }
        let said = parse(&body[..]).ok().and_then(|f| f.error);
        let is_prometheus = said.is_some();
        let text = said.unwrap_or_else(|| one_line(&body, 2 * BEGIN_CHARS));
        let (url, query) = (self.base.to_string(), query.to_owned());
        match status.as_u16() {
            300..400 => PrometheusError::Redirected {
                url,
                to: to.map_or_else(String::new, |t| {
                    String::from_utf8_lossy(t.as_bytes()).into_owned()
                }),
            },
            status @ (401 | 403 | 407) => PrometheusError::Forbidden { url, status, text },
            400 | 422 => PrometheusError::Refused { query, text },
            status @ (429 | 500..) => PrometheusError::Server { url, status, text },
            status if is_prometheus => PrometheusError::Server { url, status, text },
            status => PrometheusError::NotPrometheus {
                url,
                begin: text,
                why: format!("status {status}"),
            },
        }
    }
}

/// An answer that says that it is none.
fn unsuccessful(query: &str, error: Option<String>) -> PrometheusError {
    let text = error.unwrap_or_else(|| "no reason given".to_owned());
    let query = query.to_owned();
    PrometheusError::Refused { query, text }
}

/// Joins the chunks of a range.
struct Join<'a> {
    query: &'a str,
    range: &'a Range,
    labels: Option<Labels>,
    values: Vec<f64>,
    told: Ranged,
}

impl<'a> Join<'a> {
    fn new(query: &'a str, range: &'a Range) -> Self {
        let told = Ranged {
            series: Series::new(range.start, range.step, Vec::new()),
            not_numbers: 0,
            stale: 0,
            warnings: Vec::new(),
            queries: 0,
        };
        Self {
            query,
            range,
            labels: None,
            values: vec![f64::NAN; range.steps()],
            told,
        }
    }

    fn add(
        &mut self,
        found: &Found,
        times: &Found,
        (first, count): Chunk,
        base: &Url,
    ) -> Result<(), PrometheusError> {
        one_series(self.query, found, &["matrix"])?;
        self.told.queries += 1;
        for warning in &found.warnings {
            if !self.told.warnings.contains(warning) {
                self.told.warnings.push(warning.clone());
            }
        }
        if let Some(labels) = found.labels.first() {
            let known = self.labels.get_or_insert_with(|| labels.clone());
            if known != labels {
                let both = [known.clone(), labels.clone()];
                return Err(PrometheusError::several(self.query, 2, &both));
            }
        }
        let index = |seconds: f64| {
            let index = self.range.index_of(seconds);
            index.filter(|i| (first..first + count).contains(i))
        };
        for (at, value) in &found.points {
            let Some(index) = index(*at) else {
                return Err(PrometheusError::NotPrometheus {
                    url: base.to_string(),
                    begin: format!("a point at {at}"),
                    why: "that lies on none of the steps that were asked for".to_owned(),
                });
            };
            self.values[index] = *value;
            self.told.not_numbers += u64::from(!value.is_finite());
        }
        for (at, measured) in &times.points {
            if let (Some(index), Some(measured)) = (index(*at), time_of(*measured))
                && self.range.asked_at(index) - measured > self.range.hold()
                && self.values[index].is_finite()
            {
                self.values[index] = f64::NAN;
                self.told.stale += 1;
            }
        }
        Ok(())
    }

    fn end(self) -> Result<Ranged, PrometheusError> {
        let Range { start, end, step } = *self.range;
        if self.labels.is_none() {
            return Err(PrometheusError::Empty {
                query: self.query.to_owned(),
                when: format!("from {start} to {end}"),
            });
        }
        Ok(Ranged {
            series: Series::new(start, step, self.values),
            ..self.told
        })
    }
}

/// At most one series, of one of these types.
fn one_series(query: &str, found: &Found, kinds: &[&str]) -> Result<(), PrometheusError> {
    if !kinds.contains(&found.kind.as_str()) {
        let (found, mend) = match found.kind.as_str() {
            "matrix" => (
                "a range of samples",
                "put a function around it, such as rate()",
            ),
            "string" => ("a text", "ask for a number"),
            _ => ("a result of another type", "ask for one series of numbers"),
        };
        let query = query.to_owned();
        return Err(PrometheusError::WrongType { query, found, mend });
    }
    if found.series > 1 {
        return Err(PrometheusError::several(query, found.series, &found.labels));
    }
    Ok(())
}

/// The query that tells when the samples behind `query` were measured.
///
/// `timestamp()` looks through a plain selector alone; of an aggregate over one it would tell when
/// that was computed. So the newest sample under the usual aggregates is asked for.
fn clock_of(query: &str) -> String {
    let query = query.trim();
    let inner = query.strip_suffix(')').and_then(|q| q.split_once('('));
    let plain = inner.filter(|(aggregate, inner)| {
        let known = ["sum", "avg", "min", "max"];
        let is_known = known
            .iter()
            .any(|k| aggregate.trim().eq_ignore_ascii_case(k));
        is_known && !inner.contains(['(', ')'])
    });
    match plain {
        Some((_, inner)) => format!("max(timestamp({}))", inner.trim()),
        None => format!("timestamp({query})"),
    }
}

/// Unix seconds with milliseconds, as the API takes them.
fn seconds(at: Timestamp) -> String {
    let millis = at.nanos().div_euclid(1_000_000);
    format!("{:.3}", millis as f64 / 1000.0)
}

/// Seconds of a span, as the API takes them.
fn span(span: Span) -> String {
    format!("{}", span.seconds())
}

/// The time that a value of `timestamp()` tells; `None` for what is none.
fn time_of(seconds: f64) -> Option<Timestamp> {
    Span::from_seconds_f64(seconds).map(|s| Timestamp::EPOCH + s)
}

/// The begin of a text on one line.
fn one_line(bytes: &[u8], chars: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let shown: String = line
        .chars()
        .filter(|c| !c.is_control())
        .take(chars)
        .collect();
    if line.chars().count() > chars {
        format!("{shown}…")
    } else {
        shown
    }
}

/// Pieces of an answer as one stream of bytes.
struct Pieces {
    waiting: mpsc::Receiver<bytes::Bytes>,
    piece: bytes::Bytes,
}

impl Pieces {
    fn new(waiting: mpsc::Receiver<bytes::Bytes>) -> std::io::BufReader<Self> {
        let piece = bytes::Bytes::new();
        std::io::BufReader::new(Self { waiting, piece })
    }
}

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.waiting.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.piece.len());
        let taken = self.piece.split_to(count);
        out[..count].copy_from_slice(&taken);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(steps: i64) -> Range {
        let start = Timestamp::from_seconds(1_700_000_000);
        let step = Span::from_seconds(60);
        let end = start + Span::from_seconds(60 * steps);
        Range { start, end, step }
    }

    #[test]
    fn chunks_cover_every_step_once() {
        for (steps, most, want) in [
            (0, 10, 0),
            (1, 10, 1),
            (10, 10, 1),
            (11, 10, 2),
            (25, 10, 3),
        ] {
            let chunks = range(steps).chunks(most);
            assert_eq!(chunks.len(), want, "{steps}");
            let all: Vec<usize> = chunks.iter().flat_map(|(f, n)| *f..f + n).collect();
            assert_eq!(all, (0..steps as usize).collect::<Vec<_>>(), "{steps}");
        }
    }

    #[test]
    fn a_steps_value_is_asked_for_at_its_end() {
        let range = range(3);
        assert_eq!(range.asked_at(0), Timestamp::from_seconds(1_700_000_060));
        assert_eq!(range.index_of(1_700_000_060.0), Some(0));
        assert_eq!(range.index_of(1_700_000_180.0), Some(2));
        for off in [1_700_000_000.0, 1_700_000_061.0, f64::NAN] {
            assert_eq!(range.index_of(off), None, "{off}");
        }
    }

    #[test]
    fn the_clock_looks_through_a_plain_aggregate() {
        for (query, clock) in [
            ("rps", "timestamp(rps)"),
            ("sum(rps)", "max(timestamp(rps))"),
            (r#"MAX ( rps{a="b"} ) "#, r#"max(timestamp(rps{a="b"}))"#),
            ("sum(rate(x[1m]))", "timestamp(sum(rate(x[1m])))"),
            ("sum(a) + sum(b)", "timestamp(sum(a) + sum(b))"),
            ("rate(x[1m])", "timestamp(rate(x[1m]))"),
            ("sum by (a) (b)", "timestamp(sum by (a) (b))"),
        ] {
            assert_eq!(clock_of(query), clock);
        }
    }

    #[test]
    fn times_are_written_in_milliseconds() {
        let at = Timestamp::from_nanos(1_700_000_000_123_999_999);
        assert_eq!(seconds(at), "1700000000.123");
        assert_eq!(seconds(Timestamp::from_nanos(-1_000_000)), "-0.001");
    }
}
