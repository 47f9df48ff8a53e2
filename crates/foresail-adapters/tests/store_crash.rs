//! What is left of the store after the power went, the disk failed, the file was damaged, or the
//! process was killed: all that was acknowledged, or a note that says where the rest lies.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where it fails, and tells what was tried and found"
)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foresail_adapters::clock::Clock;
use foresail_adapters::store::{
    Batch, DiskFile, Kind, Limits, Medium, Notice, Opened, Store, StoreError,
};
use foresail_core::quantity::time::{Span, Timestamp};

mod support {
    pub mod disk;
}
use support::disk::{Dice, Disk};

/// A clock on which every look is a second later, so that nobody waits; it can be held.
#[derive(Debug, Default)]
struct Racing {
    seconds: AtomicU64,
    held: AtomicBool,
}

impl Racing {
    /// From now on no time passes, until it is let go.
    fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }
}

impl Clock for Racing {
    fn mono(&self) -> Duration {
        let step = u64::from(!self.held.load(Ordering::SeqCst));
        Duration::from_secs(self.seconds.fetch_add(step, Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::EPOCH
    }
}

fn open(medium: impl Medium) -> (Store, Option<Opened>) {
    Store::open(medium, Limits::default(), Arc::new(Racing::default())).unwrap()
}

/// The `n`-th thing that is written: its content follows from its number.
fn record(n: u64) -> Vec<u8> {
    let mut dice = Dice(n);
    let length = dice.below(600);
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.extend((0..length).map(|_| dice.roll() as u8));
    bytes
}

fn at(n: u64) -> Timestamp {
    Timestamp::EPOCH + Span::from_seconds(n as i64 * 15)
}

/// One commit: an input, a row, and now and then a snapshot of another object.
fn batch(n: u64) -> Batch {
    let mut batch = Batch::new();
    batch
        .input("a", &record(n))
        .row("a", Kind::Score, at(n), &record(n));
    if n.is_multiple_of(3) {
        batch.snapshot("b", &record(n));
    }
    batch
}

/// How many commits are in the store, each whole, in order, none twice.
fn commits(store: &Store) -> u64 {
    let inputs = store.flight("a").unwrap().inputs;
    let rows = store.rows("a", Kind::Score, at(0), at(1 << 30)).unwrap();
    assert_eq!(inputs.len(), rows.len());
    for (n, (input, row)) in inputs.iter().zip(&rows).enumerate() {
        assert_eq!(*input, record(n as u64));
        assert_eq!((row.at, &row.bytes), (at(n as u64), input));
    }
    let count = inputs.len() as u64;
    let snapshot = store.flight("b").unwrap().snapshot;
    let last = count.checked_sub(1).map(|n| n - n % 3);
    assert_eq!(snapshot, last.map(record));
    count
}

/// Commits until `most` or the first failure; how many were acknowledged.
fn write(store: &Store, most: u64) -> u64 {
    (0..most)
        .take_while(|n| store.commit(&batch(*n)).is_ok())
        .count() as u64
}

#[test]
fn the_power_may_go_before_any_write() {
    const COMMITS: u64 = 7;
    let (mut crashes, mut lost, mut begun_anew) = (0, 0, 0);
    for seed in 0.. {
        if crashes >= 2000 {
            break;
        }
        let disk = Disk::default();
        let (store, _) = open(disk.clone());
        assert_eq!(write(&store, COMMITS), COMMITS);
        store.close().unwrap();
        let operations = disk.plate().operations;
        for index in 0..operations {
            let disk = Disk::default();
            disk.plate().power_until = Some(index);
            let (store, _) = open(disk.clone());
            let acknowledged = write(&store, COMMITS);
            let _ = store.close();
            let mut dice = Dice(seed * 1_000_003 + index);
            let disk = disk.after_power_loss(|| dice.roll() & 1 == 0);
            let (store, opened) = open(disk);
            let found = commits(&store);
            // One more may have come without anybody hearing of it.
            assert!(found <= acknowledged + 1, "{seed} {index}");
            lost += acknowledged.saturating_sub(found);
            if opened != Some(Opened::Kept) {
                begun_anew += 1;
                assert_eq!(acknowledged, 0, "{seed} {index} {opened:?}");
            }
            store.commit(&batch(found)).unwrap();
            store.close().unwrap();
            crashes += 1;
        }
    }
    println!("{crashes} crashes, {lost} acknowledged commits lost, {begun_anew} before the first");
    assert_eq!(lost, 0);
}

#[test]
fn a_disk_that_lies_about_syncs_may_lose_but_is_never_believed_wrongly() {
    let (mut kept, mut aside) = (0, 0);
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let disk = Disk::default();
        let (store, _) = open(disk.clone());
        let before = dice.below(5);
        assert_eq!(write(&store, before), before);
        disk.plate().lying = true;
        for n in before..before + 4 {
            store.commit(&batch(n)).unwrap();
        }
        // The power goes while the file is open: nothing is closed. Much, little or hardly anything
        // of what was not synced is lost.
        let odds = [2, 100, 2000][seed as usize % 3];
        let after = disk.after_power_loss(|| dice.below(odds) > 0);
        let (again, opened) = open(after);
        // Each commit that is there is whole; those that are not were never on the disk.
        let found = commits(&again);
        assert!(found <= before + 4);
        match opened {
            Some(Opened::Kept) => kept += 1,
            Some(Opened::SetAside { .. }) => aside += 1,
            other => assert_eq!((other, before), (Some(Opened::New), 0)),
        }
        again.close().unwrap();
        store.close().unwrap();
    }
    println!("{kept} kept, {aside} put aside");
    assert!(kept > 0 && aside > 0);
}

#[test]
fn a_damaged_file_is_put_aside_and_told_or_gives_what_was_written() {
    const COMMITS: u64 = 60;
    let disk = Disk::default();
    let (store, _) = open(disk.clone());
    assert_eq!(write(&store, COMMITS), COMMITS);
    store.close().unwrap();
    let whole = disk.plate().bytes.clone();
    let (mut same, mut aside) = (0, 0);
    for seed in 0..480_u64 {
        let mut dice = Dice(seed);
        let mut bytes = whole.clone();
        let somewhere = dice.below(bytes.len() as u64) as usize;
        match seed % 6 {
            0 => (0..=dice.below(8)).for_each(|_| {
                let byte = dice.below(whole.len() as u64) as usize;
                bytes[byte] ^= 1 << dice.below(8);
            }),
            1 => {
                let page = somewhere / 4096 * 4096;
                bytes[page..page + 4096].fill(0);
            }
            2 => bytes.truncate(somewhere),
            // A page of another place, or of an older time.
            3 => {
                let (from, to) = (dice.below(whole.len() as u64 / 4096), somewhere / 4096);
                let from = from as usize * 4096;
                bytes.copy_within(from..from + 4096, to * 4096);
            }
            4 => bytes[..320]
                .iter_mut()
                .for_each(|b| *b ^= dice.roll() as u8),
            _ => {
                bytes = (0..1 + dice.below(300_000))
                    .map(|_| dice.roll() as u8)
                    .collect();
            }
        }
        let disk = Disk::holding(bytes.clone());
        let (store, opened) = open(disk.clone());
        match opened.unwrap() {
            Opened::Kept => {
                assert_eq!(commits(&store), COMMITS, "{seed}");
                same += 1;
            }
            Opened::SetAside { to, .. } => {
                assert_eq!(disk.plate().aside.get(&to), Some(&bytes), "{seed}");
                assert_eq!(commits(&store), 0);
                aside += 1;
            }
            // An empty file is no file.
            Opened::New => assert!(bytes.is_empty(), "{seed}"),
            other => panic!("{seed} {other:?}"),
        }
        store.close().unwrap();
    }
    println!("{same} as written, {aside} put aside");
    assert!(aside > 300, "{aside}");
}

/// Commits until it succeeds; the clock races, so that the next try is always due.
fn commit_in_the_end(store: &Store, n: u64) {
    let committed = (0..100_000).find(|_| store.commit(&batch(n)).is_ok());
    assert!(committed.is_some());
}

#[test]
fn a_disk_that_is_full_or_broken_is_told_and_comes_back_by_itself() {
    for fault in ["full", "broken", "read-only"] {
        let disk = Disk::default();
        let clock = Arc::new(Racing::default());
        let (store, _) = Store::open(
            disk.clone(),
            Limits::default(),
            Arc::<Racing>::clone(&clock),
        )
        .unwrap();
        let before = write(&store, 5);
        // A try to open it again may succeed on a disk that only refuses more bytes.
        clock.hold(true);
        match fault {
            "full" => {
                let space = disk.plate().bytes.len();
                disk.plate().space = Some(space);
            }
            "broken" => disk.plate().broken = Some(5),
            _ => disk.plate().broken = Some(30),
        }
        let failed = (before..2000).find_map(|n| store.commit(&batch(n)).err().map(|e| (n, e)));
        let (n, error) = failed.unwrap();
        assert!(matches!(error, StoreError::Io { .. }), "{fault}: {error}");
        let next = store.commit(&batch(n)).unwrap_err();
        assert!(
            matches!(next, StoreError::Unusable { .. }),
            "{fault}: {next}"
        );
        assert!(matches!(store.notices()[0], Notice::Failed(_)), "{fault}");
        assert!(store.trouble().is_some(), "{fault}");
        assert_eq!(store.openings(), 1, "{fault}");
        disk.plate().space = None;
        disk.plate().broken = None;
        clock.hold(false);
        // The one that failed may be there: what is read back decides how it goes on.
        let found = (0..100_000).find_map(|_| {
            let _ = store.commit(&Batch::new());
            store.usable().then(|| commits(&store))
        });
        let found = found.unwrap();
        assert!(found == n || found == n + 1, "{fault}: {found} {n}");
        commit_in_the_end(&store, found);
        assert_eq!(commits(&store), found + 1, "{fault}");
        assert!(store.notices().contains(&Notice::Back), "{fault}");
        assert_eq!((store.trouble(), store.openings()), (None, 2), "{fault}");
        store.close().unwrap();
    }
}

#[test]
fn a_disk_that_fails_at_the_start_does_not_stop_the_start() {
    let disk = Disk::default();
    let (store, _) = open(disk.clone());
    assert_eq!(write(&store, 3), 3);
    store.close().unwrap();
    disk.plate().broken = Some(5);
    let (store, opened) = open(disk.clone());
    assert_eq!(opened, None);
    disk.plate().broken = None;
    commit_in_the_end(&store, 3);
    assert_eq!(commits(&store), 4);
    assert!(disk.plate().aside.is_empty());
    store.close().unwrap();
}

#[test]
fn foreign_files_lie_aside_under_a_name_with_the_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for round in 0..3 {
        std::fs::write(&path, b"somebody's diary").unwrap();
        let (store, opened) = open(DiskFile::new(&path));
        let Some(Opened::SetAside { to, .. }) = opened else {
            panic!("{round} {opened:?}");
        };
        assert!(to.contains("store.corrupt-19700101T000000Z"), "{to}");
        assert_eq!(std::fs::read(&to).unwrap(), b"somebody's diary");
        assert!(store.set_aside().unwrap().starts_with(&to));
        store.close().unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    // A database of somebody else's.
    std::fs::remove_file(&path).unwrap();
    let foreign = redb::Database::create(&path).unwrap();
    let table = redb::TableDefinition::<&str, u64>::new("accounts");
    let transaction = foreign.begin_write().unwrap();
    transaction
        .open_table(table)
        .unwrap()
        .insert("me", 3)
        .unwrap();
    transaction.commit().unwrap();
    drop(foreign);
    let (store, opened) = open(DiskFile::new(&path));
    let why = match opened {
        Some(Opened::SetAside { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains("not foresail's"), "{why}");
    store.close().unwrap();
}

const CHILD: &str = "STORE_OF_THE_CHILD";

/// Not a test but for the next one: writes until it is killed, and says what was acknowledged.
#[test]
fn the_child_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let (store, _) = open(DiskFile::new(path));
    let mut out = std::io::stdout();
    for n in commits(&store).. {
        store.commit(&batch(n)).unwrap();
        writeln!(out, "\nack {n}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_process_may_be_killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(30);
    let (mut acknowledged, mut rounds) = (0, 0);
    for round in 0..25 {
        // A new file now and then, so that the beginning is killed too.
        let path = folder.path().join(format!("store-{}", round / 9));
        if round % 9 == 0 {
            acknowledged = 0;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_child_that_is_killed", "--exact", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = dice.below(30);
        let spin = dice.below(20_000);
        for line in lines {
            let line = line.unwrap();
            let Some(n) = line.strip_prefix("ack ") else {
                continue;
            };
            acknowledged = n.parse::<u64>().unwrap() + 1;
            if left == 0 {
                // Some time within the next commit; what it still says is read to the end.
                (0..spin).for_each(|_| std::hint::spin_loop());
                child.kill().unwrap();
            }
            left = left.saturating_sub(1);
        }
        child.wait().unwrap();
        let (store, opened) = open(DiskFile::new(&path));
        let found = commits(&store);
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{round}: {found}"
        );
        assert_eq!(opened, Some(Opened::Kept), "{round}");
        acknowledged = found;
        rounds += 1;
        store.close().unwrap();
    }
    println!("{rounds} kills, nothing lost");
}
