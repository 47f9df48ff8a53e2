//! The store in Redis.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use foresail_core::quantity::time::Timestamp;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisError};
use tokio::sync::Mutex;

use super::{Batch, Retention, Stat, StoreError};

/// The longest that Redis may take to connect or to answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Samples that one transaction writes.
const CHUNK: usize = 500;

/// Takes a name away where it is still silent: between the look and the removal it may speak again.
const FORGET: &str = "if redis.call('EXISTS', KEYS[1]) == 0 then \
    redis.call('SREM', KEYS[2], ARGV[1]); redis.call('DEL', KEYS[3]); return 1 end; return 0";

/// How Redis is reached.
#[derive(Clone, Debug)]
pub struct RedisAccess {
    /// `redis://HOST:PORT`, without a name or password.
    pub url: String,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// `true`: plain text to another machine is allowed, such as one behind a NetworkPolicy.
    pub plain: bool,
}

/// Samples in Redis; connections are made as they are needed.
pub struct RedisStore {
    client: Client,
    url: String,
    retention: Retention,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = f.debug_struct("RedisStore");
        told.field("url", &self.url).finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|a| a.is_loopback())
}

impl RedisStore {
    /// A store at this address; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`StoreError`] where the address is none, holds a password, names another machine that is not
    /// allowed, or the password's file cannot be read.
    pub fn new(access: &RedisAccess, retention: Retention) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError(format!("--redis: {why}"));
        if access.url.contains('@') {
            return Err(refused(
                "holds a name or password; take it out and pass --redis-password-file",
            ));
        }
        let mut info = (access.url.as_str())
            .into_connection_info()
            .map_err(|_| refused("is no address; write it like redis://127.0.0.1:6379"))?;
        match info.addr() {
            ConnectionAddr::Tcp(host, _) if is_loopback(host) || access.plain => {}
            ConnectionAddr::Tcp(..) => {
                return Err(refused(
                    "plain text to another machine can be read and changed on the way; pass --redis-plain if the network is yours",
                ));
            }
            _ => return Err(refused("must begin with redis:// and name a host")),
        }
        if let Some(path) = &access.password_file {
            let text = std::fs::read_to_string(path).map_err(|e| {
                StoreError(format!("--redis-password-file {}: {e}", path.display()))
            })?;
            let settings = info.redis_settings().clone().set_password(text.trim());
            info = info.set_redis_settings(settings);
        }
        let client = Client::open(info).map_err(|e| refused(&e.to_string()))?;
        Ok(Self {
            client,
            url: access.url.clone(),
            retention,
            connection: Mutex::new(None),
        })
    }

    /// What is kept, and for how long.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    async fn connection(&self) -> Result<MultiplexedConnection, StoreError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER))
            .set_response_timeout(Some(ANSWER));
        let made = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|e| self.away(&e))?;
        *held = Some(made.clone());
        Ok(made)
    }

    fn away(&self, error: &RedisError) -> StoreError {
        StoreError(format!(
            "Redis at {} does not answer ({error}); is it running, and does its NetworkPolicy let us in?",
            self.url
        ))
    }

    /// Runs a pipeline; after a failure the next one connects anew.
    async fn run<T: redis::FromRedisValue>(&self, pipe: &redis::Pipeline) -> Result<T, StoreError> {
        let mut connection = self.connection().await?;
        match pipe.query_async(&mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                *self.connection.lock().await = None;
                Err(self.away(&error))
            }
        }
    }

    pub(super) async fn put(
        &self,
        batch: &Batch,
        now: Timestamp,
        again: bool,
    ) -> Result<(), StoreError> {
        let ts = now.nanos() as f64 / 1e9;
        let life = self.retention.life.as_secs().max(1);
        let last = isize::try_from(self.retention.kept).unwrap_or(isize::MAX) - 1;
        let holder = serde_json::json!({"remote_ip": batch.ip}).to_string();
        for chunk in batch.stats.chunks(CHUNK) {
            let known = if again {
                self.times(chunk).await?
            } else {
                vec![None; chunk.len()]
            };
            let mut pipe = redis::pipe();
            pipe.atomic();
            pipe.set_ex(format!("ip:{}", batch.ip), batch.machine.to_string(), life)
                .ignore();
            for (stat, known) in chunk.iter().zip(known) {
                let (name, list) = (
                    format!("name:{}", stat.name),
                    format!("stats:{}", stat.name),
                );
                pipe.set_ex(name, &holder, life).ignore();
                pipe.sadd("names", &stat.name).ignore();
                if known.is_none_or(|newest| newest < stat.timestamp) {
                    let mut stat = stat.clone();
                    stat.ts = ts;
                    let text = serde_json::to_string(&stat)
                        .map_err(|e| StoreError(format!("a sample of {}: {e}", stat.name)))?;
                    pipe.lpush(&list, text).ignore();
                    pipe.ltrim(&list, 0, last).ignore();
                }
                // Where nobody purges, Redis still forgets.
                let seconds = i64::try_from(life).unwrap_or(i64::MAX);
                pipe.expire(&list, seconds).ignore();
            }
            let (): () = self.run(&pipe).await?;
        }
        Ok(())
    }

    /// The time of the newest sample of each.
    async fn times(&self, chunk: &[Stat]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let names: Vec<String> = chunk.iter().map(|s| s.name.clone()).collect();
        let all = self.newest(&names, 1).await?;
        Ok(all.iter().map(|l| l.first().map(|s| s.timestamp)).collect())
    }

    pub(super) async fn newest(
        &self,
        names: &[String],
        most: usize,
    ) -> Result<Vec<Vec<Stat>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let last = isize::try_from(most).unwrap_or(isize::MAX) - 1;
        let mut pipe = redis::pipe();
        for name in names {
            pipe.lrange(format!("stats:{name}"), 0, last);
        }
        let lists: Vec<Vec<String>> = self.run(&pipe).await?;
        // What others put there in another form is no sample.
        let read = |list: &Vec<String>| {
            let one = |text: &String| serde_json::from_str::<Stat>(text).ok();
            list.iter().filter_map(one).collect()
        };
        Ok(lists.iter().map(read).collect())
    }

    pub(super) async fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut pipe = redis::pipe();
        pipe.smembers("names");
        let (names,): (Vec<String>,) = self.run(&pipe).await?;
        Ok(names)
    }

    pub(super) async fn purge(&self) -> Result<usize, StoreError> {
        let names = self.names().await?;
        let mut forgotten = 0;
        for chunk in names.chunks(CHUNK) {
            let mut pipe = redis::pipe();
            for name in chunk {
                pipe.cmd("EVAL").arg(FORGET).arg(3);
                pipe.arg(format!("name:{name}")).arg("names");
                pipe.arg(format!("stats:{name}")).arg(name);
            }
            let gone: Vec<usize> = self.run(&pipe).await?;
            forgotten += gone.iter().sum::<usize>();
        }
        Ok(forgotten)
    }
}
