//! An API server of one process: what the controller asks for, from memory, and how often it does.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::store::{DEPLOYMENTS, KINDS, Key, Objects};
use super::world::{self, Fleet};

/// Time from a new pod to its readiness.
const STARTUP: Duration = Duration::from_secs(3);

/// Time between two bookmarks of a watch.
const BOOKMARK: Duration = Duration::from_secs(30);

/// What the server holds.
#[derive(Debug)]
pub struct Held {
    pub objects: Objects,
    /// Calls by verb and resource.
    pub calls: BTreeMap<String, u64>,
    /// Demand against what the fleet begins with.
    pub demand: f64,
    /// Answers that were refusals.
    pub refused: u64,
    /// Objects whose past was asked for.
    pub pasts: usize,
}

/// The server.
#[derive(Clone, Debug)]
pub struct Api {
    held: Arc<Mutex<Held>>,
    fleet: Fleet,
}

/// A path, taken apart.
#[derive(Debug, Default)]
struct Asked<'a> {
    kind: Option<usize>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    sub: Option<&'a str>,
}

fn understood(path: &str) -> Asked<'_> {
    let mut parts = path.split('/').filter(|p| !p.is_empty());
    let (group, version) = match parts.next() {
        Some("api") => ("", parts.next()),
        _ => (parts.next().unwrap_or_default(), parts.next()),
    };
    let mut next = parts.next();
    let mut namespace = None;
    if next == Some("namespaces") {
        namespace = parts.next();
        next = parts.next();
    }
    let is = |k: &super::store::Kind| {
        k.group == group && Some(k.version) == version && Some(k.plural) == next
    };
    Asked {
        kind: KINDS.iter().position(is),
        namespace,
        name: parts.next(),
        sub: parts.next(),
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let pairs = query.split('&').filter_map(|p| p.split_once('='));
    pairs.filter(|p| p.0 == name).map(|p| p.1).next()
}

fn answer(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", kind);
    response
}

fn good(value: &Value) -> Response<Body> {
    answer(StatusCode::OK, value.to_string())
}

fn refusal(status: StatusCode, why: &str) -> Response<Body> {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": why, "reason": status.canonical_reason(), "code": status.as_u16(),
    });
    answer(status, body.to_string())
}

fn groups() -> Value {
    let mut names: Vec<(&str, &str)> = KINDS
        .iter()
        .filter(|k| !k.group.is_empty())
        .map(|k| (k.group, k.version))
        .collect();
    names.extend([
        ("metrics.k8s.io", "v1beta1"),
        ("external.metrics.k8s.io", "v1beta1"),
    ]);
    names.dedup();
    let group = |(group, version): &(&str, &str)| {
        let version = json!({"groupVersion": format!("{group}/{version}"), "version": version});
        json!({"name": group, "versions": [version], "preferredVersion": version})
    };
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": names.iter().map(group).collect::<Vec<_>>()})
}

fn resources(group: &str, version: &str) -> Value {
    let verbs = json!(["create", "get", "list", "patch", "update", "watch"]);
    let one = |name: &str, kind: &str| json!({"name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": verbs});
    let mut all = Vec::new();
    for kind in KINDS.iter().filter(|k| k.group == group) {
        all.push(one(kind.plural, kind.kind));
        if group == "apps" {
            all.push(one(&format!("{}/scale", kind.plural), "Scale"));
        }
    }
    let version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": all})
}

impl Api {
    pub fn new(fleet: Fleet) -> Self {
        let mut objects = Objects::default();
        fleet.fill(&mut objects);
        let demand = if fleet.from_zero { 0.0 } else { 1.0 };
        let held = Held {
            objects,
            calls: BTreeMap::new(),
            demand,
            refused: 0,
            pasts: 0,
        };
        Self {
            held: Arc::new(Mutex::new(held)),
            fleet,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    pub async fn serve(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, 8 << 20).await else {
            return self.refuse(StatusCode::BAD_REQUEST, "body");
        };
        let path = parts.uri.path();
        let query = parts.uri.query().unwrap_or_default();
        if path.starts_with("/api/v1/query") {
            return self.prometheus(query);
        }
        let asked = understood(path);
        self.note(&parts.method, query, &asked, path);
        match asked.kind {
            None => self.of_no_kind(path),
            Some(kind) if asked.name.is_none() && parts.method == Method::GET => {
                if parameter(query, "watch").is_some_and(|w| w != "false") {
                    self.watch(kind, query)
                } else {
                    self.list(kind, asked.namespace, query)
                }
            }
            Some(kind) => self.one(kind, &parts.method, &asked, &body),
        }
    }

    fn note(&self, method: &Method, query: &str, asked: &Asked<'_>, path: &str) {
        let resource = match asked.kind {
            Some(kind) => KINDS[kind].plural,
            None if path.contains("metrics.k8s.io/") => "pod metrics",
            None => "discovery",
        };
        let verb = match (method.as_str(), asked.name) {
            ("GET", None) if parameter(query, "watch").is_some() => "watch",
            ("GET", None) if asked.kind.is_some() => "list",
            ("GET", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            _ => "other",
        };
        let slash = asked.sub.map(|s| format!("/{s}")).unwrap_or_default();
        let call = format!("{verb} {resource}{slash}");
        *self.lock().calls.entry(call).or_default() += 1;
    }

    /// Prometheus: `demand_N`, or the times of its samples.
    fn prometheus(&self, query: &str) -> Response<Body> {
        let number = |name| parameter(query, name).and_then(|n| n.parse::<f64>().ok());
        let asked = parameter(query, "query").unwrap_or_default();
        let clock = asked.contains("timestamp");
        let digits = asked.rsplit_once("demand_").map_or("", |(_, rest)| rest);
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        let n: u64 = digits.parse().unwrap_or(0);
        let point = |at: u64| {
            let value = if clock {
                at as f64
            } else {
                self.fleet.demand(n, at)
            };
            json!([at, value.to_string()])
        };
        let (kind, series) = match (number("start"), number("end"), number("step")) {
            (Some(start), Some(end), Some(step)) => {
                if clock && end - start > 3600.0 {
                    self.lock().pasts += 1;
                }
                let times = (start as u64..=end as u64).step_by(step as usize);
                let values: Vec<Value> = times.map(point).collect();
                ("matrix", json!({"metric": {}, "values": values}))
            }
            _ => {
                let now = number("time").unwrap_or(0.0) as u64;
                ("vector", json!({"metric": {}, "value": point(now)}))
            }
        };
        good(&json!({"status": "success", "data": {"resultType": kind, "result": [series]}}))
    }

    fn refuse(&self, status: StatusCode, why: &str) -> Response<Body> {
        self.lock().refused += 1;
        refusal(status, why)
    }

    fn of_no_kind(&self, path: &str) -> Response<Body> {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        match parts.as_slice() {
            ["version"] => good(&json!({"major": "1", "minor": "37", "gitVersion": "v1.37.2"})),
            ["apis"] => good(&groups()),
            ["api", version] => good(&resources("", version)),
            ["apis", group, version] => good(&resources(group, version)),
            ["apis", "metrics.k8s.io", _, "namespaces", namespace, "pods"] => {
                let held = self.lock();
                let usage = self.fleet.usage(&held.objects, namespace, held.demand);
                drop(held);
                good(&usage)
            }
            ["apis", "external.metrics.k8s.io", _, "namespaces", _, _] => {
                let milli = (self.lock().demand * 1e3) as i64;
                let now = k8s_openapi::jiff::Timestamp::now().to_string();
                let item = json!({"metricName": "queue", "metricLabels": {}, "timestamp": now, "value": format!("{milli}m")});
                good(
                    &json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {}, "items": [item]}),
                )
            }
            _ => self.refuse(StatusCode::NOT_FOUND, path),
        }
    }

    fn list(&self, kind: usize, namespace: Option<&str>, query: &str) -> Response<Body> {
        let limit = parameter(query, "limit").and_then(|l| l.parse().ok());
        let after = parameter(query, "continue").and_then(|c| c.split_once('.'));
        let after: Option<Key> = after.map(|(n, o)| (n.to_owned(), o.to_owned()));
        let limit = limit.filter(|l| *l > 0).unwrap_or(usize::MAX);
        let page = self
            .lock()
            .objects
            .list(kind, namespace, after.as_ref(), limit);
        let next = page.next.map(|(n, o)| format!("{n}.{o}"));
        let meta = json!({"resourceVersion": page.version.to_string(), "continue": next.unwrap_or_default()});
        let (version, name) = (KINDS[kind].api_version(), KINDS[kind].kind);
        let items = page.items.join(",");
        let text = format!(
            "{{\"kind\":\"{name}List\",\"apiVersion\":\"{version}\",\"metadata\":{meta},\"items\":[{items}]}}"
        );
        answer(StatusCode::OK, text)
    }

    fn watch(&self, kind: usize, query: &str) -> Response<Body> {
        let since = parameter(query, "resourceVersion").and_then(|v| v.parse().ok());
        let seconds = parameter(query, "timeoutSeconds").and_then(|v| v.parse().ok());
        let ends = Instant::now() + Duration::from_secs(seconds.unwrap_or(60));
        let watch = self.lock().objects.watch(kind, since.unwrap_or(0));
        let Some((missed, receive)) = watch else {
            return self.refuse(StatusCode::GONE, "too old resource version");
        };
        let first = (missed.into_iter(), receive, self.clone());
        let lines =
            futures_util::stream::unfold(first, move |(mut missed, mut receive, api)| async move {
                if let Some(line) = missed.next() {
                    return Some((Ok::<Bytes, Infallible>(line), (missed, receive, api)));
                }
                let bookmark = Instant::now() + BOOKMARK;
                tokio::select! {
                    line = receive.recv() => Some((Ok(line?), (missed, receive, api))),
                    () = tokio::time::sleep_until(ends) => None,
                    () = tokio::time::sleep_until(bookmark) => {
                        let line = api.bookmark(kind);
                        Some((Ok(line), (missed, receive, api)))
                    }
                }
            });
        answer(StatusCode::OK, Body::from_stream(lines))
    }

    fn bookmark(&self, kind: usize) -> Bytes {
        let version = self.lock().objects.version().to_string();
        let object = json!({
            "kind": KINDS[kind].kind, "apiVersion": KINDS[kind].api_version(),
            "metadata": {"resourceVersion": version}, "spec": {"containers": []},
        });
        Bytes::from(format!(
            "{}\n",
            json!({"type": "BOOKMARK", "object": object})
        ))
    }

    fn one(&self, kind: usize, method: &Method, asked: &Asked<'_>, body: &[u8]) -> Response<Body> {
        let written: Value = serde_json::from_slice(body).unwrap_or_default();
        let name = asked
            .name
            .or_else(|| written["metadata"]["name"].as_str())
            .unwrap_or_default();
        let key = (
            asked.namespace.unwrap_or_default().to_owned(),
            name.to_owned(),
        );
        match (method.as_str(), asked.sub) {
            (_, Some("scale")) => self.scale(kind, method, &key, &written),
            ("GET", None) => match self.lock().objects.text(kind, &key) {
                Some(text) => answer(StatusCode::OK, text.to_owned()),
                None => refusal(StatusCode::NOT_FOUND, name),
            },
            ("POST", None) => self.create(kind, &key, written),
            ("PUT", None) => self.update(kind, &key, written),
            ("PATCH", None | Some("status")) => self.patch(kind, &key, &written),
            _ => self.refuse(StatusCode::METHOD_NOT_ALLOWED, "no such verb"),
        }
    }

    fn create(&self, kind: usize, key: &Key, mut object: Value) -> Response<Body> {
        let mut held = self.lock();
        if held.objects.text(kind, key).is_some() {
            held.refused += 1;
            return refusal(StatusCode::CONFLICT, "it is there");
        }
        object["metadata"]["uid"] = json!(format!("u-{}", held.objects.version()));
        let text = held.objects.put(kind, key, object);
        answer(StatusCode::CREATED, text)
    }

    fn update(&self, kind: usize, key: &Key, object: Value) -> Response<Body> {
        let mut held = self.lock();
        let Some(before) = held.objects.get(kind, key) else {
            return refusal(StatusCode::NOT_FOUND, &key.1);
        };
        let version = &object["metadata"]["resourceVersion"];
        if !version.is_null() && *version != before["metadata"]["resourceVersion"] {
            held.refused += 1;
            return refusal(StatusCode::CONFLICT, "it was changed");
        }
        let text = held.objects.put(kind, key, object);
        answer(StatusCode::OK, text)
    }

    /// A merge at the top level: what status writers and series of events need.
    fn patch(&self, kind: usize, key: &Key, change: &Value) -> Response<Body> {
        let mut held = self.lock();
        let Some(mut object) = held.objects.get(kind, key) else {
            return refusal(StatusCode::NOT_FOUND, &key.1);
        };
        for field in ["status", "series", "spec"] {
            if !change[field].is_null() {
                object[field] = change[field].clone();
            }
        }
        let text = held.objects.put(kind, key, object);
        answer(StatusCode::OK, text)
    }

    fn scale(&self, kind: usize, method: &Method, key: &Key, written: &Value) -> Response<Body> {
        let mut held = self.lock();
        let Some(mut object) = held.objects.get(kind, key) else {
            return refusal(StatusCode::NOT_FOUND, &key.1);
        };
        if method == Method::PUT {
            let version = &written["metadata"]["resourceVersion"];
            if *version != object["metadata"]["resourceVersion"] {
                held.refused += 1;
                return refusal(StatusCode::CONFLICT, "it was changed");
            }
            let replicas = written["spec"]["replicas"].as_i64().unwrap_or(0);
            let text = world::resize(&mut held.objects, key, object, replicas);
            object = serde_json::from_str(&text).unwrap_or_default();
            let (api, key) = (self.clone(), key.clone());
            tokio::spawn(async move {
                tokio::time::sleep(STARTUP).await;
                world::make_ready(&mut api.lock().objects, &key);
            });
        }
        let meta = &object["metadata"];
        good(&json!({
            "kind": "Scale", "apiVersion": "autoscaling/v1",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
            "spec": {"replicas": object["spec"]["replicas"]},
            "status": {"replicas": object["status"]["replicas"], "selector": format!("app={}", key.1)},
        }))
    }

    /// Targets that have so many replicas or more.
    pub fn reached(&self, replicas: i64) -> usize {
        let all = self
            .lock()
            .objects
            .list(DEPLOYMENTS, None, None, usize::MAX);
        let has = |text: &String| {
            serde_json::from_str::<Value>(text)
                .is_ok_and(|d| d["spec"]["replicas"].as_i64() >= Some(replicas))
        };
        all.items.iter().filter(|t| has(t)).count()
    }
}
