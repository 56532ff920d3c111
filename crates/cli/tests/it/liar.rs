//! A server that lies about the access log: everything else it passes on from a real one.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use api::access::{AccessQuery, Row};
use client::{Client, Options};
use crypto::SecretText;

use crate::house::House;

/// Answers in plain HTTP on this machine until the test ends.
pub(crate) struct Liar {
    pub(crate) addr: String,
}

impl Liar {
    /// Stands between the program and the house, and changes the rows of each answer.
    pub(crate) fn start(house: &House, lie: impl Fn(&mut Vec<Row>) + Send + 'static) -> Self {
        let mut options = Options::new(house.export("AUMBRY_ADDR"));
        options.token = Some(SecretText::new(house.export("AUMBRY_TOKEN").to_owned()));
        let cacert = house.folder().join(house.export("AUMBRY_CACERT"));
        options.cacert_pem = Some(std::fs::read(cacert).unwrap());
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::new(options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = format!("http://{}", listener.local_addr().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let target = target(&stream);
                let body = runtime.block_on(pass_on(&client, &target, &lie));
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
                let kind = if target.contains("checkpoint") { "text/plain" } else { "application/json" };
                let _ = stream.write_all(format!("{head}content-type: {kind}\r\n\r\n{body}").as_bytes());
            }
        });
        Self { addr }
    }
}

/// The target in the head of a request, all of which is read.
fn target(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap_or_default();
    assert!(lines.any(|line| line.is_empty()));
    first.split(' ').nth(1).unwrap_or_default().to_owned()
}

async fn pass_on(client: &Client, target: &str, lie: &impl Fn(&mut Vec<Row>)) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let number = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} in {target}"))
    };
    match path.rsplit('/').next().unwrap() {
        "access" => {
            let secret = Some("a".to_owned());
            let query = AccessQuery { proof: true, path: secret, limit: Some(1), ..AccessQuery::default() };
            let mut rows = client.access().rows(&query).await.unwrap();
            rows.next_cursor = None;
            lie(&mut rows.items);
            serde_json::to_string(&rows).unwrap()
        }
        "checkpoint" => client.ledger().checkpoint().await.unwrap(),
        "inclusion" => {
            let proof = client.ledger().inclusion(number("index"), number("size")).await.unwrap();
            serde_json::to_string(&proof).unwrap()
        }
        "consistency" => {
            let proof = client.ledger().consistency(number("from"), number("to")).await.unwrap();
            serde_json::to_string(&proof).unwrap()
        }
        other => panic!("asked for {other}"),
    }
}
