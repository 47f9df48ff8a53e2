//! The server: who may come in, how much they may ask, and the two services with health beside them.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use super::environment::environment_server::{Environment, EnvironmentServer};
use super::interaction::interaction_server::{Interaction, InteractionServer};
use super::secret::BearerFile;
use super::{
    DEADLINE, HEADERS_BYTES_MAX, KEEP_ALIVE, MESSAGE_BYTES_MAX, RpcError, STREAMS_MAX, read,
};

/// Streams that a client may open and reset before it is sent away (HTTP/2 rapid reset).
const RESETS_MAX: usize = 64;

/// The server's certificate, its key, and the CA that clients must be signed by.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM of the certificate.
    pub cert: PathBuf,
    /// PEM of its key.
    pub key: PathBuf,
    /// PEM of the clients' CA; absent = clients show no certificate.
    pub client_ca: Option<PathBuf>,
}

/// Where a server listens and whom it lets in.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The address.
    pub bind: SocketAddr,
    /// Absent: plain text.
    pub tls: Option<TlsFiles>,
    /// The file with the token that every call but health must show.
    pub token: Option<PathBuf>,
    /// `true`: plain text beyond this machine is allowed; a token is still asked for.
    pub insecure: bool,
}

/// A server that listens already and answers nobody yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    tls: Option<ServerTlsConfig>,
    token: Option<BearerFile>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl ServerOptions {
    /// Refuses what would let anybody in who reaches the port.
    ///
    /// # Errors
    /// [`RpcError`] with the flags that mend it.
    pub fn check(&self) -> Result<(), RpcError> {
        if self.bind.ip().is_loopback() {
            return Ok(());
        }
        if self.tls.is_none() && !self.insecure {
            return Err(RpcError(format!(
                "--bind {}: plain text beyond this machine can be read and changed on the way; pass --tls-cert and --tls-key, or --insecure if the network is yours",
                self.bind
            )));
        }
        let checks_clients = self.tls.as_ref().is_some_and(|t| t.client_ca.is_some());
        if self.token.is_none() && !checks_clients {
            return Err(RpcError(format!(
                "--bind {}: whoever reaches this port could scale your workloads; pass --token-file or --client-ca",
                self.bind
            )));
        }
        Ok(())
    }
}

fn tls(files: &TlsFiles) -> Result<ServerTlsConfig, RpcError> {
    let identity = Identity::from_pem(
        read("--tls-cert", &files.cert)?,
        read("--tls-key", &files.key)?,
    );
    let mut config = ServerTlsConfig::new().identity(identity);
    if let Some(path) = &files.client_ca {
        config = config.client_ca_root(Certificate::from_pem(read("--client-ca", path)?));
    }
    Ok(config)
}

/// Begins to listen.
///
/// # Errors
/// [`RpcError`] where the options would let anybody in, a file cannot be used, or the port is taken.
pub async fn bind(options: &ServerOptions) -> Result<Bound, RpcError> {
    crate::access::install_ring();
    options.check()?;
    let tls = options.tls.as_ref().map(tls).transpose()?;
    let token = options.token.as_ref();
    let token = token.map(|path| BearerFile::new("--token-file", path));
    let token = token.transpose()?;
    let listener = TcpListener::bind(options.bind).await.map_err(|e| {
        RpcError(format!(
            "cannot listen on {}: {e}; give another --bind",
            options.bind
        ))
    })?;
    let address = listener.local_addr();
    Ok(Bound {
        listener,
        tls,
        token,
        address: address.map_err(|e| RpcError(format!("the port is not known: {e}")))?,
    })
}

/// Lets in who shows the token, where there is one.
#[derive(Clone, Debug)]
struct Door(Option<BearerFile>);

impl tonic::service::Interceptor for Door {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else {
            return Ok(request);
        };
        let shown = request.metadata().get("authorization");
        let shown = shown.and_then(|h| h.to_str().ok()).unwrap_or("");
        if token.fits(shown) {
            Ok(request)
        } else {
            Err(Status::unauthenticated(
                "no token, or not ours: send `authorization: Bearer TOKEN` with the token of --token-file",
            ))
        }
    }
}

impl Bound {
    /// Answers until `stop` ends; calls under way are finished first.
    ///
    /// # Errors
    /// [`RpcError`] where the certificate cannot be used or the socket fails.
    pub async fn serve<I: Interaction, E: Environment>(
        self,
        interaction: I,
        environment: E,
        stop: impl Future<Output = ()>,
    ) -> Result<(), RpcError> {
        let door = Door(self.token);
        let interaction =
            InteractionServer::new(interaction).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let environment =
            EnvironmentServer::new(environment).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<InteractionServer<I>>().await;
        reporter.set_serving::<EnvironmentServer<E>>().await;
        let mut server = Server::builder()
            .timeout(DEADLINE)
            .concurrency_limit_per_connection(STREAMS_MAX as usize)
            .max_concurrent_streams(Some(STREAMS_MAX))
            .http2_max_header_list_size(Some(HEADERS_BYTES_MAX))
            .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(DEADLINE));
        if let Some(tls) = self.tls {
            server = server.tls_config(tls).map_err(|e| {
                RpcError(format!(
                    "--tls-cert, --tls-key: {}",
                    crate::access::causes(&e)
                ))
            })?;
        }
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        server
            .add_service(health)
            .add_service(InterceptedService::new(interaction, door.clone()))
            .add_service(InterceptedService::new(environment, door))
            .serve_with_incoming_shutdown(incoming, stop)
            .await
            .map_err(|e| RpcError(format!("the server ended: {}", crate::access::causes(&e))))
    }
}
