//! One request through a fault proxy, and the answers that the proxy gives itself.

use std::convert::Infallible;
use std::time::Instant;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Bytes;
use serde_json::{Value, json};

pub type Fault = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, Fault>;

/// One request as it went by.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its number; the Audit-ID is `NAME-NUMBER`.
    pub number: u64,
    /// `GET`, `WATCH`, `PUT`, `PATCH`, `POST`, `DELETE`.
    pub verb: &'static str,
    /// With its query.
    pub path: String,
    /// What was sent, where it is JSON.
    pub body: Value,
    /// When it came.
    pub at: Instant,
    /// When it was handed to the server, where it was.
    pub sent: Option<Instant>,
    /// What the server said.
    pub server: Option<u16>,
    /// The server's answer, of the resources that tests look at.
    pub answer: Value,
    /// What the controller was told; nothing where its connection was cut.
    pub told: Option<u16>,
    /// When it was answered, cut or given up by the controller.
    pub ended: Option<Instant>,
    /// The fault that it met.
    pub fault: Option<String>,
}

impl Entry {
    /// A write of a target's replicas.
    pub fn is_scale_put(&self) -> bool {
        self.verb == "PUT" && self.plain_path().ends_with("/scale")
    }

    pub fn plain_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    /// The name of the target of a request for its scale.
    pub fn target(&self) -> &str {
        self.plain_path().rsplit('/').nth(1).unwrap_or_default()
    }
}

/// The verb as the log has it.
pub fn verb_of(request: &http::request::Parts) -> &'static str {
    let watch = request
        .uri
        .query()
        .is_some_and(|q| q.contains("watch=true"));
    match request.method.as_str() {
        "GET" if watch => "WATCH",
        "GET" => "GET",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "POST" => "POST",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

/// A body that is there as a whole.
pub fn full(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A refusal as the API server words it.
pub fn refusal(code: u16, after: Option<u32>) -> Response<Body> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("the fault proxy says {code}"), "reason": reason, "code": code,
        "details": {"retryAfterSeconds": after.unwrap_or(0)},
    });
    let mut answer = Response::builder()
        .status(code)
        .header("content-type", "application/json");
    if let Some(after) = after {
        answer = answer.header("retry-after", after.to_string());
    }
    answer.body(full(Bytes::from(status.to_string()))).unwrap()
}
