//! How events become records of sessions, logins, principals and policies.

use crate::codec::{decode, record};
use crate::name::{PolicyName, PrincipalName};
use crate::policy::{self, PolicyV1, StoredPolicy};
use crate::principal::{self, PrincipalV1, StoredEntity, StoredPrincipal};
use crate::session::{self, Session, StoredId, StoredSession};
use crate::wrap::{self, StoredWrap};
use crate::{erase, login, principal::Principal};
use ledger::{Damaged, EventRef, RecordName, Rules};

/// The rules of this crate's events.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessRules;

/// An event, decoded.
enum Fact {
    SessionIssued(session::Issued),
    SessionRevoked(session::Revoked),
    SessionRenewed(session::Renewed),
    SessionUsed(session::Used),
    TokensExpired(session::Expired),
    Erased(Vec<RecordName>),
    LoginIssued(login::Issued),
    LoginRedeemed(login::Redeemed),
    WrapMade(wrap::Made),
    WrapOpened(wrap::Opened),
    WrapReopened,
    PrincipalWritten(principal::Written),
    PolicyWritten(policy::Written),
    PolicyRemoved(policy::Removed),
}

fn fact(event: &EventRef<'_>) -> Result<Fact, Damaged> {
    Ok(match event.kind {
        session::ISSUED => Fact::SessionIssued(decode(session::ISSUED, event.body)?),
        session::REVOKED => Fact::SessionRevoked(decode(session::REVOKED, event.body)?),
        session::RENEWED => Fact::SessionRenewed(decode(session::RENEWED, event.body)?),
        session::USED => Fact::SessionUsed(decode(session::USED, event.body)?),
        session::EXPIRED => Fact::TokensExpired(decode(session::EXPIRED, event.body)?),
        erase::ERASED => Fact::Erased(erase::names(event.body)?),
        login::ISSUED => Fact::LoginIssued(decode(login::ISSUED, event.body)?),
        login::REDEEMED => Fact::LoginRedeemed(decode(login::REDEEMED, event.body)?),
        wrap::MADE => Fact::WrapMade(decode(wrap::MADE, event.body)?),
        wrap::OPENED => Fact::WrapOpened(decode(wrap::OPENED, event.body)?),
        wrap::REOPENED => decode(wrap::REOPENED, event.body).map(|_: wrap::Opened| Fact::WrapReopened)?,
        principal::WRITTEN => Fact::PrincipalWritten(decode(principal::WRITTEN, event.body)?),
        policy::WRITTEN => Fact::PolicyWritten(decode(policy::WRITTEN, event.body)?),
        policy::REMOVED => Fact::PolicyRemoved(decode(policy::REMOVED, event.body)?),
        _ => return Err(Damaged("an event of no kind known here".into())),
    })
}

fn principal_name(name: &str) -> Result<PrincipalName, Damaged> {
    PrincipalName::parse(name).map_err(|_| Damaged(principal::WRITTEN.into()))
}

fn policy_name(name: &str) -> Result<PolicyName, Damaged> {
    PolicyName::parse(name).map_err(|_| Damaged("policy event".into()))
}

/// A session with a change, if it is still there.
fn changed(before: Option<&[u8]>, change: impl FnOnce(&mut Session)) -> Result<Option<Vec<u8>>, Damaged> {
    let Some(before) = before else { return Ok(None) };
    let mut session = Session::decode(before)?;
    change(&mut session);
    record(&StoredSession::V2(session))
}

impl Rules for AccessRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            session::ISSUED,
            session::REVOKED,
            session::RENEWED,
            session::USED,
            session::EXPIRED,
            erase::ERASED,
            login::ISSUED,
            login::REDEEMED,
            wrap::MADE,
            wrap::OPENED,
            wrap::REOPENED,
            principal::WRITTEN,
            policy::WRITTEN,
            policy::REMOVED,
        ]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        Ok(match fact(event)? {
            Fact::SessionIssued(issued) => {
                let (digest, session) = issued.into_parts();
                vec![session::record_name(&digest), session::id_record_name(session.id)]
            }
            Fact::SessionRenewed(session::Renewed::V1 { digest, .. })
            | Fact::SessionUsed(session::Used::V1 { digest, .. }) => vec![session::record_name(&digest)],
            Fact::TokensExpired(session::Expired::V1 { tokens }) => {
                let records = tokens.iter().flat_map(session::Stale::records);
                records.chain([session::swept_record_name()]).collect()
            }
            Fact::SessionRevoked(session::Revoked::V1 { digest, id, .. }) => {
                vec![session::record_name(&digest), session::id_record_name(id)]
            }
            Fact::Erased(records) => records,
            Fact::LoginIssued(login::Issued::V1 { digest, .. })
            | Fact::LoginRedeemed(login::Redeemed::V1 { digest, .. }) => vec![login::record_name(&digest)],
            Fact::WrapMade(wrap::Made::V1 { digest, .. }) | Fact::WrapOpened(wrap::Opened::V1 { digest }) => {
                vec![wrap::record_name(&digest)]
            }
            Fact::WrapReopened => Vec::new(),
            Fact::PrincipalWritten(principal::Written::V1 { entity, name, .. }) => {
                vec![principal::record_name(&principal_name(&name)?), principal::entity_record_name(entity)]
            }
            Fact::PolicyWritten(written) => vec![policy::record_name(&policy_name(written.name())?)],
            Fact::PolicyRemoved(policy::Removed::V1 { name }) => vec![policy::record_name(&policy_name(&name)?)],
        })
    }

    fn evolve(
        &self,
        name: &RecordName,
        before: Option<&[u8]>,
        event: &EventRef<'_>,
    ) -> Result<Option<Vec<u8>>, Damaged> {
        match fact(event)? {
            Fact::SessionIssued(issued) => {
                let (digest, session) = issued.into_parts();
                if *name == session::record_name(&digest) {
                    record(&StoredSession::V2(session))
                } else {
                    record(&StoredId::V1 { digest })
                }
            }
            Fact::SessionRenewed(session::Renewed::V1 { expires, .. }) => {
                changed(before, |session| session.expires = expires)
            }
            Fact::SessionUsed(session::Used::V1 { count, .. }) => {
                changed(before, |session| session.uses = session.uses.map(|left| left.saturating_sub(count)))
            }
            Fact::TokensExpired(_) if *name == session::swept_record_name() => Ok(Some(Vec::new())),
            Fact::Erased(_)
            | Fact::TokensExpired(_)
            | Fact::SessionRevoked(_)
            | Fact::LoginRedeemed(_)
            | Fact::WrapReopened
            | Fact::PolicyRemoved(_) => Ok(None),
            Fact::WrapMade(wrap::Made::V1 { wrap, .. }) => record(&StoredWrap::V1(wrap)),
            Fact::WrapOpened(_) => match before {
                Some(before) => record(&StoredWrap::emptied(before)?),
                None => Ok(None),
            },
            Fact::LoginIssued(login::Issued::V1 { login, .. }) => record(&login::StoredLogin::V1(login)),
            Fact::PrincipalWritten(principal::Written::V1 { entity, name: text, roles, epoch, disabled }) => {
                if *name != principal::record_name(&principal_name(&text)?) {
                    return record(&StoredEntity::V1 { name: text });
                }
                let changed = event.stamp.time;
                let created = before.map(Principal::decode).transpose()?.map_or(changed, |principal| principal.created);
                record(&StoredPrincipal::V1(PrincipalV1 {
                    entity,
                    name: text,
                    roles,
                    epoch,
                    disabled,
                    created,
                    changed,
                }))
            }
            Fact::PolicyWritten(written) => {
                let (time, by, position) = (event.stamp.time, event.stamp.actor.entity, event.stamp.position.index);
                let policy = |text| PolicyV1 { text, written: time, by, position };
                record(&match written {
                    policy::Written::V1 { text, .. } => StoredPolicy::V1(policy(text)),
                    policy::Written::V2 { text, checked, .. } => StoredPolicy::V2(policy(text), checked),
                })
            }
        }
    }
}
