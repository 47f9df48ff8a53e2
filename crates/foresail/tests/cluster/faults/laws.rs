//! What holds in every row: the invariants of writes, of the store and of leadership, by three logs; and
//! that all is at rest in the end.
//!
//! Source: specs/reliability.md D, I22-I27, I29 and I30.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foresail_adapters::clock::SystemClock;
use foresail_adapters::store::{DiskFile, Intent, IntentState, Limits, Opened, Store};
use serde_json::Value;

use super::record::{Decided, Put, decided, puts, terms};
use super::scene::Scene;
use super::settled;
use crate::entry::Entry;
use crate::process::Controller;

/// What a row may do beyond the laws, because that is its fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// Writes that came to the server after the sender's lease had run out.
    pub late: usize,
    /// A process was ended or held at any moment: its last decisions may be in no log.
    pub unlogged: bool,
    /// A process that no longer leads may leave the outcome of its last write open.
    pub open: bool,
    /// The server itself was ended: an answer may be missing.
    pub server_gone: bool,
    /// The store was unusable for a while, or lost: what was written then may be announced nowhere.
    pub store_gone: bool,
    /// It ends while something still holds an object.
    pub unsettled: bool,
}

/// How often each law had something to say.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    fn add(&mut self, law: &'static str, times: usize) {
        *self.0.entry(law).or_default() += times;
    }

    pub fn of(&self, law: &str) -> usize {
        self.0.get(law).copied().unwrap_or(0)
    }
}

/// What the logs of a row came to.
#[derive(Debug)]
pub struct Findings {
    pub counts: Counts,
    pub puts: Vec<Put>,
    pub decided: Vec<Decided>,
    /// Writes that were accepted after their sender's lease was over.
    pub late: usize,
}

/// Ends the controllers and holds the row against every law.
pub fn check(scene: &Scene, controllers: &mut [&mut Controller], allowed: Allowed) -> Findings {
    let mut found = Findings {
        counts: Counts::default(),
        puts: Vec::new(),
        decided: Vec::new(),
        late: 0,
    };
    for controller in controllers.iter_mut() {
        assert!(
            controller.is_alive(),
            "{} ended:\n{}",
            controller.start.name,
            controller.tail()
        );
    }
    if !allowed.unsettled {
        found.counts.add("I30 at rest", settled::at_rest(scene));
    }
    for controller in controllers.iter_mut() {
        settled::nothing_leaked(controller);
        controller.stop();
    }
    for controller in controllers.iter() {
        let (puts, decided) = (puts(scene, controller), decided(controller));
        within_rights(controller, allowed, &mut found.counts);
        one_at_a_time(&puts, &mut found.counts);
        fresh(controller, &puts, &mut found.counts);
        found.late += within_lease(controller, &puts, &mut found.counts);
        agree(controller, &puts, &decided, allowed, &mut found.counts);
        kept(
            scene,
            controller,
            &puts,
            &decided,
            allowed,
            &mut found.counts,
        );
        floor_and_health(&decided, &mut found.counts);
        found.puts.extend(puts);
        found.decided.extend(decided);
    }
    assert!(
        found.late <= allowed.late,
        "{} writes after their lease",
        found.late
    );
    apart(controllers, &mut found.counts);
    in_order(&found.puts, &found.decided, &mut found.counts);
    println!("{}: {:?}", scene.namespace, found.counts.0);
    found
}

/// The account may do all that the controller does: the server itself refuses nothing as forbidden.
fn within_rights(controller: &Controller, allowed: Allowed, counts: &mut Counts) {
    let log = controller.proxy.log();
    counts.add("allowed by its rights", log.len());
    // A server that has just begun may not know its own rules yet.
    let is_refused = |e: &&Entry| e.server == Some(403) && !e.plain_path().contains("/query");
    // A question to a Prometheus that the proxy plays no more is none to this server.
    let refused = log.iter().find(is_refused);
    assert!(refused.is_none() || allowed.server_gone, "{refused:?}");
}

/// I23: of one object no two writes are under way at once.
fn one_at_a_time(puts: &[Put], counts: &mut Counts) {
    let mut last: BTreeMap<&str, &Put> = BTreeMap::new();
    for put in puts {
        if let Some(before) = last.insert(&put.object, put) {
            counts.add("I23 one at a time", 1);
            let over = before
                .entry
                .ended
                .is_some_and(|ended| ended <= put.entry.at);
            assert!(
                over,
                "{:?} was under way when {:?} came",
                before.entry, put.entry
            );
        }
    }
}

/// I25: each write names the version of a read of its own, made a moment before and after the write
/// before it; so no number is sent again after a conflict.
fn fresh(controller: &Controller, puts: &[Put], counts: &mut Counts) {
    let log = controller.proxy.log();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for put in puts {
        let before = last.insert(&put.object, put.entry.number).unwrap_or(0);
        let read = log.iter().rev().find(|e| {
            e.verb == "GET"
                && e.number < put.entry.number
                && e.plain_path() == put.entry.plain_path()
                && e.answer
                    .pointer("/metadata/resourceVersion")
                    .and_then(Value::as_str)
                    == Some(put.version.as_str())
        });
        let read = read.unwrap_or_else(|| panic!("nobody read the version of {:?}", put.entry));
        assert!(
            read.number > before,
            "{:?} rests on the read of the write before",
            put.entry
        );
        let age = put.entry.at - read.at;
        assert!(age <= Duration::from_secs(15), "{age:?}: {:?}", put.entry);
        counts.add("I25 fresh", 1);
        if matches!(put.entry.told, Some(409)) {
            counts.add("I25 conflicts", 1);
        }
    }
}

/// I22: each write is handed over while the sender's lease is good. The answer counts those that the
/// server accepted after it: a request that was under way.
fn within_lease(controller: &Controller, puts: &[Put], counts: &mut Counts) -> usize {
    let terms = terms(controller);
    let mut late = 0;
    for put in puts {
        let term = terms.iter().rev().find(|t| t.begin <= put.entry.at);
        let term = term.unwrap_or_else(|| panic!("no lease before {:?}", put.entry));
        assert!(
            put.entry.at < term.end,
            "sent after its lease: {:?}",
            put.entry
        );
        counts.add("I22 lease", 1);
        if put.is_accepted() && put.entry.sent.is_some_and(|sent| sent > term.end) {
            late += 1;
        }
    }
    late
}

/// I22: what two processes believe does not overlap.
fn apart(controllers: &[&mut Controller], counts: &mut Counts) {
    let all: Vec<_> = controllers.iter().map(|c| terms(c)).collect();
    for (i, one) in all.iter().enumerate() {
        for (a, b) in one
            .iter()
            .flat_map(|a| all[i + 1..].iter().flatten().map(move |b| (a, b)))
        {
            assert!(
                a.end <= b.begin || b.end <= a.begin,
                "two lead at once: {a:?} {b:?}"
            );
            counts.add("I22 apart", 1);
        }
    }
}

/// The decision log, the proxy's log and the audit log tell of the same writes.
fn agree(
    controller: &Controller,
    puts: &[Put],
    decided: &[Decided],
    allowed: Allowed,
    counts: &mut Counts,
) {
    let name = &controller.start.name;
    let mut accepted: BTreeMap<(&str, &str, i64), usize> = BTreeMap::new();
    for put in puts.iter().filter(|p| p.is_accepted()) {
        *accepted
            .entry((&put.object, &put.version, put.to))
            .or_default() += 1;
    }
    let mut applied: BTreeMap<(&str, &str, i64), usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for one in decided.iter().filter(|d| d.was_sent()) {
        assert!(
            ids.insert(&one.id),
            "{name}: two writes of one decision: {one:?}"
        );
        if one.outcome == "applied" {
            *applied
                .entry((&one.object, &one.version, one.to))
                .or_default() += 1;
        }
    }
    let loose = allowed.unlogged || allowed.open || allowed.server_gone;
    for (key, times) in &applied {
        let there = accepted.get(key).copied().unwrap_or(0);
        assert!(
            there >= *times || loose,
            "{name}: {key:?} is said to be written {times} times, the server knows {there}"
        );
    }
    for (key, times) in &accepted {
        assert_eq!(*times, 1, "{name}: {key:?} was written twice");
        let said = applied.get(key).copied().unwrap_or(0);
        assert!(
            said == 1 || (said == 0 && loose),
            "{name}: {key:?} was written, and {said} decisions say so"
        );
    }
    if !loose {
        let sent = decided.iter().filter(|d| d.was_sent()).count();
        // One whose time was over before it reached the proxy is none there; whoever sent it cannot know.
        let open = |d: &&Decided| d.was_sent() && d.outcome != "applied";
        let open = decided.iter().filter(open).count();
        assert!(
            (sent - open..=sent).contains(&puts.len()),
            "{name}: {} writes by the proxy's log, {sent} by the decision log, {open} of them without success",
            puts.len()
        );
    }
    counts.add("three logs: accepted", accepted.values().sum());
    counts.add("three logs: sent", puts.len());
}

/// I24 and I27: the store opens whole; each accepted write was announced in it with this number and
/// version, its decision is kept, and no announcement is left open.
fn kept(
    scene: &Scene,
    controller: &Controller,
    puts: &[Put],
    decided: &[Decided],
    allowed: Allowed,
    counts: &mut Counts,
) {
    let name = &controller.start.name;
    let file = DiskFile::new(controller.store().join("foresail.redb"));
    let (store, opened) = Store::open(file, Limits::default(), Arc::new(SystemClock)).unwrap();
    assert_eq!(opened, Some(Opened::Kept), "{name}");
    let mut intents: BTreeMap<String, Vec<Intent>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (object, uid) in scene.uids() {
        for one in store.decisions(&uid, usize::MAX).unwrap() {
            let told: Value = serde_json::from_slice(&one.bytes).unwrap();
            ids.insert(told["id"].as_str().unwrap().to_owned());
        }
        intents.insert(object, store.intents(&uid).unwrap());
    }
    store.close().unwrap();
    for put in puts.iter().filter(|p| p.is_accepted()) {
        // Of an object that was deleted nothing is kept.
        let Some(all) = intents.get(&put.object) else {
            continue;
        };
        let same = |i: &&Intent| i64::from(i.to) == put.to && i.resource_version == put.version;
        let known = all.iter().any(|i| same(&i));
        assert!(
            known || allowed.store_gone,
            "{name}: nothing announced {:?}",
            put.entry
        );
        counts.add("I24 intent first", usize::from(known));
    }
    for intent in intents.values().flatten() {
        let is_over = intent.state != IntentState::Open && intent.state != IntentState::Unknown;
        assert!(is_over || allowed.open, "{name}: left open: {intent:?}");
        counts.add("I24 ended", 1);
    }
    let applied = decided.iter().filter(|d| d.outcome == "applied");
    for one in applied.filter(|d| intents.contains_key(&d.object)) {
        let known = ids.contains(&one.id);
        assert!(
            known || allowed.store_gone,
            "{name}: the decision is lost: {one:?}"
        );
        counts.add("I27 decisions kept", usize::from(known));
    }
}

/// No write goes below the reactive floor of its own moment, and none is made while frozen (I29).
fn floor_and_health(decided: &[Decided], counts: &mut Counts) {
    for one in decided.iter().filter(|d| d.was_sent()) {
        if let Some(floor) = one.floor {
            counts.add("floor", 1);
            assert!(one.to >= floor.min(60), "below the floor: {one:?}");
        }
        counts.add("I29 not frozen", 1);
        assert_ne!(one.health, "Frozen", "{one:?}");
    }
}

/// I26: in the order in which the server stored them, epoch and number of accepted writes grow.
fn in_order(puts: &[Put], decided: &[Decided], counts: &mut Counts) {
    let mut stored: Vec<&Put> = puts.iter().filter(|p| p.is_accepted()).collect();
    stored.sort_by_key(|p| p.stored);
    let mut last: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for put in stored {
        let same =
            |d: &&Decided| d.object == put.object && d.version == put.version && d.to == put.to;
        let Some(one) = decided
            .iter()
            .filter(same)
            .find(|d| matches!(d.outcome.as_str(), "applied" | "unknown"))
        else {
            continue;
        };
        if let Some(before) = last.insert(&put.object, one.order()) {
            counts.add("I26 order", 1);
            assert!(before < one.order(), "{before:?} before {one:?}");
        }
    }
}
