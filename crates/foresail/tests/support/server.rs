//! A scripted HTTP server on a loopback port, plain or under TLS, and certificates made on the spot.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::expect_used,
    reason = "each test file uses a part of it"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query as they came, the body's form after them.
    pub target: String,
    /// The authorization header.
    pub authorization: Option<String>,
}

impl Request {
    /// `true` where the query is for the time of samples.
    pub fn asks_for_time(&self) -> bool {
        self.target.contains("timestamp")
    }

    /// One parameter, as it was typed.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.target.split(['?', '&']);
        let found = pairs
            .filter_map(|p| p.split_once('='))
            .find(|p| p.0 == name);
        found.map(|(_, value)| value.to_owned())
    }
}

/// What is answered.
pub enum Reply {
    /// Status, headers, body.
    Text(u16, &'static str, String),
    /// So many bytes of a JSON answer with many series, one after the other.
    Flood(usize),
    /// Nothing for a while.
    Silence(Duration),
}

/// A good answer.
pub fn json(text: impl Into<String>) -> Reply {
    Reply::Text(200, "Content-Type: application/json", text.into())
}

/// A vector of one sample.
pub fn vector(at: f64, value: &str) -> Reply {
    json(format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[{at},"{value}"]}}]}}}}"#
    ))
}

/// A running server.
pub struct Server {
    /// Its port.
    pub port: u16,
    /// `http` or `https`.
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves `answer` for as long as the test runs.
    pub fn new(
        tls: Option<ServerConfig>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (tls, answer, log) = (tls.map(Arc::new), Arc::new(answer), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, answer, log) = (tls.clone(), Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, tls, &*answer, &log));
            }
        });
        Self { port, scheme, seen }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Everything that was asked.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("the log").clone()
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: &dyn Fn(&Request) -> Reply,
    log: &Mutex<Vec<Request>>,
) {
    let _ = match tls {
        None => converse(stream, answer, log),
        Some(config) => match rustls::ServerConnection::new(config) {
            Ok(session) => {
                let mut tls = rustls::StreamOwned::new(session, stream);
                let told = converse(&mut tls, answer, log);
                tls.conn.send_close_notify();
                let _ = tls.flush();
                told
            }
            Err(error) => Err(std::io::Error::other(error)),
        },
    };
}

fn converse(
    mut stream: impl Read + Write,
    answer: &dyn Fn(&Request) -> Reply,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let request = read_request(&mut stream)?;
    log.lock().expect("the log").push(request.clone());
    match answer(&request) {
        Reply::Silence(time) => std::thread::sleep(time),
        Reply::Text(status, headers, body) => {
            let length = body.len();
            let more = if headers.is_empty() { "" } else { "\r\n" };
            write!(
                stream,
                "HTTP/1.1 {status} Told\r\nConnection: close\r\nContent-Length: {length}{more}{headers}\r\n\r\n{body}"
            )?;
        }
        Reply::Flood(bytes) => flood(&mut stream, bytes)?,
    }
    stream.flush()
}

fn read_request(stream: &mut impl Read) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (Request::default(), 0);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    request.method = words.next().unwrap_or("").to_owned();
    request.target = words.next().unwrap_or("").to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let text = line.trim();
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':') {
            match name.to_lowercase().as_str() {
                "authorization" => request.authorization = Some(value.trim().to_owned()),
                "content-length" => length = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if length > 0 {
        request.target.push('?');
        request.target.push_str(&String::from_utf8_lossy(&body));
    }
    Ok(request)
}

fn flood(stream: &mut impl Write, bytes: usize) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"
    )?;
    let begin = r#"{"status":"success","data":{"resultType":"matrix","result":["#;
    stream.write_all(begin.as_bytes())?;
    let series: String = (0..1000)
        .map(|i| format!(r#"{{"metric":{{"pod":"web-{i}"}},"values":[[1767571260,"{i}"]]}},"#))
        .collect();
    let mut sent = 0;
    while sent < bytes {
        stream.write_all(series.as_bytes())?;
        sent += series.len();
    }
    stream.write_all(br#"{"metric":{},"values":[]}]}}"#)
}

/// A CA with a certificate for 127.0.0.1 and one for a client, as PEM files.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them in a folder.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = params.self_signed(&key).expect("a CA");
        std::fs::write(folder.join("ca.pem"), ca.pem()).expect("writable");
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
            let params = CertificateParams::new(names).expect("parameters");
            let key = KeyPair::generate().expect("a key");
            let signed = params.signed_by(&key, &issuer).expect("a certificate");
            std::fs::write(folder.join(format!("{name}.pem")), signed.pem()).expect("writable");
            let key = key.serialize_pem();
            std::fs::write(folder.join(format!("{name}.key")), key).expect("writable");
        }
        Self {
            folder: folder.to_owned(),
        }
    }

    /// One of the files.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// A server's side, which asks for a client's certificate where `mutual`.
    pub fn server(&self, mutual: bool) -> ServerConfig {
        use rustls::pki_types::pem::PemObject;
        let certificate =
            |name: &str| CertificateDer::from_pem_file(self.folder.join(name)).expect("PEM");
        let key = PrivateKeyDer::from_pem_file(self.folder.join("server.key")).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(certificate("ca.pem")).expect("a root");
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                Arc::new(roots),
                provider,
            );
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![certificate("server.pem")];
        builder.with_single_cert(chain, key).expect("a pair")
    }
}
