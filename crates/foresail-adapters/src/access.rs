//! How a server is reached: address, token, certificates, limits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, Identity, Url, redirect};

use crate::prometheus::POINTS_MAX;

/// The largest token or certificate file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the bearer token comes from; its text is never shown.
#[derive(Clone, Default)]
pub enum Token {
    /// There is none.
    #[default]
    None,
    /// A file, read anew for each query: such tokens are rotated.
    File(PathBuf),
    /// The text itself, from the environment.
    Text(String),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(redacted)"),
        }
    }
}

/// Why a server cannot be reached as it is told; the text names the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessError(pub String);

/// What one kind of server and its flags are called.
#[derive(Debug)]
struct Words {
    server: &'static str,
    example: &'static str,
    token: &'static str,
    plain_http: &'static str,
}

static PROMETHEUS: Words = Words {
    server: "Prometheus",
    example: "http://127.0.0.1:9090",
    token: "--bearer-token-file",
    plain_http: "--plain-http",
};

static MODEL: Words = Words {
    server: "the model",
    example: "http://127.0.0.1:11434/v1",
    token: "--llm-token-file",
    plain_http: "--llm-plain-http",
};

static OPENWHISK: Words = Words {
    server: "OpenWhisk",
    example: "https://openwhisk.example",
    token: "--auth-file",
    plain_http: "--plain-http",
};

static SERVICE: Words = Words {
    server: "the workflow",
    example: "http://127.0.0.1:8080/run",
    token: "--url-token-file",
    plain_http: "--plain-http",
};

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Access {
    /// Address, with a path prefix where it has one.
    pub url: String,
    /// The bearer token.
    pub token: Token,
    /// The one CA that is trusted; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, as PEM files.
    pub client: Option<(PathBuf, PathBuf)>,
    /// `true`: http to another machine is allowed.
    pub plain_http: bool,
    /// The longest that one query may take.
    pub timeout: Duration,
    /// Points that one range query may ask for.
    pub points_max: u32,
    words: &'static Words,
}

impl Access {
    /// Plain access to Prometheus: no token, no certificates, 30 s, 11,000 points.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            token: Token::None,
            ca_file: None,
            client: None,
            plain_http: false,
            timeout: Duration::from_secs(30),
            points_max: POINTS_MAX,
            words: &PROMETHEUS,
        }
    }

    /// Plain access to a language model's endpoint, such as `http://127.0.0.1:11434/v1`: no token,
    /// no certificates, at most 120 s.
    #[must_use]
    pub fn to_model(url: &str) -> Self {
        Self {
            timeout: Duration::from_secs(120),
            words: &MODEL,
            ..Self::new(url)
        }
    }

    /// Plain access to OpenWhisk: no certificates, at most 30 s. Its key is none of a bearer's.
    #[must_use]
    pub fn to_openwhisk(url: &str) -> Self {
        Self {
            words: &OPENWHISK,
            ..Self::new(url)
        }
    }

    /// Plain access to a service that answers for a workflow.
    #[must_use]
    pub fn to_service(url: &str) -> Self {
        Self {
            words: &SERVICE,
            ..Self::new(url)
        }
    }

    /// The address as a base to which paths are added, checked.
    ///
    /// # Errors
    /// [`AccessError`] for no address, another scheme, secrets in it, or http to
    /// another machine.
    pub(crate) fn base(&self) -> Result<Url, AccessError> {
        let Words {
            server,
            example,
            token,
            plain_http,
        } = self.words;
        let refused = |why: String| Err(AccessError(why));
        let Ok(mut url) = Url::parse(&self.url) else {
            return refused(format!(
                "the address of {server} is no URL; write it like {example}"
            ));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refused(format!(
                "the address of {server} holds a name or password; take them out and pass {token}"
            ));
        }
        if url.host_str().is_none() || !matches!(url.scheme(), "http" | "https") {
            return refused(format!(
                "the address of {server} must begin with http:// or https:// and name a host"
            ));
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            if !self.plain_http {
                return refused(format!(
                    "http to another machine can be read and changed on the way; use https://, or pass {plain_http} if the network is yours"
                ));
            }
            if !matches!(self.token, Token::None) {
                return refused(
                    "a bearer token is not sent over http to another machine; use https://"
                        .to_owned(),
                );
            }
        }
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(url)
    }

    /// An HTTP client for this access.
    ///
    /// # Errors
    /// [`AccessError`] where a certificate or key cannot be used.
    pub(crate) fn client(&self, base: &Url) -> Result<Client, AccessError> {
        install_ring();
        let refused = |what: &str, why: &dyn fmt::Display| {
            AccessError(format!("{what} cannot be used: {why}"))
        };
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(self.timeout)
            .connect_timeout(self.timeout.min(Duration::from_secs(10)));
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &self.ca_file {
            let name = path.display().to_string();
            let certificates = Certificate::from_pem_bundle(&read(path)?)
                .map_err(|e| refused(&name, &causes(&e)))?;
            if certificates.is_empty() {
                return Err(refused(&name, &"it holds no certificate in PEM form"));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((certificate, key)) = &self.client {
            let mut pem = read(certificate)?;
            pem.push(b'\n');
            pem.extend(read(key)?);
            let pair = format!("{} with {}", certificate.display(), key.display());
            let identity = Identity::from_pem(&pem).map_err(|e| refused(&pair, &causes(&e)))?;
            builder = builder.identity(identity);
        }
        let told = format!("the client for {}", self.words.server);
        builder.build().map_err(|e| refused(&told, &causes(&e)))
    }

    /// The authorization header, where there is a token.
    ///
    /// # Errors
    /// [`AccessError`] where the token's file cannot be read, or holds none.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, AccessError> {
        let (from, text) = match &self.token {
            Token::None => return Ok(None),
            Token::Text(text) => ("the environment".to_owned(), text.clone()),
            Token::File(path) => {
                let text = String::from_utf8_lossy(&read(path)?).into_owned();
                (path.display().to_string(), text)
            }
        };
        let text = text.trim();
        let header = HeaderValue::from_str(&format!("Bearer {text}"));
        match header {
            Ok(mut value) if !text.is_empty() => {
                value.set_sensitive(true);
                Ok(Some(value))
            }
            _ => Err(AccessError(format!(
                "the bearer token from {from} is empty or no single line of text"
            ))),
        }
    }
}

/// `true` where the host is this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|a| a.is_loopback())
}

/// Makes ring the one TLS provider of this process; a second call changes nothing.
pub(crate) fn install_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// An error with every cause under it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    let name = path.display();
    let refused = |why: String| AccessError(format!("cannot read {name}: {why}"));
    let size = std::fs::metadata(path)
        .map_err(|e| refused(e.to_string()))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(refused(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read(path).map_err(|e| refused(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str, change: impl Fn(&mut Access)) -> Result<String, String> {
        let mut access = Access::new(url);
        change(&mut access);
        access
            .base()
            .map(|u| u.to_string())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn tls_is_the_rule_outside_this_machine() {
        for url in [
            "http://127.0.0.1:9090",
            "http://[::1]:9090",
            "http://localhost:9090",
        ] {
            assert_eq!(base(url, |_| {}), Ok(format!("{url}/")), "{url}");
        }
        let far = "http://prometheus.example:9090";
        assert!(base(far, |_| {}).unwrap_err().contains("--plain-http"));
        assert!(base(far, |a| a.plain_http = true).is_ok());
        let with_token = |a: &mut Access| {
            a.plain_http = true;
            a.token = Token::Text("secret".to_owned());
        };
        assert!(base(far, with_token).unwrap_err().contains("not sent"));
        assert!(base("https://prometheus.example/prefix", with_token).is_ok());
        let model = Access::to_model("http://model.example/v1").base();
        let refused = model.unwrap_err().to_string();
        assert!(refused.contains("--llm-plain-http"), "{refused}");
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let mut access = Access::new("https://a.example");
        access.token = Token::Text("s3cret".to_owned());
        assert!(!format!("{access:?}").contains("s3cret"));
        let header = access.authorization().unwrap().unwrap();
        assert!(!format!("{header:?}").contains("s3cret"));
        let refused = base("https://me:s3cret@a.example", |_| {}).unwrap_err();
        assert!(!refused.contains("s3cret"), "{refused}");
    }

    #[test]
    fn an_empty_token_is_refused() {
        let mut access = Access::new("https://a.example");
        access.token = Token::Text(" \n".to_owned());
        assert!(access.authorization().is_err());
        access.token = Token::Text("two\nlines".to_owned());
        assert!(access.authorization().is_err());
    }
}
