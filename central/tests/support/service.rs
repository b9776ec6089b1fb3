//! A running service with its listener, and clients with and without certificates.

use std::time::Duration;

use reqwest::{Certificate, Client, Identity, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tillbind_central::config::Config;
use tillbind_central::serve::{self, Central, ServeError};
use tillbind_protocol::enrol::{self, EnrolRequest, EnrolResponse, Refusal};
use tillbind_protocol::exchange::{self, ExchangeRequest, ExchangeResponse};
use tillbind_protocol::ids::{StoreId, TerminalId, WorkstationId};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A service in this process.
pub(crate) struct Service {
    pub(crate) central: Central,
    pub(crate) base: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServeError>>,
    _dir: tempfile::TempDir,
}

impl Service {
    /// Starts a service over a database, by its address or `sqlite`.
    pub(crate) async fn start(database: &str) -> Self {
        Self::start_with(database, "").await
    }

    /// Starts a service with more settings of its `[sync]` section.
    pub(crate) async fn start_with(database: &str, sync: &str) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "data_dir = {:?}\ndatabase = {database:?}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [sync]\nlisten = \"127.0.0.1:0\"\n{sync}\n",
            dir.path()
        );
        let config = Config::parse(&dir.path().join("central.toml"), &text).unwrap();
        let central = Central::open(config).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = serve::run(central.clone(), async {
            let _dropped_or_sent = stopped.await;
        });
        let running = tokio::spawn(serving);
        let address = loop {
            if let Some(address) = central.data_dir.read("sync.addr").unwrap() {
                break address;
            }
            assert!(!running.is_finished(), "the service did not start");
            tokio::task::yield_now().await;
        };
        Self {
            base: format!("https://{}", address.trim()),
            central,
            stop,
            running,
            _dir: dir,
        }
    }

    /// Stops it and returns how long that took.
    pub(crate) async fn stop(self) -> Duration {
        let began_ms = tillbind_central::clock::now_ms();
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
        let took_ms = tillbind_central::clock::now_ms() - began_ms;
        Duration::from_millis(u64::try_from(took_ms).unwrap())
    }

    pub(crate) fn client(&self, identity: Option<&str>) -> Client {
        let root = Certificate::from_pem(self.central.ca.certificate_pem().as_bytes()).unwrap();
        let mut builder = Client::builder()
            .tls_certs_only([root])
            .timeout(Duration::from_secs(20));
        if let Some(pem) = identity {
            builder = builder.identity(Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap()
    }

    /// Enrols a till and returns who it is and its certificate with key.
    pub(crate) async fn enrol(&self, workstation: &str) -> (EnrolResponse, String) {
        self.enrol_on("machine-1", workstation).await
    }

    /// Enrols a till on a machine of its own.
    pub(crate) async fn enrol_on(
        &self,
        machine: &str,
        workstation: &str,
    ) -> (EnrolResponse, String) {
        let token = tillbind_central::enrolment::NewToken {
            store: StoreId::new("S1").unwrap(),
            workstation: WorkstationId::new(workstation).unwrap(),
            life_ms: 60_000,
            url: self.base.clone(),
        };
        let now_ms = tillbind_central::clock::now_ms();
        let (store, ca) = (&self.central.store, &self.central.ca);
        let token = tillbind_central::enrolment::create_token(store, ca, &token, "cli:t", now_ms);
        let secret = token.await.unwrap().secret;
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default();
        let request = EnrolRequest {
            secret,
            csr_pem: csr.serialize_request(&key).unwrap().pem().unwrap(),
            machine: machine.into(),
            version: "0.1.0".into(),
        };
        let given = self.post(&self.client(None), enrol::PATH, &request).await;
        let given: EnrolResponse = taken(given).await;
        let pem = format!("{}{}", given.certificate_pem, key.serialize_pem());
        (given, pem)
    }

    pub(crate) async fn post<T: Serialize>(&self, with: &Client, path: &str, body: &T) -> Response {
        self.try_post(with, path, body).await.unwrap()
    }

    pub(crate) async fn try_post<T: Serialize>(
        &self,
        with: &Client,
        path: &str,
        body: &T,
    ) -> reqwest::Result<Response> {
        let packed = zstd::bulk::compress(&serde_json::to_vec(body).unwrap(), 3).unwrap();
        let request = with
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(packed);
        request.send().await
    }

    /// Posts an exchange whose body is packed already.
    pub(crate) async fn post_packed(&self, with: &Client, packed: Vec<u8>) -> Response {
        let request = with
            .post(format!("{}{}", self.base, exchange::PATH))
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(packed);
        request.send().await.unwrap()
    }

    pub(crate) async fn exchange(
        &self,
        with: &Client,
        request: &ExchangeRequest,
    ) -> ExchangeResponse {
        taken(self.post(with, exchange::PATH, request).await).await
    }

    pub(crate) async fn revoke(&self, terminal: &TerminalId) {
        let store = &self.central.store;
        let revoked = tillbind_central::terminals::revoke(store, terminal, "cli:t", 1);
        assert!(revoked.await.unwrap());
    }
}

/// Reads an answer that must be a success, compressed as the request was.
pub(crate) async fn taken<T: DeserializeOwned>(response: Response) -> T {
    let status = response.status();
    let packed = response.headers().get("content-encoding").cloned();
    let body = response.bytes().await.unwrap();
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    assert_eq!(packed.unwrap(), "zstd");
    let json = zstd::bulk::decompress(&body, 8 * 1024 * 1024).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Reads an answer that must be a refusal.
pub(crate) async fn refused(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let refusal: Refusal = response.json().await.unwrap();
    assert!(!refusal.message.is_empty());
    (status, refusal.error)
}
