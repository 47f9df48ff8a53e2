//! What the store keeps, refuses, and says.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where it fails"
)]

use std::sync::Arc;
use std::time::Duration;

use foresail_adapters::clock::ManualClock;
use foresail_adapters::store::{
    Batch, DiskFile, Intent, IntentState, Kind, Limits, Opened, Refusal, Store, StoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};

fn clock() -> Arc<ManualClock> {
    let wall = Timestamp::from_seconds(1_767_225_600);
    Arc::new(ManualClock::new(Duration::from_secs(100), wall))
}

fn open(folder: &tempfile::TempDir, limits: Limits) -> (Store, Option<Opened>) {
    Store::open(DiskFile::new(folder.path().join("store")), limits, clock()).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn intent(uid: &str, epoch: u64, seq: u64) -> Intent {
    Intent {
        id: format!("{uid}/1/{epoch}/{seq}"),
        uid: uid.to_owned(),
        from: 3,
        to: 5,
        resource_version: "77".to_owned(),
        epoch,
        seq,
        expires: at(60),
        state: IntentState::Open,
    }
}

#[test]
fn all_of_it_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, opened) = open(&folder, Limits::default());
    assert_eq!(opened, Some(Opened::New));
    let snapshot: Vec<u8> = (0..50_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut batch = Batch::new();
    batch
        .input("a", b"before the snapshot")
        .snapshot("a", &snapshot)
        .input("a", b"one")
        .input("a", b"two")
        .input("ab", b"another's")
        .decision("a", at(15), b"{\"decided\":5}")
        .decision("a", at(30), b"{\"decided\":6}")
        .open_intent(&intent("a", 2, 1))
        .row("a", Kind::Score, at(899), b"late in its block")
        .row("a", Kind::Score, at(900), b"first of the next")
        .demand("a", at(60), 0.1)
        .demand("a", at(-60), 7.0);
    store.commit(&batch).unwrap();
    store.close().unwrap();

    let (store, opened) = open(&folder, Limits::default());
    assert_eq!(opened, Some(Opened::Kept));
    let flight = store.flight("a").unwrap();
    assert_eq!(flight.snapshot, Some(snapshot));
    assert_eq!(flight.inputs, [b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(store.flight("b").unwrap().snapshot, None);
    let decisions = store.decisions("a", 1).unwrap();
    assert_eq!((decisions[0].at, decisions.len()), (at(30), 1));
    assert_eq!(store.open_intents().unwrap(), [intent("a", 2, 1)]);
    let rows = store.rows("a", Kind::Score, at(899), at(900)).unwrap();
    assert_eq!(rows[0].bytes, b"late in its block");
    assert_eq!(rows.len(), 1);
    // Kept to 24 bits: what comes back is the nearest such number.
    let demand = store.demand("a", at(-1000), at(1000)).unwrap();
    assert_eq!(demand, [(at(-60), 7.0), (at(60), f64::from(0.1_f32))]);
    assert_eq!(store.uids().unwrap(), ["a", "ab"]);

    store.commit(Batch::new().forget("a")).unwrap();
    assert_eq!(store.uids().unwrap(), ["ab"]);
    assert_eq!(store.flight("ab").unwrap().inputs, [b"another's".to_vec()]);
    store.close().unwrap();
}

#[test]
fn a_batch_for_which_nobody_waits_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder, Limits::default());
    let later = |text: &[u8]| {
        let mut batch = Batch::new();
        batch.input("a", text);
        store.post_later(batch);
    };
    let inputs = |store: &Store| store.flight("a").unwrap().inputs;
    later(b"one");
    // On disk with the next that somebody waits for, and before it.
    store.commit(Batch::new().input("a", b"two")).unwrap();
    assert_eq!(inputs(&store), [b"one".to_vec(), b"two".to_vec()]);
    later(b"three");
    let begun = std::time::Instant::now();
    while inputs(&store).len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "never written");
        std::thread::sleep(Duration::from_millis(20));
    }
    later(b"four");
    store.close().unwrap();
    let (store, _) = open(&folder, Limits::default());
    assert_eq!(inputs(&store)[3], b"four");
    store.close().unwrap();
}

#[test]
fn an_intent_waits_for_the_outcome_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder, Limits::default());
    let open = |epoch, seq| store.commit(Batch::new().open_intent(&intent("a", epoch, seq)));
    let settle = |id: &str, state| store.commit(Batch::new().settle_intent("a", id, state));
    open(2, 7).unwrap();
    let refused = open(2, 8).unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused(Refusal::Unresolved { .. })),
        "{refused}"
    );
    settle("a/1/2/7", IntentState::Unknown).unwrap();
    assert!(open(2, 8).is_err());
    settle("a/1/2/7", IntentState::Applied).unwrap();
    // What has an outcome keeps it.
    let again = settle("a/1/2/7", IntentState::NotApplied).unwrap_err();
    assert!(
        matches!(again, StoreError::Refused(Refusal::NoSuchIntent { .. })),
        "{again}"
    );
    assert!(settle("a/1/2/7", IntentState::Open).is_err());
    for (epoch, seq) in [(2, 7), (2, 6), (1, 99)] {
        let refused = open(epoch, seq).unwrap_err();
        assert!(
            matches!(refused, StoreError::Refused(Refusal::NotAfter { .. })),
            "{refused}"
        );
    }
    open(3, 0).unwrap();
    // Settled and opened in one batch.
    let mut batch = Batch::new();
    batch
        .settle_intent("a", "a/1/3/0", IntentState::Superseded)
        .open_intent(&intent("a", 3, 1));
    store.commit(&batch).unwrap();
    let states: Vec<_> = store
        .intents("a")
        .unwrap()
        .iter()
        .map(|i| i.state)
        .collect();
    use IntentState::{Applied, Open, Superseded};
    assert_eq!(states, [Applied, Superseded, Open]);
    store.close().unwrap();
}

#[test]
fn a_refused_batch_leaves_nothing_and_hurts_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder, Limits::default());
    store
        .commit(Batch::new().open_intent(&intent("a", 1, 1)))
        .unwrap();
    let mut bad = Batch::new();
    bad.input("a", b"with it").open_intent(&intent("a", 1, 2));
    let mut good = Batch::new();
    good.input("b", b"beside it");
    let (bad, good) = (store.post(&bad), store.post(&good));
    assert!(bad.wait().is_err());
    good.wait().unwrap();
    assert!(store.flight("a").unwrap().inputs.is_empty());
    assert_eq!(store.flight("b").unwrap().inputs.len(), 1);
    let mistakes: [fn(&mut Batch) -> &mut Batch; 5] = [
        |b| b.input("", b"x"),
        |b| b.input("a b", b"x"),
        |b| b.demand("a", at(0), f64::NAN),
        |b| b.demand("a", at(0), 1e300),
        |b| b.input("a", &vec![0; 17 << 20]),
    ];
    for mistake in mistakes {
        let mut batch = Batch::new();
        mistake(&mut batch);
        batch.input("a", b"after it");
        let refused = store.commit(&batch).unwrap_err();
        assert!(matches!(refused, StoreError::Refused(_)), "{refused}");
    }
    assert!(store.flight("a").unwrap().inputs.is_empty());
    assert!(store.usable());
    store.close().unwrap();
}

#[test]
fn only_the_last_decisions_and_what_is_young_enough_stay() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        decisions_max: 3,
        intents_max: 2,
        decisions_age: Span::from_seconds(100),
        rows_age: Span::from_seconds(7200),
        bytes_max: u64::MAX,
    };
    let (store, _) = open(&folder, limits);
    let mut batch = Batch::new();
    for n in 0..10_u8 {
        batch
            .decision("a", at(i64::from(n) * 30), &[n])
            .open_intent(&intent("a", 1, u64::from(n)))
            .settle_intent("a", &format!("a/1/1/{n}"), IntentState::Applied);
    }
    for minute in 0..240 {
        batch.demand("a", at(minute * 60), minute as f64);
    }
    store.commit(&batch).unwrap();
    let kept: Vec<u8> = store
        .decisions("a", 99)
        .unwrap()
        .iter()
        .map(|d| d.bytes[0])
        .collect();
    assert_eq!(kept, [7, 8, 9]);
    assert_eq!(store.intents("a").unwrap().len(), 3);

    // At 14400 s blocks of demand that end by 7200 s are too old; decisions before 14300 s are.
    let compaction = store.compact(at(14_400)).unwrap();
    assert_eq!(
        (compaction.removed, compaction.rows_cut_before),
        (3 + 2, None)
    );
    assert!(store.decisions("a", 99).unwrap().is_empty());
    let demand = store.demand("a", at(0), at(14_400)).unwrap();
    assert_eq!((demand[0].0, demand.len()), (at(7200), 120));
    store.close().unwrap();
}

#[test]
fn where_all_is_too_much_the_oldest_rows_of_everybody_go() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_max: 12_000,
        ..Limits::default()
    };
    let (store, _) = open(&folder, limits);
    let mut batch = Batch::new();
    for uid in ["a", "b", "c"] {
        batch.snapshot(uid, &[1; 100]);
        for minute in 0..60 * 24 {
            batch.demand(uid, at(minute * 60), (minute as f64).sin());
        }
    }
    store.commit(&batch).unwrap();
    let compaction = store.compact(at(86_400)).unwrap();
    assert!(
        compaction.kept_bytes <= 12_000 && compaction.kept_bytes > 9_000,
        "{compaction:?}"
    );
    let cut = compaction.rows_cut_before.unwrap();
    for uid in ["a", "b", "c"] {
        let demand = store.demand(uid, at(0), at(86_400)).unwrap();
        assert_eq!(demand[0].0, cut);
        assert_eq!(demand.last().unwrap().0, at(86_340));
        assert!(store.flight(uid).unwrap().snapshot.is_some());
    }
    let again = store.compact(at(86_400)).unwrap();
    assert_eq!(
        (again.removed, again.kept_bytes),
        (0, compaction.kept_bytes)
    );
    store.close().unwrap();
}

#[test]
fn a_file_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder, Limits::default());
    let second = Store::open(
        DiskFile::new(folder.path().join("store")),
        Limits::default(),
        clock(),
    );
    let error = second.err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    store
        .commit(Batch::new().input("a", b"still ours"))
        .unwrap();
    store.close().unwrap();
    let (store, _) = open(&folder, Limits::default());
    assert_eq!(store.flight("a").unwrap().inputs.len(), 1);
    store.close().unwrap();
}

#[test]
fn who_comes_after_the_end_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(&folder, Limits::default());
    let other = store.clone();
    store.close().unwrap();
    assert!(!other.usable());
    let refused = other.commit(Batch::new().input("a", b"x")).unwrap_err();
    assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    assert!(matches!(other.uids(), Err(StoreError::Unusable { .. })));
    other.close().unwrap();
}
