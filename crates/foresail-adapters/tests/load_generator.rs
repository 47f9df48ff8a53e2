//! The generator against servers that are quick, slow, silent, rude or away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests may fail loudly"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use foresail_adapters::load::arrivals::{Gaps, Shape};
use foresail_adapters::load::generator::{Outcome, Plan, Sink, What, run};
use foresail_adapters::load::targets::{Target, Targets};
use foresail_core::quantity::time::Span;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// What a server does with the n-th request that it gets, counted from 0.
type Does = fn(&mut TcpStream, usize) -> bool;

/// A server with a thread for each connection, and when its requests came.
struct Server {
    address: SocketAddr,
    came: Arc<Mutex<Vec<Instant>>>,
}

impl Server {
    fn new(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&came);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let log = Arc::clone(&log);
                std::thread::spawn(move || serve(stream.unwrap(), &log, does));
            }
        });
        Self { address, came }
    }

    fn target(&self, name: &str) -> Target {
        Target {
            name: name.to_owned(),
            address: self.address,
        }
    }

    fn count(&self) -> usize {
        self.came.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Instant>>, does: Does) {
    let (mut buffer, mut seen) = (vec![0; 4096], Vec::new());
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => seen.extend_from_slice(&buffer[..count]),
        }
        while let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            seen.drain(..end + 4);
            let number = {
                let mut log = log.lock().unwrap();
                log.push(Instant::now());
                log.len() - 1
            };
            if !does(&mut stream, number) {
                return;
            }
        }
    }
}

fn answers(stream: &mut TcpStream, _: usize) -> bool {
    stream.write_all(ANSWER).is_ok()
}

#[derive(Default)]
struct Seen {
    outcomes: Vec<Outcome>,
    targets: Vec<String>,
    resent: usize,
}

impl Sink for Seen {
    fn target(&mut self, index: usize, name: &str) {
        assert_eq!(index, self.targets.len());
        self.targets.push(name.to_owned());
    }

    fn outcome(&mut self, outcome: &Outcome) {
        assert!(
            outcome.sent.is_none_or(|sent| sent >= outcome.due),
            "sent before it was due"
        );
        assert!(outcome.ended >= outcome.due);
        self.outcomes.push(*outcome);
    }

    fn resent(&mut self) {
        self.resent += 1;
    }
}

impl Seen {
    fn count(&self, what: What) -> usize {
        self.outcomes.iter().filter(|o| o.what == what).count()
    }
}

fn rate(seconds: i64, rps: f64) -> Shape {
    Shape::new(&[(Span::from_seconds(seconds), rps, rps)]).unwrap()
}

fn flown(shape: &Shape, targets: &Targets, timeout_ms: i64, connections: usize) -> Seen {
    let plan = Plan {
        shape,
        gaps: Gaps::Even,
        request: b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        timeout: Span::from_nanos(timeout_ms * 1_000_000),
        connections,
    };
    let mut seen = Seen::default();
    run(plan, targets, &mut seen, &|| false).unwrap();
    seen
}

/// The server's own log against Λ(t): never ahead of it, and everything there at the end.
#[test]
fn a_ramp_arrives_as_the_integral_of_its_rate() {
    let server = Server::new(answers);
    let shape = Shape::new(&[
        (Span::from_seconds(2), 0.0, 200.0),
        (Span::from_seconds(1), 200.0, 200.0),
    ])
    .unwrap();
    let targets = Targets::new(vec![server.target("one")]);
    let begin = Instant::now();
    let seen = flown(&shape, &targets, 20_000, 64);
    assert_eq!(seen.count(What::Answered(200)), 400);
    let came = server.came.lock().unwrap();
    assert_eq!(came.len(), 400);
    for (count, at) in came.iter().enumerate() {
        let due = shape.due_until((*at - begin).as_secs_f64());
        assert!(
            count as f64 <= due + 1.0,
            "the {count}-th came where {due} were due"
        );
    }
    for (count, outcome) in sorted(&seen).iter().enumerate() {
        let due = shape.due_until(outcome.due as f64 / 1e9);
        assert!((due - count as f64 - 0.5).abs() < 1e-3);
    }
}

fn sorted(seen: &Seen) -> Vec<Outcome> {
    let mut all = seen.outcomes.clone();
    all.sort_by_key(|o| o.due);
    all
}

/// The twentieth request takes half a second and there is one connection: those that are due
/// meanwhile wait, and their waiting is in their times. A closed loop would have one slow request.
#[test]
fn a_stall_is_in_the_times_of_all_that_were_due_in_it() {
    let server = Server::new(|stream, number| {
        if number == 20 {
            std::thread::sleep(Duration::from_millis(500));
        }
        answers(stream, number)
    });
    let targets = Targets::new(vec![server.target("one")]);
    let seen = flown(&rate(1, 100.0), &targets, 20_000, 1);
    assert_eq!(seen.count(What::Answered(200)), 100);
    let slow = seen
        .outcomes
        .iter()
        .filter(|o| o.ended - o.due > 100_000_000);
    assert!(
        slow.count() >= 39,
        "of the 50 that were due in it, 40 waited longer than 100 ms"
    );
    let late = |o: &&Outcome| o.sent.unwrap() - o.due > 100_000_000;
    assert!(seen.outcomes.iter().filter(late).count() >= 38);
}

/// With connections to spare the others go out when they are due, past the one that stalls.
#[test]
fn a_slow_answer_holds_up_no_other_request() {
    let server = Server::new(|stream, number| {
        if number == 20 {
            std::thread::sleep(Duration::from_secs(2));
        }
        answers(stream, number)
    });
    let targets = Targets::new(vec![server.target("one")]);
    let seen = flown(&rate(1, 100.0), &targets, 20_000, 64);
    assert_eq!(seen.count(What::Answered(200)), 100);
    let all = sorted(&seen);
    let slowest = all.iter().max_by_key(|o| o.ended - o.due).unwrap();
    assert!(slowest.ended - slowest.due >= 2_000_000_000);
    let before = all.iter().filter(|o| o.ended < slowest.ended).count();
    assert!(before > 90, "{before} were answered before the slow one");
}

#[test]
fn a_server_that_ends_connections_without_a_word_loses_nothing() {
    let server = Server::new(|stream, number| answers(stream, number) && number % 3 != 2);
    let targets = Targets::new(vec![server.target("one")]);
    let seen = flown(&rate(1, 100.0), &targets, 20_000, 4);
    assert_eq!(
        seen.count(What::Answered(200)),
        100,
        "{:?}",
        seen.outcomes.last()
    );
}

#[test]
fn silence_is_timed_out_and_what_found_no_connection_was_not_sent() {
    let server = Server::new(|_, _| true);
    let targets = Targets::new(vec![server.target("one")]);
    // The one connection is free every 5 ms at most, and 5 more are due then.
    let seen = flown(&rate(1, 1000.0), &targets, 300, 1);
    assert_eq!(seen.outcomes.len(), 1000);
    let (timed_out, unsent) = (seen.count(What::TimedOut), seen.count(What::Unsent));
    assert_eq!(timed_out + unsent, 1000);
    assert!(
        timed_out >= 2 && unsent >= 2,
        "{timed_out} timed out, {unsent} not sent"
    );
    assert!(
        server.count() <= timed_out,
        "a request may be cut before it is read"
    );
    assert!(seen.outcomes.iter().all(|o| o.ended - o.due >= 300_000_000));
}

#[test]
fn nobody_there_and_nonsense_are_told_apart() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let targets = Targets::new(vec![Target {
        name: "gone".to_owned(),
        address: gone,
    }]);
    let seen = flown(&rate(1, 20.0), &targets, 5000, 8);
    assert_eq!(seen.count(What::NoConnection), 20);

    let rude = Server::new(|stream, _| stream.write_all(b"SSH-2.0-rude\r\n\r\n").is_ok());
    let targets = Targets::new(vec![rude.target("rude")]);
    assert_eq!(
        flown(&rate(1, 20.0), &targets, 5000, 8).count(What::Malformed),
        20
    );

    let cut = Server::new(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        false
    });
    let targets = Targets::new(vec![cut.target("cut")]);
    assert_eq!(
        flown(&rate(1, 20.0), &targets, 5000, 8).count(What::Cut),
        20
    );
}

/// Two servers share evenly; a third that comes later gets its third, one that leaves no more.
#[test]
fn servers_take_turns_and_new_ones_get_their_share() {
    let servers = [
        Server::new(answers),
        Server::new(answers),
        Server::new(answers),
    ];
    let names = ["one", "two", "three"];
    let list = |which: &[usize]| {
        which
            .iter()
            .map(|i| servers[*i].target(names[*i]))
            .collect()
    };
    let targets = Arc::new(Targets::new(list(&[0, 1])));
    let second = list(&[1, 2]);
    let changed = Arc::clone(&targets);
    let change = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        changed.set(second);
    });
    let seen = flown(&rate(2, 200.0), &targets, 20_000, 64);
    change.join().unwrap();
    assert_eq!(seen.targets, names);
    assert_eq!(seen.count(What::Answered(200)), 400);
    let of = |index| {
        seen.outcomes
            .iter()
            .filter(|o| o.target == Some(index))
            .count()
    };
    let (one, two, three) = (of(0), of(1), of(2));
    assert!(two.abs_diff(200) <= 1, "{one}, {two}, {three}");
    assert_eq!(one + three, 400 - two);
    assert!(one >= 90 && three >= 20, "{one}, {two}, {three}");
}

/// Every connection there may be is taken by the first two when the third comes.
#[test]
fn a_new_server_gets_its_share_although_all_connections_are_taken() {
    let slow = |stream: &mut TcpStream, number| {
        // At the begin so many are under way that all connections are opened.
        if number < 10 {
            std::thread::sleep(Duration::from_millis(100));
        }
        answers(stream, number)
    };
    let servers = [Server::new(slow), Server::new(slow), Server::new(answers)];
    let list = |which: &[usize]| which.iter().map(|i| servers[*i].target("one")).collect();
    let targets = Arc::new(Targets::new(list(&[0, 1])));
    let all = list(&[0, 1, 2]);
    let changed = Arc::clone(&targets);
    let change = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        changed.set(all);
    });
    let seen = flown(&rate(2, 150.0), &targets, 20_000, 6);
    change.join().unwrap();
    assert_eq!(seen.count(What::Answered(200)), 300);
    let third = seen.outcomes.iter().filter(|o| o.target == Some(2)).count();
    assert!(third >= 20, "{third} of the 50 that are its share");
}

#[test]
fn an_interrupt_ends_it_and_what_was_under_way_is_told() {
    let server = Server::new(|stream, number| number >= 10 || answers(stream, number));
    let targets = Targets::new(vec![server.target("one")]);
    let shape = rate(600, 50.0);
    let plan = Plan {
        shape: &shape,
        gaps: Gaps::Even,
        request: b"GET / HTTP/1.1\r\nHost: test\r\n\r\n",
        timeout: Span::from_seconds(60),
        connections: 4,
    };
    let begin = Instant::now();
    let mut seen = Seen::default();
    run(plan, &targets, &mut seen, &|| {
        begin.elapsed() > Duration::from_secs(1)
    })
    .unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(seen.count(What::Answered(200)), 10);
    assert_eq!(
        seen.count(What::Answered(200)) + seen.count(What::Interrupted),
        seen.outcomes.len()
    );
    assert!(seen.count(What::Interrupted) >= 4);
}
