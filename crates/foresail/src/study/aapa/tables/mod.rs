//! Every table of the study, each also a file of its own.

mod classifier;
mod headlines;
mod paper;
mod policies;

use foresail_core::propose::archetype::Archetype;
use foresail_models::rng::Seed;
use foresail_web::page::text::number;

use self::policies::uncertainty;
use super::analysis::{Group, Paired};
use super::doubt::AtConfidence;
use super::learn::Classification;
use super::simulate::Figures;
use crate::study::report::{Named, table};

/// What the tables are made from.
pub(super) struct Study<'a> {
    pub(super) groups: &'a [Group<'a>],
    pub(super) classification: &'a Classification,
    pub(super) seed: Seed,
}

fn percent(value: f64, digits: usize) -> String {
    format!("{} %", number(value, digits))
}

/// A mean difference with its interval, such as `−3.10 (−4.00 to −2.20)`.
fn interval(paired: &Paired, digits: usize) -> String {
    let n = |v: f64| number(v, digits);
    paired.difference.map_or_else(
        || "–".to_owned(),
        |(mean, (low, high))| format!("{} ({} to {})", n(mean), n(low), n(high)),
    )
}

fn p_text(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "<.001".to_owned(),
        Some(p) => format!("{p:.3}").trim_start_matches('0').to_owned(),
    }
}

fn response(figures: &Figures) -> f64 {
    figures.response_ms
}

fn minutes(figures: &Figures) -> f64 {
    figures.replica_minutes
}

impl Study<'_> {
    /// Every table, the headlines first.
    pub(super) fn tables(&self, at: &[AtConfidence]) -> Vec<Named> {
        let mut all = vec![self.headlines(), self.goals()];
        all.extend(self.groups.iter().map(|g| self.policies(g)));
        all.extend([
            self.differences(),
            self.violations(),
            self.improvements(),
            self.replica_minutes(),
            self.p_values(),
            self.index(),
            self.sensitivity(),
            self.frontier(),
            uncertainty(at),
            self.leakage(),
            self.confusion(),
            self.labels(),
            self.importance(),
        ]);
        all
    }

    fn group(&self, archetype: Archetype) -> Option<&Group<'_>> {
        self.groups.iter().find(|g| g.archetype == Some(archetype))
    }

    /// All functions together; [`Group::all`] puts them last.
    fn mix(&self) -> &Group<'_> {
        &self.groups[self.groups.len() - 1]
    }

    /// What came of it, in a sentence.
    pub(super) fn headline(&self) -> String {
        let violations = Figures::violations_percent;
        let told = |g: &Group<'_>| {
            let (plain, ours) = (g.mean("hpa", violations), g.mean("aapa", violations));
            let ratio = g.mean("aapa", minutes) / g.mean("hpa", minutes);
            format!(
                "{}, {} against the plain HPA's {} for {} × its replica-minutes",
                if g.archetype.is_some() {
                    "on Spike"
                } else {
                    "on the whole mix"
                },
                percent(ours, 1),
                percent(plain, 1),
                number(ratio, 2)
            )
        };
        let spike = self.group(Archetype::Spike).map(told);
        let parts: Vec<String> = spike.into_iter().chain([told(self.mix())]).collect();
        format!("Broken promises under aapa {}", parts.join("; "))
    }
}
