//! What operators do with the shares of the seal's key: begin a store, unseal, seal.

use crate::initialise::initialise;
use crate::login::leave_login;
use crate::run::Ended;
use crate::seal::SharesSeal;
use crate::start_error::StartError;
use crate::warden::{Handed, InForce, Now, Place, Shut, Warden};
use api::Class;
use api::operator::{Gathered, GiveShare, HandedOut, HandedShare, Sealed, Split, Unsealed};
use app::code::{
    BUG, ENTROPY_FAILED, REQUEST_INVALID, SEAL_CEREMONY, SEAL_INITIALISED, SEAL_INVALID, SEAL_KIND, SEAL_OPEN,
    SEAL_SEALED, SEAL_SHARE, SEAL_SHARES_INVALID, STORAGE_DAMAGED, STORAGE_UNAVAILABLE,
};
use app::{App, Refusal};
use crypto::age;
use crypto::seam::Entropy;
use crypto::shamir::{self, Earlier, Gathering, Share, ShareSet, SplitError, Step};
use crypto::{SecretBytes, SecretText};
use std::sync::Arc;
use std::time::Duration;

/// Longest pause between two shares; then those given are forgotten.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(600);
/// What a request may take beyond its longest life until it is recorded and gone.
const RECORDING_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the last memory of a closed ledger.
const FORGET_MAX: Duration = Duration::from_secs(5);

/// A set that was just made. Its key is nowhere: it comes together again when enough shares are given back.
pub(crate) struct Fresh {
    pub(crate) set: ShareSet,
    pub(crate) shares: Vec<Share>,
}

impl Warden {
    /// Makes the shares of a store that is to begin. May be repeated until it has begun: each time counts instead of the
    /// one before, so that an answer that was lost is no loss.
    pub(crate) fn init(&self, split: &Split) -> Result<HandedOut, Refusal> {
        let mut shut = self.shut.lock();
        let handed = match &mut *shut {
            Some(Shut::Unbegun(handed)) => handed,
            Some(Shut::Turning) => return Err(turning()),
            Some(Shut::Wanting(_)) | None => {
                return Err(Refusal::new(&SEAL_INITIALISED, "this server's store is there already"));
            }
        };
        let fresh = self.fresh(split, Vec::new())?;
        let nonce = self.nonce()?;
        let answer = handed_out(&*self.ground.seams.entropy, &nonce, &fresh, split)?;
        *handed = Some(Handed { nonce, gathering: Gathering::new(fresh.set) });
        tracing::info!(set = answer.set, "shares were handed out; the store begins once enough were given back");
        Ok(answer)
    }

    /// Takes one share; with enough of them the server is open when this returns.
    ///
    /// Errors: `seal.share` says which share and why; `seal.ceremony` for a nonce of another beginning; `seal.open`,
    /// `seal.sealed`; `seal.invalid`, `storage.*` when the shares were enough and the store does not open all the same.
    /// What was accepted before stays, but for the last.
    pub(crate) async fn unseal(self: &Arc<Warden>, give: GiveShare) -> Result<Unsealed, Refusal> {
        let now = self.ground.seams.clock.monotonic();
        let (before, key, set) = {
            let mut shut = self.shut.lock();
            let gathering = match &mut *shut {
                None => return Err(Refusal::new(&SEAL_OPEN, "the server is not sealed")),
                Some(Shut::Turning) => return Err(turning()),
                Some(Shut::Unbegun(None)) => return Err(Refusal::new(&SEAL_SEALED, UNBEGUN)),
                Some(Shut::Unbegun(Some(handed))) if give.nonce.as_ref().is_none_or(|nonce| *nonce == handed.nonce) => {
                    &mut handed.gathering
                }
                Some(Shut::Wanting(gathering)) if give.nonce.is_none() => gathering,
                Some(_) => return Err(Refusal::new(&SEAL_CEREMONY, "no beginning with this nonce is under way")),
            };
            gathering.expire(now, IDLE_MAX);
            match gathering.give(give.share.expose(), now) {
                Err(rejected) => return Err(Refusal::new(&SEAL_SHARE, rejected.to_string())),
                Ok(Step::More) => {
                    return Ok(Unsealed { open: false, shares: gathered(gathering), login: None });
                }
                Ok(Step::Key(key)) => {
                    let set = gathering.set().clone();
                    (shut.replace(Shut::Turning), key, set)
                }
            }
        };
        drop(give.share);
        let mine = give.nonce.is_some();
        let warden = Arc::clone(self);
        // Whoever sent the last share may go away meanwhile.
        let opening = tokio::spawn(async move {
            let opened = warden.open_with(&key, set, mine).await;
            if opened.is_err() {
                *warden.shut.lock() = before;
            }
            opened
        });
        opening.await.map_err(|_| Refusal::new(&BUG, "the server ran into a defect while it opened"))?
    }

    async fn open_with(&self, key: &SecretBytes, set: ShareSet, mine: bool) -> Result<Unsealed, Refusal> {
        let mut shares = gathered(&Gathering::new(set.clone()));
        shares.given = shares.threshold;
        let seal = SharesSeal::new(key, set).ok_or_else(|| Refusal::new(&BUG, "shares of a key that is none"))?;
        self.open(InForce::Shares(Arc::new(seal))).await.map_err(|error| cannot_open(&error))?;
        let login = match self.now() {
            Some(Now { inside, .. }) => self.settle_in(&inside.app).await,
            None => None,
        };
        self.begin().await;
        tracing::info!(set = shares.set, "the server is open");
        Ok(Unsealed { open: true, shares, login: login.filter(|_| mine) })
    }

    /// What each start does before requests come in. A server that operators wait for is not shut again on its account.
    async fn settle_in(&self, app: &App) -> Option<SecretText> {
        let login = leave_login(app, &self.ground).await.unwrap_or_else(|error| {
            tracing::error!(%error, "the owner's one-time login could not be left in its file");
            None
        });
        if let Err(error) = initialise(&self.ground.config, app).await {
            let next = "the next start tries again if nobody has used the house by then";
            tracing::error!(%error, "the configured documents were not applied; {next}");
        }
        login
    }

    /// Lets no request begin from now on. Those that run go on to their end; then every key is let go of.
    ///
    /// Errors: `seal.kind` where a file holds the key, which would open the server again at its next start.
    pub(crate) fn seal(self: &Arc<Warden>) -> Result<Sealed, Refusal> {
        let Some(Now { seal, .. }) = self.now() else { return Err(turning()) };
        let InForce::Shares(seal) = seal.get() else {
            let why = "the key of this server's seal stands in a file; stop the server, or put its key in shares first";
            return Err(Refusal::new(&SEAL_KIND, why));
        };
        {
            let mut shut = self.shut.lock();
            if shut.is_some() {
                return Err(turning());
            }
            *shut = Some(Shut::Turning);
        }
        self.opening.shut();
        self.ceremony.lock().take();
        let gathering = Gathering::new(seal.set().clone());
        let shares = gathered(&gathering);
        drop((seal, self.now.write().take()));
        tracing::info!("the server is being sealed: no request begins any more");
        tokio::spawn(Arc::clone(self).let_go(gathering));
        Ok(Sealed { shares })
    }

    async fn let_go(self: Arc<Warden>, gathering: Gathering) {
        let mut place = self.place.lock().await;
        let Place::Open(mut household) = std::mem::replace(&mut *place, Place::Shut(None)) else { return };
        let longest = self.ground.config.limits.request_time_max.0.saturating_add(RECORDING_MAX);
        if !household.drained(longest).await {
            tracing::error!("a request outlived its time; what it holds stays in memory until it ends");
        }
        self.log.write().take();
        let trace = household.inside.ledger.trace();
        household.close(Ended::AsTold).await;
        let forgetting = async {
            while !trace.is_gone() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(FORGET_MAX, forgetting).await.is_err() {
            tracing::error!("keys are still in memory after the server was sealed; stop it to be sure");
        }
        drop(place);
        if let Err(error) = self.wait(Shut::Wanting(gathering)).await {
            tracing::error!(%error, "requests to the sealed server leave no rows");
        }
        tracing::info!("the server is sealed");
    }

    /// A fresh key, split as asked.
    pub(crate) fn fresh(&self, split: &Split, earlier: Vec<Earlier>) -> Result<Fresh, Refusal> {
        let impossible = || Refusal::new(&SEAL_SHARES_INVALID, SplitError::Threshold.to_string());
        let number = |number: u16| u8::try_from(number).map_err(|_| impossible());
        let (threshold, count) = (number(split.threshold)?, number(split.shares)?);
        recipients(split)?;
        let (entropy, now) = (&*self.ground.seams.entropy, self.ground.seams.clock.wall());
        let mut key = SecretBytes::zeroed(shamir::KEY_BYTES);
        entropy.fill_secret(key.expose_mut()).map_err(|_| no_entropy())?;
        let made = shamir::split(entropy, &key, (threshold, count), now, earlier);
        let (set, shares) = made.map_err(|error| match error {
            SplitError::NoEntropy => no_entropy(),
            SplitError::Threshold | SplitError::Key => impossible(),
        })?;
        Ok(Fresh { set, shares })
    }

    /// Names a ceremony.
    pub(crate) fn nonce(&self) -> Result<String, Refusal> {
        let mut random = [0; 16];
        self.ground.seams.entropy.fill_secret(&mut random).map_err(|_| no_entropy())?;
        Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What a server says on which nothing is stored.
pub(crate) const UNBEGUN: &str = "nothing is stored yet; `aumbry operator init` begins with the shares of its key";

pub(crate) fn turning() -> Refusal {
    Refusal::new(&SEAL_SEALED, "the server is being opened or sealed; ask again in a moment")
}

pub(crate) fn no_entropy() -> Refusal {
    Refusal::new(&ENTROPY_FAILED, "no randomness was to be had")
}

/// Shares for their holders, each encrypted to its own where recipients are named.
pub(crate) fn handed_out(
    entropy: &dyn Entropy,
    nonce: &str,
    fresh: &Fresh,
    split: &Split,
) -> Result<HandedOut, Refusal> {
    let recipients = recipients(split)?;
    let shown = |(at, share): (usize, &Share)| {
        let (index, text) = (share.index(), share.text());
        let Some(to) = recipients.get(at) else { return Ok(HandedShare { index, share: text, recipient: None }) };
        let sealed = age::seal(entropy, *to, text.expose().as_bytes()).map_err(|_| no_entropy())?;
        Ok(HandedShare { index, share: SecretText::new(age::armored(&sealed)), recipient: Some(to.to_string()) })
    };
    Ok(HandedOut {
        nonce: nonce.to_owned(),
        set: fresh.set.id().to_string(),
        threshold: fresh.set.threshold(),
        shares: fresh.shares.iter().enumerate().map(shown).collect::<Result<_, Refusal>>()?,
    })
}

/// The keys that shares are encrypted to; none, or one for each share.
fn recipients(split: &Split) -> Result<Vec<age::Recipient>, Refusal> {
    let wrong = |why: String| Refusal::new(&REQUEST_INVALID, why);
    if !split.recipients.is_empty() && split.recipients.len() != usize::from(split.shares) {
        return Err(wrong(format!("name one recipient for each of the {} shares, or none", split.shares)));
    }
    let read = |(at, text): (usize, &String)| {
        text.parse().map_err(|bad: age::BadRecipient| wrong(format!("recipient {} is {bad}", at.saturating_add(1))))
    };
    let all: Vec<age::Recipient> = split.recipients.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    for (at, recipient) in all.iter().enumerate() {
        if all.iter().take(at).any(|earlier| earlier == recipient) {
            let why = "is named twice; whoever has that key would hold more than one share";
            return Err(wrong(format!("recipient {} {why}", at.saturating_add(1))));
        }
    }
    Ok(all)
}

/// How far a gathering is.
pub(crate) fn gathered(gathering: &Gathering) -> Gathered {
    let set = gathering.set();
    Gathered {
        set: set.id().to_string(),
        created_at: rest::shown_time(set.created()),
        count: set.count(),
        threshold: set.threshold(),
        given: gathering.given(),
    }
}

/// Enough shares, and the store does not open: the cause stands in the server's log, where it may name places.
fn cannot_open(error: &StartError) -> Refusal {
    tracing::error!(%error, "the shares were right and the store does not open");
    let (code, why) = match error.class() {
        Class::Sealed => (&SEAL_INVALID, "the shares are right, but the root key does not open with their key"),
        Class::Corrupt => (&STORAGE_DAMAGED, "the shares are right, but the store is damaged"),
        _ => (&STORAGE_UNAVAILABLE, "the shares are right, but the store does not open; the server's log says why"),
    };
    Refusal::new(code, why)
}
