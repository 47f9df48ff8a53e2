//! One method beside the best of the others: by how much, and whether chance could have done it.

use foresail_models::forecast::backtest::Scored;
use foresail_models::forecast::score::{Estimate, Scores, block_bootstrap};
use foresail_models::rng::Seed;
use foresail_web::page::text::short;
use serde_json::{Value, json};

use super::backtest::{Outcome, Row};

/// One method beside the best of the others on one set.
#[derive(Clone, Debug, PartialEq)]
pub struct Duel {
    /// The set.
    pub set: String,
    /// The method.
    pub method: String,
    /// Steps ahead.
    pub ahead: usize,
    /// Who has the least scaled pinball loss of the others.
    pub best: String,
    /// That loss.
    pub best_pinball: f64,
    /// The method's own loss.
    pub pinball: f64,
    /// Own loss minus the other's, with its interval over blocks.
    pub difference: Estimate,
    /// Own coverage of both bands in percent, with intervals over blocks.
    pub coverage: [Estimate; 2],
}

/// Sets a method against the best of the others, for each step ahead.
#[must_use]
pub fn duels(
    set: &str,
    name: &str,
    outcomes: &[Outcome],
    ahead: &[usize],
    seed: Seed,
) -> Vec<Duel> {
    let Some(own) = outcomes.iter().find(|o| o.method == name) else {
        return Vec::new();
    };
    let duel = |ahead: usize| {
        let loss = |o: &Outcome| Scores::of(o.losses(ahead)).pinball;
        let others = outcomes.iter().filter(|o| o.method != name);
        let best = others.min_by(|a, b| loss(a).total_cmp(&loss(b)))?;
        let of = |o: &Outcome| o.blocks(ahead, |s| s.loss.pinball);
        let paired = of(own).into_iter().zip(of(best));
        let difference = |(a, b): (Vec<f64>, Vec<f64>)| {
            a.iter().zip(&b).map(|(a, b)| a - b).collect::<Vec<f64>>()
        };
        let blocks: Vec<Vec<f64>> = paired.map(difference).collect();
        let covered = |band: usize| block_bootstrap(&own.blocks(ahead, inside(band)), seed);
        Some(Duel {
            set: set.to_owned(),
            method: name.to_owned(),
            ahead,
            best: best.method.clone(),
            best_pinball: loss(best),
            pinball: loss(own),
            difference: block_bootstrap(&blocks, seed),
            coverage: [covered(0), covered(1)],
        })
    };
    ahead.iter().filter_map(|a| duel(*a)).collect()
}

/// Coverage of one method over every set.
#[derive(Clone, Debug, PartialEq)]
pub struct Pooled {
    /// The method.
    pub method: String,
    /// Steps ahead; `None` for all of them together.
    pub ahead: Option<usize>,
    /// Steps that were scored.
    pub points: usize,
    /// Coverage of both bands in percent, with intervals over blocks.
    pub coverage: [Estimate; 2],
}

/// Whether a step lay in a band, in percent.
fn inside(band: usize) -> impl Fn(&Scored) -> f64 {
    move |s| if s.loss.inside[band] { 100.0 } else { 0.0 }
}

/// The coverage of one method, pooled over the outcomes of many sets, for each step ahead and all.
#[must_use]
pub fn pooled(method: &str, outcomes: &[Outcome], ahead: &[usize], seed: Seed) -> Vec<Pooled> {
    let own: Vec<&Outcome> = outcomes.iter().filter(|o| o.method == method).collect();
    let over = |steps: &[usize], told: Option<usize>| {
        let blocks = |band: usize| -> Vec<Vec<f64>> {
            let of = |o: &&Outcome, a: usize| o.blocks(a, inside(band));
            let each = own.iter().flat_map(|o| steps.iter().map(move |a| (o, *a)));
            each.flat_map(|(o, a)| of(o, a)).collect()
        };
        let (narrow, wide) = (blocks(0), blocks(1));
        Pooled {
            method: method.to_owned(),
            ahead: told,
            points: narrow.iter().map(Vec::len).sum(),
            coverage: [narrow, wide].map(|b| block_bootstrap(&b, seed)),
        }
    };
    if own.is_empty() {
        return Vec::new();
    }
    let each = ahead.iter().map(|a| over(&[*a], Some(*a)));
    each.chain([over(ahead, None)]).collect()
}

/// The mean loss over sets of one method and of the best of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Mean {
    /// Steps ahead.
    pub ahead: usize,
    /// Sets that both have.
    pub sets: usize,
    /// The method.
    pub method: String,
    /// Its mean scaled pinball loss.
    pub pinball: f64,
    /// Who has the least mean of the others.
    pub best: String,
    /// That mean.
    pub best_pinball: f64,
}

/// Means over sets, where there are several; a method that lacks a set is left out.
#[must_use]
pub fn means(method: &str, rows: &[Row], ahead: &[usize]) -> Vec<Mean> {
    let mut sets: Vec<&str> = rows.iter().map(|r| r.set.as_str()).collect();
    sets.dedup();
    let mut methods: Vec<&str> = rows.iter().map(|r| r.method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    if sets.len() < 2 {
        return Vec::new();
    }
    let mean = |name: &str, ahead: usize| {
        let own = rows.iter().filter(|r| r.method == name && r.ahead == ahead);
        let losses: Vec<f64> = own.map(|r| r.scores.pinball).collect();
        (losses.len() == sets.len()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    };
    let one = |ahead: usize| {
        let others = methods.iter().filter(|m| **m != method);
        let known = others.filter_map(|m| Some((*m, mean(m, ahead)?)));
        let (best, best_pinball) = known.min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Mean {
            ahead,
            sets: sets.len(),
            method: method.to_owned(),
            pinball: mean(method, ahead)?,
            best: best.to_owned(),
            best_pinball,
        })
    };
    ahead.iter().filter_map(|a| one(*a)).collect()
}

impl Duel {
    /// The duel for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "set": self.set, "h": self.ahead, "method": self.method, "best": self.best, "best_spb": self.best_pinball,
            "spb": self.pinball, "difference": self.difference.mean, "verdict": self.verdict(),
            "difference_interval": self.difference.interval,
            "cov80": self.coverage[0].mean, "cov80_interval": self.coverage[0].interval,
            "cov95": self.coverage[1].mean, "cov95_interval": self.coverage[1].interval,
        })
    }

    /// Significantly worse: the whole interval of the difference lies above zero.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        self.difference.interval[0] > 0.0
    }

    /// What the difference says, in words.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        let [low, high] = self.difference.interval;
        match () {
            () if self.is_worse() => "significantly worse",
            () if high < 0.0 => "significantly better",
            () if low == 0.0 && high == 0.0 => "the same",
            () => "no significant difference",
        }
    }

    /// The columns of the table of duels.
    pub const COLUMNS: [&'static str; 9] = [
        "set",
        "h",
        "method",
        "spb",
        "best other",
        "its spb",
        "difference",
        "95 % interval",
        "verdict",
    ];

    /// The duel as texts, in the order of [`Self::COLUMNS`].
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let [low, high] = self.difference.interval;
        vec![
            self.set.clone(),
            self.ahead.to_string(),
            self.method.clone(),
            format!("{:.3}", self.pinball),
            self.best.clone(),
            format!("{:.3}", self.best_pinball),
            format!("{:+.3}", self.difference.mean),
            format!("{low:+.3} to {high:+.3}"),
            self.verdict().to_owned(),
        ]
    }
}

fn gain_percent(own: f64, other: f64) -> f64 {
    if other > 0.0 {
        (1.0 - own / other) * 100.0
    } else {
        0.0
    }
}

impl Pooled {
    /// The coverage for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "method": self.method, "h": self.ahead, "points": self.points,
            "cov80": self.coverage[0].mean, "cov80_interval": self.coverage[0].interval,
            "cov95": self.coverage[1].mean, "cov95_interval": self.coverage[1].interval,
        })
    }

    /// The coverage in a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let ahead = self
            .ahead
            .map_or_else(|| "all h".to_owned(), |a| format!("h = {a}"));
        let one = |percent: &str, e: &Estimate| {
            let [low, high] = e.interval;
            format!(
                "{:.1} % in the {percent} % band [{low:.1}, {high:.1}]",
                e.mean
            )
        };
        format!(
            "{}, {ahead}: {}, {} ({} points)",
            self.method,
            one("80", &self.coverage[0]),
            one("95", &self.coverage[1]),
            self.points
        )
    }
}

impl Mean {
    /// The means for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "h": self.ahead, "sets": self.sets, "method": self.method, "spb": self.pinball,
            "best": self.best, "best_spb": self.best_pinball,
            "gain_percent": gain_percent(self.pinball, self.best_pinball),
        })
    }

    /// The means in a line.
    #[must_use]
    pub fn sentence(&self) -> String {
        let gain = gain_percent(self.pinball, self.best_pinball);
        let word = if gain < 0.0 { "more" } else { "less" };
        format!(
            "h = {}: {} has a mean loss of {:.3} over {} sets, {} % {word} than {}, the best of the others with {:.3}",
            self.ahead,
            self.method,
            self.pinball,
            self.sets,
            short((gain.abs() * 10.0).round() / 10.0),
            self.best,
            self.best_pinball
        )
    }
}
