//! A proxy between one controller and the API server that does wrong what it is told to.
//!
//! Plain HTTP on loopback toward the controller, HTTPS with the rig's CA toward the server; the
//! controller's own token is passed on. Every request gets an `Audit-ID` of the proxy's name and a
//! number, so the audit log can be held against this log request by request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::entry::{Body, Entry, Fault, full, refusal, verb_of};
use crate::rig::Rig;
use crate::rule::{Action, Rule, Rules};

/// What watches under way do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Flow,
    Cut,
    Stall,
}

struct State {
    name: String,
    upstream: kube::Client,
    rules: Rules,
    log: Mutex<Vec<Entry>>,
    number: AtomicU64,
    watches: watch::Sender<(u64, Order)>,
}

/// A proxy of one controller.
pub struct Proxy {
    pub name: String,
    pub address: SocketAddr,
    pub begun: Instant,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Begins to serve on a free port.
    pub fn start(rig: &Rig, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let upstream = {
            let _inside = runtime.enter();
            kube::Client::try_from(rig.config_for_proxy()).unwrap()
        };
        let state = Arc::new(State {
            name: name.to_owned(),
            upstream,
            rules: Rules::default(),
            log: Mutex::default(),
            number: AtomicU64::new(0),
            watches: watch::Sender::new((0, Order::Flow)),
        });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, Arc::clone(&state)));
        Self {
            name: name.to_owned(),
            address,
            begun: Instant::now(),
            state,
            runtime: Some(runtime),
        }
    }

    /// Adds a rule; the first that fits a request holds for it.
    pub fn rule(&self, rule: Rule) -> Arc<Rule> {
        self.state.rules.add(rule)
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.state.rules.clear();
    }

    /// Cuts every watch that is under way.
    pub fn cut_watches(&self) {
        self.state
            .watches
            .send_modify(|(n, order)| (*n, *order) = (*n + 1, Order::Cut));
    }

    /// Every watch that is under way says nothing any more, and stays open.
    pub fn stall_watches(&self) {
        self.state
            .watches
            .send_modify(|(n, order)| (*n, *order) = (*n + 1, Order::Stall));
    }

    /// What went by so far.
    pub fn log(&self) -> Vec<Entry> {
        self.state.log.lock().unwrap().clone()
    }

    /// Entries that are chosen.
    pub fn chosen(&self, choose: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        self.log().into_iter().filter(choose).collect()
    }

    /// All writes of replicas.
    pub fn scale_puts(&self) -> Vec<Entry> {
        self.chosen(Entry::is_scale_put)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| serve(Arc::clone(&state), request));
            let served = hyper::server::conn::http1::Builder::new();
            // A cut connection is what was asked for.
            let _ = served.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl State {
    fn change(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut log = self.log.lock().unwrap();
        if let Some(entry) = log.iter_mut().rev().find(|e| e.number == number) {
            change(entry);
        }
    }
}

/// Notes when a request ended, also where the controller gave it up.
struct Ending {
    state: Arc<State>,
    number: u64,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.state
            .change(self.number, |e| e.ended = Some(Instant::now()));
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Fault> {
    let (head, body) = request.into_parts();
    let at = Instant::now();
    let sent = body.collect().await?.to_bytes();
    let verb = verb_of(&head);
    let path = head
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    let action = state
        .rules
        .meet(verb, &path, &String::from_utf8_lossy(&sent));
    let number = state.number.fetch_add(1, Ordering::Relaxed) + 1;
    state.log.lock().unwrap().push(Entry {
        number,
        verb,
        path,
        body: serde_json::from_slice(&sent).unwrap_or_default(),
        at,
        sent: None,
        server: None,
        answer: Value::Null,
        told: None,
        ended: None,
        fault: action.as_ref().map(|a| format!("{a:?}")),
    });
    let ending = Ending {
        state: Arc::clone(&state),
        number,
    };
    let answer = meet(&state, number, verb, (head, sent), action).await;
    if let Ok(answer) = &answer {
        let code = answer.status().as_u16();
        state.change(number, |e| e.told = Some(code));
    }
    drop(ending);
    answer
}

/// What the request comes to under a fault.
async fn meet(
    state: &Arc<State>,
    number: u64,
    verb: &'static str,
    request: (http::request::Parts, Bytes),
    action: Option<Action>,
) -> Result<Response<Body>, Fault> {
    let cut = || Err("the connection is cut".into());
    match action {
        None => pass(state, number, verb, request).await,
        Some(Action::Status(code, after)) => Ok(refusal(code, after)),
        Some(Action::ResetBefore) => cut(),
        Some(Action::BlackHole) => std::future::pending().await,
        Some(Action::ResetAfter) => {
            let answer = pass(state, number, verb, request).await?;
            answer.into_body().collect().await?;
            cut()
        }
        Some(Action::BlackHoleAfter) => {
            drop(pass(state, number, verb, request).await);
            std::future::pending().await
        }
        Some(Action::Delay(time)) => {
            tokio::time::sleep(time).await;
            pass(state, number, verb, request).await
        }
        // What was sent arrives, even where its sender gives up meanwhile.
        Some(Action::Hold(gate)) => {
            let state = Arc::clone(state);
            let held = tokio::spawn(async move {
                gate.passed().await;
                pass(&state, number, verb, request).await
            });
            held.await?
        }
        Some(Action::HoldAnswer(gate)) => {
            let answer = pass(state, number, verb, request).await;
            gate.passed().await;
            answer
        }
        Some(Action::Corrupt) => {
            let answer = pass(state, number, verb, request).await?;
            let (head, body) = answer.into_parts();
            let whole = body.collect().await?.to_bytes();
            let mut bytes = whole.to_vec();
            bytes.truncate(bytes.len() / 2);
            bytes.extend_from_slice(b"<html>");
            let mut head = head;
            head.headers.remove("content-length");
            Ok(Response::from_parts(head, full(Bytes::from(bytes))))
        }
        Some(Action::Replace(from, to)) => {
            let answer = pass(state, number, verb, request).await?;
            let (mut head, body) = answer.into_parts();
            head.headers.remove("content-length");
            let whole = body.collect().await?.to_bytes();
            let told = String::from_utf8_lossy(&whole).replace(&from, &to);
            Ok(Response::from_parts(head, full(Bytes::from(told))))
        }
        Some(Action::Drip(pause)) => {
            let answer = pass(state, number, verb, request).await?;
            let (mut head, body) = answer.into_parts();
            head.headers.remove("content-length");
            let whole = body.collect().await?.to_bytes();
            let drops = futures_util::stream::unfold((whole, 0), move |(whole, at)| async move {
                let end = whole.len().min(at + 64);
                if at == end {
                    return None;
                }
                tokio::time::sleep(pause).await;
                let frame = Ok(Frame::data(whole.slice(at..end)));
                Some((frame, (whole, end)))
            });
            Ok(Response::from_parts(
                head,
                BodyExt::boxed_unsync(StreamBody::new(Box::pin(drops))),
            ))
        }
    }
}

/// Hands a request to the server and its answer back.
async fn pass(
    state: &Arc<State>,
    number: u64,
    verb: &'static str,
    (mut head, sent): (http::request::Parts, Bytes),
) -> Result<Response<Body>, Fault> {
    head.headers.remove("host");
    head.headers.remove("content-length");
    head.headers
        .insert("audit-id", format!("{}-{number}", state.name).parse()?);
    state.change(number, |e| e.sent = Some(Instant::now()));
    let request = Request::from_parts(head, kube::client::Body::from(sent.to_vec()));
    let watches = state.watches.subscribe();
    let answer = state.upstream.send(request).await?;
    let code = answer.status().as_u16();
    let (head, body) = answer.into_parts();
    if verb == "WATCH" && code == 200 {
        state.change(number, |e| e.server = Some(code));
        return Ok(Response::from_parts(head, streamed(body, watches)));
    }
    let whole = body.collect().await?.to_bytes();
    let told = serde_json::from_slice(&whole).unwrap_or_default();
    state.change(number, |e| {
        e.server = Some(code);
        let looked_at = e.path.contains("/scale") || e.path.contains("/leases/");
        if looked_at {
            e.answer = told;
        }
    });
    Ok(Response::from_parts(head, full(whole)))
}

/// A watch's events as they come, until an order says otherwise.
fn streamed(body: kube::client::Body, watches: watch::Receiver<(u64, Order)>) -> Body {
    let stream = futures_util::stream::unfold(Some((body, watches)), |live| async move {
        let (mut body, mut watches) = live?;
        tokio::select! {
            biased;
            changed = watches.changed() => {
                let order = watches.borrow().1;
                if changed.is_ok() && order == Order::Stall {
                    // It stays open and says nothing until it is cut or given up.
                    let _ = watches.wait_for(|(_, order)| *order == Order::Cut).await;
                }
                Some((Err::<Frame<Bytes>, Fault>("the watch is cut".into()), None))
            }
            frame = body.frame() => match frame? {
                Ok(frame) => Some((Ok(frame), Some((body, watches)))),
                Err(error) => Some((Err(error.into()), None)),
            },
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(Box::pin(stream)))
}
