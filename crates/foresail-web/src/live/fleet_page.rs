//! The fleet: a table of every object, what needs attention first.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::head::{self, name, segment, shown};
use super::model::{Fleet, FleetRow};
use super::query::{Column, FleetQuery};
use super::score_section::verdict;
use super::spark;
use crate::page::text::{escape, number};

/// Columns of the table: heading, meaning, and what orders by it.
const COLUMNS: [(&str, &str, Option<Column>); 10] = [
    (
        "object",
        "namespace and name, and what is wrong",
        Some(Column::Name),
    ),
    (
        "phase",
        "where it stands, and what the user allows",
        Some(Column::Phase),
    ),
    (
        "archetype",
        "the shape of its demand",
        Some(Column::Archetype),
    ),
    (
        "ready / asked",
        "replicas that are ready, of those asked for at present",
        Some(Column::Replicas),
    ),
    (
        "decided",
        "replicas decided; then the reactive floor and the incumbent",
        Some(Column::Change),
    ),
    ("replicas", "replicas asked for over time", None),
    (
        "demand",
        "demand measured, and dashed what was forecast for it",
        Some(Column::Demand),
    ),
    (
        "limit now",
        "the guard that bound last, and why",
        Some(Column::Limit),
    ),
    (
        "verdict",
        "how it does against the incumbent",
        Some(Column::Verdict),
    ),
    (
        "a day",
        "what the present number of replicas costs a day",
        Some(Column::Cost),
    ),
];

/// The whole page.
pub(super) fn render(fleet: &Fleet, asked: &FleetQuery, revision: u64) -> String {
    let rows = asked.select(fleet);
    let wrong = fleet.rows.iter().filter(|r| !r.wrong.is_empty()).count();
    let headline = match (fleet.rows.len(), wrong) {
        (0, _) => "Nothing is scaled yet".to_owned(),
        (1, 0) => "One object, and all is well".to_owned(),
        (n, 0) => format!("{n} objects, and all is well"),
        (n, 1) => format!("1 of {n} objects needs attention"),
        (n, wrong) => format!("{wrong} of {n} objects need attention"),
    };
    let facts = format!(
        "<p class=\"facts\">{} · newest decision {}</p>\n",
        name(&fleet.title),
        head::time(fleet.at)
    );
    let mut html = head::begin("Foresail: fleet", revision, &headline, &facts);
    if fleet.rows.is_empty() {
        html.push_str("<p class=\"empty\">No decision was told yet. In a cluster, apply a <code>PredictiveAutoscaler</code>; on a recorded run, give a flight record: <code>foresail serve RECORD</code>.</p>\n");
        html.push_str(head::end());
        return html;
    }
    filters(fleet, asked, &mut html);
    let pages = rows.len().div_ceil(asked.rows).max(1);
    let page = asked.page.min(pages);
    let shown = rows.iter().skip((page - 1) * asked.rows).take(asked.rows);
    table(fleet, asked, shown.copied(), &mut html);
    if rows.is_empty() {
        html.push_str(
            "<p class=\"empty\">No object is like that. <a href=\"/\">Show all</a></p>\n",
        );
    }
    turn(asked, page, pages, rows.len(), &mut html);
    html.push_str("<p class=\"hint\">The table as a file: <a href=\"/api/v1/fleet?format=csv\">CSV</a>, <a href=\"/api/v1/fleet\">JSON</a>.</p>\n");
    html.push_str(head::end());
    html
}

fn filters(fleet: &Fleet, asked: &FleetQuery, html: &mut String) {
    let _ = write!(
        html,
        "<form class=\"filters\" method=\"get\" action=\"/\" role=\"search\"><input type=\"search\" name=\"q\" id=\"filter\" placeholder=\"name, target or reason\" aria-label=\"Filter\" value=\"{}\">",
        escape(&asked.text)
    );
    let all = |of: fn(&FleetRow) -> &str| -> BTreeSet<&str> {
        let values = fleet.rows.iter().map(of);
        values.filter(|v| !v.is_empty()).collect()
    };
    let archetype = |r: &FleetRow| r.archetype.map_or("", |a| a.name());
    let archetypes: BTreeSet<&str> = fleet
        .rows
        .iter()
        .map(archetype)
        .filter(|a| !a.is_empty())
        .collect();
    choice(
        "namespace",
        "every namespace",
        &all(|r| &r.namespace),
        &asked.namespace,
        html,
    );
    choice(
        "phase",
        "every phase",
        &all(|r| &r.phase),
        &asked.phase,
        html,
    );
    choice(
        "archetype",
        "every archetype",
        &archetypes,
        &asked.archetype,
        html,
    );
    let checked = if asked.attention { " checked" } else { "" };
    let _ = write!(
        html,
        "<label><input type=\"checkbox\" name=\"attention\" value=\"1\"{checked}> needs attention</label>"
    );
    if asked.sort != Column::Name || asked.down {
        let sign = if asked.down { "-" } else { "" };
        let _ = write!(
            html,
            "<input type=\"hidden\" name=\"sort\" value=\"{sign}{}\">",
            asked.sort.key()
        );
    }
    html.push_str("<button type=\"submit\">Filter</button></form>\n");
}

/// A list of values to choose one of; left out where there is nothing to choose.
fn choice(key: &str, every: &str, values: &BTreeSet<&str>, asked: &str, html: &mut String) {
    if values.len() < 2 && asked.is_empty() {
        return;
    }
    let _ = write!(
        html,
        "<select name=\"{key}\" aria-label=\"{key}\"><option value=\"\">{every}</option>"
    );
    for value in values {
        let selected = if *value == asked { " selected" } else { "" };
        let _ = write!(
            html,
            "<option value=\"{}\"{selected}>{}</option>",
            escape(value),
            escape(&shown(value))
        );
    }
    html.push_str("</select>");
}

fn table<'a>(
    fleet: &Fleet,
    asked: &FleetQuery,
    rows: impl Iterator<Item = &'a FleetRow>,
    html: &mut String,
) {
    html.push_str("<div class=\"scroll\"><table class=\"fleet\">\n<thead><tr>");
    for (heading, meaning, column) in COLUMNS {
        heading_cell(heading, meaning, column, asked, html);
    }
    html.push_str("</tr></thead>\n");
    let mut part = None;
    for row in rows {
        let now = row.wrong.is_empty();
        if part != Some(now) {
            if part.is_some() {
                html.push_str("</tbody>\n");
            }
            let (class, title) = if now {
                ("well", "Everything else")
            } else {
                ("attention", "Needs attention")
            };
            let _ = writeln!(
                html,
                "<tbody class=\"{class}\"><tr class=\"part\"><th scope=\"rowgroup\" colspan=\"{}\">{title}</th></tr>",
                COLUMNS.len()
            );
            part = Some(now);
        }
        line(row, html);
    }
    if part.is_some() {
        html.push_str("</tbody>");
    }
    html.push_str("</table></div>\n");
    if fleet.cost_unit == "replica-hours" {
        html.push_str(
            "<p class=\"hint\">A day is counted in replica-hours; no price was given.</p>\n",
        );
    }
}

fn heading_cell(
    heading: &str,
    meaning: &str,
    column: Option<Column>,
    asked: &FleetQuery,
    html: &mut String,
) {
    let Some(column) = column else {
        let _ = write!(html, "<th scope=\"col\" title=\"{meaning}\">{heading}</th>");
        return;
    };
    let here = asked.sort == column;
    let numbers = !matches!(column, Column::Name | Column::Phase | Column::Archetype);
    let next = FleetQuery {
        sort: column,
        down: if here { !asked.down } else { numbers },
        page: 1,
        ..asked.clone()
    };
    let (order, arrow) = match (here, asked.down) {
        (false, _) => ("none", ""),
        (true, false) => ("ascending", " ▲"),
        (true, true) => ("descending", " ▼"),
    };
    let _ = write!(
        html,
        "<th scope=\"col\" aria-sort=\"{order}\" title=\"{meaning}\"><a href=\"{}\">{heading}{arrow}</a></th>",
        escape(&next.address())
    );
}

fn count(value: Option<u32>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| v.to_string())
}

fn line(row: &FleetRow, html: &mut String) {
    let href = format!("/o/{}/{}", segment(&row.namespace), segment(&row.name));
    let _ = write!(
        html,
        "<tr><th scope=\"row\"><a class=\"open\" href=\"{href}\">{}<span class=\"slash\">/</span>{}</a>",
        name(&row.namespace),
        name(&row.name)
    );
    for wrong in &row.wrong {
        let _ = write!(
            html,
            "<span class=\"wrong\" title=\"{}\">{}</span>",
            escape(&shown(&wrong.message)),
            escape(&shown(&wrong.reason))
        );
    }
    let mode = format!("{:?}", row.mode);
    let phase = escape(&shown(&row.phase));
    let _ = write!(
        html,
        "</th><td class=\"left\" title=\"mode {mode}, health {:?}\">{phase}</td>",
        row.health
    );
    match row.archetype {
        Some(archetype) => {
            let class = archetype.name().to_lowercase();
            let _ = write!(
                html,
                "<td class=\"left\"><span class=\"chip a-{class}\">{archetype}</span></td>"
            );
        }
        None => html.push_str("<td class=\"left\"><span class=\"hint\">–</span></td>"),
    }
    let moves = row.desired.is_some() && row.desired != row.replicas;
    let class = if moves { " class=\"moves\"" } else { "" };
    let _ = write!(
        html,
        "<td>{} / {}</td><td><b{class}>{}</b> <span class=\"hint\" title=\"reactive floor\">r {}</span> <span class=\"hint\" title=\"incumbent\">i {}</span></td><td>",
        row.ready,
        count(row.replicas),
        count(row.desired),
        count(row.reactive),
        count(row.incumbent)
    );
    spark::draw(&[("s-replicas", &row.replica_line)], "replicas", html);
    html.push_str("</td><td>");
    let lines: [(&str, &[Option<f64>]); 2] =
        [("s-forecast", &row.forecast), ("s-demand", &row.demand)];
    spark::draw(&lines, "demand and forecast", html);
    html.push_str("</td>");
    match &row.limit {
        Some(limit) => {
            let _ = write!(
                html,
                "<td class=\"left\" title=\"{}\">{}</td>",
                escape(&shown(&limit.why)),
                limit.by
            );
        }
        None => html.push_str("<td class=\"left\"><span class=\"hint\">none</span></td>"),
    }
    let cost = number(row.cost_per_day.unwrap_or(f64::NAN), 1);
    let _ = writeln!(
        html,
        "<td>{}</td><td>{cost}</td></tr>",
        verdict(row.verdict)
    );
}

fn turn(asked: &FleetQuery, page: usize, pages: usize, rows: usize, html: &mut String) {
    if pages < 2 {
        return;
    }
    let to = |page: usize| {
        let asked = FleetQuery {
            page,
            ..asked.clone()
        };
        escape(&asked.address())
    };
    html.push_str("<nav class=\"pages\" aria-label=\"Pages\">");
    if page > 1 {
        let _ = write!(
            html,
            "<a rel=\"prev\" href=\"{}\">before</a> ",
            to(page - 1)
        );
    }
    let _ = write!(html, "page {page} of {pages}, {rows} objects");
    if page < pages {
        let _ = write!(html, " <a rel=\"next\" href=\"{}\">next</a>", to(page + 1));
    }
    html.push_str("</nav>\n");
}
