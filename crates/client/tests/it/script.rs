//! A server that plays back answers and keeps the requests.

use std::sync::{Arc, Mutex};

use client::{Client, Options};
use crypto::secret::SecretText;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Plays one answer per connection, the last one for ever; an empty answer hangs up.
pub(crate) async fn play(answers: &[&str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let answers = answers.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let mut turn = 0;
    serve(move |_| {
        turn += 1;
        answers[(turn - 1).min(answers.len() - 1)].clone()
    })
    .await
}

/// Answers each connection's request with what `answer` makes of it.
pub(crate) async fn serve(
    mut answer: impl FnMut(&str) -> String + Send + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            let answer = answer(&request);
            kept.lock().unwrap().push(request);
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (addr, seen)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let got = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..got]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|l| l.strip_prefix("content-length: ")?.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return String::from_utf8_lossy(&bytes).into_owned();
            }
        }
        if got == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

/// An answer with this status line, headers and body, after which the connection closes.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A problem of this class.
pub(crate) fn problem(status: u16, class: &str, headers: &str) -> String {
    let body = format!(
        r#"{{"type":"urn:aumbry:error:x.y","title":"x","status":{status},"code":"x.y","class":"{class}","detail":"d","hint":"h","request_id":"r1"}}"#
    );
    answer(&format!("{status} X"), &format!("content-type: application/problem+json\r\n{headers}"), &body)
}

/// A client with a token, for this address.
pub(crate) fn client(addr: &str) -> Client {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = Options::new(addr);
    options.token = Some(SecretText::new("aum_ses_canary".to_owned()));
    options.answer_bytes_max = 4096;
    Client::new(options).unwrap()
}

/// Value of a header in a request as it came.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
