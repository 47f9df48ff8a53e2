//! `foresail trace stages`: the load stages that make a trace's demand.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use foresail_adapters::atomic::write_file;
use foresail_adapters::io::Items;
use foresail_adapters::load::stages::{self, Users};
use foresail_core::quantity::series::Series;
use foresail_core::quantity::time::Span;
use foresail_core::quantity::trace::TraceItem;

use crate::exit::Code;

/// Names that are listed where the one that was asked for is not there.
const LISTED_MAX: usize = 10;

/// How demand becomes users.
#[derive(Args, Debug)]
pub(super) struct StagesArgs {
    /// Which item of the trace; the sum of all where absent
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// Length of a stage; shorter steps are taken together
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    stage: Span,
    /// Mean time that a user waits between an answer and the next request
    #[arg(long, value_name = "SPAN", default_value = "1s")]
    wait: Span,
    /// Mean time until an answer
    #[arg(long, value_name = "SPAN", default_value = "100ms")]
    response: Span,
    /// Users who come or go in a second
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    spawn_rate: f64,
    /// What demand is multiplied by
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    scale: f64,
    /// Where the stages go, a JSON list
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl StagesArgs {
    fn users(&self) -> Result<Users> {
        if self.stage <= Span::ZERO {
            bail!("--stage {}: must be above 0", self.stage);
        }
        if self.wait.is_negative() || self.response.is_negative() {
            bail!("--wait and --response must not be negative");
        }
        if self.wait + self.response <= Span::ZERO {
            bail!("--wait and --response are both 0: one user would make any demand");
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            bail!("--scale {}: must be above 0", self.scale);
        }
        Ok(Users {
            wait: self.wait,
            response: self.response,
            spawn_rate: self.spawn_rate,
            stage: self.stage,
            scale: self.scale,
        })
    }

    /// Writes the stages of what is asked for.
    ///
    /// # Errors
    /// An item that is not there, a trace without a value, or a place that cannot be written.
    pub(super) fn run(&self, items: &mut dyn Items, out: &mut dyn Write) -> Result<Code> {
        let users = self.users()?;
        let item = self.chosen(items)?;
        let made = stages::of_series(&item.demand, &users);
        let (made, gaps) = made.with_context(|| item.id.clone())?;
        if gaps > 0 {
            eprintln!(
                "warning: {gaps} of {} steps of {} have no value; the users of the stage before stay",
                item.demand.len(),
                item.id
            );
        }
        write_file(&self.out, |w| stages::write(&made, w))
            .context("the stages were not written")?;
        let most = made.iter().map(|s| s.users).max().unwrap_or(0);
        let end = made.last().map_or(0.0, |s| s.duration);
        writeln!(
            out,
            "{}: {} stages over {end} s, at most {most} users",
            self.out.display(),
            made.len()
        )?;
        Ok(Code::Done)
    }

    fn chosen(&self, items: &mut dyn Items) -> Result<TraceItem> {
        let mut sum: Option<TraceItem> = None;
        let mut names = Vec::new();
        for item in &mut *items {
            let item = item?;
            match (&self.item, &mut sum) {
                (Some(id), _) if item.id == *id => return Ok(item),
                (Some(_), _) => names.push(item.id),
                (None, None) => sum = Some(item),
                (None, Some(sum)) => add(sum, &item)?,
            }
        }
        if let Some(id) = &self.item {
            names.truncate(LISTED_MAX + 1);
            let more = if names.len() > LISTED_MAX {
                ", …"
            } else {
                ""
            };
            names.truncate(LISTED_MAX);
            bail!(
                "--item {id}: the trace has no such item; it has {}{more}",
                names.join(", ")
            );
        }
        sum.context("the trace has no item")
    }
}

/// Adds an item's demand to a sum; a step is known where it is known of both.
fn add(sum: &mut TraceItem, item: &TraceItem) -> Result<()> {
    let (ours, other) = (&sum.demand, &item.demand);
    let same =
        ours.start() == other.start() && ours.step() == other.step() && ours.len() == other.len();
    if !same {
        bail!(
            "{} has other steps than the items before it; name one with --item, or cut the trace first",
            item.id
        );
    }
    let pairs = ours.iter().zip(other.iter());
    let values = pairs.map(|(a, b)| a.zip(b).map_or(f64::NAN, |(a, b)| a + b));
    let values = values.collect();
    let demand = Series::new(ours.start(), ours.step(), values);
    sum.demand = demand;
    "all items".clone_into(&mut sum.id);
    Ok(())
}
