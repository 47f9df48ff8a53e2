//! One object: demand with its fan, replicas, decisions with their waterfalls, the score.

use std::fmt::Write;

use foresail_core::quantity::time::Span;

use super::figures::{self, Stretch};
use super::head::{self, name, segment, shown, time};
use super::model::{FleetRow, ObjectPage};
use super::query::Window;
use super::{score_section, waterfall};
use crate::page::chart::Drawing;
use crate::page::text::{escape, number};

/// Lengths of time that are offered.
const LASTS: [&str; 5] = ["1h", "6h", "24h", "7d", ""];

/// Which drawing is saved as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// Demand with its fan.
    Demand,
    /// Replicas.
    Replicas,
}

/// Colours of the live drawings where no page's style is around them.
const FILE_STYLE: &str = ".fan{fill:#9ecae1;fill-opacity:.45}.median,.actual,.decided,.current,.ready,.reactive,.incumbent,.least,.most,.now{fill:none}\
.actual{stroke:#24292f;stroke-width:1.4}.median{stroke:#0072b2;stroke-width:1.6;stroke-dasharray:5 3}.miss{fill:#d55e00;stroke:#d55e00}\
.decided{stroke:#0072b2;stroke-width:2}.current{stroke:#24292f;stroke-width:1.4}.ready{stroke:#009e73;stroke-width:1.4;stroke-dasharray:1 2}\
.reactive{stroke:#e69f00;stroke-width:1.3;stroke-dasharray:5 3}.incumbent{stroke:#cc79a7;stroke-width:1.6}\
.least,.most{stroke:#8c959f;stroke-width:1;stroke-dasharray:2 3}.bound{fill:#e69f00;fill-opacity:.16}\
.now{stroke:#8c959f;stroke-dasharray:2 3}.mark-up{fill:#d55e00}.mark-down{fill:#0072b2}";

fn stretch(page: &ObjectPage, window: Window) -> Stretch {
    let now = page.row.at;
    let first = [
        page.demand.first().map(|p| p.at),
        page.replicas.first().map(|p| p.at),
    ];
    let from = first.into_iter().flatten().min().unwrap_or(now);
    // Not further ahead than a fifth of what is shown, so that the past keeps its room.
    let seen = window.last.map_or(now - from, |last| last.min(now - from));
    let room = Span::from_nanos(seen.nanos() / 5).max(Span::from_seconds(120));
    let last = page.forecasts.last().map_or(now, |f| f.at);
    let ahead = last.max(now).min(now + room);
    let (begin, end) = window.cut(from, now, ahead);
    Stretch { begin, end, now }
}

fn drawing(page: &ObjectPage, window: Window, drawn: Drawn) -> (Drawing, String) {
    let stretch = stretch(page, window);
    let who = shown(&page.row.name);
    match drawn {
        Drawn::Demand => (figures::demand(page, stretch), format!("Demand of {who}")),
        Drawn::Replicas => (
            figures::replicas(page, stretch),
            format!("Replicas of {who}"),
        ),
    }
}

/// A drawing as a file of its own.
pub(super) fn standalone(page: &ObjectPage, window: Window, drawn: Drawn) -> String {
    let (drawing, title) = drawing(page, window, drawn);
    drawing.standalone_with(&title, FILE_STYLE)
}

/// The whole page.
pub(super) fn render(page: &ObjectPage, window: Window, revision: u64) -> String {
    let row = &page.row;
    let headline = format!(
        "{}<span class=\"slash\">/</span>{}",
        name(&row.namespace),
        name(&row.name)
    );
    let title = format!("{}/{}", row.namespace, row.name);
    let mut html = head::begin(&title, revision, &headline, &facts(row));
    now(page, &mut html);
    ranges(row, window, &mut html);
    demand_section(page, window, &mut html);
    replicas_section(page, window, &mut html);
    decisions(page, &mut html);
    html.push_str(&score_section::section(page.score.as_ref()));
    frontier(page, &mut html);
    html.push_str(head::end());
    html
}

fn facts(row: &FleetRow) -> String {
    let age = row.sample_age_seconds.map_or_else(
        || "no sample yet".to_owned(),
        |age| format!("newest sample {age} s old"),
    );
    let mut html = format!(
        "<p class=\"facts\">{} · {} · mode {:?} · health {:?} · decided {} · {age}</p>\n",
        name(&row.target),
        escape(&shown(&row.phase)),
        row.mode,
        row.health,
        time(row.at)
    );
    for wrong in &row.wrong {
        let _ = writeln!(
            html,
            "<p class=\"alert\"><b>{}</b> {}: {}</p>",
            escape(&shown(&wrong.kind)),
            escape(&shown(&wrong.reason)),
            escape(&shown(&wrong.message))
        );
    }
    html
}

/// The numbers of the newest decision.
fn now(page: &ObjectPage, html: &mut String) {
    let row = &page.row;
    let count = |n: Option<u32>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let archetype = row.archetype.map_or("–", |a| a.name());
    let limit = row.limit.as_ref().map_or_else(
        || "none".to_owned(),
        |l| format!("{}: {}", l.by, shown(&l.why)),
    );
    let cost = format!(
        "{} {}",
        number(row.cost_per_day.unwrap_or(f64::NAN), 1),
        page.cost_unit
    );
    let cells = [
        (
            "ready / asked for",
            format!("{} / {}", row.ready, count(row.replicas)),
        ),
        ("decided", count(row.desired)),
        ("reactive floor", count(row.reactive)),
        ("incumbent", count(row.incumbent)),
        ("archetype", archetype.to_owned()),
        ("limit now", limit),
        ("a day", cost),
        (
            "forecaster",
            page.forecaster
                .as_deref()
                .map_or_else(|| "none".to_owned(), shown),
        ),
    ];
    html.push_str("<dl class=\"numbers\">\n");
    for (what, value) in cells {
        let _ = writeln!(
            html,
            "<div><dt>{what}</dt><dd>{}</dd></div>",
            escape(&value)
        );
    }
    html.push_str("</dl>\n");
}

fn address(row: &FleetRow) -> String {
    format!("/{}/{}", segment(&row.namespace), segment(&row.name))
}

fn ranges(row: &FleetRow, window: Window, html: &mut String) {
    html.push_str("<nav class=\"ranges\" aria-label=\"Range of time\">");
    for last in LASTS {
        let span: Option<Span> = last.parse().ok();
        let here = if span == window.last {
            " aria-current=\"true\""
        } else {
            ""
        };
        let until = window.until.map_or_else(String::new, |at| {
            format!("&amp;until={}", segment(&at.to_string()))
        });
        let (query, text) = if last.is_empty() {
            (String::new(), "all")
        } else {
            (format!("?last={last}{until}"), last)
        };
        let _ = write!(
            html,
            "<a{here} href=\"/o{}{query}\">{text}</a> ",
            address(row)
        );
    }
    html.push_str("</nav>\n");
}

fn figure(page: &ObjectPage, window: Window, drawn: Drawn, file: &str, caption: &str) -> String {
    let (drawing, title) = drawing(page, window, drawn);
    let object = format!("/api/v1/objects{}", address(&page.row));
    format!(
        "<figure>\n{}<figcaption>{caption} <a href=\"{object}/{file}\">SVG</a> <a href=\"{object}?format=csv\">CSV</a></figcaption></figure>\n",
        drawing.inline(&title, "")
    )
}

fn demand_section(page: &ObjectPage, window: Window, html: &mut String) {
    html.push_str("<section id=\"demand\"><h2>Demand, and what was forecast of it</h2>\n");
    if page.demand.is_empty() {
        html.push_str("<p class=\"empty\">No demand was seen. A metric with the role <code>Forecast</code> or <code>Both</code> gives it; a record holds it where its engine was told of it.</p>\n");
    } else {
        let caption = if page.forecasts.is_empty() {
            "Nothing is forecast: no proposer that forecasts has had a wish yet."
        } else {
            "Each forecast stands at the time that it was for, as it was made one horizon before; what lies to the right of “now” is still to come. Dots are demand that left its band."
        };
        html.push_str(&figure(page, window, Drawn::Demand, "demand.svg", caption));
    }
    html.push_str("</section>\n");
}

fn replicas_section(page: &ObjectPage, window: Window, html: &mut String) {
    html.push_str("<section id=\"replicas\"><h2>Replicas</h2>\n");
    let caption = "Triangles are decisions of a change: each leads to its story below. Shaded where a guard moved the number.";
    html.push_str(&figure(
        page,
        window,
        Drawn::Replicas,
        "replicas.svg",
        caption,
    ));
    html.push_str("</section>\n");
}

fn decisions(page: &ObjectPage, html: &mut String) {
    html.push_str("<section id=\"decisions\"><h2>Decisions, the newest first</h2>\n<p class=\"hint\">Each opens into what was wished, by whom, and which guards moved it. <code>foresail explain RECORD --what-if without=GUARD</code> says what another setting would have given.</p>\n");
    for told in &page.decisions {
        waterfall::details(told, html);
    }
    html.push_str("</section>\n");
}

fn frontier(page: &ObjectPage, html: &mut String) {
    html.push_str("<section id=\"frontier\"><h2>Cost against the promise</h2>\n");
    let points: Vec<_> = page
        .frontier
        .iter()
        .filter(|p| p.cost.is_finite() && p.violations_percent.is_finite())
        .cloned()
        .collect();
    if points.is_empty() {
        html.push_str("<p class=\"empty\">Nothing was compared on this demand. An object in mode Shadow or Advise shows it here with its score, after a day of rows. <code>foresail compare</code> runs every policy on it; its results folder can be served too.</p></section>\n");
        return;
    }
    let drawing = figures::frontier(&points);
    let _ = writeln!(
        html,
        "<figure>\n{}<figcaption>Lower left is better; the large dot is what is in force.</figcaption></figure></section>",
        drawing.inline("Cost against the promise", "")
    );
}
