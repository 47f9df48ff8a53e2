//! What an address asks for beyond its path: filters, order, page, range of time.

use foresail_core::quantity::time::{Span, Timestamp};
use foresail_core::quantity::units::larger;

use super::head::segment;
use super::model::{Fleet, FleetRow};

/// The longest query that is read, in bytes.
const QUERY_BYTES_MAX: usize = 8 << 10;

/// The most rows of one page.
const ROWS_MAX: usize = 1_000;

/// Rows of a page unless something else is asked for.
const ROWS: usize = 100;

/// A text with its `%XX` undone; `None` where it is not UTF-8 or not well written.
#[must_use]
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            let digit = |b: u8| char::from(b).to_digit(16);
            bytes.push((digit(pair[0])? * 16 + digit(pair[1])?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Names and values of a query; what cannot be read is left out.
#[must_use]
pub fn pairs(query: &str) -> Vec<(String, String)> {
    if query.len() > QUERY_BYTES_MAX {
        return Vec::new();
    }
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((
            decoded(&name.replace('+', " "))?,
            decoded(&value.replace('+', " "))?,
        ))
    };
    query
        .split('&')
        .filter(|p| !p.is_empty())
        .filter_map(pair)
        .collect()
}

/// A column of the fleet by which rows can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Namespace and name.
    Name,
    /// Where it stands.
    Phase,
    /// Archetype of its demand.
    Archetype,
    /// Replicas asked for at present.
    Replicas,
    /// Replicas decided less those of the present, without a sign.
    Change,
    /// Demand at the end.
    Demand,
    /// The guard that bound last.
    Limit,
    /// How it does against the incumbent.
    Verdict,
    /// What a day costs.
    Cost,
}

impl Column {
    /// Every column, as it is written in an address.
    pub const ALL: [(&'static str, Self); 9] = [
        ("name", Self::Name),
        ("phase", Self::Phase),
        ("archetype", Self::Archetype),
        ("replicas", Self::Replicas),
        ("change", Self::Change),
        ("demand", Self::Demand),
        ("limit", Self::Limit),
        ("verdict", Self::Verdict),
        ("cost", Self::Cost),
    ];

    /// Its name in an address.
    #[must_use]
    pub fn key(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, column)| *column == self);
        found.map_or("name", |(key, _)| key)
    }

    fn order(self, a: &FleetRow, b: &FleetRow) -> std::cmp::Ordering {
        let change = |row: &FleetRow| row.desired.map(|d| d.abs_diff(row.replicas.unwrap_or(0)));
        let number = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
        let demand = |row: &FleetRow| number(row.demand.iter().rev().flatten().next().copied());
        let limit = |row: &FleetRow| row.limit.as_ref().map(|l| l.by);
        match self {
            Self::Name => std::cmp::Ordering::Equal,
            Self::Phase => a.phase.cmp(&b.phase),
            Self::Archetype => a.archetype.cmp(&b.archetype),
            Self::Replicas => a.replicas.cmp(&b.replicas),
            Self::Change => change(a).cmp(&change(b)),
            Self::Demand => demand(a).total_cmp(&demand(b)),
            Self::Limit => limit(a).cmp(&limit(b)),
            Self::Verdict => a.verdict.cmp(&b.verdict),
            Self::Cost => number(a.cost_per_day).total_cmp(&number(b.cost_per_day)),
        }
    }
}

/// Which rows of the fleet are shown, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetQuery {
    /// Text that a name, a target or a reason holds.
    pub text: String,
    /// A namespace.
    pub namespace: String,
    /// A phase.
    pub phase: String,
    /// An archetype.
    pub archetype: String,
    /// Only what needs attention.
    pub attention: bool,
    /// Ordered by.
    pub sort: Column,
    /// The largest first.
    pub down: bool,
    /// Which page, from 1 on.
    pub page: usize,
    /// Rows of a page.
    pub rows: usize,
}

impl Default for FleetQuery {
    fn default() -> Self {
        Self {
            text: String::new(),
            namespace: String::new(),
            phase: String::new(),
            archetype: String::new(),
            attention: false,
            sort: Column::Name,
            down: false,
            page: 1,
            rows: ROWS,
        }
    }
}

impl FleetQuery {
    /// What an address asks for; what it does not know is left out.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in pairs(query) {
            match name.as_str() {
                "q" => asked.text = value,
                "namespace" => asked.namespace = value,
                "phase" => asked.phase = value,
                "archetype" => asked.archetype = value,
                "attention" => asked.attention = value == "1",
                "sort" => {
                    let (key, down) = value
                        .strip_prefix('-')
                        .map_or((value.as_str(), false), |key| (key, true));
                    let found = Column::ALL.iter().find(|(known, _)| *known == key);
                    if let Some((_, column)) = found {
                        (asked.sort, asked.down) = (*column, down);
                    }
                }
                "page" => asked.page = value.parse().unwrap_or(1).max(1),
                "rows" => asked.rows = value.parse().unwrap_or(ROWS).clamp(1, ROWS_MAX),
                _ => {}
            }
        }
        asked
    }

    /// The address that asks for this.
    #[must_use]
    pub fn address(&self) -> String {
        let plain = Self::default();
        let mut parts = Vec::new();
        let texts = [
            ("q", &self.text),
            ("namespace", &self.namespace),
            ("phase", &self.phase),
            ("archetype", &self.archetype),
        ];
        for (name, value) in texts.iter().filter(|(_, v)| !v.is_empty()) {
            parts.push(format!("{name}={}", segment(value)));
        }
        if self.attention {
            parts.push("attention=1".to_owned());
        }
        if (self.sort, self.down) != (plain.sort, plain.down) {
            let sign = if self.down { "-" } else { "" };
            parts.push(format!("sort={sign}{}", self.sort.key()));
        }
        if self.page != plain.page {
            parts.push(format!("page={}", self.page));
        }
        if self.rows != plain.rows {
            parts.push(format!("rows={}", self.rows));
        }
        if parts.is_empty() {
            "/".to_owned()
        } else {
            format!("/?{}", parts.join("&"))
        }
    }

    fn wants(&self, row: &FleetRow) -> bool {
        let same = |asked: &str, is: &str| asked.is_empty() || asked == is;
        let archetype = row.archetype.map_or("", |a| a.name());
        let holds = || {
            let text = self.text.to_lowercase();
            let mut all = [&row.namespace, &row.name, &row.target]
                .into_iter()
                .chain(row.wrong.iter().map(|w| &w.reason));
            all.any(|t| t.to_lowercase().contains(&text))
        };
        same(&self.namespace, &row.namespace)
            && same(&self.phase, &row.phase)
            && same(&self.archetype, archetype)
            && (!self.attention || !row.wrong.is_empty())
            && (self.text.is_empty() || holds())
    }

    /// The rows that are wanted: first those that need attention, each part in its order.
    #[must_use]
    pub fn select<'a>(&self, fleet: &'a Fleet) -> Vec<&'a FleetRow> {
        let mut rows: Vec<&FleetRow> = fleet.rows.iter().filter(|r| self.wants(r)).collect();
        rows.sort_by(|a, b| {
            let by = self.sort.order(a, b);
            let by = if self.down { by.reverse() } else { by };
            let names = || (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name));
            let names = || {
                if self.down && self.sort == Column::Name {
                    names().reverse()
                } else {
                    names()
                }
            };
            a.wrong
                .is_empty()
                .cmp(&b.wrong.is_empty())
                .then(by)
                .then_with(names)
        });
        rows
    }
}

/// The part of an object's time that is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// How long; all that is kept where absent.
    pub last: Option<Span>,
    /// Its end; the newest decision where absent.
    pub until: Option<Timestamp>,
}

impl Window {
    /// What an address asks for: `last=6h`, `until=2026-01-31T08:00:00Z`.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let mut window = Self::default();
        for (name, value) in pairs(query) {
            match name.as_str() {
                "last" => window.last = value.parse().ok().filter(|s: &Span| *s > Span::ZERO),
                "until" => window.until = value.parse().ok(),
                _ => {}
            }
        }
        window
    }

    /// Begin and end of what is shown of a time from `from` to `to`; `ahead` belongs to its end.
    #[must_use]
    pub fn cut(&self, from: Timestamp, to: Timestamp, ahead: Timestamp) -> (Timestamp, Timestamp) {
        let end = self.until.map_or(ahead, |until| until.min(ahead));
        let now = self.until.map_or(to, |until| until.min(to));
        let begin = self.last.map_or(from, |last| (now - last).max(from));
        if begin < end {
            return (begin, end);
        }
        let least = larger((end - begin).seconds(), 60.0);
        let length = Span::from_seconds_f64(least).unwrap_or(Span::from_seconds(60));
        (begin, begin + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_asks_for_what_it_was_made_of() {
        let asked = FleetQuery {
            text: "a&b=c/ü \"'".to_owned(),
            namespace: "shop".to_owned(),
            attention: true,
            sort: Column::Cost,
            down: true,
            page: 3,
            ..FleetQuery::default()
        };
        let address = asked.address();
        let query = address.split_once('?').unwrap().1;
        assert_eq!(FleetQuery::read(query), asked);
        assert_eq!(FleetQuery::default().address(), "/");
    }

    #[test]
    fn nonsense_in_an_address_is_left_out() {
        let asked = FleetQuery::read("sort=__proto__&page=-1&rows=999999999&%zz=1&=&&&q=%ff");
        let want = FleetQuery {
            rows: ROWS_MAX,
            ..FleetQuery::default()
        };
        assert_eq!(asked, want);
        assert_eq!(decoded("%e2%82%ac").as_deref(), Some("€"));
        assert_eq!(decoded("%"), None);
        assert_eq!(Window::read("last=-3h&until=yesterday"), Window::default());
    }
}
