//! What came of a training: parameters, losses, coverage.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use foresail_adapters::io::shown;
use foresail_models::forecast::pool_net::train::Report;
use foresail_models::forecast::pool_net::{Known, PoolNet, Shape, Spread, Trained, Training};
use serde_json::{Value, json};

use super::dataset::NAME_CHARACTERS;
use crate::cli::{Output, print_csv};
use crate::forecast::histories::plural;

/// Functions that are told one by one.
const FUNCTIONS_TOLD: usize = 5;

/// What both trainings tell.
struct Told<'a> {
    what: &'static str,
    parameters: usize,
    training: &'a Training,
    known: &'a [Known],
    report: &'a Report,
    spreads: &'a [Spread],
    path: &'a Path,
}

/// Tells of a trained encoder-decoder.
pub(super) fn encoder(
    trained: &Trained,
    path: &Path,
    output: Output,
    out: &mut dyn Write,
) -> Result<()> {
    let told = Told {
        what: "encoder-decoder",
        parameters: trained.parameters(),
        training: trained.training(),
        known: trained.known(),
        report: trained.report(),
        spreads: &[],
        path,
    };
    told.print(output, out)
}

/// Tells of a trained prediction network.
pub(super) fn head(net: &PoolNet, path: &Path, output: Output, out: &mut dyn Write) -> Result<()> {
    let told = Told {
        what: "prediction network",
        parameters: net.parameters()[1],
        training: net.training(),
        known: net.known(),
        report: net.report(),
        spreads: net.spreads(),
        path,
    };
    told.print(output, out)
}

impl Told<'_> {
    fn print(&self, output: Output, out: &mut dyn Write) -> Result<()> {
        match output {
            Output::Table => self.table(out),
            Output::Json => Ok(writeln!(out, "{}", self.json())?),
            Output::Csv => self.csv(out),
        }
    }

    fn shape(&self) -> &'static str {
        match self.training.shape {
            Shape::Published => "published",
            Shape::Sound => "sound",
        }
    }

    fn table(&self, out: &mut dyn Write) -> Result<()> {
        let (t, r) = (self.training, self.report);
        let (shape, dropout) = (self.shape(), t.dropout);
        let (what, parameters) = (self.what, self.parameters);
        writeln!(
            out,
            "{what}, {shape} shape: {parameters} parameters, {} in, {} out, dropout {dropout}",
            plural(t.window, "step"),
            plural(t.reach, "step"),
        )?;
        for known in self.known.iter().take(FUNCTIONS_TOLD) {
            let name = shown(&known.id, NAME_CHARACTERS);
            let (mean, deviation) = (known.scale.mean, known.scale.deviation);
            writeln!(
                out,
                "function {name}: {mean:.3} containers on average, deviation {deviation:.3}"
            )?;
        }
        if let Some(more) = self
            .known
            .len()
            .checked_sub(FUNCTIONS_TOLD)
            .filter(|m| *m > 0)
        {
            writeln!(out, "and {} more", plural(more, "function"))?;
        }
        let [training, validation, test] = r.windows;
        let (dropped, left_out) = (r.dropped, r.left_out);
        writeln!(
            out,
            "windows: {training} to learn from, {validation} to choose by, {test} to test; {dropped} dropped for gaps, {left_out} left out"
        )?;
        let (epochs, best) = (plural(r.epochs, "epoch"), r.best);
        writeln!(
            out,
            "{epochs}, the best was {}: loss {:.4}, validation {:.4}",
            best.number, best.training, best.validation
        )?;
        writeln!(
            out,
            "test: {:.4}; {:.4} by the last value",
            r.test, r.persistence
        )?;
        for (step, spread) in self.spreads.iter().enumerate() {
            writeln!(out, "step {}: {}", step + 1, coverage(spread))?;
        }
        writeln!(out, "model: {}", self.path.display())?;
        Ok(())
    }

    fn json(&self) -> Value {
        let function = |k: &Known| json!({"id": k.id, "scale": k.scale});
        json!({
            "v": 1, "net": self.what, "parameters": self.parameters, "training": self.training,
            "functions": self.known.iter().map(function).collect::<Vec<_>>(),
            "report": self.report, "spreads": self.spreads,
            "model": self.path.display().to_string(),
        })
    }

    fn csv(&self, out: &mut dyn Write) -> Result<()> {
        let columns = [
            "net",
            "shape",
            "parameters",
            "functions",
            "epochs",
            "best_epoch",
            "training_loss",
            "validation_loss",
            "test_loss",
            "last_value_loss",
            "coverage",
            "factor",
            "rescaled",
            "model",
        ];
        let (r, spread) = (self.report, self.spreads.first());
        let text = |number: Option<f64>| number.map_or_else(String::new, |n| n.to_string());
        let row = vec![
            self.what.to_owned(),
            self.shape().to_owned(),
            self.parameters.to_string(),
            self.known.len().to_string(),
            r.epochs.to_string(),
            r.best.number.to_string(),
            r.best.training.to_string(),
            r.best.validation.to_string(),
            r.test.to_string(),
            r.persistence.to_string(),
            text(spread.map(|s| s.coverage)),
            text(spread.map(|s| s.factor)),
            text(spread.and_then(|s| s.rescaled)),
            self.path.display().to_string(),
        ];
        print_csv(&columns, &[row], out)
    }
}

/// How honest the band of one step ahead is.
fn coverage(spread: &Spread) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let (covered, windows) = (percent(spread.coverage), spread.windows);
    let above = percent(spread.above);
    let upper = format!("{above} lies above the 95 % quantile");
    match spread.rescaled {
        None => {
            format!("the 90 % band covers {covered} of {windows} test windows, {upper}")
        }
        Some(rescaled) => format!(
            "the 90 % band covered {covered} of {windows} test windows; conformal-checked: drawn out by {:.2} it covers {} of their later half, of which {upper}",
            spread.factor,
            percent(rescaled)
        ),
    }
}
