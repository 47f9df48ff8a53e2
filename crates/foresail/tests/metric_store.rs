//! The metric store in a real Redis: the published keys, bounded, and what happens while it is away.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

#[path = "support/redis.rs"]
mod redis;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use foresail::firm::collect::Collector;
use foresail_adapters::clock::SystemClock;
use foresail_adapters::stats::{
    Batch, CpuStat, CpuUsage, MemoryStat, Queue, RedisAccess, RedisStore, Retention, Stat, Store,
    usage_of,
};
use foresail_core::quantity::time::Timestamp;
use redis::Redis;

fn store(redis: &Redis, retention: Retention) -> Store {
    let access = RedisAccess {
        url: redis.url.clone(),
        password_file: None,
        plain: false,
    };
    Store::Redis(Arc::new(RedisStore::new(&access, retention).unwrap()))
}

fn started(test: &str) -> Option<(Redis, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(folder.path());
    if redis.is_none() {
        support::skipped(test, "redis-server is not installed");
    }
    redis.map(|r| (r, folder))
}

fn batch(name: &str, second: i64) -> Batch {
    Batch {
        ip: "10.0.0.7".to_owned(),
        machine: serde_json::json!({"node": "n1"}),
        stats: vec![Stat {
            name: name.to_owned(),
            timestamp: Timestamp::from_seconds(second),
            cpu: Some(CpuStat {
                usage: CpuUsage {
                    total: second as u64 * 250_000_000,
                },
            }),
            memory: Some(MemoryStat { working_set: 7 }),
            ts: 0.0,
            rest: serde_json::Map::new(),
        }],
    }
}

/// Asks Redis in its own words, so that what is checked is what others would read.
fn ask(redis: &Redis, words: &[&str]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port)).unwrap();
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (mut told, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read) = stream.read(&mut part) {
        told.extend_from_slice(&part[..read]);
        if read < part.len() && told.ends_with(b"\r\n") {
            break;
        }
    }
    String::from_utf8(told).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn of_1500_samples_redis_keeps_1440_under_the_published_keys() {
    let Some((redis, _folder)) =
        started("of_1500_samples_redis_keeps_1440_under_the_published_keys")
    else {
        return;
    };
    let store = store(&redis, Retention::default());
    runtime().block_on(async {
        for second in 0..1500 {
            let now = Timestamp::from_seconds(second);
            store
                .put(&batch("shop/web-1/main", second), now, false)
                .await
                .unwrap();
        }
        // Sent again where it is not known whether the first one arrived.
        let last = batch("shop/web-1/main", 1499);
        store
            .put(&last, Timestamp::from_seconds(1500), true)
            .await
            .unwrap();
        let names = vec!["shop/web-1/main".to_owned(), "nobody".to_owned()];
        let lists = store.newest(&names, 2000).await.unwrap();
        assert_eq!((lists[0].len(), lists[1].len()), (1440, 0));
        assert_eq!(lists[0][0].timestamp, Timestamp::from_seconds(1499));
        assert_eq!(
            lists[0][1].timestamp,
            Timestamp::from_seconds(1498),
            "none twice"
        );
        assert_eq!(usage_of(&lists[0]).unwrap().cpu_milli, 250);
    });
    assert_eq!(ask(&redis, &["LLEN", "stats:shop/web-1/main"]), ":1440\r\n");
    let holder = ask(&redis, &["GET", "name:shop/web-1/main"]);
    assert!(holder.contains(r#"{"remote_ip":"10.0.0.7"}"#), "{holder}");
    assert!(ask(&redis, &["GET", "ip:10.0.0.7"]).contains(r#"{"node":"n1"}"#));
    assert_eq!(
        ask(&redis, &["SISMEMBER", "names", "shop/web-1/main"]),
        ":1\r\n"
    );
    for key in ["name:shop/web-1/main", "ip:10.0.0.7"] {
        let life = ask(&redis, &["TTL", key]);
        let life: i64 = life.trim_start_matches(':').trim().parse().unwrap();
        assert!((86_300..=86_400).contains(&life), "{key}: {life}");
    }
}

#[test]
fn a_pod_that_is_silent_disappears_and_one_that_speaks_stays() {
    let Some((redis, _folder)) =
        started("a_pod_that_is_silent_disappears_and_one_that_speaks_stays")
    else {
        return;
    };
    let retention = Retention {
        life: Duration::from_secs(1),
        ..Retention::default()
    };
    let store = store(&redis, retention);
    runtime().block_on(async {
        for name in ["silent", "speaks"] {
            store
                .put(&batch(name, 1), Timestamp::from_seconds(1), false)
                .await
                .unwrap();
        }
        assert_eq!(
            store.purge(Timestamp::default()).await.unwrap(),
            0,
            "none yet"
        );
        tokio::time::sleep(Duration::from_millis(700)).await;
        store
            .put(&batch("speaks", 2), Timestamp::from_seconds(2), false)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(store.purge(Timestamp::default()).await.unwrap(), 1);
        assert_eq!(store.names().await.unwrap(), ["speaks"]);
    });
    assert_eq!(ask(&redis, &["EXISTS", "stats:silent"]), ":0\r\n");
    assert_eq!(ask(&redis, &["LLEN", "stats:speaks"]), ":2\r\n");
}

/// Redis is killed while samples come: they wait, the oldest give way where there is no room, and what
/// waited is written once when it is back.
#[test]
fn while_redis_is_away_samples_wait_and_none_is_written_twice() {
    let Some((mut redis, _folder)) =
        started("while_redis_is_away_samples_wait_and_none_is_written_twice")
    else {
        return;
    };
    let store = store(&redis, Retention::default());
    let queue = Arc::new(Queue::new(8));
    let collector = Collector {
        kubelets: None,
        nodes: Vec::new(),
        every: Duration::from_secs(1),
        store: store.clone(),
        queue: Arc::clone(&queue),
        clock: Arc::new(SystemClock),
    };
    let runtime = runtime();
    runtime.spawn(async move { collector.run().await });
    let drained = |queue: &Queue<Batch>| {
        for _ in 0..200 {
            if queue.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{} batches still wait", queue.len());
    };
    (0..3).for_each(|second| queue.push(batch("a/b/c", second)));
    drained(&queue);
    redis.kill();
    let away = runtime.block_on(store.names()).unwrap_err().to_string();
    assert!(away.contains("is it running"), "{away}");
    (3..20).for_each(|second| queue.push(batch("a/b/c", second)));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        (queue.len(), queue.dropped()),
        (8, 9),
        "the oldest gave way and are counted"
    );
    redis.begin();
    drained(&queue);
    let name = ["a/b/c".to_owned()];
    let lists = runtime.block_on(store.newest(&name, 100)).unwrap();
    let times: Vec<i64> = lists[0]
        .iter()
        .map(|s| s.timestamp.nanos() / 1_000_000_000)
        .collect();
    let want: Vec<i64> = (12..20).rev().chain((0..3).rev()).collect();
    assert_eq!(times, want);
}
