//! HTTP/2 frames that no honest client sends, written byte by byte.

use crate::house::{House, start};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), body].concat()
}

/// `GET /` or `POST /` at this host, without any state in the compression table.
fn head(post: bool) -> Vec<u8> {
    let host = b"localhost";
    [&[if post { 0x83 } else { 0x82 }, 0x87, 0x84, 0x01, u8::try_from(host.len()).unwrap()], host.as_slice()].concat()
}

/// A connection that speaks HTTP/2, after the settings of both sides.
async fn connect(house: &House) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = rustls::pki_types::CertificateDer::from_pem_file(&house.authority).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(house.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    let hello = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&hello).await.unwrap();
    stream.write_all(&frame(SETTINGS, ACK, 0, &[])).await.unwrap();
    stream
}

/// How a flood ended.
#[derive(Debug)]
struct Ended {
    /// The server said goodbye or hung up.
    closed: bool,
    /// Bytes it took before that, or before it took no more.
    taken: usize,
}

/// Writes `burst` again and again, up to a bound, until the server ends the connection or takes no more.
async fn flood(stream: TlsStream<TcpStream>, mut burst: impl FnMut(u32) -> Vec<u8>, reads: bool) -> Ended {
    let (mut from, mut to) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        loop {
            if !reads {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            let mut chunk = [0; 16 << 10];
            match from.read(&mut chunk).await {
                Ok(0) | Err(_) => return true,
                Ok(count) => all.extend_from_slice(&chunk[..count]),
            }
            while let Some(&[a, b, c, kind, ..]) = all.get(..9) {
                let length = u32::from_be_bytes([0, a, b, c]) as usize + 9;
                if kind == GOAWAY {
                    return true;
                }
                if all.len() < length {
                    break;
                }
                all.drain(..length);
            }
        }
    });
    let mut taken = 0;
    for round in 0..FLOOD_BURSTS {
        let bytes = burst(round);
        match tokio::time::timeout(Duration::from_secs(2), to.write_all(&bytes)).await {
            Ok(Ok(())) => taken += bytes.len(),
            Ok(Err(_)) => return Ended { closed: true, taken },
            Err(_stuck) => break,
        }
        if reading.is_finished() {
            break;
        }
    }
    let closed = tokio::time::timeout(Duration::from_secs(5), reading).await;
    Ended { closed: matches!(closed, Ok(Ok(true))), taken }
}

const FLOOD_BURSTS: u32 = 2000;

/// Pages of this process that are in memory, in MiB.
fn resident_mib() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() / 256
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_11_floods_of_frames_end_the_connection_in_bounded_memory() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let odd = |n: u32| n * 2 + 1;
    let before = resident_mib();

    let mut honest = connect(&house).await;
    honest.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &head(false))).await.unwrap();
    let mut all = Vec::new();
    while !all.windows(5).any(|window| window[0] == HEADERS && window[1] & END_HEADERS != 0 && window[2..] == [0, 0, 0])
    {
        let mut chunk = [0; 1024];
        let count = tokio::time::timeout(Duration::from_secs(5), honest.read(&mut chunk)).await.unwrap().unwrap();
        assert!(count > 0, "control: a request by an honest client is answered");
        all.extend_from_slice(&chunk[..count]);
    }

    let resets = |round: u32| -> Vec<u8> {
        let each = |n: u32| {
            let stream = odd(round * 100 + n);
            let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(false));
            [open, frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
        };
        (0..100).flat_map(each).collect()
    };
    let ended = flood(connect(&house).await, resets, true).await;
    assert!(ended.closed, "requests taken back at once: {ended:?}");

    let endless = |round: u32| -> Vec<u8> {
        // Header after header, none of them the last.
        let lines: Vec<u8> =
            (0..64).flat_map(|_| [&[0x00, 3], b"x-a".as_slice(), &[100], &[b'a'; 100]].concat()).collect();
        match round {
            0 => [frame(HEADERS, 0, 1, &head(false)), frame(CONTINUATION, 0, 1, &lines)].concat(),
            _ => frame(CONTINUATION, 0, 1, &lines),
        }
    };
    let ended = flood(connect(&house).await, endless, true).await;
    assert!(ended.closed && ended.taken < 2 << 20, "headers without end: {ended:?}");

    let pings = |_: u32| frame(PING, 0, 0, &[0; 8]).repeat(200);
    let ended = flood(connect(&house).await, pings, false).await;
    assert!(ended.closed || ended.taken < 8 << 20, "pings whose answers nobody reads: {ended:?}");

    let empty = |round: u32| {
        let open = frame(HEADERS, END_HEADERS, 1, &head(true));
        [if round == 0 { open } else { Vec::new() }, frame(DATA, 0, 1, &[]).repeat(200)].concat()
    };
    let ended = flood(connect(&house).await, empty, true).await;
    assert!(ended.closed, "data frames without data: {ended:?}");

    let settings = |_: u32| frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]).repeat(200);
    let ended = flood(connect(&house).await, settings, false).await;
    assert!(ended.closed || ended.taken < 8 << 20, "settings over and over: {ended:?}");

    let grown = resident_mib().saturating_sub(before);
    assert!(grown < 64, "{grown} MiB more than before");
    let answer = house.owner("GET", "/api/v1/sessions/self", Value::Null).await;
    assert_eq!(answer.status, 200, "others are served: {answer:?}");
    house.stop().await;
}
