//! One request: by which name, in which manner, by whom; then its answer.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use foresail_core::engine::Hash;
use foresail_web::live::LiveSource;
use foresail_web::live::headers::{self, etag};
use foresail_web::live::route::{self, Keep, Sight};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::authorize::{self, Denied};
use super::events::{EventBody, Streams};
use super::host;
use super::options::Options;

/// Everything that answering a request needs.
pub(super) struct Door {
    source: Arc<dyn LiveSource>,
    options: Options,
    streams: Arc<Streams>,
}

/// A request that is let in: what may be seen, and who asks.
struct Guest {
    sight: Sight,
    client: String,
}

impl Door {
    pub(super) fn new(source: Arc<dyn LiveSource>, options: Options) -> Self {
        Self {
            source,
            options,
            streams: Arc::new(Streams::default()),
        }
    }

    /// Answers one request; never fails.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let is_head = request.method() == Method::HEAD;
        let asked_mark = text_of(&request, header::IF_NONE_MATCH);
        let guest = match self.let_in(request, &path, peer).await {
            Ok(guest) => guest,
            Err((status, message)) => return problem(&path, status, message),
        };
        if path == "/events" {
            return self.stream(&guest, is_head);
        }
        let source = Arc::clone(&self.source);
        let making = tokio::task::spawn_blocking(move || {
            route::respond(&*source, &guest.sight, &path, &query)
        });
        match making.await {
            Ok(response) => written(response, is_head, asked_mark.as_deref()),
            Err(_) => problem("/", 500, "The page could not be made"),
        }
    }

    async fn let_in(
        &self,
        request: Request<Incoming>,
        path: &str,
        peer: SocketAddr,
    ) -> Result<Guest, (u16, &'static str)> {
        let address = peer.ip().to_string();
        // Whoever looks whether the process lives knows no name and has no token.
        if path == "/healthz" {
            return Ok(Guest {
                sight: Sight::Namespaces(BTreeSet::new()),
                client: address,
            });
        }
        let name = text_of(&request, header::HOST)
            .or_else(|| request.uri().authority().map(ToString::to_string))
            .unwrap_or_default();
        if !host::is_allowed(&name, self.options.bind, &self.options.hosts) {
            return Err((
                421,
                "This server is not asked by that name; give it with --host",
            ));
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err((405, "This server shows and never writes: only GET and HEAD"));
        }
        let token = text_of(&request, header::AUTHORIZATION);
        self.take_body(request).await?;
        let Some(authorizer) = &self.options.authorizer else {
            return Ok(Guest {
                sight: Sight::All,
                client: address,
            });
        };
        // What every page loads tells nothing of the cluster.
        if path.starts_with("/assets/") {
            return Ok(Guest {
                sight: Sight::Namespaces(BTreeSet::new()),
                client: address,
            });
        }
        let token = token.as_deref().and_then(authorize::bearer);
        let token = token.ok_or((401, "No token; send `Authorization: Bearer TOKEN`"))?;
        let fleet = self.source.fleet();
        let namespaces = fleet.rows.iter().map(|r| r.namespace.clone()).collect();
        match authorize::sight(&**authorizer, token, namespaces).await {
            Ok(sight) => Ok(Guest {
                sight,
                client: Hash::of(token.as_bytes()).as_str().to_owned(),
            }),
            Err(Denied::Unknown) => Err((401, "The token is not valid")),
            Err(Denied::Unreachable) => Err((503, "The token cannot be checked at present")),
        }
    }

    /// Takes in and forgets a body, which no request here needs.
    async fn take_body(&self, request: Request<Incoming>) -> Result<(), (u16, &'static str)> {
        let limits = self.options.limits;
        let body = axum::body::to_bytes(Body::new(request.into_body()), limits.body);
        match tokio::time::timeout(limits.body_time, body).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err((413, "The request's body is too large")),
            Err(_) => Err((408, "The request's body took too long")),
        }
    }

    fn stream(&self, guest: &Guest, is_head: bool) -> Response<Body> {
        let most = self.options.limits.streams;
        let Some(place) = self.streams.place(&guest.client, most) else {
            return problem("/events", 429, "Too many event streams of one client");
        };
        let head = route::Response::new(200, "text/event-stream", Vec::new());
        let mut answer = written(head, is_head, None);
        if !is_head {
            let source = Arc::clone(&self.source);
            *answer.body_mut() = Body::new(EventBody::begin(source, place));
        }
        answer
    }
}

fn text_of(request: &Request<Incoming>, name: HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

fn problem(path: &str, status: u16, message: &str) -> Response<Body> {
    let mut answer = written(route::Response::problem(path, status, message), false, None);
    let headers = answer.headers_mut();
    match status {
        401 => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        405 => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        // The rest of such a request is not read.
        408 | 413 => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    answer
}

/// An answer with its headers; without its bytes where the client has them already.
fn written(response: route::Response, is_head: bool, asked_mark: Option<&str>) -> Response<Body> {
    let mut headers = headers::headers(&response);
    let has_it = response.keep == Keep::Ask
        && asked_mark.is_some_and(|mark| mark.split(',').any(|m| m.trim() == etag(&response.body)));
    let status = if has_it { 304 } else { response.status };
    let length = response.body.len();
    let body = if has_it || is_head {
        Body::empty()
    } else {
        Body::from(response.body)
    };
    if is_head && response.content_type != "text/event-stream" {
        headers.push(("content-length", length.to_string()));
    }
    let mut answer = Response::new(body);
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    answer
}
