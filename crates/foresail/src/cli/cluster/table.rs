//! Tables and ages as kubectl prints them, so that eyes and scripts find what they know.

use std::io::Write;

use anyhow::Result;
use foresail_core::quantity::time::Span;

/// Blanks between two columns.
const GAP: usize = 3;

/// A table whose columns keep their widths while rows are added.
#[derive(Debug)]
pub(crate) struct Table {
    widths: Vec<usize>,
}

impl Table {
    /// Prints head and rows.
    ///
    /// # Errors
    /// Where nothing can be printed.
    pub(crate) fn print(head: &[&str], rows: &[Vec<String>], out: &mut dyn Write) -> Result<Self> {
        let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
        let width = |i: usize| {
            let cells = std::iter::once(&head).chain(rows).filter_map(|r| r.get(i));
            cells.map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let table = Self {
            widths: (0..head.len()).map(width).collect(),
        };
        table.row(&head, out)?;
        for row in rows {
            table.row(row, out)?;
        }
        Ok(table)
    }

    /// Prints one more row.
    ///
    /// # Errors
    /// As [`Table::print`].
    pub(crate) fn row(&self, cells: &[String], out: &mut dyn Write) -> Result<()> {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&self.widths) {
            line.push_str(cell);
            let pad = width.saturating_sub(cell.chars().count()) + GAP;
            line.extend(std::iter::repeat_n(' ', pad));
        }
        writeln!(out, "{}", line.trim_end())?;
        Ok(())
    }
}

/// How long ago, in few letters.
///
/// Source: apimachinery, pkg/util/duration, HumanDuration.
pub(crate) fn age(span: Span) -> String {
    let seconds = span.whole_seconds();
    let two = |large: i64, small: i64, letters: (&str, &str)| {
        let rest = if small == 0 {
            String::new()
        } else {
            format!("{small}{}", letters.1)
        };
        format!("{large}{}{rest}", letters.0)
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, seconds % 60, ("m", "s")),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, minutes % 60, ("h", "m")),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, hours % 24, ("d", "h")),
        _ if hours < 24 * 365 * 2 => format!("{days}d"),
        _ if hours < 24 * 365 * 8 => two(days / 365, days % 365, ("y", "d")),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: apimachinery, pkg/util/duration/duration_test.go, TestHumanDuration.
    #[test]
    fn ages_are_those_of_kubectl() {
        for (seconds, want) in [
            (1, "1s"),
            (70, "70s"),
            (190, "3m10s"),
            (70 * 60, "70m"),
            (47 * 3600, "47h"),
            (49 * 3600, "2d1h"),
            (8 * 86400 + 2 * 3600, "8d"),
            (367 * 86400, "367d"),
            (365 * 2 * 86400 + 25 * 3600, "2y1d"),
            (365 * 8 * 86400 + 2 * 3600, "8y"),
            (-5, "<invalid>"),
            (0, "0s"),
        ] {
            assert_eq!(age(Span::from_seconds(seconds)), want, "{seconds}");
        }
    }

    #[test]
    fn later_rows_stand_under_the_same_columns() {
        let mut out = Vec::new();
        let rows = [vec!["web".to_owned(), "1".to_owned()]];
        let table = Table::print(&["NAME", "REPLICAS"], &rows, &mut out).unwrap();
        table
            .row(&["a".to_owned(), "22".to_owned()], &mut out)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME   REPLICAS\nweb    1\na      22\n");
    }
}
