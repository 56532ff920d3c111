//! Raw sockets against a real listener with a door that only knows a body.

use super::*;
use crate::clock::SystemClock;
use crate::tls::OwnCertificates;
use http_body_util::{BodyExt, Full};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

#[derive(Clone)]
struct Echo;

impl Answer for Echo {
    type Body = Full<Bytes>;

    async fn answer(&self, request: Request<Incoming>, _peer: SocketAddr) -> Response<Full<Bytes>> {
        if request.uri().path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Response::new(Full::new(body))
    }
}

struct Running {
    address: SocketAddr,
    connector: TlsConnector,
    counts: Arc<Connections>,
    stop: watch::Sender<bool>,
    served: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn short() -> Limits {
    let ms = Duration::from_millis;
    Limits { handshake_max: ms(300), header_max: ms(300), idle_max: ms(300), stall_max: ms(300), ..Limits::default() }
}

async fn start(limits: Limits) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let files = OwnCertificates::new(folder.path().join("tls"), &[]).ready(&SystemClock::new()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.authority.clone().unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener =
        Listener::bind("127.0.0.1:0".parse().unwrap(), Identity::load(files).unwrap(), limits).await.unwrap();
    let (address, counts) = (listener.address().unwrap(), Arc::new(Connections::default()));
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(listener.serve(Echo, Arc::clone(&counts), stopped, Duration::from_secs(5)));
    Running { address, connector: TlsConnector::from(Arc::new(config)), counts, stop, served, _folder: folder }
}

impl Running {
    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        all_of(&mut stream).await
    }

    async fn healthy(&self) {
        let answer =
            self.exchange(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok"), "{answer}");
    }
}

/// Everything until the server closes; a close without notice counts as one.
async fn all_of(stream: &mut TlsStream<TcpStream>) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.expect("never closed");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn http_09_slow_handshakes_and_headers_are_closed_while_others_are_served() {
    let server = start(short()).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    server.healthy().await;
    for stream in &mut slow {
        assert_eq!(all_of(stream).await, "");
    }
    for mut stream in silent {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut byte)).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)));
    }
    assert_eq!(server.counts.open(), 0);
    assert_eq!(server.counts.refused_handshakes(), 50);
    server.healthy().await;
}

#[tokio::test]
async fn http_09_a_client_that_speaks_http_2_and_stays_silent_is_closed() {
    let server = start(short()).await;
    let mut config = (**server.connector.config()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap();
    all_of(&mut stream).await;
    server.healthy().await;
}

#[tokio::test]
async fn http_10_headers_past_size_or_number_are_431() {
    let server = start(Limits::default()).await;
    let request = |headers: &str| format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
    let value = "x".repeat(15 << 10);
    for (headers, status) in [
        (format!("a: {value}\r\nb: {value}\r\n"), "200"),
        (format!("a: {value}\r\nb: {value}\r\nc: {value}\r\n"), "431"),
        (format!("a: {}\r\n", "x".repeat(64 << 10)), "431"),
        ((0..98).map(|n| format!("h{n}: 1\r\n")).collect(), "200"),
        ((0..99).map(|n| format!("h{n}: 1\r\n")).collect(), "431"),
        ((0..1000).map(|n| format!("h{n}: 1\r\n")).collect(), "431"),
    ] {
        let answer = server.exchange(request(&headers).as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    server.healthy().await;
}

#[tokio::test]
async fn http_12_a_request_with_two_meanings_is_never_two_requests() {
    let server = start(Limits::default()).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\n";
    let hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
    for bad in [
        "content-length: 3\r\ncontent-length: 5\r\n\r\nabcde",
        "content-length: 3, 5\r\n\r\nabcde",
        "content-length: +3\r\n\r\nabc",
        "content-length: 0x3\r\n\r\nabc",
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "content-length: 99999999999999999999999\r\n\r\n",
        "a: b\r\n c: folded\r\n\r\n",
        "content-length : 3\r\n\r\nabc",
    ] {
        let answer = server.exchange(format!("{head}{bad}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.matches("HTTP/1.1").count() == 1, "{bad:?}: {answer}");
    }
    // With both lengths the chunked one counts, the other is dropped and the connection ends (RFC 9112 6.3).
    for both in ["content-length: 6\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 6"] {
        let answer = server.exchange(format!("{head}{both}\r\n\r\n{hidden}").as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    for chunk in ["0x3\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\nabc", "-1\r\n\r\n"] {
        let answer = server.exchange(format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}").as_bytes()).await;
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    }
    server.healthy().await;
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let server = start(short()).await;
    let stream = server.connect().await;
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/"));
}

#[tokio::test]
async fn ft_10_connections_past_the_bound_wait_until_one_is_free() {
    let server = start(Limits { connections_max: 2, ..short() }).await;
    let held = (server.connect().await, server.connect().await);
    let waiting = server.healthy();
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    drop(held);
    waiting.await;
}

#[tokio::test]
async fn ft_11_a_stop_lets_running_requests_end_and_takes_no_more() {
    let server = start(Limits::default()).await;
    let mut running = server.connect().await;
    running.write_all(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nlast").await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.stop.send(true).unwrap();
    let answer = all_of(&mut running).await;
    assert!(answer.ends_with("last") && answer.contains("connection: close"), "{answer}");
    server.served.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}
