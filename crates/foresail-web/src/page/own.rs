//! The report's section on the user's own HPA: the verdict, its table, the manifest to apply.

use std::fmt::Write;

use super::text::{escape, number};
use crate::read_model::{OwnReport, OwnRow, Ranged};

/// Columns of the table: name, meaning, digits, and how a row shows it.
type Column = (&'static str, &'static str, fn(&OwnRow) -> String);

const COLUMNS: [Column; 5] = [
    ("cost a week", "what the replicas of one week cost", |r| {
        ranged(Some(&r.cost_a_week), 2)
    }),
    (
        "broke the promise %",
        "share of requests that broke the promise",
        |r| ranged(Some(&r.violations_percent), 2),
    ),
    (
        "weeks kept %",
        "share of bootstrap weeks in which the promise was kept",
        |r| {
            r.kept_weeks_percent
                .map_or_else(|| "–".to_owned(), |p| number(p, 0))
        },
    ),
    (
        "cost against yours %",
        "change of cost against your HPA, on the same weeks",
        |r| ranged(r.cost_change_percent.as_ref(), 1),
    ),
    (
        "broken against yours, points",
        "change of the share that broke the promise against your HPA, on the same weeks, in percentage points",
        |r| ranged(r.violations_change_points.as_ref(), 2),
    ),
];

pub(super) fn ranged(value: Option<&Ranged>, digits: usize) -> String {
    let Some(Ranged { value, interval }) = value else {
        return "–".to_owned();
    };
    let n = |x: f64| number(x, digits);
    match interval {
        Some((low, high)) => format!(
            "{}<br><span class=\"range\">{} to {}</span>",
            n(*value),
            n(*low),
            n(*high)
        ),
        None => n(*value),
    }
}

/// The section as HTML; everything that comes from outside is escaped.
#[must_use]
pub fn section(own: &OwnReport) -> String {
    let mut html = format!("<section><h2>Your HPA: {}</h2>\n", escape(&own.name));
    for sentence in &own.verdict {
        // Writing to a string cannot fail.
        let _ = writeln!(html, "<p class=\"note\">{}</p>", escape(sentence));
    }
    html.push_str("<div class=\"scroll\"><table><thead><tr><th scope=\"col\">what was run</th>");
    for (name, meaning, _) in COLUMNS {
        let _ = write!(html, "<th scope=\"col\" title=\"{meaning}\">{name}</th>");
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in &own.rows {
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}<br><span class=\"range\">{}</span></th>",
            escape(&row.name),
            escape(&row.settings)
        );
        for (.., show) in COLUMNS {
            let _ = write!(html, "<td>{}</td>", show(row));
        }
        html.push_str("</tr>\n");
    }
    let _ = write!(
        html,
        "</tbody></table></div>\n<p class=\"hint\">{}</p>\n<details><summary><b>The best plain HPA as a manifest</b> \
         (<code>hpa-best.yaml</code> in this folder; <code>kubectl apply -f hpa-best.yaml</code>)</summary><pre>{}</pre></details></section>\n",
        escape(&own.basis),
        escape(&own.manifest)
    );
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_shows_intervals_and_escapes_the_manifest() {
        let row = OwnRow {
            name: "your HPA".to_owned(),
            settings: "80 % CPU".to_owned(),
            cost_a_week: Ranged {
                value: 10.0,
                interval: Some((9.0, 11.5)),
            },
            violations_percent: Ranged {
                value: 1.0,
                interval: None,
            },
            kept_weeks_percent: None,
            cost_change_percent: None,
            violations_change_points: None,
        };
        let html = section(&OwnReport {
            name: "web".to_owned(),
            verdict: vec!["a < b".to_owned()],
            basis: "basis".to_owned(),
            rows: vec![row],
            manifest: "# <script>".to_owned(),
        });
        assert!(
            html.contains("9.00 to 11.50") && html.contains("<td>1.00</td>"),
            "{html}"
        );
        assert!(
            html.contains("a &lt; b") && html.contains("# &lt;script&gt;"),
            "{html}"
        );
    }
}
