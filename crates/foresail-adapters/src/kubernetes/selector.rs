//! Label selectors as a scale tells them: `app=web,tier in (a, b),!old`.

use std::collections::BTreeMap;

use foresail_core::hpa;

/// One requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// A selector: all of its requirements hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Rule>);

/// The parts between commas that stand outside brackets.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `true` for what may be a label's key or value; a value may be empty.
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    text.chars().all(fits)
}

fn rule(text: &str) -> Option<Rule> {
    let text = text.trim();
    let key = |k: &str| Some(k.trim().to_owned()).filter(|k| !k.is_empty() && is_word(k));
    let value = |v: &str| Some(v.trim().to_owned()).filter(|v| is_word(v));
    if let Some(absent) = text.strip_prefix('!') {
        return Some(Rule::Absent(key(absent)?));
    }
    if let Some((k, v)) = text.split_once("!=") {
        return Some(Rule::NotIn(key(k)?, vec![value(v)?]));
    }
    if let Some((k, v)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Rule::In(key(k)?, vec![value(v)?]));
    }
    let Some((head, list)) = text.split_once('(') else {
        return Some(Rule::Exists(key(text)?));
    };
    let values = list.strip_suffix(')')?.split(',').map(value);
    let values: Vec<String> = values.collect::<Option<_>>()?;
    let (k, word) = head.trim().rsplit_once(char::is_whitespace)?;
    match word {
        "in" => Some(Rule::In(key(k)?, values)),
        "notin" => Some(Rule::NotIn(key(k)?, values)),
        _ => None,
    }
}

impl Selector {
    /// Reads a selector's text; what the HPA would call it where it is none.
    ///
    /// Source: apimachinery, pkg/labels, Parse.
    ///
    /// # Errors
    /// [`hpa::Selector::Empty`] or [`hpa::Selector::Invalid`].
    pub fn parse(text: Option<&str>) -> Result<Self, hpa::Selector> {
        let Some(text) = text.filter(|t| !t.trim().is_empty()) else {
            return Err(hpa::Selector::Empty);
        };
        let rules: Option<Vec<Rule>> = parts(text).into_iter().map(rule).collect();
        rules.map(Self).ok_or(hpa::Selector::Invalid)
    }

    /// `true` where the labels meet every requirement.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|rule| match rule {
            Rule::In(key, values) => labels.get(key).is_some_and(|v| values.contains(v)),
            Rule::NotIn(key, values) => !labels.get(key).is_some_and(|v| values.contains(v)),
            Rule::Exists(key) => labels.contains_key(key),
            Rule::Absent(key) => !labels.contains_key(key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Selector::parse(Some(selector)).unwrap().matches(&labels)
    }

    #[test]
    fn every_form_of_requirement_is_read() {
        let web = [("app", "web"), ("tier", "front")];
        for (selector, want) in [
            ("app=web", true),
            ("app == web,tier=front", true),
            ("app=other", false),
            ("app!=web", false),
            ("app!=other", true),
            ("missing!=x", true),
            ("tier in (back, front)", true),
            ("tier in (back)", false),
            ("tier notin (back)", true),
            ("missing notin (a,b)", true),
            ("tier", true),
            ("!tier", false),
            ("!missing,app in (web)", true),
        ] {
            assert_eq!(matches(selector, &web), want, "{selector}");
        }
    }

    #[test]
    fn none_and_nonsense_are_told_apart() {
        assert_eq!(Selector::parse(None), Err(hpa::Selector::Empty));
        assert_eq!(Selector::parse(Some(" ")), Err(hpa::Selector::Empty));
        for bad in ["a=b=c", "a in b", "in (a)", "a within (b)", "a=b,,c", "a b"] {
            assert_eq!(
                Selector::parse(Some(bad)),
                Err(hpa::Selector::Invalid),
                "{bad}"
            );
        }
    }
}
