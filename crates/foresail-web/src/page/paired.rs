//! The report's section on every policy beside the plain HPA.

use std::fmt::Write;

use super::own::ranged;
use super::text::{escape, number};
use crate::read_model::{PairedReport, PairedRow};

/// Columns of the table: name, meaning, and how a row shows it.
type Column = (&'static str, &'static str, fn(&PairedRow) -> String);

const COLUMNS: [Column; 4] = [
    (
        "broken, points",
        "change of the share of requests that broke the promise, in percentage points",
        |r| ranged(Some(&r.violations_change_points), 2),
    ),
    (
        "bad minutes of its %",
        "bad minutes as a share of those of hpa; a minute is bad where fewer than the promised share were kept",
        |r| ranged(r.bad_minutes_percent.as_ref(), 0),
    ),
    ("cost %", "change of cost", |r| {
        ranged(Some(&r.cost_change_percent), 1)
    }),
    (
        "unmatched weeks %",
        "share of bootstrap weeks in which no plain HPA that was tried was as cheap with as few broken requests",
        |r| {
            r.unmatched_weeks_percent
                .map_or_else(|| "–".to_owned(), |p| number(p, 0))
        },
    ),
];

/// The section as HTML; everything that comes from outside is escaped.
#[must_use]
pub fn section(paired: &PairedReport) -> String {
    let mut html = String::from(
        "<section><h2>Beside the plain HPA</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">against hpa</th>",
    );
    for (name, meaning, _) in COLUMNS {
        // Writing to a string cannot fail.
        let _ = write!(html, "<th scope=\"col\" title=\"{meaning}\">{name}</th>");
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in &paired.rows {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", escape(&row.name));
        for (.., show) in COLUMNS {
            let _ = write!(html, "<td>{}</td>", show(row));
        }
        html.push_str("</tr>\n");
    }
    let _ = write!(
        html,
        "</tbody></table></div>\n<p class=\"hint\">{} A week is unmatched where none of the {} plain-HPA settings was as cheap with as few broken requests.</p></section>\n",
        escape(&paired.basis),
        paired.settings
    );
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_model::Ranged;

    #[test]
    fn the_section_shows_intervals_and_escapes_names() {
        let value = Ranged {
            value: -9.5,
            interval: Some((-11.0, -8.0)),
        };
        let html = section(&PairedReport {
            basis: "a < b".to_owned(),
            settings: 18,
            rows: vec![PairedRow {
                name: "<policy>".to_owned(),
                cost_change_percent: value,
                violations_change_points: value,
                bad_minutes_percent: None,
                unmatched_weeks_percent: Some(97.0),
            }],
        });
        assert!(html.contains("−11.00 to −8.00") && html.contains("<td>97</td>"));
        assert!(html.contains("&lt;policy&gt;") && html.contains("a &lt; b"));
        assert!(html.contains("<td>–</td>"), "what is not known is no zero");
    }
}
