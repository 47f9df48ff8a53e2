//! What a study leaves behind: a file per table and figure, one page; and its first tables on stdout.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use foresail_adapters::atomic::{MARKER, ResultsFolder};
use foresail_adapters::results::{Column, Table};
use foresail_web::figure::Figure;
use foresail_web::page::study::{Section, StudyPage, TextTable, render};
use foresail_web::page::text::number;
use foresail_web::png;
use rayon::prelude::*;
use serde_json::json;

use crate::cli::{Output, print_csv, print_table};

/// A table and the file that holds it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// The file's name without its ending.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) notes: Vec<String>,
    pub(crate) table: TextTable,
}

/// A table of numbers.
pub(crate) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> TextTable {
    TextTable {
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        rows,
        prose: false,
    }
}

/// A number in percent; a dash where it is none.
pub(crate) fn percent(value: f64, digits: usize) -> String {
    if value.is_finite() {
        format!("{} %", number(value, digits))
    } else {
        "–".to_owned()
    }
}

/// Everything that is written.
pub(crate) struct Report {
    /// Title of the page.
    pub(crate) title: &'static str,
    pub(crate) headline: String,
    pub(crate) notes: Vec<String>,
    pub(crate) tables: Vec<Named>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) command: String,
}

fn csv(table: &TextTable) -> Table {
    let column = |i: usize| table.rows.iter().map(|row| row.get(i).cloned()).collect();
    let named = table.columns.iter().enumerate();
    Table {
        columns: named
            .map(|(i, name)| (name.clone(), Column::Text(column(i))))
            .collect(),
    }
}

/// Whether the study writes files of this name.
fn is_ours(name: &str) -> bool {
    let figure = name.starts_with("figure-") && (name.ends_with(".png") || name.ends_with(".svg"));
    ["index.html", MARKER].contains(&name) || name.ends_with(".csv") || figure
}

/// Begins the folder of results: what the study left there before is replaced as a whole.
///
/// # Errors
/// Where the place cannot be written or holds something else.
pub(crate) fn begin(folder: &Path) -> Result<ResultsFolder> {
    Ok(ResultsFolder::begin_of(folder, &is_ours)?)
}

/// Writes every file.
///
/// # Errors
/// Where a file cannot be written or a figure not be drawn.
pub(crate) fn write(folder: ResultsFolder, report: Report) -> Result<()> {
    for named in &report.tables {
        let name = format!("{}.csv", named.file);
        folder.write(&name, |w| csv(&named.table).write_csv(w))?;
    }
    for picture in drawn(&report.figures)? {
        let name = |ending: &str| format!("{}.{ending}", picture.name);
        folder.write(&name("png"), |w| w.write_all(&picture.png))?;
        folder.write(&name("svg"), |w| w.write_all(picture.svg.as_bytes()))?;
    }
    let page = page(report);
    end(folder, &page)
}

/// A figure in both forms.
pub(crate) struct Picture {
    /// The figure's name.
    pub(crate) name: String,
    pub(crate) svg: String,
    pub(crate) png: Vec<u8>,
}

/// Every figure drawn, in their order.
///
/// # Errors
/// Where one could not be drawn.
pub(crate) fn drawn(figures: &[Figure]) -> Result<Vec<Picture>> {
    let fonts = png::fonts();
    let draw = |figure: &Figure| {
        let svg = figure.drawing.standalone(&figure.title);
        let png = png::render(&svg, &fonts).context("a figure could not be drawn")?;
        let name = figure.name.clone();
        Ok(Picture { name, svg, png })
    };
    figures.par_iter().map(draw).collect()
}

/// Writes the page and the mark by which a later run knows the folder as ours, and puts it in place.
///
/// # Errors
/// Where a file cannot be written.
pub(crate) fn end(folder: ResultsFolder, page: &StudyPage) -> Result<()> {
    folder.write("index.html", |w| w.write_all(render(page).as_bytes()))?;
    // The version stands first.
    let marker = format!("{{\"v\":1,\"command\":{}}}\n", json!(page.command));
    folder.write(MARKER, |w| w.write_all(marker.as_bytes()))?;
    Ok(folder.commit()?)
}

fn page(report: Report) -> StudyPage {
    let section = |named: Named| Section {
        title: named.title.to_owned(),
        notes: named.notes,
        table: Some(named.table),
        figures: Vec::new(),
    };
    let mut sections: Vec<Section> = report.tables.into_iter().map(section).collect();
    // Pictures stand after the two tables that everything is about.
    let pictures = Section {
        title: "Pictures".to_owned(),
        notes: Vec::new(),
        table: None,
        figures: report.figures,
    };
    sections.insert(sections.len().min(2), pictures);
    StudyPage {
        title: report.title.to_owned(),
        headline: report.headline,
        notes: report.notes,
        sections,
        command: report.command,
    }
}

/// The first tables on stdout.
///
/// # Errors
/// What the writer gives.
pub(crate) fn print(report: &Report, output: Output, out: &mut dyn Write) -> Result<()> {
    match output {
        Output::Table => {
            for named in report.tables.iter().take(2) {
                writeln!(out, "{}", named.title)?;
                let columns: Vec<&str> = named.table.columns.iter().map(String::as_str).collect();
                print_table(&columns, named.table.rows.clone(), out)?;
                writeln!(out)?;
            }
            Ok(writeln!(out, "{}", report.headline)?)
        }
        Output::Csv => {
            let first = &report.tables[0].table;
            let columns: Vec<&str> = first.columns.iter().map(String::as_str).collect();
            print_csv(&columns, &first.rows, out)
        }
        Output::Json => {
            let tables: serde_json::Map<String, serde_json::Value> = report
                .tables
                .iter()
                .map(|n| {
                    let value = json!({"columns": n.table.columns, "rows": n.table.rows});
                    (n.file.to_owned(), value)
                })
                .collect();
            let all = json!({"v": 1, "headline": report.headline, "tables": tables});
            Ok(writeln!(out, "{all}")?)
        }
    }
}
