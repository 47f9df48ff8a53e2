//! The report of one comparison: one file that works offline, light and dark, wide and narrow.

use std::fmt::Write;

use super::chart::colour;
use super::text::{escape, number};
use super::{frame, own, paired};
use crate::figure::Figure;
use crate::read_model::{Better, Measure, RunReport};

/// The whole page; everything that comes from outside is escaped.
#[must_use]
pub fn render(run: &RunReport, figures: &[Figure]) -> String {
    let mut page = frame::begin("comparison", &run.title, &run.headline, &run.notes);
    page.push_str(&facts(run));
    page.push_str(&run.own.as_ref().map_or_else(String::new, own::section));
    page.push_str(&section(figures, "cost-slo"));
    for tradeoff in &run.tradeoffs {
        page.push_str(&section(figures, &tradeoff.name));
    }
    page.push_str(&table(run));
    page.push_str(
        &run.paired
            .as_ref()
            .map_or_else(String::new, paired::section),
    );
    page.push_str(&section(figures, "waits"));
    if run.tradeoffs.is_empty() {
        page.push_str(&timelines(run, figures));
    }
    page.push_str(&assumptions(run));
    page.push_str(&glossary(run));
    page.push_str(&frame::end(&run.command, &data(run)));
    page
}

fn facts(run: &RunReport) -> String {
    let w = &run.workload;
    let items = if w.items == 1 {
        "one workload".to_owned()
    } else {
        format!("{} functions", w.items)
    };
    let promise = if run.slo.is_empty() {
        String::new()
    } else {
        format!(" · promise <code>{}</code>", escape(&run.slo))
    };
    format!(
        "<p class=\"facts\">{} · {items} · {} requests · {} to {}{promise}</p>\n",
        escape(&w.summary),
        number(w.requests as f64, 0),
        escape(&w.from),
        escape(&w.to)
    )
}

fn figure_html(figure: &Figure, attributes: &str) -> String {
    format!(
        "<figure>\n{}<figcaption>{}</figcaption></figure>\n",
        figure.drawing.inline(&figure.title, attributes),
        escape(&figure.caption)
    )
}

fn section(figures: &[Figure], name: &str) -> String {
    let found = figures.iter().filter(|f| f.name == name);
    found
        .map(|f| {
            format!(
                "<section><h2>{}</h2>\n{}</section>\n",
                escape(&f.title),
                figure_html(f, "")
            )
        })
        .collect()
}

/// Columns of the table; all others stand in `summary.csv` and the glossary.
fn is_best(run: &RunReport, measure: &Measure) -> bool {
    let all = || {
        run.policies
            .iter()
            .filter_map(|p| p.measure(&measure.key))
            .filter(|v| v.is_finite())
    };
    let best = match measure.better {
        Better::Lower => all().fold(f64::INFINITY, f64::min),
        Better::Higher => all().fold(f64::NEG_INFINITY, f64::max),
        Better::Neither => return false,
    };
    // Who reads the same number must see the same mark.
    let shown = |value| number(value, measure.digits);
    measure.value.is_finite() && shown(measure.value) == shown(best)
}

fn table(run: &RunReport) -> String {
    let mut html = String::from(
        "<section><h2>Every policy in numbers</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">policy</th>",
    );
    let first = run.policies.first().map_or(&[][..], |p| &p.measures[..]);
    for measure in first {
        let _ = write!(
            html,
            "<th scope=\"col\" title=\"{}\">{}</th>",
            escape(&measure.meaning),
            escape(&measure.name)
        );
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for (index, policy) in run.policies.iter().enumerate() {
        let _ = write!(
            html,
            "<tr><th scope=\"row\"><span class=\"dot\" style=\"background:{}\"></span>{}</th>",
            colour(index),
            escape(&policy.name)
        );
        for measure in &policy.measures {
            let value = number(measure.value, measure.digits);
            let class = if is_best(run, measure) {
                " class=\"best\""
            } else {
                ""
            };
            let _ = write!(html, "<td{class}>{value}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n<p class=\"hint\">The best of each column is marked; each word is explained below, and when the pointer rests on it.</p></section>\n");
    html
}

fn timelines(run: &RunReport, figures: &[Figure]) -> String {
    let mut html = String::from(
        "<section><h2>Demand and capacity over time</h2>\n<p class=\"hint\">Move the pointer over a picture, or focus it and use the arrow keys: it tells the numbers of that time and why the policy last changed anything. Capacity is the demand that fills the CPU requests of the ready replicas, by which their number is sized; what a replica can serve stands among the assumptions.</p>\n",
    );
    for (index, policy) in run.policies.iter().enumerate() {
        let _ = write!(
            html,
            "<details {}><summary><span class=\"dot\" style=\"background:{}\"></span><b>{}</b> {}</summary>\n<p class=\"hint\">{}</p>\n",
            if index < 2 { "open" } else { "" },
            colour(index),
            escape(&policy.name),
            escape(&policy.summary),
            escape(&policy.pipeline)
        );
        for (suffix, part) in [("", "whole"), ("-day", "day")] {
            let name = format!("timeline-{}{suffix}", policy.name);
            if let Some(figure) = figures.iter().find(|f| f.name == name) {
                let attributes = format!(
                    "tabindex=\"0\" class=\"timeline\" data-policy=\"{index}\" data-part=\"{part}\""
                );
                html.push_str(&figure.drawing.inline(&figure.title, &attributes));
            }
        }
        html.push_str("</details>\n");
    }
    html.push_str("</section>\n");
    html
}

fn assumptions(run: &RunReport) -> String {
    let mut html = String::from(
        "<section><h2>What was assumed</h2>\n<div class=\"scroll\"><table class=\"left\"><thead><tr><th scope=\"col\">what</th><th scope=\"col\">how much</th><th scope=\"col\">changed by</th></tr></thead><tbody>\n",
    );
    for a in &run.assumptions {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td><code>{}</code></td></tr>",
            escape(&a.name),
            escape(&a.value),
            escape(&a.change)
        );
    }
    html.push_str("</tbody></table></div></section>\n");
    html
}

fn glossary(run: &RunReport) -> String {
    let mut html = String::from("<section><h2>Words</h2>\n<dl>\n");
    for measure in run.policies.first().map_or(&[][..], |p| &p.measures[..]) {
        let _ = writeln!(
            html,
            "<dt>{}</dt><dd>{}</dd>",
            escape(&measure.name),
            escape(&measure.meaning)
        );
    }
    for policy in &run.policies {
        let _ = writeln!(
            html,
            "<dt>{}</dt><dd>{}; {}</dd>",
            escape(&policy.name),
            escape(&policy.summary),
            escape(&policy.pipeline)
        );
    }
    html.push_str("</dl></section>\n");
    html
}

/// The numbers behind the timelines, for the pointer; three digits after the point are enough.
fn data(run: &RunReport) -> String {
    let rounded = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .map(|v| (v * 1000.0).round() / 1000.0)
            .collect()
    };
    let policies: Vec<_> = run
        .policies
        .iter()
        .map(|p| {
            serde_json::json!({"name": p.name, "ready": rounded(&p.ready), "capacity": rounded(&p.capacity),
                "violations": rounded(&p.violations), "told": p.told})
        })
        .collect();
    let value = serde_json::json!({"start": run.workload.start_seconds, "bucket": run.workload.bucket_seconds,
        "demand": rounded(&run.workload.demand), "day": day_of(run), "policies": policies});
    // In a script element only a closing tag could end it.
    value.to_string().replace('<', "\\u003c")
}

fn day_of(run: &RunReport) -> (usize, usize) {
    let range = crate::figure::busiest_day(run);
    (range.start, range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::figures;
    use crate::read_model::{
        FrontierPoint, OraclePoint, OracleReport, PolicyReport, WorkloadReport,
    };

    fn run(policies: usize) -> RunReport {
        let measure = |key: &str, value| Measure {
            key: key.to_owned(),
            name: key.to_owned(),
            meaning: "<meaning>".to_owned(),
            value,
            digits: 2,
            better: Better::Lower,
        };
        let policy = |i: usize| PolicyReport {
            name: format!("p{i}"),
            summary: "<script>alert(1)</script>".to_owned(),
            pipeline: "x".to_owned(),
            measures: vec![
                measure("cost", 10.0 + i as f64),
                measure("violations_percent", if i == 0 { 0.0 } else { f64::NAN }),
            ],
            ready: vec![1.0; 100],
            current: vec![1.0; 100],
            capacity: vec![10.0; 100],
            violations: vec![0.0; 100],
            wait_tail: vec![(1.0, 0.5), (2.0, 0.0)],
            told: vec![(3, "</script>".to_owned())],
            archetypes: Vec::new(),
        };
        RunReport {
            v: 1,
            title: "t".to_owned(),
            headline: "a < b".to_owned(),
            notes: vec![],
            workload: WorkloadReport {
                name: "w".to_owned(),
                summary: "s".to_owned(),
                from: "a".to_owned(),
                to: "b".to_owned(),
                start_seconds: 0,
                bucket_seconds: 60,
                items: 1,
                requests: 5,
                demand: vec![f64::NAN; 100],
            },
            slo: "wait<200ms:99%".to_owned(),
            command: "foresail compare".to_owned(),
            assumptions: vec![],
            policies: (0..policies).map(policy).collect(),
            own: None,
            paired: None,
            frontier: vec![FrontierPoint {
                target_percent: 50,
                down_window_seconds: 0,
                cost: 1.0,
                violations_percent: 0.0,
            }],
            tradeoffs: vec![],
            oracle: (policies > 1).then(|| OracleReport {
                exact: true,
                summary: "<oracle>".to_owned(),
                points: vec![OraclePoint {
                    cost: 9.0,
                    violations_percent: 0.0,
                }],
            }),
        }
    }

    #[test]
    fn the_page_is_whole_escaped_and_the_same_again() {
        for count in [0, 1, 5] {
            let run = run(count);
            let figures = figures(&run);
            let page = render(&run, &figures);
            assert_eq!(page, render(&run, &figures));
            assert_eq!(
                page.matches("<script>").count(),
                1,
                "what comes from outside begins no script"
            );
            assert_eq!(page.matches("</script>").count(), 2);
            assert!(page.contains("a &lt; b") && page.ends_with("</html>\n"));
            for figure in figures {
                let svg = figure.drawing.standalone(&figure.title);
                assert!(!svg.contains("NaN"), "{}", figure.name);
            }
        }
    }

    #[test]
    fn who_shows_the_same_number_as_the_best_is_marked_as_well() {
        let mut run = run(3);
        for (policy, cost) in run.policies.iter_mut().zip([10.001, 10.004, 10.006]) {
            policy.measures[0].value = cost;
        }
        let marked = |i: usize, place: usize| is_best(&run, &run.policies[i].measures[place]);
        assert_eq!([0, 1, 2].map(|i| marked(i, 0)), [true, true, false]);
        assert_eq!([0, 1, 2].map(|i| marked(i, 1)), [true, false, false]);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let run = run(2);
        let page = render(&run, &figures(&run));
        for word in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(word), "{word}");
        }
    }
}
