//! One decision as a waterfall: what was there, what was wished, what bound, what came of it.

use std::fmt::Write;

use foresail_core::explain::{Explanation, ProposalTold, Told};
use foresail_core::propose::plan::Axis;
use foresail_core::quantity::units::{larger, smaller};

use super::head::{name, shown, time};
use super::model::DecisionTold;
use crate::page::text::escape;

/// The longest clause that is shown; a language model's reasoning may be longer.
const CLAUSE_MAX: usize = 400;

/// Replicas of a setting.
pub(super) fn replicas(told: &Told) -> Option<u32> {
    told.get("replicas").map(|q| q.replicas().get())
}

/// The name by which an address leads to a decision: life and number of the tick.
pub(super) fn anchor(explanation: &Explanation) -> String {
    let mut parts = explanation.id.rsplit('/');
    let digits = |part: Option<&str>| -> String {
        let part = part.unwrap_or_default().chars();
        part.filter(char::is_ascii_digit).take(20).collect()
    };
    let (seq, epoch) = (digits(parts.next()), digits(parts.next()));
    format!("d-{epoch}-{seq}")
}

/// One line of the waterfall.
struct Row {
    class: &'static str,
    what: String,
    from: Option<f64>,
    to: Option<f64>,
    value: String,
    why: String,
}

/// A sentence from outside as it is shown, cut where it is very long.
pub(super) fn clause(text: &str) -> String {
    let cut: String = text.chars().take(CLAUSE_MAX).collect();
    let parts: Vec<String> = cut.split_inclusive(' ').map(shown).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", parts.concat())
}

fn values(told: &Told) -> String {
    if told.is_empty() {
        return "none".to_owned();
    }
    let one = |(axis, quantity): (&String, &foresail_core::quantity::units::Quantity)| {
        if axis == "replicas" {
            quantity.to_string()
        } else {
            format!("{} {quantity}", shown(axis))
        }
    };
    let all: Vec<String> = told.iter().map(one).collect();
    all.join(", ")
}

fn count(told: &Told) -> Option<f64> {
    replicas(told).map(f64::from)
}

fn proposal(p: &ProposalTold, chosen: bool) -> Row {
    let dropped = p.gate.map_or_else(String::new, |gate| {
        format!("; dropped by the gate: {gate:?}")
    });
    let sure = p
        .interval
        .map_or_else(String::new, |(low, high)| format!("; from {low} to {high}"));
    Row {
        class: match (p.gate, chosen) {
            (Some(_), _) => "w-dropped",
            (None, true) => "w-chosen",
            (None, false) => "w-wish",
        },
        what: name(&p.by),
        from: None,
        to: count(&p.wish),
        value: values(&p.wish),
        why: format!("{}{sure}{dropped}", clause(&p.basis.clause())),
    }
}

fn rows(e: &Explanation) -> Vec<Row> {
    let plain = |class, what: &str, told: &Told, why: String| Row {
        class,
        what: what.to_owned(),
        from: None,
        to: count(told),
        value: values(told),
        why,
    };
    let mut rows = vec![plain(
        "w-now",
        "asked for",
        &e.current,
        format!("{} ready", e.ready),
    )];
    let chosen = |p: &ProposalTold| e.chosen_by.as_ref() == Some(&p.by);
    rows.extend(e.proposals.iter().map(|p| proposal(p, chosen(p))));
    let count_of =
        |n: Option<foresail_core::quantity::units::Replicas>| n.map(|n| f64::from(n.get()));
    let text = |n: Option<foresail_core::quantity::units::Replicas>| {
        n.map_or_else(|| "none".to_owned(), |n| n.to_string())
    };
    for (class, what, n, why) in [
        (
            "w-floor",
            "reactive floor",
            e.reactive,
            "what the HPA's formula asks for now",
        ),
        (
            "w-incumbent",
            "incumbent",
            e.incumbent,
            "what the HPA in charge asks for",
        ),
    ] {
        if class == "w-floor" || n.is_some() {
            rows.push(Row {
                class,
                what: what.to_owned(),
                from: None,
                to: count_of(n),
                value: text(n),
                why: why.to_owned(),
            });
        }
    }
    let by = e.chosen_by.as_ref().map_or_else(
        || "by nobody: the number stays".to_owned(),
        |by| format!("by {}", shown(by)),
    );
    rows.push(plain("w-wanted", "wanted", &e.wanted, by));
    for (i, limit) in e.limits.iter().enumerate() {
        let of_replicas = limit.axis == Axis::Replicas;
        let value = |q: foresail_core::quantity::units::Quantity| of_replicas.then(|| q.value());
        let axis = if of_replicas {
            String::new()
        } else {
            format!("{} ", shown(&limit.axis.to_string()))
        };
        let last = i + 1 == e.limits.len();
        rows.push(Row {
            class: if last { "w-limit w-binding" } else { "w-limit" },
            what: limit.by.to_string(),
            from: value(limit.from),
            to: value(limit.to),
            value: format!("{axis}{} → {}", limit.from, limit.to),
            why: clause(&limit.why.to_string()),
        });
    }
    let outcome = e.outcome.map_or_else(
        || match e.mode {
            foresail_core::spec::Mode::Auto => String::new(),
            mode => format!("not applied: {mode:?}"),
        },
        |outcome| format!("{outcome:?}"),
    );
    rows.push(plain("w-decided", "decided", &e.decided, outcome));
    rows
}

fn bar(row: &Row, most: f64, html: &mut String) {
    html.push_str("<svg class=\"bar\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    if let Some(to) = row.to {
        let from = row.from.unwrap_or(0.0);
        let (low, high) = (
            smaller(from, to) / most * 100.0,
            larger(from, to) / most * 100.0,
        );
        let width = larger(high - low, 0.4);
        let _ = write!(
            html,
            "<rect x=\"{low:.1}\" y=\"1\" width=\"{width:.1}\" height=\"8\"/>"
        );
    }
    html.push_str("</svg>");
}

/// A decision that opens into its waterfall.
pub(super) fn details(told: &DecisionTold, html: &mut String) {
    let e = &told.explanation;
    let changes = e.decided != e.current;
    let class = if changes { "told changes" } else { "told" };
    let held = if told.ticks > 1 {
        format!(
            " <span class=\"hint\">{} times until {}</span>",
            told.ticks,
            time(e.at)
        )
    } else {
        String::new()
    };
    let _ = writeln!(
        html,
        "<details class=\"{class}\" id=\"{}\"><summary>{} <b>{}</b> <span class=\"line\">{}</span>{held}</summary>",
        anchor(e),
        time(told.since),
        if changes {
            format!(
                "{} → {}",
                escape(&values(&e.current)),
                escape(&values(&e.decided))
            )
        } else {
            escape(&values(&e.decided))
        },
        escape(&clause(&e.to_string()))
    );
    let rows = rows(e);
    let ends = rows.iter().flat_map(|r| [r.from, r.to]).flatten();
    let most = larger(ends.fold(0.0, larger), 1.0);
    html.push_str("<div class=\"scroll\"><table class=\"waterfall\"><tbody>\n");
    for row in &rows {
        let _ = write!(
            html,
            "<tr class=\"{}\"><th scope=\"row\">{}</th><td>",
            row.class, row.what
        );
        bar(row, most, html);
        let _ = writeln!(
            html,
            "</td><td class=\"num\">{}</td><td class=\"why\">{}</td></tr>",
            escape(&row.value),
            escape(&row.why)
        );
    }
    let age = e.sample_age_seconds.map_or_else(
        || "no sample".to_owned(),
        |age| format!("newest sample {age} s old"),
    );
    let _ = writeln!(
        html,
        "</tbody></table></div>\n<p class=\"hint\">Decision {} · {age} · health {:?} · mode {:?}</p></details>",
        name(&e.id),
        e.health,
        e.mode
    );
}
