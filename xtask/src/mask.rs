//! Source text with its parts told apart: code, comments, strings.

/// What a byte of source belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Code.
    Code,
    /// A comment of any kind.
    Comment,
    /// A string or character literal.
    Literal,
}

/// The part that each byte of `source` belongs to.
///
/// Nested block comments, raw strings, byte strings, character literals and lifetimes are told
/// apart; macros count as the code that they are.
pub(crate) fn parts(source: &str) -> Vec<Part> {
    let bytes = source.as_bytes();
    let mut parts = vec![Part::Code; bytes.len()];
    let mut i = 0;
    while i < bytes.len() {
        let (end, part) = token(bytes, i);
        parts[i..end].fill(part);
        i = end;
    }
    parts
}

/// End and part of what begins at `i`.
fn token(bytes: &[u8], i: usize) -> (usize, Part) {
    let rest = &bytes[i..];
    if rest.starts_with(b"//") {
        let end = rest
            .iter()
            .position(|b| *b == b'\n')
            .map_or(bytes.len(), |n| i + n);
        return (end, Part::Comment);
    }
    if rest.starts_with(b"/*") {
        return (block_comment(bytes, i), Part::Comment);
    }
    if let Some(end) = raw_string(bytes, i) {
        return (end, Part::Literal);
    }
    match rest[0] {
        b'"' => (quoted(bytes, i + 1, b'"'), Part::Literal),
        b'\'' if is_char(rest) => (quoted(bytes, i + 1, b'\''), Part::Literal),
        _ => (i + 1, Part::Code),
    }
}

fn block_comment(bytes: &[u8], start: usize) -> usize {
    let (mut i, mut depth) = (start, 0);
    while i < bytes.len() {
        if bytes[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if bytes[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    bytes.len()
}

/// End of a raw string that begins at `i`, where one does.
fn raw_string(bytes: &[u8], i: usize) -> Option<usize> {
    let inside_word = i > 0 && (bytes[i - 1].is_ascii_alphanumeric() || bytes[i - 1] == b'_');
    let rest = bytes[i..].strip_prefix(b"b").unwrap_or(&bytes[i..]);
    let rest = rest.strip_prefix(b"r").filter(|_| !inside_word)?;
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    (rest.get(hashes) == Some(&b'"')).then_some(())?;
    let closing: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let body = bytes.len() - rest.len() + hashes + 1;
    let end = bytes[body..]
        .windows(closing.len())
        .position(|w| w == closing);
    Some(end.map_or(bytes.len(), |n| body + n + closing.len()))
}

fn quoted(bytes: &[u8], mut i: usize, quote: u8) -> usize {
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b if b == quote => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// `true` for a character literal and not a lifetime.
fn is_char(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(_) => std::str::from_utf8(rest)
            .ok()
            .and_then(|text| text.chars().nth(2))
            .is_some_and(|third| third == '\''),
        None => false,
    }
}

/// The source with everything but the wanted parts as blanks.
pub(crate) fn keep(source: &str, parts: &[Part], wanted: &[Part]) -> String {
    let kept = source.char_indices().map(|(i, c)| {
        if c == '\n' || wanted.contains(&parts[i]) {
            c
        } else {
            ' '
        }
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, part: Part, want: &str) {
        let kept = keep(source, &parts(source), &[part]);
        let kept: Vec<_> = kept.split_whitespace().collect();
        assert_eq!(kept.join(" "), want, "{source}");
    }

    #[test]
    fn strings_with_braces_and_quotes_are_literals() {
        check(r#"f("{ \" }", 'x') // end"#, Part::Code, "f( , )");
        check("let a = r#\"raw \" }\"#; b", Part::Code, "let a = ; b");
    }

    #[test]
    fn nested_comments_end_where_they_should() {
        check("a /* b /* c */ d */ e", Part::Code, "a e");
        check("a /* b /* c */ d */ e", Part::Comment, "/* b /* c */ d */");
    }

    #[test]
    fn lifetimes_are_no_characters() {
        check(
            "fn f<'a>(x: &'a str) { '{' }",
            Part::Code,
            "fn f<'a>(x: &'a str) { }",
        );
    }

    #[test]
    fn an_identifier_that_ends_in_r_begins_no_raw_string() {
        check("for\"x\"", Part::Code, "for");
    }
}
