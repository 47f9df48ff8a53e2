//! An API server in memory, as far as the commands use one: objects by path, versions that move,
//! merge patches, and refusals where a test wants them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use foresail_adapters::kubernetes::client::Clients;
use foresail_core::quantity::time::Span;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::Cluster;

/// What a test sees of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    /// The next requests of this method whose path ends so are answered with this code.
    refusals: Vec<(Method, &'static str, u16)>,
    /// What a controller decides as soon as an object acts.
    decides: Option<u32>,
    /// Every request that changed or tried to change something.
    writes: Vec<String>,
}

impl Fake {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts an object there.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.with(|s| s.store(path, object));
    }

    /// An object as it is.
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.with(|s| s.objects.get(path).cloned())
    }

    /// Refuses the next request of a method whose path ends so.
    pub(super) fn refuse(&self, method: Method, end: &'static str, code: u16) {
        self.with(|s| s.refusals.push((method, end, code)));
    }

    /// A controller decides this as soon as an object acts.
    pub(super) fn decides(&self, replicas: u32) {
        self.with(|s| s.decides = Some(replicas));
    }

    /// What was written: methods and last parts of paths.
    pub(super) fn writes(&self) -> Vec<String> {
        self.with(|s| s.writes.clone())
    }

    /// A cluster of which this is the server; its namespace is `shop`.
    pub(super) fn cluster(&self) -> Cluster {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                let (code, answer) = fake.with(|s| s.answer(&head.method, head.uri.path(), body));
                let answer = Response::builder()
                    .status(code)
                    .header("content-type", "application/json")
                    .body(Body::from(answer.to_string().into_bytes()))
                    .unwrap();
                Ok::<_, Infallible>(answer)
            }
        });
        let client = {
            let _inside = runtime.enter();
            Client::new(service, "shop")
        };
        let clients = Clients {
            read: client.clone(),
            watch: client.clone(),
            write: client,
            namespace: "shop".to_owned(),
        };
        Cluster::new(runtime, clients, Span::from_seconds(20))
    }
}

fn refusal(code: u16, message: &str) -> (u16, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        403 => "Forbidden",
        _ => "Refused",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    (code, status)
}

fn merge(onto: &mut Value, from: &Value) {
    match (onto, from) {
        (Value::Object(onto), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    onto.remove(key);
                } else {
                    merge(onto.entry(key.clone()).or_insert(json!({})), value);
                }
            }
        }
        (onto, from) => *onto = from.clone(),
    }
}

impl State {
    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let acts = object["kind"] == "PredictiveAutoscaler" && object["spec"]["mode"] == "Auto";
        if let Some(decided) = self.decides.filter(|_| acts) {
            object["status"]["lastDecision"] = decision("u/2/1/9", "Auto", decided);
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn answer(&mut self, method: &Method, path: &str, body: Value) -> (u16, Value) {
        let planned = self.refusals.iter();
        let planned = planned
            .clone()
            .position(|(m, end, _)| m == method && path.ends_with(end));
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        if method != Method::GET {
            self.writes.push(format!("{method} {name}"));
        }
        if let Some(place) = planned {
            let (_, _, code) = self.refusals.remove(place);
            return refusal(code, "refused by the test");
        }
        let old = self.objects.get(path).cloned();
        match (method.as_str(), old) {
            ("GET", Some(object)) => (200, object),
            ("GET", None) if path.ends_with('s') && path.contains("/namespaces/") => {
                let under = format!("{path}/");
                let of = |(at, object): (&String, &Value)| {
                    let rest = at.strip_prefix(&under)?;
                    (!rest.contains('/')).then(|| object.clone())
                };
                let items: Vec<Value> = self.objects.iter().filter_map(of).collect();
                (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}),
                )
            }
            ("POST", _) => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let path = format!("{path}/{name}");
                match self.objects.contains_key(&path) {
                    true => refusal(409, "already exists"),
                    false => (201, self.store(&path, body)),
                }
            }
            ("PUT", Some(old)) => {
                let version = &body["metadata"]["resourceVersion"];
                match *version == old["metadata"]["resourceVersion"] {
                    true => (200, self.store(path, body)),
                    false => refusal(409, "the object has been modified"),
                }
            }
            ("PATCH", Some(mut object)) => {
                merge(&mut object, &body);
                (200, self.store(path, object))
            }
            ("DELETE", Some(object)) => {
                self.objects.remove(path);
                (200, object)
            }
            _ => refusal(404, &format!("\"{name}\" not found")),
        }
    }
}

/// A decision as a status tells it.
pub(super) fn decision(id: &str, mode: &str, decided: u32) -> Value {
    let now = crate::compare::prometheus::now().to_string();
    json!({"v": 1, "id": id, "at": now, "target": "shop/Deployment/web", "mode": mode, "health": "Predict",
        "current": {"replicas": "10"}, "ready": 10, "proposals": [], "reactive": decided,
        "wanted": {"replicas": decided.to_string()}, "limits": [], "decided": {"replicas": decided.to_string()}})
}
