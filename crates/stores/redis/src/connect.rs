//! A few connections that come back by themselves.

use crate::address::Address;
use crate::fault::Fault;
use crate::fit;
use crate::script::Scripts;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use storage::{Cause, ConnectError, ConnectReason, RemoteOptions};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

/// After a failed attempt others in this time are answered with its error.
const PAUSE: Duration = Duration::from_millis(100);
/// Commands of one connection that wait to be written.
const BACKLOG: usize = 1024;

/// Makes connections to one server.
pub(crate) struct Dialer {
    pub(crate) address: Address,
    tls: Option<TlsConnector>,
    accept_loss: bool,
    pub(crate) scripts: Scripts,
}

impl Dialer {
    pub(crate) fn new(address: Address, options: &RemoteOptions) -> Result<Dialer, ConnectError> {
        let tls = if address.tls { Some(connector(options.authorities.as_deref())?) } else { None };
        Ok(Dialer { address, tls, accept_loss: options.accept_loss, scripts: Scripts::new() })
    }

    /// Connects, logs in, checks the server and hands it the scripts.
    pub(crate) async fn dial(&self) -> Result<Link, ConnectError> {
        let place = self.address.place();
        let unreachable = |what: String| ConnectError {
            reason: ConnectReason::Unreachable,
            what: format!("the Redis server at {place} cannot be reached: {what}"),
            hint: "see that it runs and listens there, and that nothing between drops connections".to_owned(),
        };
        let socket = TcpStream::connect((self.address.host.as_str(), self.address.port))
            .await
            .map_err(|error| unreachable(error.to_string()))?;
        socket.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let (mut connection, driver) = match &self.tls {
            None => self.login(socket).await?,
            Some(tls) => {
                let name = ServerName::try_from(self.address.host.clone())
                    .map_err(|_| unreachable("its name is none that a certificate could have".to_owned()))?;
                let stream = tls.connect(name, socket).await.map_err(|error| unreachable(error.to_string()))?;
                self.login(stream).await?
            }
        };
        fit::check(&mut connection, &place, self.accept_loss).await?;
        let written = [&self.scripts.commit, &self.scripts.apply];
        let scripts = written
            .iter()
            .flat_map(|both| [&both.usual, &both.sparing])
            .chain([&self.scripts.scan, &self.scripts.rows]);
        for script in scripts {
            script
                .load_async(&mut connection)
                .await
                .map_err(|error| unreachable(format!("{:?}", Fault::of(&error))))?;
        }
        Ok(Link { connection, driver: Arc::new(driver) })
    }

    async fn login<S>(&self, stream: S) -> Result<(MultiplexedConnection, Driver), ConnectError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(BACKLOG);
        let made = MultiplexedConnection::new_with_config(&self.address.login, stream, config).await;
        let (connection, driver) = made.map_err(|error| self.no_login(&error))?;
        Ok((connection, Driver(tokio::spawn(driver))))
    }

    fn no_login(&self, error: &RedisError) -> ConnectError {
        let place = self.address.place();
        let reason = ConnectReason::Unreachable;
        if matches!(error.kind(), ErrorKind::AuthenticationFailed)
            || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
        {
            let hint = "look at user and password in storage.connection".to_owned();
            return ConnectError { reason, what: format!("the Redis server at {place} refuses the login"), hint };
        }
        ConnectError {
            reason,
            what: format!("the Redis server at {place} did not take the login: {}", Fault::of(error).read()),
            hint: "see that this is a Redis server, whether it wants TLS (rediss://), and that it has this database"
                .to_owned(),
        }
    }
}

fn connector(authorities: Option<&Path>) -> Result<TlsConnector, ConnectError> {
    let wrong = |what: String, hint: &str| ConnectError { reason: ConnectReason::Invalid, what, hint: hint.to_owned() };
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let hint = "name a file of PEM certificates in storage.authorities";
            let named = |error: &dyn std::fmt::Display| wrong(format!("{}: {error}", path.display()), hint);
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| named(&error))? {
                roots.add(certificate.map_err(|error| named(&error))?).map_err(|error| named(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(wrong(
            "no authority is trusted for TLS".to_owned(),
            "name a file of PEM certificates in storage.authorities",
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string(), "report this"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The task that moves bytes; it ends with the last that holds the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An open connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    driver: Arc<Driver>,
}

impl Link {
    fn is_up(&self) -> bool {
        !self.driver.0.is_finished()
    }
}

/// A place for one connection.
#[derive(Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    failed: Option<(Instant, String)>,
}

impl Slot {
    pub(crate) fn holding(link: Link) -> Slot {
        Slot { state: Mutex::new(State { link: Some(link), failed: None }) }
    }

    /// The connection, made again if it is gone.
    pub(crate) async fn link(&self, dialer: &Dialer) -> Result<Link, Fault> {
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.as_ref().filter(|link| link.is_up()) {
            return Ok(link.clone());
        }
        state.link = None;
        if let Some((at, what)) = &state.failed
            && at.elapsed() < PAUSE
        {
            return Err(Fault::Unsent(what.clone()));
        }
        match dialer.dial().await {
            Ok(link) => {
                state.failed = None;
                state.link = Some(link.clone());
                Ok(link)
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error.what.clone()));
                let cause = Cause::Unreachable(error.what);
                Err(Fault::Refused(cause))
            }
        }
    }

    /// Lets a connection go, so that the next call makes another.
    pub(crate) async fn drop_link(&self, spent: &Link) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|link| Arc::ptr_eq(&link.driver, &spent.driver)) {
            state.link = None;
        }
    }
}
