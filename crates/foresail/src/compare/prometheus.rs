//! Prometheus as a workload: flags, the query's series, and counts from rates.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use foresail_adapters::prometheus::{Access, Prometheus, PrometheusError, Range, Ranged, Token};
use foresail_core::propose::plan::TargetId;
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::{Span, Timestamp};
use foresail_sim::experiment::Item;

use super::options::{GapsArg, Options};
use super::plan::{Plan, setup_of};
use super::trace::{DEFAULTS, whole_counts};
use crate::config::{Environment, Settings, Strings};
use crate::exit::{Code, Coded};

/// The variable that may hold the bearer token.
const TOKEN_VARIABLE: &str = "FORESAIL_PROMETHEUS_BEARER_TOKEN";

/// The most steps of one range: two years of minutes.
const STEPS_MAX: usize = 2 * 366 * 1440;

/// How Prometheus is reached.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessArgs {
    /// Address of Prometheus, such as http://127.0.0.1:9090
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    /// File with the bearer token for Prometheus
    #[arg(long, value_name = "FILE")]
    pub bearer_token_file: Option<PathBuf>,
    /// The one CA that is trusted for Prometheus, PEM
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate for Prometheus, PEM
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// The key of our certificate, PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// Allow http to a Prometheus on another machine
    #[arg(long)]
    pub plain_http: bool,
    /// The longest that one query may take [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub query_timeout: Option<Span>,
}

/// What is asked of Prometheus for a comparison.
#[derive(Args, Clone, Debug, Default)]
pub struct RangeArgs {
    /// How it is reached.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Demand in requests per second, as PromQL that gives one series
    #[arg(long, value_name = "PROMQL", conflicts_with = "trace")]
    pub query: Option<String>,
    /// Begin of the range: RFC 3339, or a time before now such as -2d
    #[arg(
        long,
        value_name = "TIME",
        default_value = "-2d",
        allow_hyphen_values = true
    )]
    pub start: Moment,
    /// End of the range: RFC 3339, now, or a time before now
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    pub end: Moment,
    /// Length of a step of the range
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub step: Step,
    /// The query gives requests per step, as increase() does, and not per second
    #[arg(long)]
    pub query_counts: bool,
}

/// A length of a step: whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step(pub Span);

impl Default for Step {
    fn default() -> Self {
        Self(Span::from_seconds(60))
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span: Span = text.parse().map_err(|e| format!("{e}"))?;
        let whole = Span::from_seconds(span.whole_seconds());
        if span != whole || span < Span::from_seconds(1) {
            return Err("a step is whole seconds, 1s or more".to_owned());
        }
        Ok(Self(span))
    }
}

/// A point in time as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A given one.
    At(Timestamp),
    /// So long before now.
    Ago(Span),
}

impl Default for Moment {
    fn default() -> Self {
        Self::Ago(Span::ZERO)
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Ago(Span::ZERO));
        }
        if let Some(span) = text.strip_prefix('-') {
            return span.parse().map(Self::Ago).map_err(|e| format!("{e}"));
        }
        text.parse().map(Self::At).map_err(|_| {
            format!("`{text}` is no time; write RFC 3339 such as 2026-01-31T08:00:00Z, now, or -2d")
        })
    }
}

impl Moment {
    /// The point in time; what is told from now lies on a whole step.
    fn resolve(self, now: Timestamp, step: Span) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => floor(now - span, step),
        }
    }
}

/// The last whole step since 1970 that is not after `at`.
pub(crate) fn floor(at: Timestamp, step: Span) -> Timestamp {
    at - Span::from_nanos(at.nanos().rem_euclid(step.nanos().max(1)))
}

/// The time of this machine.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX));
    Timestamp::from_nanos(nanos)
}

impl AccessArgs {
    /// Takes the flags into the settings.
    fn tell(&self, settings: &mut Settings) {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
        settings.flag("prometheus.url", self.prometheus.clone());
        settings.flag(
            "prometheus.bearer_token_file",
            path(&self.bearer_token_file),
        );
        settings.flag("prometheus.ca_file", path(&self.ca_file));
        settings.flag("prometheus.client_cert", path(&self.client_cert));
        settings.flag("prometheus.client_key", path(&self.client_key));
        let timeout = self.query_timeout.map(|t| t.to_string());
        settings.flag("prometheus.timeout", timeout);
    }

    /// A client for the server that flags, environment and file name.
    ///
    /// # Errors
    /// Where there is no address, or it or a certificate cannot be used.
    pub fn connect(&self, settings: &Settings) -> Result<Prometheus> {
        let mut settings = settings.clone();
        self.tell(&mut settings);
        let text = |name: &str| Some(settings.text(name)).filter(|t| !t.is_empty());
        let file = |name: &str| text(name).map(PathBuf::from);
        let Some(url) = text("prometheus.url") else {
            bail!("no address of Prometheus: pass --prometheus URL, or set prometheus.url");
        };
        let timeout: Span = settings.parse("prometheus.timeout")?;
        ensure!(
            timeout > Span::ZERO,
            "--query-timeout {timeout}: must be above 0"
        );
        let mut access = Access::new(url);
        access.token = match (
            file("prometheus.bearer_token_file"),
            Environment.get(TOKEN_VARIABLE),
        ) {
            (Some(path), _) => Token::File(path),
            (None, Some(token)) => Token::Text(token),
            (None, None) => Token::None,
        };
        access.ca_file = file("prometheus.ca_file");
        access.client = match (
            file("prometheus.client_cert"),
            file("prometheus.client_key"),
        ) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => bail!(
                "a client certificate needs its key: give both --client-cert and --client-key"
            ),
        };
        access.plain_http = self.plain_http;
        access.timeout = Duration::from_nanos(timeout.nanos().unsigned_abs());
        access.points_max = settings.parse("prometheus.max_points")?;
        Prometheus::new(access).map_err(|e| coded(&e))
    }
}

impl RangeArgs {
    /// `true` where the workload comes from Prometheus.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.access.prometheus.is_some() || self.query.is_some()
    }

    /// The range as points in time, checked.
    fn range(&self, now: Timestamp) -> Result<Range> {
        let step = self.step.0;
        let (start, end) = (self.start.resolve(now, step), self.end.resolve(now, step));
        let range = Range { start, end, step };
        ensure!(
            range.steps() > 0,
            "from {start} to {end} is no whole step of {step}: move --start or --end, or shorten --step"
        );
        ensure!(
            range.steps() <= STEPS_MAX,
            "from {start} to {end} are {} steps of {step}, more than {STEPS_MAX}: lengthen --step or cut the range",
            range.steps()
        );
        Ok(range)
    }
}

/// The exit code of what Prometheus did not answer.
#[must_use]
pub(crate) fn coded(error: &PrometheusError) -> anyhow::Error {
    let code = match error {
        PrometheusError::Unreachable { .. }
        | PrometheusError::TimedOut { .. }
        | PrometheusError::Server { .. }
        | PrometheusError::Redirected { .. }
        | PrometheusError::NotPrometheus { .. } => Code::Unreachable,
        PrometheusError::Forbidden { .. } => Code::Forbidden,
        PrometheusError::Empty { .. } => Code::TooLittleData,
        _ => Code::Usage,
    };
    let message = error.to_string();
    Coded { code, message }.into()
}

/// Where work that speaks to the network is waited for.
///
/// # Errors
/// Where the system gives no event queue.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the network cannot be used")
}

/// What is to be run on the demand that Prometheus remembers.
///
/// # Errors
/// Where Prometheus cannot be asked, or what it answers is no demand; with its exit code.
pub(super) fn read(options: &Options) -> Result<Plan> {
    let args = &options.args.range;
    let Some(query) = &args.query else {
        bail!(
            "--prometheus needs --query: demand in requests per second, such as 'sum(rate(http_requests_total[1m]))'"
        );
    };
    let server = args.access.connect(&options.settings)?;
    let range = args.range(now())?;
    let told = runtime()?
        .block_on(server.range(query, &range))
        .map_err(|e| coded(&e))?;
    for warning in &told.warnings {
        eprintln!("warning: Prometheus: {warning}");
    }
    check(query, &told, options.args.gaps)?;
    let demand = whole(&told.series, args.query_counts);
    let counts = whole_counts("the query", &demand, options)?;
    ensure!(
        counts.iter().any(|c| *c > 0),
        "the query `{query}` gave not a single request; ask for another query or range"
    );
    let (start, step) = (range.start, range.step);
    let target = TargetId::new("prometheus/Workload/workload");
    let item = Item {
        id: "workload".to_owned(),
        workload: options.args.arrivals.workload(start, step, counts),
        setup: setup_of(options, target, &DEFAULTS),
    };
    Ok(Plan {
        name: "prometheus".to_owned(),
        summary: format!(
            "Prometheus, `{query}` from {start} to {}, {} steps of {step}",
            range.end,
            range.steps()
        ),
        items: vec![item],
        policies: Vec::new(),
        notes: notes(&told, options.args.gaps),
        is_sample: false,
    })
}

/// Refuses negative demand, and gaps of which nobody has said what they mean.
fn check(query: &str, told: &Ranged, gaps: GapsArg) -> Result<()> {
    let series = &told.series;
    let negative = series.iter().position(|v| v.is_some_and(|v| v < 0.0));
    if let Some(index) = negative {
        let at = series.time_of(index);
        bail!(
            "the query `{query}` gives a negative demand at {at}; demand is 0 or more: mend the query"
        );
    }
    let count = series.gaps();
    let known = series.iter().position(|v| v.is_some());
    let message = match known {
        None => format!(
            "the query `{query}` gave no usable value ({} NaN or infinite, {} stale): check the query",
            told.not_numbers, told.stale
        ),
        Some(_) if count == 0 || gaps != GapsArg::Error => return Ok(()),
        Some(first) if first == count => format!(
            "the query `{query}` has no sample before {}: its history begins there; pass --start {0}",
            series.time_of(first)
        ),
        Some(_) => {
            let first = series.iter().position(|v| v.is_none()).unwrap_or(0);
            format!(
                "the query `{query}` has {count} gaps of {} steps, the first at {} ({} NaN or infinite, {} stale); say what they mean: --gaps zero or --gaps hold, or lengthen --step beyond the scrape interval",
                series.len(),
                series.time_of(first),
                told.not_numbers,
                told.stale
            )
        }
    };
    let code = Code::TooLittleData;
    Err(Coded { code, message }.into())
}

fn notes(told: &Ranged, gaps: GapsArg) -> Vec<String> {
    let mut notes: Vec<String> = told
        .warnings
        .iter()
        .map(|w| format!("Prometheus warned: {w}."))
        .collect();
    let count = told.series.gaps();
    if count > 0 {
        let meaning = match gaps {
            GapsArg::Hold => "each taken for the step before it",
            GapsArg::Zero | GapsArg::Error => "taken for no demand, as --gaps zero says",
        };
        notes.push(format!(
            "{count} of {} steps have no sample ({} NaN or infinite, {} stale), {meaning}.",
            told.series.len(),
            told.not_numbers,
            told.stale
        ));
    }
    notes
}

/// Rates or counts as whole counts; what a step is rounded by goes into the next one.
///
/// The counts were whole once and the server's extrapolation made fractions of them: rounding each
/// step alone would lose demand below one request a step, drawing would add noise that was not there.
fn whole(series: &Series, are_counts: bool) -> Series {
    let seconds = if are_counts {
        1.0
    } else {
        series.step().seconds()
    };
    let mut over = 0.0;
    let values = series.iter().map(|value| {
        let Some(value) = value else { return f64::NAN };
        let exact = value * seconds + over;
        let count = (exact + 1e-6).floor();
        over = exact - count;
        count
    });
    Series::new(series.start(), series.step(), values.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series::new(Timestamp::EPOCH, Span::from_seconds(60), values.to_vec())
    }

    #[test]
    fn rounding_loses_no_request() {
        let rates = series(&[0.005; 1000]);
        let whole = whole(&rates, false);
        let sum: f64 = whole.iter().flatten().sum();
        assert!((sum - 300.0).abs() < 0.5, "{sum}");
        assert!(whole.iter().flatten().all(|c| c < 1.5));
    }

    #[test]
    fn a_rate_that_was_a_whole_count_gives_that_count_back() {
        let counts = [7.0, 0.0, 601.0, 59.0, 1.0];
        let rates: Vec<f64> = counts.iter().map(|c| c / 60.0).collect();
        let got: Vec<f64> = whole(&series(&rates), false).iter().flatten().collect();
        assert_eq!(got, counts);
        let got: Vec<f64> = whole(&series(&counts), true).iter().flatten().collect();
        assert_eq!(got, counts);
    }

    #[test]
    fn gaps_stay_gaps() {
        let got = whole(&series(&[1.0, f64::NAN, f64::INFINITY]), true);
        assert_eq!(got.iter().collect::<Vec<_>>(), [Some(1.0), None, None]);
    }

    #[test]
    fn times_are_absolute_or_before_now() {
        let now = Timestamp::from_seconds(1_000_000);
        let minute = Span::from_seconds(60);
        let at = |text: &str| text.parse::<Moment>().map(|m| m.resolve(now, minute));
        assert_eq!(at("now"), Ok(Timestamp::from_seconds(999_960)));
        assert_eq!(at("-1h"), Ok(Timestamp::from_seconds(996_360)));
        assert_eq!(at("1970-01-01T00:00:07Z"), Ok(Timestamp::from_seconds(7)));
        assert!(at("yesterday").is_err() && at("-soon").is_err());
    }
}
