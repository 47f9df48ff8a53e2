//! The live pages as bytes: every route, hostile names, filters and order, and what they load.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeSet;

use foresail_web::live::head::{segment, shown};
use foresail_web::live::route::{Keep, Response, Sight, respond};
use foresail_web::live::{Keeping, LiveObject, LiveSource, LiveStore, Seen};
use support::{Piece, explanation, hostile, object, pieces, shape};

fn get(store: &LiveStore, path: &str, query: &str) -> Response {
    respond(store, &Sight::All, path, query)
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).expect("UTF-8")
}

fn one(name: &str) -> LiveStore {
    let store = LiveStore::new(name);
    store.put(object(name, name, name));
    store
}

fn page_of(store: &LiveStore, name: &str) -> String {
    let path = format!("/o/{}/{}", segment(name), segment(name));
    let response = get(store, &path, "");
    assert_eq!(response.status, 200, "{path}");
    text(&response)
}

#[test]
fn every_route_answers_in_its_kind_and_others_are_not_there() {
    let store = one("web");
    let html = "text/html; charset=utf-8";
    let told = [
        ("/", html, Keep::Never),
        ("/o/web/web", html, Keep::Never),
        ("/api/v1/fleet", "application/json", Keep::Never),
        ("/api/v1/revision", "application/json", Keep::Never),
        ("/api/v1/objects/web/web", "application/json", Keep::Never),
        (
            "/api/v1/objects/web/web/demand.svg",
            "image/svg+xml",
            Keep::Never,
        ),
        (
            "/api/v1/objects/web/web/replicas.svg",
            "image/svg+xml",
            Keep::Never,
        ),
        (
            "/assets/app.js",
            "text/javascript; charset=utf-8",
            Keep::Ask,
        ),
        ("/assets/style.css", "text/css; charset=utf-8", Keep::Ask),
        ("/healthz", "text/plain; charset=utf-8", Keep::Never),
    ];
    for (path, kind, keep) in told {
        let response = get(&store, path, "");
        assert_eq!(
            (response.status, response.content_type, response.keep),
            (200, kind, keep),
            "{path}"
        );
        assert!(!response.body.is_empty(), "{path}");
        assert_eq!(response, get(&store, path, ""), "{path}: the same again");
    }
    let absent = [
        "/o/web",
        "/o/web/none",
        "/o/web/web/",
        "/o/web/web/x",
        "/o/%ff/web",
        "/assets/",
        "/assets/../x",
        "/api/v1/objects/web/web/other.svg",
        "/index.html",
        "",
        "//",
        "/healthz/",
    ];
    for path in absent {
        assert_eq!(get(&store, path, "").status, 404, "{path:?}");
    }
}

#[test]
fn an_object_is_told_as_data_with_everything_that_its_page_shows() {
    let store = one("web");
    let value: serde_json::Value =
        serde_json::from_slice(&get(&store, "/api/v1/objects/web/web", "").body).unwrap();
    assert_eq!(value["v"], 1);
    assert_eq!(value["row"]["desired"], 7);
    assert_eq!(value["demand"].as_array().unwrap().len(), 40);
    assert_eq!(value["forecasts"][0]["p10"], 520.0);
    assert_eq!(value["replicas"][0]["limit"], "Rate");
    // Each fifth decision changes something, the four after it are one entry.
    let decisions = value["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 16);
    assert_eq!(
        (&decisions[0]["ticks"], &decisions[1]["ticks"]),
        (&4.into(), &1.into())
    );
    assert_eq!(
        decisions[0]["explanation"]["at"], value["row"]["at"],
        "the newest first"
    );
    let csv = text(&get(&store, "/api/v1/objects/web/web", "format=csv"));
    let lines = |series: &str| csv.lines().filter(|l| l.starts_with(series)).count();
    assert_eq!(
        (lines("demand,"), lines("forecast,"), lines("decided,")),
        (40, 40, 40)
    );
}

#[test]
fn hostile_texts_are_text_wherever_they_stand() {
    let corpus = hostile();
    assert!(corpus.len() > 100, "{}", corpus.len());
    let plain = one("plain");
    let (fleet, page) = (
        shape(&text(&get(&plain, "/", ""))),
        shape(&page_of(&plain, "plain")),
    );
    for name in corpus.iter().filter(|n| !n.is_empty()) {
        let store = one(name);
        let got = text(&get(&store, "/", ""));
        assert_eq!(shape(&got), fleet, "fleet of {name:?}");
        let want = shown(name);
        let told = |html: &str| {
            pieces(html)
                .iter()
                .any(|p| matches!(p, Piece::Text(t) if *t == want))
                || want.trim().is_empty()
        };
        assert!(told(&got), "{name:?} is not told on the fleet's page");
        let got = page_of(&store, name);
        assert_eq!(shape(&got), page, "page of {name:?}");
        assert!(told(&got), "{name:?} is not told on its page");
        for text in [&got, &text(&get(&store, "/", ""))] {
            let unseen =
                |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(
                !text.contains(unseen),
                "{name:?} moves what stands beside it"
            );
        }
        // In JSON it is itself, to the character.
        let path = format!("/api/v1/objects/{}/{}", segment(name), segment(name));
        let value: serde_json::Value =
            serde_json::from_slice(&get(&store, &path, "").body).unwrap();
        assert_eq!(value["row"]["name"], name.as_str());
        for drawn in ["demand.svg", "replicas.svg"] {
            let svg = text(&get(&store, &format!("{path}/{drawn}"), ""));
            assert!(
                !shape(&svg).iter().any(|(tag, _)| tag == "script"),
                "{name:?} {drawn}"
            );
        }
        let csv = text(&get(&store, "/api/v1/fleet", "format=csv"));
        let first = csv.lines().nth(1).unwrap_or_default();
        assert!(
            !first.starts_with(['=', '+', '-', '@', '\t']),
            "{name:?}: {first}"
        );
    }
}

#[test]
fn a_filter_is_written_back_as_text() {
    let store = one("web");
    let plain = shape(&text(&get(&store, "/", "q=nothing")));
    for name in hostile()
        .iter()
        .filter(|n| !n.trim().is_empty() && *n != "." && n.len() < 4000)
    {
        let got = text(&get(&store, "/", &format!("q={}", segment(name))));
        let holds = got.contains("No object is like that");
        assert!(holds || name.len() < 4, "{name:?}");
        if holds {
            assert_eq!(shape(&got), plain, "{name:?}");
        }
    }
}

#[test]
fn a_page_holds_no_inline_script_or_style_and_loads_nothing_from_elsewhere() {
    let store = one("web");
    for html in [
        text(&get(&store, "/", "")),
        page_of(&store, "web"),
        text(&get(&store, "/none", "")),
    ] {
        for piece in pieces(&html) {
            let Piece::Tag(name, attributes) = piece else {
                continue;
            };
            assert!(
                name != "style" && name != "iframe" && name != "base",
                "{name}"
            );
            for (key, value) in &attributes {
                assert!(key != "style" && !key.starts_with("on"), "{name} {key}");
                let here = ["/", "#", "?", "data:,"]
                    .iter()
                    .any(|p| value.starts_with(p))
                    && !value.starts_with("//");
                assert!(
                    !matches!(key.as_str(), "href" | "src" | "action") || here,
                    "{name} {key}={value}"
                );
            }
            if name == "script" {
                assert_eq!(
                    attributes[0],
                    ("src".to_owned(), "/assets/app.js".to_owned())
                );
            }
        }
        assert!(!html.contains("<script>"));
    }
    let script = text(&get(&store, "/assets/app.js", ""));
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
    let style = text(&get(&store, "/assets/style.css", ""));
    assert!(
        !style.contains("@import") && !style.contains("url("),
        "the style loads something"
    );
}

fn fleet_of(names: &[(&str, &str)]) -> LiveStore {
    let store = LiveStore::new("t");
    for (namespace, name) in names {
        let mut object = LiveObject::new(namespace, name, Keeping::CONTROLLER);
        object.push(explanation("x", 1), &Seen::default());
        store.put(object);
    }
    store
}

fn names(html: &str) -> Vec<String> {
    let of_row = |p: &Piece| match p {
        Piece::Tag(name, attributes) if name == "a" => {
            let class = attributes.iter().any(|(k, v)| k == "class" && v == "open");
            let href = attributes.iter().find(|(k, _)| k == "href");
            href.filter(|_| class).map(|(_, v)| v.clone())
        }
        _ => None,
    };
    pieces(html).iter().filter_map(of_row).collect()
}

#[test]
fn what_needs_attention_stands_first_and_filters_cut() {
    let store = fleet_of(&[("a", "one"), ("a", "two"), ("b", "one")]);
    store.put(object("b", "zzz", "Late"));
    let all = names(&text(&get(&store, "/", "")));
    assert_eq!(all, ["/o/b/zzz", "/o/a/one", "/o/a/two", "/o/b/one"]);
    assert_eq!(
        names(&text(&get(&store, "/", "namespace=a"))),
        ["/o/a/one", "/o/a/two"]
    );
    assert_eq!(names(&text(&get(&store, "/", "q=TWO"))), ["/o/a/two"]);
    assert_eq!(names(&text(&get(&store, "/", "attention=1"))), ["/o/b/zzz"]);
    assert_eq!(
        names(&text(&get(&store, "/", "sort=-name&rows=2&page=2"))),
        ["/o/a/two", "/o/a/one"]
    );
    assert_eq!(
        names(&text(&get(&store, "/", "page=999999"))).len(),
        4,
        "a page too far is the last"
    );
}

#[test]
fn who_may_not_see_a_namespace_does_not_learn_what_is_in_it() {
    let store = fleet_of(&[("a", "one"), ("b", "secret")]);
    let sight = Sight::Namespaces(BTreeSet::from(["a".to_owned()]));
    for path in ["/", "/api/v1/fleet"] {
        let body = text(&respond(&store, &sight, path, "namespace=b"));
        assert!(!body.contains("secret"), "{path}");
    }
    let csv = text(&respond(&store, &sight, "/api/v1/fleet", "format=csv"));
    assert!(csv.contains("one") && !csv.contains("secret"));
    let hidden = respond(&store, &sight, "/o/b/secret", "");
    let absent = respond(&store, &sight, "/o/b/none", "");
    assert_eq!(hidden, absent, "hidden and absent are told alike");
    assert_eq!(respond(&store, &sight, "/o/a/one", "").status, 200);
}

#[test]
fn a_revision_grows_with_every_change_and_the_fleet_is_made_anew() {
    let store = fleet_of(&[("a", "one")]);
    let (first, before) = (store.revision(), store.fleet());
    assert!(
        std::sync::Arc::ptr_eq(&before, &store.fleet()),
        "made once per revision"
    );
    let begin = || LiveObject::new("a", "two", Keeping::CONTROLLER);
    store.update("a", "two", begin, |o| {
        o.push(explanation("x", 2), &Seen::default());
    });
    assert!(store.revision() > first);
    assert_eq!(store.fleet().rows.len(), 2);
    store.forget("a", "one");
    store.forget("a", "one");
    assert_eq!((store.fleet().rows.len(), store.len()), (1, 1));
}

#[test]
fn an_object_keeps_no_more_than_it_is_told_to() {
    let keeping = Keeping::CONTROLLER;
    let mut object = LiveObject::new("a", "b", keeping);
    for number in 0..12_000 {
        let told = explanation("x", number);
        let demand = vec![(told.at, 1.0)];
        object.push(
            told,
            &Seen {
                demand,
                ..Seen::default()
            },
        );
    }
    let page = object.page().unwrap();
    assert!(page.demand.len() <= keeping.points && page.demand.len() > keeping.points / 3);
    assert!(page.forecasts.len() <= keeping.points && page.replicas.len() <= keeping.points);
    assert_eq!(page.decisions.len(), keeping.decisions);
    let reach = page.row.at - page.replicas[0].at;
    assert!(reach >= keeping.span, "{reach}");
}

#[test]
fn an_object_without_demand_or_incumbent_says_what_is_missing() {
    let mut told = explanation("x", 1);
    told.incumbent = None;
    let mut object = LiveObject::new("a", "b", Keeping::RECORD);
    object.push(told, &Seen::default());
    let store = LiveStore::new("t");
    store.put(object);
    let html = text(&get(&store, "/o/a/b", ""));
    assert!(html.contains("No demand was seen") && html.contains("No incumbent was seen"));
    assert!(html.contains("Nothing was compared"));
    assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
    let empty = LiveStore::new("t");
    assert!(text(&get(&empty, "/", "")).contains("Nothing is scaled yet"));
}
