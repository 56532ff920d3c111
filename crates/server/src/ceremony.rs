//! Replacing the seal's key: shares of the set in force authorise it, and the new set counts only once enough of its shares
//! were given back, so that no answer that is lost and no holder who did not write his down can shut anybody out.

use crate::operator::{gathered, handed_out, turning};
use crate::seal::recovery::Plan;
use crate::seal::{Found, KeyFileSeal, SharesSeal};
use crate::warden::{InForce, Warden};
use api::operator::{Cancel, Cancelled, Ceremony, GiveShare, Phase, Rekey, SealKind, Split, UnderWay};
use app::code::{BUG, REQUEST_INVALID, SEAL_CEREMONY, SEAL_INVALID, SEAL_KIND, SEAL_SHARE};
use app::{Authorized, Refusal};
use crypto::SecretBytes;
use crypto::id::EntityId;
use crypto::shamir::{Gathering, Step};
use std::sync::Arc;
use std::time::Duration;

/// Longest pause between two steps: holders may be far apart.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A ceremony under way. Nothing of it is in force.
#[derive(Debug)]
pub(crate) struct Running {
    nonce: String,
    by: EntityId,
    to: SealKind,
    /// How the new key is split; none for a key file.
    split: Option<Split>,
    stage: Stage,
    last: Duration,
}

#[derive(Debug)]
enum Stage {
    /// Shares of the set in force are wanted.
    Current(Gathering),
    /// Shares of the new set are wanted back.
    Fresh(Gathering),
    /// The commit is under way.
    Committing,
}

/// What is left to do once the lock is let go of.
enum Next {
    Answer(Ceremony),
    ToShares(SecretBytes, Gathering),
    ToRecovery(SecretBytes, Gathering),
    ToFile,
}

impl Warden {
    /// Begins a ceremony. One of the same person that is under way is given up for it.
    ///
    /// Errors: `seal.ceremony` while somebody else's is under way; `seal.shares_invalid`, `seal.kind`.
    pub(crate) fn begin_rekey(&self, by: EntityId, rekey: Rekey) -> Result<Ceremony, Refusal> {
        let seal = self.now().ok_or_else(turning)?.seal.get();
        let split = match (rekey.to, rekey.split) {
            (SealKind::Shares | SealKind::Recovery, Some(split)) => Some(split),
            (SealKind::KeyFile, None) => None,
            (SealKind::Shares | SealKind::Recovery, None) => {
                return Err(Refusal::new(&REQUEST_INVALID, "`split` says how many shares"));
            }
            (SealKind::KeyFile, Some(_)) => return Err(Refusal::new(&REQUEST_INVALID, "a key file has no shares")),
        };
        // Refused before anybody brings a share.
        split.as_ref().map(|split| self.fresh(split, Vec::new())).transpose()?;
        let now = self.ground.seams.clock.monotonic();
        let mut place = self.ceremony.lock();
        if let Some(other) = place.as_ref()
            && (other.by != by || matches!(other.stage, Stage::Committing))
            && now.saturating_sub(other.last) <= IDLE_MAX
        {
            return Err(Refusal::new(&SEAL_CEREMONY, "another one is under way; who has its nonce can cancel it"));
        }
        let nonce = self.nonce()?;
        let (stage, answer) = match (&seal, &split) {
            (InForce::Shares(_), _) if rekey.to == SealKind::Recovery => {
                let why = "the key is in shares already, which are the way back; recovery shares are for a key file";
                return Err(Refusal::new(&SEAL_KIND, why));
            }
            (InForce::Shares(seal), _) => {
                let gathering = Gathering::new(seal.set().clone());
                let answer = step(&nonce, Phase::Current, Some(&gathering));
                (Stage::Current(gathering), answer)
            }
            (InForce::File(_), Some(split)) => self.hand_out(&nonce, split, &seal, rekey.to)?,
            (InForce::File(_), None) => {
                let why = "the seal is a key file already; `aumbry seal rekey` replaces it";
                return Err(Refusal::new(&SEAL_KIND, why));
            }
        };
        *place = Some(Running { nonce, by, to: rekey.to, split, stage, last: now });
        Ok(answer)
    }

    /// The ceremony that is under way.
    pub(crate) fn under_way(&self) -> Option<UnderWay> {
        let now = self.ground.seams.clock.monotonic();
        let place = self.ceremony.lock();
        let running = place.as_ref().filter(|running| now.saturating_sub(running.last) <= IDLE_MAX)?;
        let (phase, wanted) = match &running.stage {
            Stage::Current(gathering) => (Phase::Current, Some(gathered(gathering))),
            Stage::Fresh(gathering) => (Phase::Fresh, Some(gathered(gathering))),
            Stage::Committing => (Phase::Fresh, None),
        };
        Some(UnderWay { to: running.to, phase, by: running.by.to_string(), wanted })
    }

    /// Gives a share to the ceremony that it names. The last one of the new set, or where there is to be a file of the old
    /// one, brings the new key into force before this returns.
    pub(crate) async fn give(self: Arc<Warden>, grant: Authorized, give: GiveShare) -> Result<Ceremony, Refusal> {
        let next = self.take(&give)?;
        let nonce = give.nonce.unwrap_or_default();
        let done = match next {
            Next::Answer(answer) => return Ok(answer),
            Next::ToShares(key, gathering) => self.to_shares(grant, &key, &gathering).await,
            Next::ToRecovery(key, gathering) => self.to_recovery(grant, key, &gathering).await,
            Next::ToFile => self.to_file(grant).await,
        };
        // Whatever came of it, the ceremony is over: the holders are asked again.
        self.ceremony.lock().take();
        Ok(Ceremony { advice: Some(done?), ..step(&nonce, Phase::Done, None) })
    }

    fn take(&self, give: &GiveShare) -> Result<Next, Refusal> {
        let seal = self.now().ok_or_else(turning)?.seal.get();
        let now = self.ground.seams.clock.monotonic();
        let mut place = self.ceremony.lock();
        let running = named(&mut place, give.nonce.as_deref(), now)?;
        running.last = now;
        let accepted = match &mut running.stage {
            Stage::Current(gathering) | Stage::Fresh(gathering) => gathering.give(give.share.expose(), now),
            Stage::Committing => return Err(Refusal::new(&SEAL_CEREMONY, "all its shares were given")),
        };
        let key = match accepted.map_err(|rejected| Refusal::new(&SEAL_SHARE, rejected.to_string()))? {
            Step::Key(key) => Some(key),
            Step::More => None,
        };
        match (&running.stage, key, running.split.clone()) {
            (Stage::Current(gathering), None, _) => {
                Ok(Next::Answer(step(&running.nonce, Phase::Current, Some(gathering))))
            }
            (Stage::Fresh(gathering), None, _) => Ok(Next::Answer(step(&running.nonce, Phase::Fresh, Some(gathering)))),
            (Stage::Current(_), Some(_), Some(split)) => {
                let (stage, answer) = self.hand_out(&running.nonce, &split, &seal, running.to)?;
                running.stage = stage;
                Ok(Next::Answer(answer))
            }
            (Stage::Current(_), Some(_), None) => {
                running.stage = Stage::Committing;
                Ok(Next::ToFile)
            }
            (Stage::Fresh(_), Some(key), _) => match std::mem::replace(&mut running.stage, Stage::Committing) {
                Stage::Fresh(gathering) if running.to == SealKind::Recovery => Ok(Next::ToRecovery(key, gathering)),
                Stage::Fresh(gathering) => Ok(Next::ToShares(key, gathering)),
                _ => Err(Refusal::new(&BUG, "a ceremony lost its new set")),
            },
            (Stage::Committing, ..) => Err(Refusal::new(&SEAL_CEREMONY, "all its shares were given")),
        }
    }

    /// Gives a ceremony up.
    pub(crate) fn cancel(&self, cancel: Cancel) -> Result<Cancelled, Refusal> {
        let now = self.ground.seams.clock.monotonic();
        let mut place = self.ceremony.lock();
        if matches!(named(&mut place, Some(&cancel.nonce), now)?.stage, Stage::Committing) {
            return Err(Refusal::new(&SEAL_CEREMONY, "all its shares were given; it cannot be cancelled any more"));
        }
        place.take();
        Ok(Cancelled { nonce: cancel.nonce })
    }

    /// Makes the new set, which remembers those before it.
    fn hand_out(&self, nonce: &str, split: &Split, seal: &InForce, to: SealKind) -> Result<(Stage, Ceremony), Refusal> {
        let now = self.ground.seams.clock.wall();
        let earlier = match seal {
            InForce::Shares(seal) => seal.set().replaced(now),
            InForce::File(seal) if to == SealKind::Recovery => {
                seal.plan().map(|plan| plan.set().replaced(now)).unwrap_or_default()
            }
            InForce::File(_) => Vec::new(),
        };
        let fresh = self.fresh(split, earlier)?;
        let handed_out = handed_out(&*self.ground.seams.entropy, nonce, &fresh, split)?;
        let gathering = Gathering::new(fresh.set);
        let answer = step(nonce, Phase::Fresh, Some(&gathering));
        Ok((Stage::Fresh(gathering), Ceremony { handed_out: Some(handed_out), ..answer }))
    }

    async fn to_shares(&self, grant: Authorized, key: &SecretBytes, fresh: &Gathering) -> Result<String, Refusal> {
        let seal = SharesSeal::new(key, fresh.set().clone());
        let seal = Arc::new(seal.ok_or_else(|| Refusal::new(&BUG, "shares of a key that is none"))?);
        app::keys::rekey_seal(grant, Arc::clone(&seal) as _).await?;
        let before = self.now().map(|now| now.seal.replace(InForce::Shares(seal)));
        Ok(match before {
            Some(InForce::File(file)) => format!(
                "the new set is in force; {} opens nothing of this store any more: destroy it with the backups it opens, \
                 and rotate the root key, which those backups hold",
                file.path().display()
            ),
            _ => "the new set is in force; shares of the one before open nothing of this store any more".to_owned(),
        })
    }

    async fn to_recovery(&self, grant: Authorized, key: SecretBytes, fresh: &Gathering) -> Result<String, Refusal> {
        let now = self.now().ok_or_else(turning)?;
        let InForce::File(file) = now.seal.get() else {
            return Err(Refusal::new(&SEAL_KIND, "the key is in shares by now; recovery shares are for a key file"));
        };
        let plan = Plan::new(fresh.set().clone(), key);
        let plan = plan.ok_or_else(|| Refusal::new(&BUG, "shares of a key that is none"))?;
        let seal = Arc::new(file.with(plan));
        app::keys::rekey_seal(grant, Arc::clone(&seal) as _).await?;
        now.seal.replace(InForce::File(seal));
        Ok("the key file comes back with these shares and the data folder, or a backup of it made from now on: \
            `aumbry operator recovery restore`"
            .to_owned())
    }

    async fn to_file(&self, grant: Authorized) -> Result<String, Refusal> {
        let path = &self.ground.places.seal;
        let failed = |error: crate::files::FileError| {
            tracing::error!(%error, "the key file cannot be made");
            Refusal::new(&SEAL_INVALID, "the key file cannot be made; the server's log says why")
        };
        let (seal, found) = KeyFileSeal::open(path, &*self.ground.seams.entropy, true).map_err(failed)?;
        if found == Found::Existing {
            let why = "a key file stands in the place of the new one; move it away first";
            return Err(Refusal::new(&SEAL_KIND, why));
        }
        let seal = Arc::new(seal);
        match app::keys::rekey_seal(grant, Arc::clone(&seal) as _).await {
            Ok(_) => {}
            // It may be the one in force: it stays.
            Err(refusal) if refusal.class() == ledger::Class::Unknown => return Err(refusal),
            Err(refusal) => {
                let _ = std::fs::remove_file(path);
                return Err(refusal);
            }
        }
        if let Some(now) = self.now() {
            now.seal.replace(InForce::File(seal));
        }
        Ok(format!("{} is in force and opens the server at each start; back it up now", path.display()))
    }
}

/// The ceremony with this nonce, if it is the one under way.
fn named<'a>(place: &'a mut Option<Running>, nonce: Option<&str>, now: Duration) -> Result<&'a mut Running, Refusal> {
    let other = || Refusal::new(&SEAL_CEREMONY, "no ceremony with this nonce is under way");
    let running = place.as_mut().filter(|running| Some(running.nonce.as_str()) == nonce).ok_or_else(other)?;
    if now.saturating_sub(running.last) > IDLE_MAX { Err(other()) } else { Ok(running) }
}

fn step(nonce: &str, phase: Phase, wanted: Option<&Gathering>) -> Ceremony {
    Ceremony { nonce: nonce.to_owned(), phase, wanted: wanted.map(gathered), handed_out: None, advice: None }
}
