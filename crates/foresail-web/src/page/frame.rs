//! What every page has: its head with the style, its foot with the script.

use super::text::escape;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/app.js");

/// The begin of a page up to its first section; texts are escaped.
///
/// `kind` is what it is, such as `comparison`.
#[must_use]
pub fn begin(kind: &str, title: &str, headline: &str, notes: &[String]) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><p class=\"kicker\">Foresail {kind} · {title}</p>\
         <button id=\"theme\" type=\"button\" aria-label=\"Switch between light and dark\">◐</button>\n\
         <h1>{}</h1>\n{}</header>\n<main>\n",
        escape(headline),
        paragraphs(notes),
    )
}

/// The end of a page: the command that makes it again, and the script with its data as JSON.
#[must_use]
pub fn end(command: &str, data: &str) -> String {
    format!(
        "</main>\n<footer><p>The same report again: <code>{}</code></p></footer>\n\
         <div id=\"tip\" role=\"status\" hidden></div>\n\
         <script type=\"application/json\" id=\"run\">{data}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(command),
    )
}

/// Notes, a paragraph each; escaped.
#[must_use]
pub fn paragraphs(notes: &[String]) -> String {
    let paragraph = |note: &String| format!("<p class=\"note\">{}</p>\n", escape(note));
    notes.iter().map(paragraph).collect()
}
