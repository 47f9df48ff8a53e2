//! Label selectors as the API's text form has them.

/// A parsed selector: every requirement must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    Absent,
    Above,
    Below,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A key, a value, or one of the words `in` and `notin`.
    Word(String),
    Symbol(&'static str),
}

/// The symbols, the longer ones first.
const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<"];

/// A name's longest part. Source: apimachinery:pkg/util/validation.
const NAME_MAX: usize = 63;

/// A key prefix's longest form. Source: apimachinery:pkg/util/validation.
const PREFIX_MAX: usize = 253;

impl Selector {
    /// Reads a selector; `None` where the API would refuse the text. An empty one selects all.
    ///
    /// Source: apimachinery:pkg/labels/selector.go, Parse.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let mut requirements = Vec::new();
        while !rest.is_empty() {
            let (requirement, after) = requirement(rest)?;
            requirements.push(requirement);
            rest = match after {
                [] => after,
                [Token::Symbol(","), next @ ..] if !next.is_empty() => next,
                _ => return None,
            };
        }
        Some(Self(requirements))
    }

    /// `true` where an object with these labels is selected.
    pub(super) fn selects(&self, labels: &[(&str, &str)]) -> bool {
        self.0.iter().all(|r| r.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &[(&str, &str)]) -> bool {
        let found = labels.iter().find(|(key, _)| *key == self.key);
        let Some((_, value)) = found else {
            return matches!(self.operator, Operator::NotIn | Operator::Absent);
        };
        let listed = || self.values.iter().any(|v| v == value);
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = || self.values.first().and_then(|v| number(v));
        let compared = || number(value).zip(bound());
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => true,
            Operator::Absent => false,
            Operator::Above => compared().is_some_and(|(value, bound)| value > bound),
            Operator::Below => compared().is_some_and(|(value, bound)| value < bound),
        }
    }

    fn is_valid(&self) -> bool {
        let compares = matches!(self.operator, Operator::Above | Operator::Below);
        is_key(&self.key)
            && self.values.iter().all(|v| is_value(v))
            && !(compares && self.values.iter().any(|v| v.parse::<i64>().is_err()))
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_blank);
    while !rest.is_empty() {
        let symbol = SYMBOLS.into_iter().find(|s| rest.starts_with(s));
        let length = symbol.map_or_else(
            || {
                let ends = |c: char| is_blank(c) || "=!(),><".contains(c);
                rest.find(ends).unwrap_or(rest.len())
            },
            str::len,
        );
        let (token, after) = rest.split_at(length);
        tokens.push(symbol.map_or_else(|| Token::Word(token.to_owned()), Token::Symbol));
        rest = after.trim_start_matches(is_blank);
    }
    tokens
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// One requirement, and what follows it.
fn requirement(tokens: &[Token]) -> Option<(Requirement, &[Token])> {
    let (absent, tokens) = match tokens {
        [Token::Symbol("!"), rest @ ..] => (true, rest),
        _ => (false, tokens),
    };
    let [Token::Word(key), rest @ ..] = tokens else {
        return None;
    };
    let (operator, values, rest) = match rest {
        [] | [Token::Symbol(","), ..] if absent => (Operator::Absent, Vec::new(), rest),
        [] | [Token::Symbol(","), ..] => (Operator::Exists, Vec::new(), rest),
        _ if absent => return None,
        [Token::Symbol("=" | "=="), rest @ ..] => one(Operator::In, rest)?,
        [Token::Symbol("!="), rest @ ..] => one(Operator::NotIn, rest)?,
        [Token::Symbol(">"), rest @ ..] => one(Operator::Above, rest)?,
        [Token::Symbol("<"), rest @ ..] => one(Operator::Below, rest)?,
        [Token::Word(word), rest @ ..] if word == "in" => several(Operator::In, rest)?,
        [Token::Word(word), rest @ ..] if word == "notin" => several(Operator::NotIn, rest)?,
        _ => return None,
    };
    let key = key.clone();
    let requirement = Requirement {
        key,
        operator,
        values,
    };
    requirement.is_valid().then_some((requirement, rest))
}

type Compared<'a> = (Operator, Vec<String>, &'a [Token]);

/// The one value after an operator; none written is the empty one.
fn one(operator: Operator, tokens: &[Token]) -> Option<Compared<'_>> {
    match tokens {
        [] | [Token::Symbol(","), ..] => Some((operator, vec![String::new()], tokens)),
        [Token::Word(value), rest @ ..] => Some((operator, vec![value.clone()], rest)),
        [Token::Symbol(_), ..] => None,
    }
}

/// The values in brackets; none between two commas is the empty one.
fn several(operator: Operator, tokens: &[Token]) -> Option<Compared<'_>> {
    let [Token::Symbol("("), rest @ ..] = tokens else {
        return None;
    };
    let end = rest.iter().position(|t| *t == Token::Symbol(")"))?;
    let value = |part: &[Token]| match part {
        [] => Some(String::new()),
        [Token::Word(value)] => Some(value.clone()),
        _ => None,
    };
    let parts = rest[..end].split(|t| *t == Token::Symbol(","));
    let values = parts.map(value).collect::<Option<Vec<_>>>()?;
    Some((operator, values, &rest[end + 1..]))
}

/// `true` for a name of letters and digits, with `-`, `_` and `.` inside.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inside = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    let ends = [bytes.first(), bytes.last()];
    bytes.len() <= NAME_MAX
        && ends
            .iter()
            .all(|b| b.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(inside)
}

fn is_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        None => is_name(text),
        Some((prefix, name)) => is_domain(prefix) && is_name(name),
    }
}

fn is_domain(text: &str) -> bool {
    let part = |part: &str| {
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !part.is_empty()
            && part.bytes().all(inside)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= PREFIX_MAX && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_selects_as_the_api_does() {
        let labels = [("app", "web"), ("tier", "2"), ("a.b/c", "")];
        for (text, want) in [
            ("", Some(true)),
            ("  ", Some(true)),
            ("app=web", Some(true)),
            ("app == web , tier=2", Some(true)),
            ("app=api", Some(false)),
            ("app!=api", Some(true)),
            ("other!=x", Some(true)),
            ("app in (web,api)", Some(true)),
            ("app in(api)", Some(false)),
            ("app notin (web, api)", Some(false)),
            ("other notin (web)", Some(true)),
            ("app", Some(true)),
            ("!app", Some(false)),
            ("!other,app", Some(true)),
            ("tier>1", Some(true)),
            ("tier<2", Some(false)),
            ("app>1", Some(false)),
            ("a.b/c=", Some(true)),
            ("a.b/c in ()", Some(true)),
            ("a.b/c in (,x)", Some(true)),
            ("in in (in)", Some(false)),
            ("app=in", Some(false)),
            ("tier>x", None),
            ("app=web,", None),
            (",app", None),
            ("=web", None),
            ("a b", None),
            ("app=web x", None),
            ("app in web", None),
            ("app in (web", None),
            ("app in (web api)", None),
            ("!app=web", None),
            ("app=-web", None),
            ("app===web", None),
            ("/app", None),
            ("A.b/app", None),
            ("app=wéb", None),
        ] {
            let got = Selector::parse(text).map(|s| s.selects(&labels));
            assert_eq!(got, want, "{text}");
        }
        let long = "x".repeat(64);
        assert_eq!(Selector::parse(&long), None);
        assert_eq!(Selector::parse(&format!("app={long}")), None);
    }
}
