//! One keep-alive connection of HTTP/1.1 over TLS 1.3, as lean as a generator must be: whole requests out, whole answers in.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Fail;

/// A server to talk to and the certificate it has to show.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Peer {
    /// Trusts exactly the certificates in the PEM file.
    pub(crate) fn new(address: SocketAddr, certificates: &Path) -> Result<Self, Fail> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(certificates)? {
            roots.add(certificate?)?;
        }
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { address, tls: Arc::new(tls) })
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// The head of an answer; its body is read and counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    /// Status code.
    pub(crate) status: u16,
    body_at: usize,
    body_bytes: usize,
}

impl Link {
    /// Dials and shakes hands.
    pub(crate) async fn open(peer: &Peer) -> io::Result<Self> {
        let socket = TcpStream::connect(peer.address).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::IpAddress(peer.address.ip().into());
        let stream = TlsConnector::from(Arc::clone(&peer.tls)).connect(name, socket).await?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024] })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let mut filled = 0;
        let mut head = None;
        loop {
            if filled == self.buffer.len() {
                self.buffer.resize(filled * 2, 0);
            }
            let got = self.stream.read(&mut self.buffer[filled..]).await?;
            if got == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            filled += got;
            if head.is_none() {
                head = parse(&self.buffer[..filled])?;
            }
            if let Some(answer) = head.filter(|a| filled >= a.body_at + a.body_bytes) {
                return Ok(answer);
            }
        }
    }

    /// The body of the answer that was read last.
    pub(crate) fn body(&self, answer: Answer) -> &[u8] {
        &self.buffer[answer.body_at..answer.body_at + answer.body_bytes]
    }
}

/// The text of a whole request; the headers prove who asks.
pub(crate) fn request(method: &str, route: &str, headers: &[(&str, &str)], body: Option<&str>) -> String {
    let mut text = format!("{method} {route} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n");
    for (name, value) in headers {
        text.extend([name, ": ", value, "\r\n"]);
    }
    if let Some(body) = body {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text
}

/// One request on a connection of its own.
pub(crate) fn ask(peer: &Peer, request: &[u8]) -> Result<(u16, Vec<u8>), Fail> {
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut link = Link::open(peer).await?;
        let answer = link.ask(request).await?;
        Ok((answer.status, link.body(answer).to_vec()))
    })
}

/// The head, once it is complete. An answer says its length: a chunked one is refused.
fn parse(seen: &[u8]) -> io::Result<Option<Answer>> {
    let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let head = std::str::from_utf8(&seen[..end]).map_err(|_| bad("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
    let status: u16 = status.ok_or_else(|| bad("no status line"))?;
    let mut body_bytes = if status == 204 { Some(0) } else { None };
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            body_bytes = value.trim().parse().ok();
        }
    }
    let body_bytes = body_bytes.ok_or_else(|| bad("the answer does not say its length"))?;
    Ok(Some(Answer { status, body_at: end + 4, body_bytes }))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap().is_none());
        let answer = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab").unwrap().unwrap();
        assert_eq!((answer.status, answer.body_bytes), (200, 3));
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
