//! A stand-in for OpenWhisk: its published REST API over HTTP on loopback, written from the API's
//! document and messages and not from our client.
//!
//! Actions are stored and merged as `ActionPut` says; limits are checked against the defaults of a
//! deployment; a blocking call answers 200, 202 where it takes longer than the server blocks, or 502
//! where the activation failed. Fields that `ActionPut` does not have are dropped, as the server's
//! JSON reader drops them, and kept in a list for tests. A CPU limit and `POST /config/runtime` are
//! there only in a fork. The root tells the kinds of runtimes without anybody's key, and a deprecated
//! kind can be read and deleted alone.
//! Source: apache/openwhisk, docs/rest_api.md, docs/annotations.md, apiv1swagger.json,
//! ErrorResponse.scala (messages); Controller.scala, `info`, and ExecManifest.scala, `toJson` (the root);
//! commit edefa8a72 of pull request #4790.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Map, Value, json};

/// `user:password` of the namespace, and of the controller.
pub const KEY: &str = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:s3cretOfTheNamespace";
pub const ADMIN: &str = "controller:s3cretOfTheController";

/// What a request meets instead of being served.
#[derive(Clone, Debug)]
pub enum Play {
    /// An answer of this code, with `Retry-After`, and nothing done.
    Say(u16, Option<u32>),
    /// Nothing is done, and the connection is cut.
    Cut,
    /// It is served, and the connection is cut.
    CutAfter,
    /// An answer that is no JSON.
    Page(u16),
    /// It is served, and answered so many milliseconds later.
    Slow(u64),
}

/// How an action behaves: milliseconds by its memory, and which of its calls fail.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub work: f64,
    pub fails: BTreeSet<u64>,
    /// How many calls ran.
    pub calls: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            work: 512.0,
            fails: BTreeSet::new(),
            calls: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Logged {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: Value,
    pub status: u16,
}

#[derive(Debug, Default)]
pub struct World {
    pub fork: bool,
    pub actions: BTreeMap<String, Value>,
    pub activations: Vec<Value>,
    /// Records that are there only from a time on, by id.
    pub hidden_until: BTreeMap<String, u128>,
    pub behaviours: BTreeMap<String, Behaviour>,
    pub manifest: Value,
    pub log: Vec<Logged>,
    /// What the next requests meet: method, a part of the path, what.
    pub script: VecDeque<(&'static str, &'static str, Play)>,
    /// Fields that were sent and that the API does not have.
    pub strange: Vec<String>,
    /// How long a blocking call blocks, in milliseconds.
    pub blocks_for: u64,
    /// How long a record takes to be there, in milliseconds.
    pub record_after: u64,
    /// Invocations that are still allowed in this minute.
    pub allowed: Option<u32>,
    /// Limits of memory in MB.
    pub memory: (u64, u64),
    /// `true` where a gateway stands before the host's root.
    pub hides_root: bool,
    /// Actions whose container has run at this memory.
    warm: BTreeMap<String, u64>,
    ids: u64,
}

pub type Shared = Arc<Mutex<World>>;

pub struct Server {
    pub address: String,
    pub world: Shared,
    _runtime: tokio::runtime::Runtime,
}

pub fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
}

impl Server {
    /// Starts one on a port of loopback; it ends with the value.
    pub fn start(fork: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let world: Shared = Arc::new(Mutex::new(World {
            fork,
            blocks_for: 60_000,
            memory: (128, 512),
            manifest: json!({"runtimes": {"nodejs": [{"kind": "nodejs:20", "default": true,
                "image": {"prefix": "openwhisk", "name": "action-nodejs-v20", "tag": "nightly"},
                "deprecated": false, "stemCells": [{"initialCount": 2, "memory": "256 MB"}]}]},
                "blackboxes": [{"prefix": "openwhisk", "name": "dockerskeleton", "tag": "nightly"}]}),
            ..World::default()
        }));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(serve)
            .with_state(Arc::clone(&world));
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            address,
            world,
            _runtime: runtime,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Adds kinds to a family of the manifest: each with whether it is deprecated.
    pub fn kinds(&self, family: &str, kinds: &[(&str, bool)]) {
        let mut world = self.world();
        let all = &mut world.manifest["runtimes"][family];
        if all.is_null() {
            *all = json!([]);
        }
        for (kind, deprecated) in kinds {
            let image =
                json!({"prefix": "openwhisk", "name": kind.replace(':', "-v"), "tag": "nightly"});
            all.as_array_mut()
                .unwrap()
                .push(json!({"kind": kind, "image": image, "deprecated": deprecated}));
        }
    }

    /// Requests of a method whose path has a part.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let world = self.world();
        let log = world.log.iter();
        log.filter(|l| l.method == method && l.path.contains(part))
            .count()
    }

    pub fn writes(&self) -> usize {
        let world = self.world();
        world.log.iter().filter(|l| l.method != "GET").count()
    }

    /// An action of a kind, as it would be after `wsk action create`.
    pub fn action(&self, name: &str, kind: &str, memory: u64) {
        let mut world = self.world();
        let mut limits = json!({"timeout": 60_000, "memory": memory, "logs": 10, "concurrency": 1});
        if world.fork {
            limits["cpu"] = json!(1.0);
        }
        let exec = json!({"kind": kind, "code": "function main() {}", "binary": false});
        let action = json!({"namespace": "guest", "name": name, "version": "0.0.1", "publish": false,
            "exec": exec, "annotations": [], "parameters": [], "limits": limits});
        world.actions.insert(name.to_owned(), action);
    }

    pub fn sequence(&self, name: &str, components: &[&str]) {
        self.action(name, "sequence", 256);
        let all: Vec<String> = components.iter().map(|c| format!("/guest/{c}")).collect();
        self.world().actions.get_mut(name).unwrap()["exec"] =
            json!({"kind": "sequence", "components": all});
    }

    pub fn limit(&self, name: &str, limit: &str) -> f64 {
        self.world().actions[name]["limits"][limit]
            .as_f64()
            .unwrap()
    }
}

impl World {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:032x}", self.ids)
    }

    fn kinds(&self) -> impl Iterator<Item = &Value> {
        let families = self.manifest["runtimes"].as_object().unwrap();
        families.values().flat_map(|f| f.as_array().unwrap())
    }

    fn kind(&self, name: &str) -> Option<&Value> {
        self.kinds().find(|kind| kind["kind"] == name)
    }

    fn is_deprecated(&self, kind: &str) -> bool {
        self.kind(kind).is_some_and(|k| k["deprecated"] == true)
    }

    /// A record of something that ran, for what is read and not called.
    pub fn ran(&mut self, name: &str, start: u128, milliseconds: u64) {
        let id = self.id();
        let record = record(
            &id,
            name,
            "nodejs:20",
            (start, milliseconds),
            (None, 0),
            &[],
        );
        self.activations.push(record);
    }
}

/// An activation record; `code` is 0 success, 1 the application's error, 2 the developer's.
fn record(
    id: &str,
    name: &str,
    kind: &str,
    (start, milliseconds): (u128, u64),
    (init, code): (Option<u64>, u64),
    logs: &[String],
) -> Value {
    let status = ["success", "application error", "action developer error"][code as usize];
    let mut annotations = vec![
        json!({"key": "path", "value": format!("guest/{name}")}),
        json!({"key": "kind", "value": kind}),
        json!({"key": "waitTime", "value": 3}),
        json!({"key": "limits", "value": {"logs": 10, "memory": 256, "timeout": 60000}}),
    ];
    annotations.extend(init.map(|ms| json!({"key": "initTime", "value": ms})));
    let result = match code {
        0 => json!({"ok": true}),
        _ => json!({"error": "An error has occurred: no"}),
    };
    json!({
        "namespace": "guest", "name": name, "version": "0.0.1", "publish": false, "subject": "guest",
        "activationId": id, "start": start as u64, "end": start as u64 + milliseconds,
        "duration": milliseconds, "annotations": annotations, "logs": logs,
        "response": {"status": status, "statusCode": code, "success": code == 0, "result": result},
    })
}

fn answer(status: u16, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

fn refused(status: u16, text: &str) -> Response {
    answer(status, &json!({"error": text, "code": "deadbeef"}))
}

/// A body that breaks off: the connection is cut in the middle of the answer.
fn cut() -> Response {
    let broken = std::io::Error::other("cut");
    let stream = futures_util::stream::iter([Err::<axum::body::Bytes, _>(broken)]);
    Response::builder()
        .status(200)
        .body(Body::from_stream(stream))
        .unwrap()
}

fn basic(request: &Request) -> Option<String> {
    let value = request.headers().get("authorization")?.to_str().ok()?;
    decode(value.strip_prefix("Basic ")?)
}

/// Base 64, read by a plain table.
fn decode(text: &str) -> Option<String> {
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for c in text.trim_end_matches('=').bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    String::from_utf8(out).ok()
}

fn queries(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|p| !p.is_empty());
    pairs
        .map(|p| p.split_once('=').unwrap_or((p, "")))
        .map(|(k, v)| (k.to_owned(), v.replace("%2F", "/")))
        .collect()
}

async fn serve(State(world): State<Shared>, request: Request) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let key = basic(&request);
    let is_json = request
        .headers()
        .get("content-type")
        .is_some_and(|c| c.as_bytes().starts_with(b"application/json"));
    let bytes = to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let play = {
        let mut world = world.lock().unwrap();
        let met = world
            .script
            .iter()
            .position(|(m, part, _)| *m == method && path.contains(part));
        met.and_then(|place| world.script.remove(place))
            .map(|(_, _, play)| play)
    };
    let served = match &play {
        Some(Play::Say(status, after)) => {
            let mut said = refused(
                *status,
                "Too many requests in the last minute (count: 61, allowed: 60).",
            );
            if let Some(after) = after {
                let value = after.to_string().parse().unwrap();
                said.headers_mut().insert("retry-after", value);
            }
            said
        }
        Some(Play::Page(status)) => Response::builder()
            .status(*status)
            .body(Body::from("<html>a proxy's page</html>"))
            .unwrap(),
        Some(Play::Cut) => cut(),
        Some(Play::CutAfter | Play::Slow(_)) | None => {
            let call = Call {
                method: &method,
                path: &path,
                query: queries(&query),
                key: key.as_deref(),
                body: &body,
                is_json: bytes.is_empty() || is_json,
            };
            let served = route(&world, &call).await;
            match play {
                Some(Play::Slow(milliseconds)) => {
                    // The request is on record while its answer is waited for.
                    world.lock().unwrap().log.push(Logged {
                        method: format!("{method} (slow)"),
                        path: path.clone(),
                        query: query.clone(),
                        body: body.clone(),
                        status: 0,
                    });
                    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                    served
                }
                Some(_) => cut(),
                None => served,
            }
        }
    };
    world.lock().unwrap().log.push(Logged {
        method,
        path,
        query,
        body,
        status: served.status().as_u16(),
    });
    served
}

struct Call<'a> {
    method: &'a str,
    path: &'a str,
    query: BTreeMap<String, String>,
    key: Option<&'a str>,
    body: &'a Value,
    is_json: bool,
}

impl Call<'_> {
    fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|v| v == "true")
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.query.get(name)?.parse().ok()
    }
}

const NOTHING: &str = "The requested resource does not exist.";

async fn route(world: &Shared, call: &Call<'_>) -> Response {
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    if parts == ["config", "runtime"] {
        return config_runtime(&mut world.lock().unwrap(), call);
    }
    if parts == [""] && call.method == "GET" {
        return root(&world.lock().unwrap());
    }
    if !matches!(parts.as_slice(), ["api", "v1", ..]) {
        return refused(404, NOTHING);
    }
    if call.key != Some(KEY) {
        return refused(401, "The supplied authentication is invalid.");
    }
    let ["api", "v1", "namespaces", namespace, collection, name @ ..] = parts.as_slice() else {
        return refused(404, NOTHING);
    };
    if !matches!(*namespace, "_" | "guest") {
        return refused(
            403,
            "The supplied authentication is not authorized to access this resource.",
        );
    }
    if !call.is_json {
        return refused(
            415,
            "The request's Content-Type is not supported. Expected: application/json",
        );
    }
    let name = name.join("/");
    match (call.method, *collection) {
        ("PUT", "actions") => put(&mut world.lock().unwrap(), &name, call),
        ("GET", "actions") => get(&world.lock().unwrap(), &name, call),
        ("DELETE", "actions") => match world.lock().unwrap().actions.remove(&name) {
            Some(action) => answer(200, &action),
            None => refused(404, NOTHING),
        },
        ("POST", "actions") => invoke(world, &name, call).await,
        ("GET", "activations") if name.is_empty() => list(&world.lock().unwrap(), call),
        ("GET", "activations") => one(&world.lock().unwrap(), &name),
        _ => refused(405, "HTTP method not allowed"),
    }
}

/// What the root tells everybody: names of images in the place of what they are made of, and neither
/// stem cells nor blackboxes.
fn root(world: &World) -> Response {
    if world.hides_root {
        return refused(404, NOTHING);
    }
    let flag = |of: &Value, key: &str| of[key].as_bool().unwrap_or(false);
    let kind = |of: &Value| {
        let part = |key: &str| of["image"][key].as_str().unwrap_or_default().to_owned();
        let image = format!("{}/{}:{}", part("prefix"), part("name"), part("tag"));
        json!({"kind": of["kind"], "image": image, "deprecated": flag(of, "deprecated"),
            "default": flag(of, "default"), "attached": of["attached"].is_object(),
            "requireMain": flag(of, "requireMain")})
    };
    let families = world.manifest["runtimes"].as_object().unwrap().iter();
    let family = |(name, kinds): (&String, &Value)| {
        let kinds = kinds.as_array().unwrap().iter().map(kind);
        (name.clone(), Value::Array(kinds.collect()))
    };
    let runtimes: Map<String, Value> = families.map(family).collect();
    let support = json!({"github": "https://github.com/apache/openwhisk/issues", "slack": "http://slack.openwhisk.org"});
    let limits = json!({"actions_per_minute": 60, "triggers_per_minute": 60, "concurrent_actions": 30,
        "sequence_length": 50, "min_action_duration": 100, "max_action_duration": 300_000});
    answer(
        200,
        &json!({"description": "OpenWhisk", "support": support, "api_paths": ["/api/v1"],
            "limits": limits, "runtimes": runtimes}),
    )
}

fn config_runtime(world: &mut World, call: &Call<'_>) -> Response {
    if !world.fork || call.method != "POST" {
        return refused(404, NOTHING);
    }
    if call.key != Some(ADMIN) {
        return refused(401, "username or password is wrong");
    }
    if !call.body["runtimes"].is_object() {
        return refused(400, "");
    }
    world.manifest = call.body.clone();
    answer(202, &Value::Null)
}

/// Fields of `ActionPut` and `ActionLimits`.
const FIELDS: [&str; 8] = [
    "namespace",
    "name",
    "version",
    "publish",
    "exec",
    "annotations",
    "parameters",
    "limits",
];
const LIMITS: [&str; 5] = ["timeout", "memory", "logs", "concurrency", "instances"];

fn limits(world: &mut World, sent: &Value) -> Result<Map<String, Value>, String> {
    let mut all = Map::new();
    let Some(object) = sent.as_object() else {
        return Err("The request content was malformed:\nno valid json object passed".to_owned());
    };
    for (key, value) in object {
        let taken = LIMITS.contains(&key.as_str()) || (key == "cpu" && world.fork);
        if !taken {
            world.strange.push(format!("limits.{key}"));
            continue;
        }
        if key != "cpu" && value.as_u64().is_none() {
            return Err(format!(
                "The request content was malformed:\n{key} limit must be whole number"
            ));
        }
        all.insert(key.clone(), value.clone());
    }
    let (least, most) = world.memory;
    let memory = all.get("memory").and_then(Value::as_u64);
    if let Some(mb) = memory.filter(|mb| *mb > most) {
        return Err(format!(
            "memory size {mb} MB exceeds allowed threshold of {most} MB"
        ));
    }
    if let Some(mb) = memory.filter(|mb| *mb < least) {
        return Err(format!(
            "memory size {mb} MB below allowed threshold of {least} MB"
        ));
    }
    let timeout = all.get("timeout").and_then(Value::as_u64);
    if let Some(ms) = timeout.filter(|ms| *ms > 300_000) {
        return Err(format!(
            "timeout {ms} milliseconds exceeds allowed threshold of 300000 milliseconds"
        ));
    }
    Ok(all)
}

fn exec(world: &World, name: &str, exec: &Value) -> Result<(), String> {
    let kind = exec["kind"].as_str().unwrap_or_default();
    match kind {
        "sequence" => {
            let components = exec["components"].as_array().cloned().unwrap_or_default();
            if components.is_empty() {
                return Err("No component specified for the sequence.".to_owned());
            }
            for component in components {
                let text = component.as_str().unwrap_or_default().to_owned();
                let mut parts = text.trim_start_matches('/').splitn(2, '/');
                let (_, Some(of)) = (parts.next(), parts.next()) else {
                    return Err("The fully qualified name of the entity must contain at least the namespace and the name of the entity.".to_owned());
                };
                if of == name {
                    return Err("Sequence may not refer to itself.".to_owned());
                }
                if !world.actions.contains_key(of) {
                    return Err("Sequence component does not exist.".to_owned());
                }
            }
            Ok(())
        }
        "blackbox" if exec["image"].is_string() => Ok(()),
        "nodejs:default" if exec["code"].is_string() => Ok(()),
        _ => match world.kind(kind) {
            Some(known) if known["deprecated"] == true => Err(deprecated(kind)),
            Some(_) if exec["code"].is_string() => Ok(()),
            Some(_) => Err("The request content was malformed:\n'code' must be a string or attachment object defined in 'exec' for 'nodejs' actions".to_owned()),
            None => {
                let mut all: Vec<String> = world.kinds().map(|k| format!("'{}'", k["kind"].as_str().unwrap())).collect();
                all.sort();
                Err(format!(
                    "The specified runtime '{kind}' is not supported by this platform. Valid values are: {}.",
                    all.join(", ")
                ))
            }
        },
    }
}

fn deprecated(kind: &str) -> String {
    format!(
        "The '{kind}' runtime is no longer supported. You may read and delete but not update or invoke this action."
    )
}

fn put(world: &mut World, name: &str, call: &Call<'_>) -> Response {
    let Some(sent) = call.body.as_object() else {
        return refused(400, "The request content was malformed:\nJSON expected");
    };
    for key in sent.keys().filter(|k| !FIELDS.contains(&k.as_str())) {
        world.strange.push(key.clone());
    }
    let limits = match sent.get("limits").map(|l| limits(world, l)).transpose() {
        Ok(limits) => limits.unwrap_or_default(),
        Err(text) => return refused(400, &text),
    };
    if let Some(Err(text)) = sent.get("exec").map(|e| exec(world, name, e)) {
        return refused(400, &text);
    }
    let old = world.actions.get(name).cloned();
    if old.is_some() && !call.flag("overwrite") {
        return refused(409, "resource already exists");
    }
    let kind = old.as_ref().and_then(|a| a["exec"]["kind"].as_str());
    if let Some(kind) = kind.filter(|k| world.is_deprecated(k)) {
        return refused(400, &deprecated(kind));
    }
    let mut action = match (old, sent.get("exec")) {
        (Some(old), _) => old,
        (None, Some(_)) => {
            let mut limits =
                json!({"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1});
            if world.fork {
                limits["cpu"] = json!(1.0);
            }
            json!({"namespace": "guest", "name": name, "version": "0.0.0", "publish": false,
                "annotations": [], "parameters": [], "limits": limits})
        }
        (None, None) => return refused(400, "exec undefined"),
    };
    for key in ["exec", "annotations", "parameters", "publish"] {
        if let Some(value) = sent.get(key) {
            action[key] = value.clone();
        }
    }
    for (key, value) in limits {
        action["limits"][key] = value;
    }
    let version: Vec<&str> = action["version"].as_str().unwrap().split('.').collect();
    let patch: u64 = version[2].parse().unwrap();
    action["version"] = json!(format!("0.0.{}", patch + 1));
    world.actions.insert(name.to_owned(), action.clone());
    answer(200, &action)
}

fn get(world: &World, name: &str, call: &Call<'_>) -> Response {
    let Some(action) = world.actions.get(name) else {
        return refused(404, NOTHING);
    };
    let mut action = action.clone();
    if call.query.get("code").is_some_and(|c| c == "false")
        && let Some(exec) = action["exec"].as_object_mut()
    {
        exec.remove("code");
    }
    answer(200, &action)
}

/// What runs: each action in turn; the first that fails ends a sequence.
fn run(world: &mut World, name: &str) -> (Value, u64) {
    let exec = world.actions[name]["exec"].clone();
    let start = now_ms();
    if exec["kind"] != "sequence" {
        let memory = world.actions[name]["limits"]["memory"].as_u64().unwrap();
        let cpu = world.actions[name]["limits"]["cpu"].as_f64().unwrap_or(1.0);
        let behaviour = world.behaviours.entry(name.to_owned()).or_default();
        behaviour.calls += 1;
        let code = 2 * u64::from(behaviour.fails.contains(&behaviour.calls));
        let work = behaviour.work;
        let cold = world.warm.insert(name.to_owned(), memory) != Some(memory);
        let init = cold.then_some(7);
        let took = (work / memory as f64 / cpu).round() as u64 + 1 + init.unwrap_or(0);
        let id = world.id();
        let kind = exec["kind"].as_str().unwrap().to_owned();
        let record = record(&id, name, &kind, (start, took), (init, code), &[]);
        return (record, took);
    }
    let (mut ids, mut all, mut code) = (Vec::new(), 0, 0);
    for component in exec["components"].as_array().unwrap() {
        let of = component.as_str().unwrap().rsplit('/').next().unwrap();
        let (record, took) = run(world, of);
        all += took;
        ids.push(record["activationId"].as_str().unwrap().to_owned());
        code = record["response"]["statusCode"].as_u64().unwrap();
        keep(world, &record);
        if code > 0 {
            break;
        }
    }
    let id = world.id();
    (
        record(&id, name, "sequence", (start, all), (None, code), &ids),
        all,
    )
}

fn keep(world: &mut World, record: &Value) {
    let id = record["activationId"].as_str().unwrap().to_owned();
    let after = u128::from(world.record_after);
    world.hidden_until.insert(id, now_ms() + after);
    world.activations.push(record.clone());
}

async fn invoke(world: &Shared, name: &str, call: &Call<'_>) -> Response {
    if !call.body.is_object() {
        return refused(
            400,
            "The request content was malformed:\nJSON object expected",
        );
    }
    let (record, took, blocks_for) = {
        let mut world = world.lock().unwrap();
        if !world.actions.contains_key(name) {
            return refused(404, NOTHING);
        }
        let kind = world.actions[name]["exec"]["kind"].as_str().unwrap();
        if world.is_deprecated(kind) {
            return refused(400, &deprecated(kind));
        }
        if let Some(allowed) = &mut world.allowed {
            let Some(left) = allowed.checked_sub(1) else {
                return refused(
                    429,
                    "Too many requests in the last minute (count: 61, allowed: 60).",
                );
            };
            *allowed = left;
        }
        let (record, took) = run(&mut world, name);
        let blocks_for = world.blocks_for;
        let late = took > blocks_for;
        keep(&mut world, &record);
        if late {
            // Its record comes when it has ended.
            let id = record["activationId"].as_str().unwrap().to_owned();
            world.hidden_until.insert(id, now_ms() + u128::from(took));
        }
        (record, took, blocks_for)
    };
    let id = json!({"activationId": record["activationId"]});
    if !call.flag("blocking") {
        return answer(202, &id);
    }
    tokio::time::sleep(Duration::from_millis(took.min(blocks_for))).await;
    if took > blocks_for {
        return answer(202, &id);
    }
    let code = match record["response"]["statusCode"].as_u64() {
        Some(0) => 200,
        _ => 502,
    };
    match call.flag("result") {
        true => answer(code, &record["response"]["result"]),
        false => answer(code, &record),
    }
}

fn is_there(world: &World, record: &Value) -> bool {
    let id = record["activationId"].as_str().unwrap();
    world.hidden_until.get(id).is_none_or(|at| now_ms() >= *at)
}

fn one(world: &World, id: &str) -> Response {
    if id.len() != 32 {
        return refused(400, "The activation id is not valid.");
    }
    let found = world.activations.iter().find(|a| a["activationId"] == id);
    match found.filter(|a| is_there(world, a)) {
        Some(record) => answer(200, record),
        None => refused(404, NOTHING),
    }
}

fn list(world: &World, call: &Call<'_>) -> Response {
    let limit = call.number("limit").unwrap_or(30);
    if !(0..=200).contains(&limit) {
        let text = format!("The value '{limit}' is not in the range of 0 to 200 for activations.");
        return refused(400, &text);
    }
    let (since, upto) = (call.number("since"), call.number("upto"));
    let fits = |a: &&Value| {
        let start = a["start"].as_i64().unwrap();
        let named = call.query.get("name");
        named.is_none_or(|n| a["name"] == n.as_str())
            && since.is_none_or(|s| start >= s)
            && upto.is_none_or(|u| start <= u)
            && is_there(world, a)
    };
    let mut all: Vec<&Value> = world.activations.iter().filter(fits).collect();
    all.sort_by_key(|a| std::cmp::Reverse(a["start"].as_i64()));
    let skip = call.number("skip").unwrap_or(0) as usize;
    let page = all
        .into_iter()
        .skip(skip)
        .take(if limit == 0 { 200 } else { limit as usize });
    let full = call.flag("docs");
    let shown = |a: &Value| {
        let mut a = a.clone();
        if !full && let Some(object) = a.as_object_mut() {
            object.remove("response");
            object.remove("logs");
        }
        a
    };
    answer(200, &Value::Array(page.map(shown).collect()))
}
