//! Rules of the fault proxy: which requests meet which fault.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;

/// What is done to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Answered by the proxy with this code, and `Retry-After` in seconds.
    Status(u16, Option<u32>),
    /// Handed on later; not at all where its sender is gone by then.
    Delay(Duration),
    /// The connection is cut, the server sees nothing.
    ResetBefore,
    /// The server carries it out, then the connection is cut.
    ResetAfter,
    /// Never answered, the server sees nothing.
    BlackHole,
    /// The server carries it out, the answer never comes.
    BlackHoleAfter,
    /// Handed on once the gate opens, even where its sender is gone by then.
    Hold(Gate),
    /// Handed on, and its answer is held until the gate opens.
    HoldAnswer(Gate),
    /// The answer is cut in half, and something else follows.
    Corrupt,
    /// The answer comes 64 bytes at a time.
    Drip(Duration),
    /// The times of a lease are those of a process whose time of day is so many seconds ahead: later
    /// on the way to the server, earlier on the way back.
    Skew(i64),
    /// The server's answer is changed on its way back.
    Edit(Change),
    /// Answered by the proxy itself with what is made of nothing.
    Answer(Change),
}

/// Changes an answer: the path with its query, and the JSON.
type Making = dyn Fn(&str, &mut Value) + Send + Sync;

/// What becomes of an answer.
#[derive(Clone)]
pub struct Change(Arc<Making>);

impl Change {
    pub fn new(change: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }

    pub fn make(&self, path: &str, answer: &mut Value) {
        (self.0)(path, answer);
    }
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

/// What holds requests until it opens.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub async fn passed(&self) {
        let mut opened = self.0.subscribe();
        // It fails only once the gate is gone: nobody holds it shut then.
        let _ = opened.wait_for(|open| *open).await;
    }
}

/// Which of the requests that fit.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Always,
    /// The nth alone, from 1.
    Nth(u32),
    /// Each nth.
    Every(u32),
    /// So many in a hundred, drawn by this seed.
    Percent(u32, u64),
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// As in `Entry`; empty: all.
    verb: &'static str,
    /// All of these are in the path with its query.
    parts: Vec<String>,
    /// This is not.
    without: Option<String>,
    /// This is in what is sent.
    sends: Option<String>,
    when: When,
    action: Action,
    /// So often at most.
    most: u32,
    until: Option<Instant>,
    seen: AtomicU32,
    hits: AtomicU32,
}

impl Rule {
    pub fn new(verb: &'static str, part: &str, action: Action) -> Self {
        Self {
            verb,
            parts: vec![part.to_owned()],
            without: None,
            sends: None,
            when: When::Always,
            action,
            most: u32::MAX,
            until: None,
            seen: AtomicU32::new(0),
            hits: AtomicU32::new(0),
        }
    }

    pub fn and(mut self, part: &str) -> Self {
        self.parts.push(part.to_owned());
        self
    }

    pub fn without(mut self, part: &str) -> Self {
        self.without = Some(part.to_owned());
        self
    }

    pub fn sending(mut self, text: &str) -> Self {
        self.sends = Some(text.to_owned());
        self
    }

    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    pub fn most(mut self, most: u32) -> Self {
        self.most = most;
        self
    }

    pub fn lasting(mut self, time: Duration) -> Self {
        self.until = Some(Instant::now() + time);
        self
    }

    /// How often it was met.
    pub fn hits(&self) -> u32 {
        self.hits.load(Ordering::SeqCst).min(self.most)
    }

    fn fits(&self, verb: &str, path: &str, sent: &str) -> bool {
        (self.verb.is_empty() || self.verb == verb)
            && self.parts.iter().all(|part| path.contains(part.as_str()))
            && self
                .without
                .as_ref()
                .is_none_or(|part| !path.contains(part.as_str()))
            && self
                .sends
                .as_ref()
                .is_none_or(|text| sent.contains(text.as_str()))
            && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Counts a request that fits; `true` where it meets the fault.
    fn meets(&self) -> bool {
        let nth = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let drawn = match self.when {
            When::Always => true,
            When::Nth(n) => nth == n,
            When::Every(n) => nth.is_multiple_of(n),
            When::Percent(percent, seed) => draw(seed, nth) % 100 < u64::from(percent),
        };
        drawn && self.hits.fetch_add(1, Ordering::SeqCst) < self.most
    }
}

/// Source: Steele, Lea, Flood 2014, SplitMix64.
fn draw(seed: u64, nth: u32) -> u64 {
    let mut z = seed.wrapping_add(u64::from(nth).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The rules of one proxy, in order.
#[derive(Debug, Default)]
pub struct Rules(Mutex<Vec<Arc<Rule>>>);

impl Rules {
    pub fn add(&self, rule: Rule) -> Arc<Rule> {
        let rule = Arc::new(rule);
        self.0.lock().unwrap().push(Arc::clone(&rule));
        rule
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// The fault that a request meets.
    pub fn meet(&self, verb: &str, path: &str, sent: &str) -> Option<Action> {
        let rules = self.0.lock().unwrap();
        let mut fitting = rules.iter().filter(|r| r.fits(verb, path, sent));
        fitting.find(|r| r.meets()).map(|r| r.action.clone())
    }
}
