//! From a path and a query to the bytes of an answer; pure.

use super::model::Fleet;
use super::query::{FleetQuery, Window, decoded, pairs};
use super::{LiveSource, csv, fleet_page, head, object_page};

/// The script of the live pages.
const SCRIPT: &str = include_str!("../assets/live.js");

/// The style of every page, and what the live ones have beyond it.
const STYLE: &str = concat!(
    include_str!("../assets/style.css"),
    include_str!("../assets/live.css")
);

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const CSV: &str = "text/csv; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// How long an answer may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Not at all: it tells of a cluster.
    Never,
    /// As long as its mark stays the same.
    Ask,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// What the body is.
    pub content_type: &'static str,
    /// How long it may be kept.
    pub keep: Keep,
    /// The name under which it is saved, for what is not shown.
    pub file: Option<String>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer of this kind that is not kept.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            keep: Keep::Never,
            file: None,
            body: body.into(),
        }
    }

    fn asset(content_type: &'static str, body: &str) -> Self {
        Self {
            keep: Keep::Ask,
            ..Self::new(200, content_type, body)
        }
    }

    fn saved_as(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// A problem, as JSON below `/api/` and as a page elsewhere.
    #[must_use]
    pub fn problem(path: &str, status: u16, message: &str) -> Self {
        if path.starts_with("/api/") || path == "/events" {
            let body = serde_json::json!({"v": 1, "error": message}).to_string();
            return Self::new(status, JSON, body);
        }
        let facts = "<p class=\"note\"><a href=\"/\">All objects</a></p>\n";
        let headline = crate::page::text::escape(message);
        let page = head::begin(message, 0, &headline, facts) + head::end();
        Self::new(status, HTML, page)
    }
}

/// Which namespaces whoever asks may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Every one.
    All,
    /// These alone.
    Namespaces(std::collections::BTreeSet<String>),
}

impl Sight {
    /// `true` where this namespace may be seen.
    #[must_use]
    pub fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(all) => all.contains(namespace),
        }
    }

    fn cut(&self, fleet: &Fleet) -> Option<Fleet> {
        match self {
            Self::All => None,
            Self::Namespaces(_) => {
                let mut cut = fleet.clone();
                cut.rows.retain(|row| self.holds(&row.namespace));
                cut.at = cut.rows.iter().map(|r| r.at).max().unwrap_or_default();
                Some(cut)
            }
        }
    }
}

/// Answers a `GET` of a path and its query, of what whoever asks may see.
#[must_use]
pub fn respond(source: &dyn LiveSource, sight: &Sight, path: &str, query: &str) -> Response {
    match path {
        "/healthz" => Response::new(200, "text/plain; charset=utf-8", "ok\n"),
        "/assets/app.js" => Response::asset("text/javascript; charset=utf-8", SCRIPT),
        "/assets/style.css" => Response::asset("text/css; charset=utf-8", STYLE),
        "/" | "/api/v1/fleet" => fleet(source, sight, path, query),
        "/api/v1/revision" => {
            let body = serde_json::json!({"v": 1, "revision": source.revision()});
            Response::new(200, JSON, body.to_string())
        }
        _ => match object_path(path) {
            Some((kind, namespace, name)) => {
                let found = sight
                    .holds(&namespace)
                    .then(|| source.object(&namespace, &name));
                match found.flatten() {
                    Some(page) => object(kind, source.revision(), &page, query),
                    // Whether it is there is not told to who may not see it.
                    None => Response::problem(path, 404, "There is no such object"),
                }
            }
            None => Response::problem(path, 404, "There is no such page"),
        },
    }
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => Response::new(200, JSON, body),
        Err(error) => Response::problem("/api/", 500, &error.to_string()),
    }
}

fn fleet(source: &dyn LiveSource, sight: &Sight, path: &str, query: &str) -> Response {
    // The revision first: what changes meanwhile is asked for again.
    let revision = source.revision();
    let all = source.fleet();
    let cut = sight.cut(&all);
    let fleet = cut.as_ref().unwrap_or(&all);
    let wants_csv = pairs(query)
        .iter()
        .any(|(n, v)| n == "format" && v == "csv");
    match path {
        "/" => {
            let asked = FleetQuery::read(query);
            Response::new(200, HTML, fleet_page::render(fleet, &asked, revision))
        }
        _ if wants_csv => Response::new(200, CSV, csv::fleet(fleet)).saved_as("fleet.csv"),
        _ => json(fleet),
    }
}

/// What is asked of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Page,
    Api,
    Figure(object_page::Drawn),
}

/// Namespace and name of a path such as `/o/shop/web`.
fn object_path(path: &str) -> Option<(Kind, String, String)> {
    let (page, api) = (path.strip_prefix("/o/"), "/api/v1/objects/");
    let (rest, of_api) = match page {
        Some(rest) => (rest, false),
        None => (path.strip_prefix(api)?, true),
    };
    let mut parts = rest.split('/');
    let (namespace, name) = (decoded(parts.next()?)?, decoded(parts.next()?)?);
    let kind = match (parts.next(), of_api) {
        (None, false) => Kind::Page,
        (None, true) => Kind::Api,
        (Some("demand.svg"), true) => Kind::Figure(object_page::Drawn::Demand),
        (Some("replicas.svg"), true) => Kind::Figure(object_page::Drawn::Replicas),
        _ => return None,
    };
    parts.next().is_none().then_some((kind, namespace, name))
}

fn object(kind: Kind, revision: u64, page: &super::model::ObjectPage, query: &str) -> Response {
    let window = Window::read(query);
    let wants_csv = pairs(query)
        .iter()
        .any(|(n, v)| n == "format" && v == "csv");
    match kind {
        Kind::Page => Response::new(200, HTML, object_page::render(page, window, revision)),
        Kind::Api if wants_csv => Response::new(200, CSV, csv::object(page)).saved_as("object.csv"),
        Kind::Api => json(page),
        Kind::Figure(drawn) => {
            let svg = object_page::standalone(page, window, drawn);
            let file = match drawn {
                object_page::Drawn::Demand => "demand.svg",
                object_page::Drawn::Replicas => "replicas.svg",
            };
            Response::new(200, SVG, svg).saved_as(file)
        }
    }
}
