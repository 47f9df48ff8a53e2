//! Cells of the experiment's CSV files as numbers: what is no number of its kind is told with its column.

use foresail_core::quantity::time::Timestamp;

use super::Mode;
use super::read::Found;
use super::row::COLUMNS;

/// Columns without which a file is none of this experiment.
const NEEDED: [&str; 3] = ["timestamp", "mode", "current_replicas"];

/// The most replicas that a cell may hold: ten times what the largest clusters run.
const REPLICAS_MAX: f64 = 1e6;

/// The most that a cell of usage may hold, in millicores: a million cores.
const USAGE_MAX: f64 = 1e9;

/// Where each column stands.
pub(super) struct Columns {
    places: [Option<usize>; 25],
    count: usize,
}

impl Columns {
    /// The columns of a header.
    ///
    /// # Errors
    /// The names of those that must be there and are not.
    pub(super) fn of(headers: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| {
            let same = |h: &str| h.trim().trim_start_matches('\u{feff}') == name;
            headers.iter().position(same)
        };
        let lacking: Vec<&str> = NEEDED.into_iter().filter(|n| place(n).is_none()).collect();
        if !lacking.is_empty() {
            return Err(lacking.join(", "));
        }
        Ok(Self {
            places: COLUMNS.map(place),
            count: headers.len(),
        })
    }

    /// Mode and cells of a row.
    ///
    /// # Errors
    /// What is wrong with it, with the column.
    pub(super) fn row(&self, record: &csv::StringRecord) -> Result<(String, Found), String> {
        if record.len() != self.count {
            return Err(format!(
                "{} cells, and the header has {}",
                record.len(),
                self.count
            ));
        }
        let cell = |name: &str| -> &str {
            let column = COLUMNS.iter().position(|c| *c == name);
            let place = column.and_then(|c| self.places[c]);
            place.and_then(|p| record.get(p)).unwrap_or("").trim()
        };
        let real = |name: &str| -> Result<Option<f64>, String> {
            let text = cell(name);
            if matches!(text, "" | "None" | "nan" | "NaN") {
                return Ok(None);
            }
            let number: Option<f64> = text.parse().ok();
            let finite = number.filter(|n| n.is_finite());
            finite.map(Some).ok_or_else(|| {
                let begin: String = text.chars().take(20).collect();
                format!("{name} is no number: `{begin}`")
            })
        };
        let told = |name: &str, must: &str| {
            let begin: String = cell(name).chars().take(20).collect();
            format!("{name}: `{begin}` is no {must}")
        };
        let between = |name: &str, most: f64, must: &str| -> Result<Option<f64>, String> {
            let number = real(name)?;
            if number.is_some_and(|n| !(0.0..=most).contains(&n)) {
                return Err(told(name, must));
            }
            Ok(number)
        };
        let usage = |name: &str| between(name, USAGE_MAX, "usage of a pod");
        // The published Python writes whole numbers as floats too.
        let replicas = |name: &str| -> Result<Option<f64>, String> {
            let must = "number of replicas";
            let number = between(name, REPLICAS_MAX, must)?;
            if number.is_some_and(|n| n.fract() > 0.0) {
                return Err(told(name, must));
            }
            Ok(number)
        };
        let mode = cell("mode");
        if Mode::named(mode).is_none() {
            return Err(told(
                "mode",
                "mode (known: hpa_only, ai_scaler, comparison)",
            ));
        }
        let at = cell("timestamp")
            .parse::<Timestamp>()
            .map_err(|e| format!("timestamp: {e}"))?;
        let current = replicas("current_replicas")?.ok_or("current_replicas is empty")?;
        Ok((
            mode.to_owned(),
            Found {
                at,
                current,
                cpu: usage("cpu_millicores")?,
                cpu_request: usage("cpu_request_millicores")?,
                simulated: replicas("hpa_sim_desired")?,
                raw: replicas("hpa_sim_raw_desired")?,
                memory_ratio: between("hpa_sim_mem_ratio", USAGE_MAX, "ratio")?,
                hpa: replicas("hpa_desired_replicas")?,
                advised: replicas("ai_recommended_replicas")?,
                confidence: real("ai_confidence")?,
                applied_by: cell("applied_by").chars().take(40).collect(),
            },
        ))
    }
}
