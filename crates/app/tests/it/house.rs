//! What the tests share: an app with everything behind it, and callers of it.

use app::secret::{Edit, MetadataEdit, NewValue, Revealed, Written};
use app::{Act, App, Arrival, Authorized, Changed, Parts, Reply, Tasks};
use crypto::aead::{Aad, Key, SealKey};
use crypto::id::{KeyId, TenantId};
use crypto::seam::SealError;
use crypto::{Entropy, Seal, SecretBytes, SecretText, WallMs, sha256};
use ledger::access_log::{self, AccessLog, Chunk, Filter, Row, Shelf, Sink, SinkError, StoreSink};
use ledger::{Delay, Ledger, Opened, Path, Prefix, Refusal};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use storage::{BoxFuture, Memory, Shard, Storage, Transactions};
use testkit::clock::ManualClock;
use testkit::entropy::Seeded;

#[derive(Debug)]
struct TestSeal(Key<SealKey>);

impl Seal for TestSeal {
    fn name(&self) -> String {
        "test seal".into()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        self.0.seal(entropy, aad, secret.expose()).map_err(|_| SealError::Unavailable)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        self.0.open(aad, wrapped).map_err(|_| SealError::Mismatch)
    }
}

pub(crate) fn test_seal(byte: u8) -> Arc<dyn Seal> {
    let id = KeyId::from_bytes([byte; 8]);
    Arc::new(TestSeal(Key::from_secret(id, SecretBytes::new(vec![byte; 32])).unwrap()))
}

#[derive(Debug)]
struct Sleep;

impl Delay for Sleep {
    fn wait(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

#[derive(Debug)]
struct Spawn;

impl Tasks for Spawn {
    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }

    fn block(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
}

/// The sink of the store, with a switch that makes it fail.
#[derive(Debug)]
pub(crate) struct Switch {
    inner: StoreSink,
    pub(crate) fails: AtomicBool,
}

impl Sink for Switch {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        if self.fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(SinkError::Unavailable("switched off".into())) });
        }
        self.inner.append(chunk)
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.inner.sync()
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        self.inner.shelf()
    }
}

/// Everything behind an app.
pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) ledger: Ledger,
    pub(crate) log: AccessLog,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sink: Arc<Switch>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) home: TenantId,
    requests: AtomicU64,
    drivers: Vec<tokio::task::JoinHandle<()>>,
}

pub(crate) async fn house() -> House {
    open(Arc::new(Memory::new(Transactions::Yes)), Arc::new(ManualClock::default()), 1).await
}

pub(crate) async fn open(storage: Arc<dyn Storage>, clock: Arc<ManualClock>, seed: u64) -> House {
    let entropy = Arc::new(Seeded::new(seed));
    let Opened { ledger, drivers, .. } = ledger::open(ledger::Parts {
        storage: Arc::clone(&storage),
        shard: Shard(0),
        seal: test_seal(9),
        clock: clock.clone(),
        entropy: entropy.clone(),
        delay: Arc::new(Sleep),
        rules: vec![
            Arc::new(secrets::SecretRules),
            Arc::new(::access::AccessRules),
            Arc::new(app::keys::KeyRules),
            Arc::new(app::apply::ApplyRules),
            Arc::new(app::password_policy::PasswordPolicyRules),
            Arc::new(app::backup::BackupRules),
        ],
        cluster: "test".into(),
        cache_bytes: 1 << 20,
        sharing: None,
    })
    .await
    .unwrap();
    let drivers = drivers.into_iter().map(tokio::spawn).collect();
    let inner = StoreSink::new(Arc::clone(&storage), Shard(0), [7; 8], false);
    let sink = Arc::new(Switch { inner, fails: AtomicBool::new(false) });
    let (log, _) = AccessLog::open(access_log::Parts {
        sinks: vec![sink.clone()],
        keys: Arc::new(ledger.clone()),
        clock: clock.clone(),
        entropy: entropy.clone(),
        delay: Arc::new(Sleep),
    })
    .await
    .unwrap();
    let home = app::bootstrap::home(&ledger).await.unwrap();
    let app = App::new(Parts {
        ledger: ledger.clone(),
        access_log: log.clone(),
        anchor: Arc::new(ledger.clone()),
        decider: Arc::new(::access::Decider::new()),
        clock: clock.clone(),
        entropy,
        tasks: Arc::new(Spawn),
        home,
    });
    House { app, ledger, log, clock, sink, storage, home, requests: AtomicU64::new(0), drivers }
}

impl House {
    /// The owner of the home tenant, logged in.
    pub(crate) async fn owner(&self) -> Caller<'_> {
        let token = app::bootstrap::owner_login(&self.app, false).await.unwrap().expect("first login");
        self.login(token, None).await
    }

    /// Logs in with a one-time login.
    pub(crate) async fn login(&self, token: SecretText, tenant: Option<String>) -> Caller<'_> {
        let arrival = Arrival { idempotency: Some("login".into()), ..self.arrival(None, tenant.clone()) };
        let issued = app::session::login(&self.app, arrival, token).await.into_outcome().unwrap().what;
        Caller { house: self, token: Some(issued.token.expose().to_owned()), tenant, key: None }
    }

    /// Another tenant with the one-time login of its owner, made by the owner of the house.
    pub(crate) async fn tenant(&self, name: &str) -> (TenantId, SecretText) {
        let session = app::bootstrap::dev_session(&self.app, std::time::Duration::from_secs(60)).await.unwrap();
        let key = format!("tenant-{}", self.requests.load(Ordering::SeqCst));
        let owner =
            Caller { house: self, token: Some(session.token.expose().to_owned()), tenant: None, key: Some(key) };
        let create = |grant| app::tenant::create(grant, app::tenant::TenantLimits::default());
        let made = owner.act(Act::tenant_create(name).unwrap(), b"", create).await.into_outcome().unwrap().what;
        (made.tenant.id, made.login)
    }

    /// Somebody without any login.
    pub(crate) fn nobody(&self) -> Caller<'_> {
        Caller { house: self, token: None, tenant: None, key: None }
    }

    pub(crate) fn arrival(&self, token: Option<SecretText>, tenant: Option<String>) -> Arrival {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let mut request = [0; 16];
        request[..8].copy_from_slice(&number.to_be_bytes());
        Arrival {
            request,
            source: IpAddr::from([127, 0, 0, 1]),
            tls: true,
            token,
            tenant,
            after: None,
            idempotency: None,
            body_digest: [0; 32],
            route: "test",
        }
    }

    /// Every row of the log, oldest first.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let page = self.log.query(&Filter::default(), None, 1_000).await.unwrap();
        assert!(page.next.is_none(), "more rows than a test looks at");
        page.rows.into_iter().rev().map(|numbered| numbered.row).collect()
    }

    pub(crate) fn pass(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }

    /// Ends everything; what was committed stays in the store.
    pub(crate) async fn close(self) {
        self.ledger.close();
        for driver in self.drivers {
            driver.await.unwrap();
        }
    }
}

/// Somebody who calls the app.
#[derive(Clone)]
pub(crate) struct Caller<'a> {
    pub(crate) house: &'a House,
    pub(crate) token: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) key: Option<String>,
}

pub(crate) fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

pub(crate) fn folder(text: &str) -> Prefix {
    Prefix::parse(text).unwrap()
}

pub(crate) fn code<T>(outcome: Result<T, Refusal>) -> &'static str {
    outcome.err().map_or("ok", |refusal| refusal.code.name)
}

impl Caller<'_> {
    /// With this idempotency key.
    pub(crate) fn keyed(&self, key: &str) -> Self {
        Caller { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Under this tenant's name.
    pub(crate) fn under(&self, tenant: &str) -> Self {
        Caller { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    pub(crate) async fn act<T, F, Fut>(&self, act: Act, body: &[u8], run: F) -> Reply<T>
    where
        F: FnOnce(Authorized) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
        T: Send + 'static,
    {
        let token = self.token.clone().map(SecretText::new);
        let arrival = Arrival {
            idempotency: self.key.clone(),
            body_digest: sha256(body),
            ..self.house.arrival(token, self.tenant.clone())
        };
        let house = self.house.app.clone();
        // As a server's worker thread would run it.
        tokio::spawn(async move { house.act(arrival, act, run).await }).await.unwrap()
    }

    pub(crate) async fn put(&self, at: &str, value: &str) -> Result<Changed<Written>, Refusal> {
        self.put_if(at, value, None, MetadataEdit::default()).await
    }

    pub(crate) async fn put_if(
        &self,
        at: &str,
        value: &str,
        cas: Option<u64>,
        edit: MetadataEdit,
    ) -> Result<Changed<Written>, Refusal> {
        let value_bytes = SecretBytes::from_slice(value.as_bytes());
        let new = NewValue { value: value_bytes, encoding: app::secret::Encoding::Text, cas, edit };
        let act = Act::secret_write(path(at));
        self.act(act, value.as_bytes(), |grant| app::secret::put(grant, new)).await.into_outcome()
    }

    pub(crate) async fn read(&self, at: &str, version: Option<u64>) -> Result<Revealed, Refusal> {
        self.act(Act::secret_read(path(at), version), b"", app::secret::get).await.into_outcome()
    }

    /// The newest value as text, or the refusal's code.
    pub(crate) async fn get(&self, at: &str) -> Result<String, &'static str> {
        let revealed = self.read(at, None).await.map_err(|refusal| refusal.code.name)?;
        Ok(String::from_utf8(revealed.value.expose().to_vec()).unwrap())
    }

    pub(crate) async fn policy(&self, name: &str, text: &str) -> Result<(), Refusal> {
        let text = text.to_owned();
        let act = Act::policy_write(::access::PolicyName::parse(name)?);
        self.act(act, b"", |grant| app::policy::put(grant, text)).await.into_outcome().map(drop)
    }

    /// Makes a principal and a session for it.
    pub(crate) async fn friend(&self, name: &str, roles: &[&str]) -> Caller<'_> {
        let parsed = ::access::PrincipalName::parse(name).unwrap();
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let act = Act::principal_write(parsed.clone());
        self.act(act, b"", |grant| app::principal::put(grant, roles, false, None)).await.into_outcome().unwrap();
        self.session(name).await
    }

    /// A session for a principal that is there.
    pub(crate) async fn session(&self, name: &str) -> Caller<'_> {
        self.session_with(name, app::Asked::default()).await
    }

    /// A session on these terms for a principal that is there.
    pub(crate) async fn session_with(&self, name: &str, asked: app::Asked) -> Caller<'_> {
        let act = Act::session_issue(::access::PrincipalName::parse(name).unwrap());
        let keyed = self.keyed(&format!("session-{}", self.house.requests.load(Ordering::SeqCst)));
        let issued = keyed.act(act, b"", |grant| app::session::issue(grant, asked)).await.into_outcome().unwrap();
        self.with(&issued.what)
    }

    /// Derives a session from this one.
    pub(crate) async fn derive(&self, orphan: bool, asked: app::Asked) -> Result<Caller<'_>, Refusal> {
        let keyed = self.keyed(&format!("derive-{}", self.house.requests.load(Ordering::SeqCst)));
        let derive = move |grant| app::session::derive(grant, orphan, asked);
        let issued = keyed.act(Act::session_derive(), b"", derive).await.into_outcome()?;
        Ok(self.with(&issued.what))
    }

    /// The same caller by a session made just now.
    fn with(&self, issued: &app::session::Issued) -> Caller<'_> {
        Caller {
            house: self.house,
            token: Some(issued.token.expose().to_owned()),
            tenant: self.tenant.clone(),
            key: None,
        }
    }
}

pub(crate) fn until(at: WallMs) -> MetadataEdit {
    MetadataEdit { expires: Edit::Set(at), ..MetadataEdit::default() }
}
