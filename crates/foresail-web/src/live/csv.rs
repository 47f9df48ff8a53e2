//! CSV that spreadsheets open without running anything in it.

use std::fmt::Write;

use super::model::{Fleet, ObjectPage};

/// A text as a cell: quoted where it has to be, and marked as a text where a spreadsheet would take
/// it for a formula.
///
/// Source: OWASP, "CSV Injection": cells that begin with `=`, `+`, `-`, `@`, tab or return.
pub(super) fn text(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let marked = if formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if marked.contains(['"', ',', '\n', '\r']) || formula {
        format!("\"{}\"", marked.replace('"', "\"\""))
    } else {
        marked
    }
}

fn whole(value: Option<u32>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn real(value: Option<f64>) -> String {
    value
        .filter(|v| v.is_finite())
        .map_or_else(String::new, |v| v.to_string())
}

/// The fleet, one line per object.
pub(super) fn fleet(fleet: &Fleet) -> String {
    let mut csv = String::from(
        "namespace,name,target,mode,health,phase,archetype,replicas,ready,desired,reactive,incumbent,limit,why,verdict,wrong,cost_per_day,at\n",
    );
    for row in &fleet.rows {
        let limit = row.limit.as_ref();
        let reasons: Vec<&str> = row.wrong.iter().map(|w| w.reason.as_str()).collect();
        let cells = [
            text(&row.namespace),
            text(&row.name),
            text(&row.target),
            format!("{:?}", row.mode),
            format!("{:?}", row.health),
            text(&row.phase),
            row.archetype.map_or_else(String::new, |a| a.to_string()),
            whole(row.replicas),
            row.ready.to_string(),
            whole(row.desired),
            whole(row.reactive),
            whole(row.incumbent),
            limit.map_or_else(String::new, |l| l.by.to_string()),
            limit.map_or_else(String::new, |l| text(&l.why)),
            row.verdict.map_or_else(String::new, |v| format!("{v:?}")),
            text(&reasons.join(" ")),
            real(row.cost_per_day),
            row.at.to_string(),
        ];
        let _ = writeln!(csv, "{}", cells.join(","));
    }
    csv
}

/// The series of one object, one line per time and series.
pub(super) fn object(page: &ObjectPage) -> String {
    let mut csv = String::from("series,at,value,p10,p50,p90\n");
    for point in &page.demand {
        let _ = writeln!(csv, "demand,{},{},,,", point.at, point.value);
    }
    for f in &page.forecasts {
        let quantiles = [real(f.p10), real(f.p50), real(f.p90)].join(",");
        let _ = writeln!(csv, "forecast,{},{},{quantiles}", f.at, real(Some(f.level)));
    }
    for p in &page.replicas {
        let all = [
            ("current", p.current),
            ("ready", Some(p.ready)),
            ("decided", p.decided),
            ("reactive", p.reactive),
            ("incumbent", p.incumbent),
            ("min", p.min),
            ("max", p.max),
        ];
        for (name, value) in all.iter().filter(|(_, v)| v.is_some()) {
            let _ = writeln!(csv, "{name},{},{},,,", p.at, whole(*value));
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_a_text() {
        assert_eq!(text("=1+1"), "\"'=1+1\"");
        assert_eq!(text("-2+3"), "\"'-2+3\"");
        assert_eq!(text("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(text("+x,\"y\""), "\"'+x,\"\"y\"\"\"");
        assert_eq!(text("\t=1"), "\"'\t=1\"");
        assert_eq!(text("web"), "web");
        assert_eq!(text("a\nb"), "\"a\nb\"");
    }
}
