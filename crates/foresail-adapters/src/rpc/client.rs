//! The client: one connection that comes back by itself, with a token and limits of its own.

use std::path::PathBuf;

use http::Uri;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::environment::environment_client::EnvironmentClient;
use super::interaction::interaction_client::InteractionClient;
use super::secret::BearerFile;
use super::{DEADLINE, KEEP_ALIVE, MESSAGE_BYTES_MAX, RpcError, is_loopback, read};

/// How a server is reached.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    /// `HOST:PORT`, or with `http://` or `https://` before it.
    pub server: String,
    /// The one CA that is trusted, PEM; given, the connection is TLS.
    pub ca: Option<PathBuf>,
    /// The name in the server's certificate where it is not that of the address, such as that of a
    /// port-forward's other end.
    pub server_name: Option<String>,
    /// Our own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The file with the token.
    pub token: Option<PathBuf>,
    /// `true`: plain text to another machine is allowed.
    pub insecure: bool,
}

/// Shows the token with every call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<BearerFile>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let value = format!("Bearer {}", token.text()).parse();
            let mut value: tonic::metadata::MetadataValue<tonic::metadata::Ascii> =
                value.map_err(|_| Status::internal("the token is no header"))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// What calls go through.
pub type Line = InterceptedService<Channel, Bearer>;

/// Both services of one server.
#[derive(Clone, Debug)]
pub struct Client {
    /// The environment.
    pub environment: EnvironmentClient<Line>,
    /// FIRM's own service.
    pub interaction: InteractionClient<Line>,
}

impl Dial {
    fn refuse(&self, why: &str) -> RpcError {
        RpcError(format!("--server {:?}: {why}", self.server))
    }

    fn uri(&self) -> Result<Uri, RpcError> {
        let scheme = match self.ca.is_some() || self.identity.is_some() {
            true => "https",
            false => "http",
        };
        let text = match self.server.contains("://") {
            true => self.server.clone(),
            false => format!("{scheme}://{}", self.server),
        };
        let uri: Uri = text
            .parse()
            .map_err(|_| self.refuse("is no address; write it like 127.0.0.1:50051"))?;
        let host = uri.host().unwrap_or("");
        if host.is_empty() || uri.port_u16().is_none() || text.contains('@') {
            return Err(self.refuse("must name a host and a port, such as 127.0.0.1:50051"));
        }
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if self.ca.is_some() || self.identity.is_some() => {
                Err(self.refuse("is http, and certificates are given: write https://"))
            }
            Some("http") if is_loopback(host) || self.insecure => Ok(uri),
            Some("http") => Err(self.refuse(
                "plain text to another machine can be read and changed on the way; give https:// and --ca, or --insecure if the network is yours",
            )),
            _ => Err(self.refuse("is neither http nor https")),
        }
    }

    fn tls(&self) -> Result<ClientTlsConfig, RpcError> {
        let mut tls = ClientTlsConfig::new();
        let Some(ca) = &self.ca else {
            return Err(self.refuse("is https: pass --ca with the CA that signed its certificate"));
        };
        tls = tls.ca_certificate(Certificate::from_pem(read("--ca", ca)?));
        if let Some((cert, key)) = &self.identity {
            let identity = Identity::from_pem(read("--cert", cert)?, read("--key", key)?);
            tls = tls.identity(identity);
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        Ok(tls)
    }

    /// A client; it connects with its first call, and again after every loss.
    ///
    /// # Errors
    /// [`RpcError`] where the address or a file cannot be used.
    pub fn client(&self) -> Result<Client, RpcError> {
        crate::access::install_ring();
        let uri = self.uri()?;
        let is_tls = uri.scheme_str() == Some("https");
        let mut endpoint = Endpoint::from(uri)
            .connect_timeout(DEADLINE)
            .timeout(DEADLINE + DEADLINE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(DEADLINE)
            .tcp_nodelay(true);
        if is_tls {
            endpoint = endpoint
                .tls_config(self.tls()?)
                .map_err(|e| self.refuse(&crate::access::causes(&e)))?;
        }
        let token = self.token.as_ref();
        let token = token.map(|path| BearerFile::new("--token-file", path));
        let line = InterceptedService::new(endpoint.connect_lazy(), Bearer(token.transpose()?));
        let size = MESSAGE_BYTES_MAX;
        Ok(Client {
            environment: EnvironmentClient::new(line.clone()).max_decoding_message_size(size),
            interaction: InteractionClient::new(line).max_decoding_message_size(size),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(server: &str, insecure: bool) -> Result<String, String> {
        let dial = Dial {
            server: server.to_owned(),
            insecure,
            ..Dial::default()
        };
        dial.uri().map(|u| u.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn plain_text_leaves_this_machine_only_when_it_is_asked_for() {
        assert_eq!(
            uri("127.0.0.1:50051", false).unwrap(),
            "http://127.0.0.1:50051/"
        );
        assert!(uri("[::1]:50051", false).is_ok());
        let told = uri("firm-server:50051", false).unwrap_err();
        assert!(told.contains("--insecure"), "{told}");
        assert!(uri("firm-server:50051", true).is_ok());
        for bad in ["", "127.0.0.1", "ftp://a:1", "http://me@a:1"] {
            assert!(uri(bad, true).is_err(), "{bad}");
        }
    }
}
