//! A model's endpoint on a loopback port that plays a script: good answers, bad ones, and none.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "each test file uses a part of it"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The authorization header.
    pub authorization: Option<String>,
    /// The body.
    pub body: Value,
}

impl Asked {
    /// Which form of answer is asked for; `text` where none is.
    pub fn format(&self) -> String {
        let format = &self.body["response_format"]["type"];
        format.as_str().unwrap_or("text").to_owned()
    }
}

/// What is played.
#[derive(Clone, Debug)]
pub enum Play {
    /// The model says this and stops.
    Say(String),
    /// The model says this and ends for this reason.
    End(String, &'static str),
    /// A status with a body.
    Status(u16, String),
    /// These bytes as they are, status line and all; then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing for a while.
    Hang(Duration),
    /// A good answer, one byte per pause.
    Drip(Duration),
    /// White space without an end, so many bytes at most.
    Endless(usize),
}

/// A good answer of this change.
pub fn good(delta: i32) -> Play {
    Play::Say(answer(delta))
}

/// The words of a good answer.
pub fn answer(delta: i32) -> String {
    format!(r#"{{"reasoning":"usage moved in each row","delta":{delta},"confidence_pct":95}}"#)
}

/// A reply of `chat/completions`.
pub fn completion(content: &str, reason: &str) -> String {
    let message = json!({"role": "assistant", "content": content});
    json!({
        "id": "c",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40, "total_tokens": 340},
    })
    .to_string()
}

/// A running endpoint.
pub struct Model {
    /// Its port.
    pub port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
}

impl Model {
    /// Plays what `script` says of the request and its number, from 0 on, for as long as the test
    /// runs.
    pub fn new(script: impl Fn(usize, &Asked) -> Play + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                std::thread::spawn(move || converse(stream, &*script, &log));
            }
        });
        Self { port, seen }
    }

    /// Plays the same again and again.
    pub fn always(play: Play) -> Self {
        Self::new(move |_, _| play.clone())
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Everything that was asked.
    pub fn seen(&self) -> Vec<Asked> {
        self.seen.lock().expect("the log").clone()
    }
}

fn converse(
    mut stream: TcpStream,
    script: &dyn Fn(usize, &Asked) -> Play,
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let asked = read_request(&mut stream)?;
    let number = {
        let mut log = log.lock().expect("the log");
        log.push(asked.clone());
        log.len() - 1
    };
    match script(number, &asked) {
        Play::Say(words) => reply(&mut stream, 200, &completion(&words, "stop")),
        Play::End(words, reason) => reply(&mut stream, 200, &completion(&words, reason)),
        Play::Status(status, body) => reply(&mut stream, status, &body),
        Play::Raw(bytes) => stream.write_all(&bytes),
        Play::Hang(time) => {
            std::thread::sleep(time);
            Ok(())
        }
        Play::Drip(pause) => {
            let body = completion(&answer(1), "stop");
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            for byte in body.bytes() {
                stream.write_all(&[byte])?;
                std::thread::sleep(pause);
            }
            Ok(())
        }
        Play::Endless(most) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            let piece = [b' '; 4096];
            for _ in 0..most / piece.len() {
                stream.write_all(&piece)?;
            }
            Ok(())
        }
    }
}

fn reply(stream: &mut TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Told\r\nConnection: close\r\nContent-Type: application/json\r\n\
        Location: http://127.0.0.1:1/v1\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    stream.flush()
}

fn read_request(stream: &mut TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let (mut asked, mut length) = (Asked::default(), 0);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    asked.path = line.split(' ').nth(1).unwrap_or("").to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        match name.to_lowercase().as_str() {
            "authorization" => asked.authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().unwrap_or(0),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    asked.body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(asked)
}
