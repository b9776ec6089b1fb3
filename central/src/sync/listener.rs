//! The accept loop: TLS, who is there, HTTP/2 or HTTP/1.1, and an end in time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::Service as _;

use super::identity::{self, Peer};
use crate::ca::{CertificateAuthority, ServerIdentity};
use crate::metrics::ListenerMetrics;

/// Connections that the system keeps until they are accepted: some seconds of a chain's return.
const ACCEPT_BACKLOG: u32 = 4_096;
/// Handshakes at once: each is some work for the processor, and a thousand half done serve nobody.
const HANDSHAKES_MAX: usize = 64;
/// Longest that a connection waits for others' handshakes: whoever is silent in the middle of one
/// holds nobody up for longer.
const HANDSHAKE_TURN_WAIT: Duration = Duration::from_secs(4);
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's head may take on HTTP/1.1.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Silent connections are asked whether they live …
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(30);
/// … and closed when they do not answer in time.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes that a connection may send before somebody reads them: what a request that is told to slow
/// down, or that waits to be read, holds at most.
const WINDOW_BYTES: u32 = 64 * 1024;
/// Requests at once on one connection: a terminal needs one, and one more while a poll is held.
const STREAMS_MAX: u32 = 8;
/// Most bytes of a request's head.
const HEAD_BYTES_MAX: u32 = 16 * 1024;
/// Connections without a certificate at once: they may enrol and nothing else.
const STRANGERS_MAX: usize = 256;
/// How long a connection without a certificate may last: an enrolment takes a second.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests have to end once the service stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause after the system refuses to accept (no file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// TLS that cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The CA's certificate is of no use as a root.
    #[error("the CA's certificate cannot be used")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// The certificate and the key do not fit.
    #[error("the server's certificate cannot be used")]
    Certificate(#[from] rustls::Error),
}

/// Sets TLS up: version 1.3 alone, a client certificate asked for and verified against our CA alone.
///
/// # Errors
/// [`TlsError`].
pub fn tls(ca: &CertificateAuthority, server: ServerIdentity) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(server.chain, server.key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// What the accept loop needs.
#[derive(Debug)]
pub struct Listener {
    /// The bound socket.
    pub socket: TcpListener,
    /// TLS; a renewed certificate arrives as a new value. Without it, connections are plain: for
    /// loopback alone.
    pub tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    /// Whether who shows no certificate may stay, since every request shows who it is from.
    pub strangers_stay: bool,
    /// Most connections at once.
    pub connections_max: usize,
    /// What it counts.
    pub metrics: Arc<ListenerMetrics>,
    /// True once the service ends.
    pub stopping: watch::Receiver<bool>,
}

/// Binds a socket that listens.
///
/// # Errors
/// What the system says.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // As `TcpListener::bind` does: a restart must not wait for the system to forget connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

/// Serves connections until the service ends, then lets open requests finish within
/// [`DRAIN_TIMEOUT`].
pub async fn run(listener: Listener, router: Router) {
    let Listener {
        socket,
        tls,
        strangers_stay,
        connections_max,
        metrics,
        mut stopping,
    } = listener;
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let places = Arc::new(Semaphore::new(connections_max));
    let strangers = (!strangers_stay).then(|| Arc::new(Semaphore::new(STRANGERS_MAX)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = stopping.wait_for(|stopping| *stopping) => break,
            // Ended connections are taken off the set as they end.
            Some(_ended) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics.full.count();
            tracing::warn!(%address, "a connection was closed: there are too many");
            continue;
        };
        let tls = tls
            .as_ref()
            .map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
        let (router, stopping) = (router.clone(), stopping.clone());
        let strangers = strangers.clone();
        let (metrics, handshakes) = (Arc::clone(&metrics), Arc::clone(&handshakes));
        connections.spawn(async move {
            let _place = place;
            let _open = metrics.connections.enter();
            // Latency matters here; a socket that refuses is about to fail anyway.
            stream.set_nodelay(true).unwrap_or_default();
            let served = match tls {
                Some(tls) => {
                    let met = shake_hands(stream, tls, &handshakes, &metrics).await;
                    match met {
                        Ok(stream) => {
                            meet(stream, address, strangers, &metrics, router, stopping).await
                        }
                        Err(error) => {
                            metrics.handshake.count();
                            Err(error.into())
                        }
                    }
                }
                None => serve(stream, Peer::plain(address), router, stopping).await,
            };
            if let Err(error) = served {
                tracing::debug!(%address, %error, "a connection ended");
            }
        });
    }
    drop(socket);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        tracing::warn!("requests were cut off: they took too long to end");
    }
}

type ConnectionError = Box<dyn std::error::Error + Send + Sync>;

fn timed_out<E>(_elapsed: E) -> io::Error {
    io::Error::from(io::ErrorKind::TimedOut)
}

async fn shake_hands(
    stream: TcpStream,
    tls: TlsAcceptor,
    handshakes: &Semaphore,
    metrics: &ListenerMetrics,
) -> io::Result<TlsStream<TcpStream>> {
    let waiting = metrics.handshakes_waiting.enter();
    // Without a turn in time it goes on all the same.
    let turn = tokio::time::timeout(HANDSHAKE_TURN_WAIT, handshakes.acquire()).await;
    drop(waiting);
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
    drop(turn);
    shaken.map_err(timed_out)?
}

async fn meet(
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    strangers: Option<Arc<Semaphore>>,
    metrics: &ListenerMetrics,
    router: Router,
    stopping: watch::Receiver<bool>,
) -> Result<(), ConnectionError> {
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(identity::shown);
    let strangers = strangers.filter(|_| certificate.is_none());
    let peer = Peer {
        address,
        certificate,
    };
    let served = serve(stream, peer, router, stopping);
    let Some(strangers) = strangers else {
        return served.await;
    };
    let _stranger = strangers.try_acquire().inspect_err(|_| {
        metrics.strangers.count();
    })?;
    let served = tokio::time::timeout(STRANGER_TIMEOUT, served).await;
    served.map_err(timed_out)?
}

async fn serve<S>(
    stream: S,
    peer: Peer,
    router: Router,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().call(request)
    });
    let builder = http();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_header_list_size(HEAD_BYTES_MAX);
    builder
}
