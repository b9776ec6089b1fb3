//! A central in memory, on loopback TLS: enough of it to try the terminal's side.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use tillbind_protocol::chain::{ChainHash, Mark};
use tillbind_protocol::dictionary::{Dictionary, UNKNOWN_DICTIONARY};
use tillbind_protocol::enrol::{self, EnrolRequest, EnrolResponse, Refusal, Token};
use tillbind_protocol::exchange::{self, ExchangeRequest, ExchangeResponse, Verdict};
use tillbind_protocol::ids::{Epoch, Seq};
use tillbind_protocol::intake::{Known, decide};
use tillbind_protocol::member_code::KeySet;
use tillbind_protocol::replica::Page;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::pinned_ca::fingerprint;
use super::tls::provider;
use crate::clock;

/// How long the fake holds a poll: short, so that a test's change is seen soon.
const HOLD: Duration = Duration::from_millis(100);

/// What central holds.
#[derive(Default)]
pub(crate) struct Held {
    used: HashSet<String>,
    pub(crate) streams: BTreeMap<Epoch, (Mark, BTreeMap<Seq, ChainHash>)>,
    pub(crate) records: Vec<String>,
    pub(crate) page: Option<Page>,
    pub(crate) keys: KeySet,
    pub(crate) refuse: Option<String>,
    /// The dictionary that it hands out and unpacks with.
    pub(crate) dictionary: Option<Dictionary>,
    /// The dictionaries that requests were packed with; 0 for none.
    pub(crate) packed_with: Vec<u32>,
    pub(crate) renewals: u32,
    /// Every exchange's request.
    pub(crate) requests: Vec<Value>,
    /// Places that it was told to pass.
    pub(crate) gaps: Vec<(Seq, Seq)>,
    /// Records that it was shown before their turn.
    pub(crate) express: Vec<String>,
    /// Whether it is a central of version 1: it knows nothing of a later one, and answers with the
    /// bytes of its golden file.
    pub(crate) is_of_version_1: bool,
    /// Answers so many exchanges with HTTP 503.
    pub(crate) fails: u32,
    /// Longest request that it takes, in bytes of JSON.
    pub(crate) request_bytes_max: Option<usize>,
    /// How long it sits on a request with more than so many events.
    pub(crate) slow_beyond: Option<(usize, Duration)>,
}

pub(crate) struct FakeCentral {
    pub(crate) url: String,
    pub(crate) ca_sha256: String,
    pub(crate) held: Arc<Mutex<Held>>,
}

#[derive(Clone)]
struct Served {
    ca: Arc<CertifiedIssuer<'static, KeyPair>>,
    held: Arc<Mutex<Held>>,
}

impl FakeCentral {
    pub(crate) async fn start() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let server = server.signed_by(&key, &ca).unwrap();
        let ca_der: CertificateDer<'static> = ca.der().clone();
        let ca_sha256 = fingerprint(&ca_der);
        let mut roots = RootCertStore::empty();
        roots.add(ca_der.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut tls = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.der().clone(), ca_der], key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let held = Arc::new(Mutex::new(Held::default()));
        let served = Served {
            ca: Arc::new(ca),
            held: Arc::clone(&held),
        };
        let router = Router::new()
            .route(enrol::PATH, post(take_enrolment))
            .route(enrol::RENEW_PATH, post(take_renewal))
            .route(exchange::PATH, post(take_exchange))
            .with_state(served);
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), router));
        Self {
            url,
            ca_sha256,
            held,
        }
    }

    pub(crate) fn token(&self, secret: &str) -> String {
        let token = Token {
            url: self.url.clone(),
            ca_sha256: self.ca_sha256.clone(),
            secret: secret.to_owned(),
        };
        token.encode().unwrap()
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            // A client that does not trust this CA goes away again.
            let Ok(tls) = acceptor.accept(socket).await else {
                return;
            };
            let service = TowerToHyperService::new(router);
            let connection = auto::Builder::new(TokioExecutor::new());
            let _ended = connection
                .serve_connection(TokioIo::new(tls), service)
                .await
                .is_ok();
        });
    }
}

async fn take_enrolment(
    State(served): State<Served>,
    Json(request): Json<EnrolRequest>,
) -> Response {
    if !served
        .held
        .lock()
        .unwrap()
        .used
        .insert(request.secret.clone())
    {
        let refusal = Refusal {
            error: "token_used".into(),
            message: "the token was used before: make a new one".into(),
            versions: None,
        };
        return (StatusCode::CONFLICT, Json(refusal)).into_response();
    }
    certified(&served, &request)
}

async fn take_renewal(State(served): State<Served>, Json(request): Json<EnrolRequest>) -> Response {
    served.held.lock().unwrap().renewals += 1;
    certified(&served, &request)
}

fn certified(served: &Served, request: &EnrolRequest) -> Response {
    let csr = CertificateSigningRequestParams::from_pem(&request.csr_pem).unwrap();
    let certificate = csr.signed_by(&*served.ca).unwrap();
    Json(EnrolResponse {
        terminal: "t1".parse().unwrap(),
        store: "s1".parse().unwrap(),
        workstation: "w1".parse().unwrap(),
        certificate_pem: certificate.pem(),
        ca_pem: served.ca.pem(),
    })
    .into_response()
}

/// What an exchange is refused with, if it is.
fn turned_away(held: &mut Held, request: &ExchangeRequest, bytes: usize) -> Option<Response> {
    if held.fails > 0 {
        held.fails -= 1;
        return Some((StatusCode::SERVICE_UNAVAILABLE, "away").into_response());
    }
    if held.is_of_version_1 && request.v != 1 {
        // The bytes of that version's refusal: it does not say what it reads.
        let words = "{\"error\":\"version\",\"message\":\"the terminal speaks version 2, headquarters 1 to \
                     1: update whichever is older\"}";
        let json = [(header::CONTENT_TYPE, "application/json")];
        return Some((StatusCode::UPGRADE_REQUIRED, json, words).into_response());
    }
    if held.request_bytes_max.is_some_and(|most| bytes > most) {
        return Some((StatusCode::PAYLOAD_TOO_LARGE, "<html>too large</html>").into_response());
    }
    None
}

/// Writes an answer over the bytes that a central of version 1 wrote.
fn of_version_1(response: &ExchangeResponse) -> Vec<u8> {
    let golden = include_str!("../../../protocol/tests/golden/exchange-response-ok.v1.json");
    let mut answer: Value = serde_json::from_str(golden).unwrap();
    answer["acked"] = serde_json::to_value(response.acked).unwrap();
    answer["verdict"] = serde_json::to_value(&response.verdict).unwrap();
    answer["received_ms"] = response.received_ms.into();
    answer["sent_ms"] = response.sent_ms.into();
    serde_json::to_vec(&answer).unwrap()
}

async fn take_exchange(State(served): State<Served>, body: Bytes) -> Response {
    let received_ms = clock::wall().timestamp_millis();
    let dictionary = served.held.lock().unwrap().dictionary.clone();
    let packed_with = zstd::zstd_safe::get_dict_id_from_frame(&body).map_or(0, u32::from);
    served.held.lock().unwrap().packed_with.push(packed_with);
    let bytes = match &dictionary {
        _ if packed_with == 0 => &[][..],
        Some(dictionary) if dictionary.id == packed_with => &dictionary.bytes,
        Some(_) | None => {
            let refusal = Refusal {
                error: UNKNOWN_DICTIONARY.into(),
                message: "send without it".into(),
                versions: None,
            };
            return (StatusCode::CONFLICT, Json(refusal)).into_response();
        }
    };
    let mut unpacker = zstd::bulk::Decompressor::with_dictionary(bytes).unwrap();
    let body = unpacker
        .decompress(&body, exchange::REQUEST_BYTES_MAX)
        .unwrap();
    let request: ExchangeRequest = serde_json::from_slice(&body).unwrap();
    let events = request.batch.as_ref().map_or(0, |batch| batch.events.len());
    let held_up = served.held.lock().unwrap().slow_beyond;
    if let Some((_, delay)) = held_up.filter(|(most, _)| events > *most) {
        tokio::time::sleep(delay).await;
    }
    if request.wait_ms > 0 {
        tokio::time::sleep(HOLD).await;
    }
    let mut held = served.held.lock().unwrap();
    held.requests.push(serde_json::from_slice(&body).unwrap());
    if let Some(refused) = turned_away(&mut held, &request, body.len()) {
        return refused;
    }
    if let Some(reason) = held.refuse.clone() {
        let refusal = Refusal {
            error: "revoked".into(),
            message: reason,
            versions: None,
        };
        return (StatusCode::FORBIDDEN, Json(refusal)).into_response();
    }
    let stream = held.streams.get(&request.epoch).cloned();
    let (stored, chains) = stream.unzip();
    let mut chains = chains.unwrap_or_default();
    let known = Known {
        watermark: stored.as_ref(),
        chains: &chains,
        fillers: &BTreeSet::new(),
        forks: &[],
    };
    let decision = decide(&known, &request);
    let gaps = decision.gaps.iter().map(|gap| (gap.from, gap.to));
    held.gaps.extend(gaps);
    let shown = request
        .express
        .iter()
        .map(|one| one.record.get().to_owned());
    held.express.extend(shown);
    for one in &decision.accepted {
        held.records.push(one.record.to_owned());
        chains.insert(one.mark.seq, one.mark.chain);
    }
    let (verdict, acked): (Verdict, Mark) = (decision.verdict, decision.acked);
    if let Some(mark) = decision.watermark {
        held.streams.insert(request.epoch, (mark, chains));
    }
    let page = held.page.clone().filter(|page| page.from == request.cursor);
    let keys = (held.keys.version > request.keys).then(|| held.keys.clone());
    let response = ExchangeResponse {
        v: request.v,
        verdict,
        acked,
        page,
        keys,
        dictionary: dictionary.filter(|held| held.id != request.dictionary),
        received_ms,
        sent_ms: clock::wall().timestamp_millis(),
    };
    let body = if held.is_of_version_1 {
        of_version_1(&response)
    } else {
        serde_json::to_vec(&response).unwrap()
    };
    let body = zstd::bulk::compress(&body, 3).unwrap();
    ([(header::CONTENT_ENCODING, "zstd")], body).into_response()
}
