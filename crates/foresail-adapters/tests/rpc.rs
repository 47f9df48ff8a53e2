//! The published messages on the wire, and the limits of the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use foresail_adapters::rpc::client::{Client, Dial};
use foresail_adapters::rpc::environment::environment_server::Environment;
use foresail_adapters::rpc::environment::{Component, Description, Executed, Seen, Wish};
use foresail_adapters::rpc::interaction::interaction_server::Interaction;
use foresail_adapters::rpc::interaction::{
    Action, ComponentId, Limit, Other, ToClientMessage, ToServerMessage, Usage,
};
use foresail_adapters::rpc::server::{ServerOptions, TlsFiles, bind};
use foresail_adapters::rpc::tonic::{self, Code, Request, Response, Status};
use foresail_adapters::rpc::{MESSAGE_BYTES_MAX, STREAMS_MAX};
use prost::Message;

/// An encoder that knows nothing of ours: a field is its number, its kind and its bytes.
#[derive(Default)]
struct Wire(Vec<u8>);

impl Wire {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn number(self, field: u64, value: i32) -> Self {
        // A negative int32 is sign-extended to ten bytes.
        self.varint(field << 3).varint(i64::from(value) as u64)
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut wire = self.varint(field << 3 | 2).varint(value.len() as u64);
        wire.0.extend_from_slice(value);
        wire
    }

    fn float(self, field: u64, value: f32) -> Self {
        let mut wire = self.varint(field << 3 | 5);
        wire.0.extend_from_slice(&value.to_le_bytes());
        wire
    }
}

fn five(numbers: [i32; 5]) -> Vec<u8> {
    let fields = (1u64..).zip(numbers);
    fields
        .fold(Wire::default(), |w, (field, n)| w.number(field, n))
        .0
}

/// The bytes by hand, so that neither our encoder nor our decoder can be wrong twice the same way.
#[test]
fn the_published_messages_are_these_bytes() {
    let id = ComponentId {
        name: Some("a".to_owned()),
        node: Some("b".to_owned()),
        id: "c".to_owned(),
    };
    assert_eq!(id.encode_to_vec(), b"\x0a\x01a\x12\x01b\x1a\x01c");
    let alone = b"\x1a\x08shop/web";
    let read = ComponentId::decode(&alone[..]).unwrap();
    assert_eq!((read.name, read.id.as_str()), (None, "shop/web"));

    let action = Action {
        cpu: 300,
        memory: -1,
        llc: 0,
        io: 1,
        network: i32::MAX,
    };
    let hand = five([300, -1, 0, 1, i32::MAX]);
    assert_eq!(&hand[..6], [0x08, 0xac, 0x02, 0x10, 0xff, 0xff]);
    assert_eq!(action.encode_to_vec(), hand);
    let to_server = Wire::default()
        .bytes(1, b"n")
        .bytes(2, b"k")
        .bytes(3, b"shop/web")
        .bytes(4, &hand);
    let read = ToServerMessage::decode(to_server.0.as_slice()).unwrap();
    assert_eq!((read.id.as_str(), read.action), ("shop/web", action));

    let to_client = Wire::default()
        .bytes(3, b"shop/web")
        .bytes(4, &five([1, 2, 3, 4, 5]))
        .bytes(5, &five([6, 7, 8, 9, 10]))
        .bytes(
            6,
            // proto2 does not pack what is repeated.
            &Wire::default()
                .float(1, 0.5)
                .number(2, 12)
                .float(3, 1.5)
                .float(4, 0.25)
                .float(4, 0.75)
                .0,
        )
        .bytes(7, b"OK");
    let message = ToClientMessage {
        name: None,
        node: None,
        id: "shop/web".to_owned(),
        usage: Usage {
            cpu: 1,
            memory: 2,
            llc: 3,
            io: 4,
            network: 5,
        },
        limit: Limit {
            cpu: 6,
            memory: 7,
            llc: 8,
            io: 9,
            network: 10,
        },
        other: Other {
            slo_retainment: 0.5,
            curr_arrival_rate: 12,
            rate_ratio: 1.5,
            percentages: vec![0.25, 0.75],
        },
        status: "OK".to_owned(),
    };
    assert_eq!(message.encode_to_vec(), to_client.0);
    assert_eq!(
        ToClientMessage::decode(to_client.0.as_slice()).unwrap(),
        message
    );
}

/// A server that answers at once, or after a while, and counts who is within.
#[derive(Clone, Debug, Default)]
struct Slow {
    takes: Duration,
    within: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Interaction for Slow {
    async fn get_state(
        &self,
        id: Request<ComponentId>,
    ) -> Result<Response<ToClientMessage>, Status> {
        let within = self.within.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(within, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.within.fetch_sub(1, Ordering::SeqCst);
        Ok(Response::new(ToClientMessage {
            id: id.get_ref().id.len().to_string(),
            status: "OK".to_owned(),
            ..ToClientMessage::default()
        }))
    }

    async fn perform_action(
        &self,
        _: Request<ToServerMessage>,
    ) -> Result<Response<ToClientMessage>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

#[tonic::async_trait]
impl Environment for Slow {
    async fn describe(&self, _: Request<Component>) -> Result<Response<Description>, Status> {
        Ok(Response::new(Description::default()))
    }
    async fn look(&self, _: Request<Component>) -> Result<Response<Seen>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
    async fn step(&self, _: Request<Wish>) -> Result<Response<Executed>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

fn options() -> ServerOptions {
    ServerOptions {
        bind: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        token: None,
        insecure: false,
    }
}

async fn serve(options: &ServerOptions, slow: &Slow) -> SocketAddr {
    let bound = bind(options).await.unwrap();
    let address = bound.address;
    let slow = slow.clone();
    tokio::spawn(async move {
        bound
            .serve(slow.clone(), slow, std::future::pending())
            .await
    });
    address
}

fn dial(address: SocketAddr) -> Dial {
    Dial {
        server: address.to_string(),
        ..Dial::default()
    }
}

async fn ask(client: &Client, id: usize) -> Result<String, Status> {
    let message = ComponentId {
        id: "x".repeat(id),
        ..ComponentId::default()
    };
    let mut interaction = client.interaction.clone();
    interaction
        .get_state(message)
        .await
        .map(|a| a.into_inner().id)
}

#[tokio::test]
async fn a_message_may_have_a_mebibyte_and_no_byte_more() {
    let address = serve(&options(), &Slow::default()).await;
    let client = dial(address).client().unwrap();
    // A tag, a length of three bytes, and the text.
    let most = MESSAGE_BYTES_MAX - 4;
    assert_eq!(ask(&client, most).await.unwrap(), most.to_string());
    let refused = ask(&client, most + 1).await.unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
}

#[tokio::test]
async fn a_connection_has_32_calls_at_once_and_the_others_wait() {
    let slow = Slow {
        takes: Duration::from_millis(300),
        ..Slow::default()
    };
    let address = serve(&options(), &slow).await;
    let client = dial(address).client().unwrap();
    ask(&client, 1).await.unwrap();
    let calls = (0..STREAMS_MAX as usize + 8).map(|_| ask(&client, 1));
    let all = futures_util::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok), "they wait, and are answered");
    assert_eq!(slow.most.load(Ordering::SeqCst), STREAMS_MAX as usize);
}

#[tokio::test]
async fn what_takes_longer_than_the_deadline_is_ended() {
    let slow = Slow {
        takes: Duration::from_secs(60),
        ..Slow::default()
    };
    let address = serve(&options(), &slow).await;
    let client = dial(address).client().unwrap();
    let begin = Instant::now();
    let late = ask(&client, 1).await.unwrap_err();
    let took = begin.elapsed();
    assert!(
        matches!(late.code(), Code::Cancelled | Code::DeadlineExceeded),
        "{late}"
    );
    assert!((4..9).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn without_the_token_only_health_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
    std::fs::write(&ours, "0123456789abcdef").unwrap();
    std::fs::write(&other, "0123456789abcdee").unwrap();
    let options = ServerOptions {
        token: Some(ours.clone()),
        ..options()
    };
    let address = serve(&options, &Slow::default()).await;
    for (token, want) in [(None, false), (Some(other), false), (Some(ours), true)] {
        let dial = Dial {
            token,
            ..dial(address)
        };
        let told = ask(&dial.client().unwrap(), 1).await;
        assert_eq!(told.is_ok(), want, "{told:?}");
        if let Err(status) = told {
            assert_eq!(status.code(), Code::Unauthenticated);
            assert!(!status.message().contains("0123"), "{status}");
        }
    }
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.connect_lazy());
    let request = tonic_health::pb::HealthCheckRequest {
        service: "interaction.Interaction".to_owned(),
    };
    let told = health.check(request).await.unwrap().into_inner();
    assert_eq!(told.status, tonic_health::ServingStatus::Serving as i32);
    // Reflection is off.
    let mut unknown = health;
    let request = tonic_health::pb::HealthCheckRequest {
        service: "grpc.reflection.v1.ServerReflection".to_owned(),
    };
    assert_eq!(
        unknown.check(request).await.unwrap_err().code(),
        Code::NotFound
    );
}

/// A certificate for this machine by a CA of its own.
fn certificate(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_cert = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["firm-server".to_owned()];
    let cert = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let paths = ["ca.crt", "tls.crt", "tls.key"].map(|n| folder.join(n));
    std::fs::write(&paths[0], ca_cert.pem()).unwrap();
    std::fs::write(&paths[1], cert.pem()).unwrap();
    std::fs::write(&paths[2], key.serialize_pem()).unwrap();
    let [ca, cert, key] = paths;
    (ca, cert, key)
}

#[tokio::test]
async fn tls_is_spoken_with_who_has_the_ca() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ca, cert, key) = certificate(folder.path());
    let (other, _, _) = certificate(elsewhere.path());
    let options = ServerOptions {
        tls: Some(TlsFiles {
            cert,
            key,
            client_ca: None,
        }),
        ..options()
    };
    let address = serve(&options, &Slow::default()).await;
    let with = |ca: Option<PathBuf>| Dial {
        server_name: ca.as_ref().map(|_| "firm-server".to_owned()),
        ca,
        ..dial(address)
    };
    assert!(ask(&with(Some(ca)).client().unwrap(), 1).await.is_ok());
    assert!(ask(&with(Some(other)).client().unwrap(), 1).await.is_err());
    assert!(
        ask(&with(None).client().unwrap(), 1).await.is_err(),
        "plain text"
    );
}

#[tokio::test]
async fn plain_text_or_no_token_beyond_this_machine_is_refused() {
    let open = ServerOptions {
        bind: "0.0.0.0:0".parse().unwrap(),
        ..options()
    };
    let told = bind(&open).await.unwrap_err().to_string();
    assert!(told.contains("--tls-cert"), "{told}");
    let insecure = ServerOptions {
        insecure: true,
        ..open
    };
    let told = bind(&insecure).await.unwrap_err().to_string();
    assert!(told.contains("--token-file"), "{told}");
}

/// One HTTP/2 frame.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The head of a call, in the static table's words: POST, http, a path and an authority.
fn head() -> Vec<u8> {
    let mut head = vec![0x83, 0x86, 0x44, 2];
    head.extend_from_slice(b"/x");
    head.extend_from_slice(&[0x41, 1, b'a']);
    head
}

/// Sends a flood over one connection, and whatever becomes of that connection, others are served.
async fn survives(flood: Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = serve(&options(), &Slow::default()).await;
    let flooding = tokio::spawn(async move {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let heard = tokio::spawn(async move {
            let mut all = Vec::new();
            // The server may send the connection away, which is what it should do.
            let _ = read.read_to_end(&mut all).await;
            all
        });
        let begin = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
        ]
        .concat();
        write.write_all(&begin).await.unwrap();
        let _ = write.write_all(&flood).await;
        let _ = write.shutdown().await;
        heard.await.unwrap()
    });
    let client = dial(address).client().unwrap();
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(&client, 1).await.unwrap(), "1");
    }
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
    let ended = tokio::time::timeout(Duration::from_secs(10), flooding).await;
    assert!(ended.is_ok(), "the flooded connection has an end");
    assert_eq!(ask(&client, 1).await.unwrap(), "1");
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[tokio::test]
async fn a_flood_of_resets_leaves_others_served() {
    let mut flood = Vec::new();
    for stream in (1..40_000_u32).step_by(2) {
        flood.extend(frame(1, 0x4, stream, &head()));
        flood.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
    }
    survives(flood).await;
}

/// CVE-2019-9512: pings, each of which asks for an answer.
#[tokio::test]
async fn a_flood_of_pings_leaves_others_served() {
    let flood = (0..50_000).flat_map(|_| frame(6, 0, 0, &[0; 8])).collect();
    survives(flood).await;
}
