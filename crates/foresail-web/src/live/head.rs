//! What every live page has around it, and how names from outside are shown.

use foresail_core::quantity::time::Timestamp;

use crate::page::text::escape;

/// The longest name that is shown whole; an object's name is 253 characters at most.
const SHOWN_MAX: usize = 253;

/// `true` for characters that are not seen, or that move what stands beside them: controls,
/// directions, joiners and other marks without width.
///
/// Source: Unicode 16, general categories Cc and Cf, and the separators U+2028 and U+2029.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text from outside as it is shown: what is not seen stands as `\u{…}`, what is too long is cut.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(1024));
    for (i, c) in text.chars().enumerate() {
        if i >= SHOWN_MAX {
            out.push('…');
            break;
        }
        if unseen(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A text from outside as markup, on a direction of its own.
#[must_use]
pub fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", escape(&shown(text)))
}

/// A time as markup, which the page's script can turn into local time.
#[must_use]
pub fn time(at: Timestamp) -> String {
    let whole = Timestamp::from_seconds(at.seconds_floor()).to_string();
    let text = whole.replace('T', " ").replace('Z', "");
    format!("<time datetime=\"{whole}\">{text}</time>")
}

/// A text as one segment of a path or as a value of a query.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&format!("{byte:02X}"));
        }
    }
    out
}

/// The begin of a page up to its first section. `headline` and `facts` are markup.
#[must_use]
pub fn begin(title: &str, revision: u64, headline: &str, facts: &str) -> String {
    let title = escape(&shown(title));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"/assets/style.css\">\n\
         <script src=\"/assets/app.js\" defer></script>\n</head>\n<body class=\"live\">\n\
         <header><p class=\"kicker\"><a href=\"/\">Foresail</a> <span id=\"state\" role=\"status\"></span></p>\
         <div class=\"tools\"><button id=\"zone\" type=\"button\" title=\"Switch between UTC and local time\">UTC</button>\
         <button id=\"theme\" type=\"button\" aria-label=\"Switch between light and dark\">◐</button></div>\n\
         </header>\n<main data-revision=\"{revision}\">\n<h1>{headline}</h1>\n{facts}"
    )
}

/// The end of a page.
#[must_use]
pub fn end() -> &'static str {
    "</main>\n<footer><p>This page shows and never writes. <kbd>j</kbd> <kbd>k</kbd> move, <kbd>Enter</kbd> opens, <kbd>/</kbd> filters, <kbd>u</kbd> goes up.</p></footer>\n</body>\n</html>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out_and_what_is_long_is_cut() {
        assert_eq!(shown("a\u{202e}b\u{0}"), "a\\u{202e}b\\u{0}");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(shown("größe-数-🚀"), "größe-数-🚀");
    }

    #[test]
    fn a_segment_holds_nothing_that_means_something_in_an_address() {
        assert_eq!(segment("a/b?c#d e\"<"), "a%2Fb%3Fc%23d%20e%22%3C");
        assert_eq!(segment("größe"), "gr%C3%B6%C3%9Fe");
    }
}
