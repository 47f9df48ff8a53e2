//! The page of a study: text, tables and figures in one file that works offline.

use std::fmt::Write;

use super::frame::{self, paragraphs};
use super::text::escape;
use crate::figure::Figure;

/// A table of texts; the first column names the row.
#[derive(Clone, Debug, Default)]
pub struct TextTable {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows of as many texts.
    pub rows: Vec<Vec<String>>,
    /// Whether the texts are sentences, set from the left.
    pub prose: bool,
}

/// One section.
#[derive(Clone, Debug)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// What a reader should know before.
    pub notes: Vec<String>,
    /// Its table, where it has one.
    pub table: Option<TextTable>,
    /// Its figures.
    pub figures: Vec<Figure>,
}

/// A whole page.
#[derive(Clone, Debug)]
pub struct StudyPage {
    /// The study's name.
    pub title: String,
    /// What came of it, in a sentence.
    pub headline: String,
    /// More of it.
    pub notes: Vec<String>,
    /// The sections in order.
    pub sections: Vec<Section>,
    /// The command that makes the page again.
    pub command: String,
}

/// The whole page; everything that comes from outside is escaped.
#[must_use]
pub fn render(page: &StudyPage) -> String {
    let mut html = frame::begin("study", &page.title, &page.headline, &page.notes);
    page.sections.iter().for_each(|s| section(s, &mut html));
    html.push_str(&frame::end(&page.command, "{}"));
    html
}

fn section(section: &Section, html: &mut String) {
    let (title, notes) = (escape(&section.title), paragraphs(&section.notes));
    let _ = writeln!(html, "<section><h2>{title}</h2>\n{notes}");
    if let Some(own) = &section.table {
        table(own, html);
    }
    for figure in &section.figures {
        let drawing = figure.drawing.inline(&figure.title, "");
        let caption = escape(&figure.caption);
        let _ = writeln!(
            html,
            "<figure>\n{drawing}<figcaption>{caption}</figcaption></figure>"
        );
    }
    html.push_str("</section>\n");
}

fn table(table: &TextTable, html: &mut String) {
    let class = if table.prose { " class=\"left\"" } else { "" };
    let _ = write!(html, "<div class=\"scroll\"><table{class}>\n<thead><tr>");
    for column in &table.columns {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(column));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            let _ = match i {
                0 => write!(html, "<th scope=\"row\">{cell}</th>"),
                _ => write!(html, "<td>{cell}</td>"),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_file_and_escapes_what_comes_from_outside() {
        let table = TextTable {
            columns: vec!["<a>".to_owned(), "b".to_owned()],
            rows: vec![vec!["x & y".to_owned(), "1".to_owned()]],
            prose: false,
        };
        let html = render(&StudyPage {
            title: "t".to_owned(),
            headline: "h".to_owned(),
            notes: vec!["<script>".to_owned()],
            sections: vec![Section {
                title: "s".to_owned(),
                notes: Vec::new(),
                table: Some(table),
                figures: Vec::new(),
            }],
            command: "foresail".to_owned(),
        });
        assert!(html.contains("&lt;a&gt;") && html.contains("x &amp; y"));
        assert!(html.contains("<p class=\"note\">&lt;script&gt;</p>"));
        assert!(!html.contains("src=\"http") && !html.contains("href=\"http"));
    }
}
