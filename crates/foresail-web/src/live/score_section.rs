//! What was decided held against the incumbent: a running tally, and its section of the page.

use std::fmt::Write;

use foresail_core::quantity::time::{Span, Timestamp};

use super::head::shown;
use super::model::{ReplicaPoint, Score, Side, Verdict};
use crate::page::text::{escape, number};

/// Replica-hours and changes of both sides, as far as explanations tell them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    since: Option<Timestamp>,
    last: Option<(Timestamp, u32, u32)>,
    hours: f64,
    ours: (f64, u64),
    theirs: (f64, u64),
}

impl Tally {
    /// Counts the time since the decision before; a pause and what is unknown count for nothing.
    pub(super) fn add(&mut self, point: &ReplicaPoint, pause: Span) {
        let (Some(decided), Some(incumbent)) = (point.decided, point.incumbent) else {
            self.last = None;
            return;
        };
        self.since.get_or_insert(point.at);
        if let Some((at, before, theirs_before)) = self.last {
            let span = point.at - at;
            if span <= pause && !span.is_negative() {
                let hours = span.seconds() / 3600.0;
                self.hours += hours;
                self.ours.0 += hours * f64::from(before);
                self.theirs.0 += hours * f64::from(theirs_before);
                self.ours.1 += u64::from(before != decided);
                self.theirs.1 += u64::from(theirs_before != incumbent);
            }
        }
        self.last = Some((point.at, decided, incumbent));
    }

    /// The score so far; `None` where there never was an incumbent.
    pub(super) fn score(&self) -> Option<Score> {
        let side = |name: &str, (replica_hours, changes): (f64, u64)| Side {
            name: name.to_owned(),
            replica_hours,
            short_minutes: None,
            changes,
        };
        Some(Score {
            since: self.since?,
            hours: self.hours,
            sides: vec![
                side("Foresail", self.ours),
                side("incumbent", self.theirs),
            ],
            verdict: None,
            why: vec![
                "Replicas decided and replicas of the incumbent, as they were told; no verdict was made of them."
                    .to_owned(),
            ],
        })
    }
}

/// The verdict as a mark.
pub(super) fn verdict(verdict: Option<Verdict>) -> String {
    verdict.map_or_else(
        || "<span class=\"hint\">–</span>".to_owned(),
        |v| {
            let name = format!("{v:?}");
            let class = name.to_lowercase();
            format!("<span class=\"chip v-{class}\">{name}</span>")
        },
    )
}

/// The section of the page.
pub(super) fn section(score: Option<&Score>) -> String {
    let mut html = String::from("<section id=\"score\"><h2>Against the incumbent</h2>\n");
    let Some(score) = score else {
        html.push_str(
            "<p class=\"empty\">No incumbent was seen. Let an HPA stay in charge and set <code>mode: Shadow</code>, or run <code>foresail watch</code>: what it does is then counted beside what would have been decided.</p></section>\n",
        );
        return html;
    };
    let _ = writeln!(
        html,
        "<p class=\"facts\">{} · {} hours since {}</p>",
        verdict(score.verdict),
        number(score.hours, 1),
        super::head::time(score.since)
    );
    html.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">side</th><th scope=\"col\">replica-hours</th><th scope=\"col\">minutes short</th><th scope=\"col\">changes</th></tr></thead><tbody>\n");
    for side in &score.sides {
        let short = side.short_minutes.unwrap_or(f64::NAN);
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&shown(&side.name)),
            number(side.replica_hours, 1),
            number(short, 1),
            side.changes
        );
    }
    html.push_str("</tbody></table></div>\n");
    for why in &score.why {
        let _ = writeln!(
            html,
            "<p class=\"note\">{}</p>",
            escape(&super::waterfall::clause(why))
        );
    }
    html.push_str("</section>\n");
    html
}
