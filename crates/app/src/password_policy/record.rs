//! Named password policies as stored, and the commands that write and remove them.

use crate::secret::Password;
use access::PasswordPolicyName;
use crypto::WallMs;
use ledger::code::{BUG, PASSWORD_POLICY_NOT_FOUND};
use ledger::{Command, Context, Damaged, Event, EventRef, Halt, Outcome, RecordKind, RecordName, Refusal, Rules, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Event: a password policy was written.
pub const WRITTEN: &str = "password_policy.written";
/// Event: a password policy was removed.
pub const REMOVED: &str = "password_policy.removed";

/// Record of a password policy.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1 { rules: Password, changed_ms: u64 },
}

#[derive(Serialize, Deserialize)]
enum Written {
    V1 { name: String, rules: Password },
}

#[derive(Serialize, Deserialize)]
enum Removed {
    V1 { name: String },
}

/// Name of a password policy's record.
pub(super) fn record_name(name: &PasswordPolicyName) -> RecordName {
    named(name.as_str())
}

fn named(name: &str) -> RecordName {
    RecordName::new(RecordKind::PASSWORD_POLICY, [name])
}

/// Reads a record: the rules, and when they were written last. Errors: `Damaged`.
pub(super) fn read(bytes: &[u8]) -> Result<(Password, WallMs), Damaged> {
    let Stored::V1 { rules, changed_ms } = decode("record of a password policy", bytes)?;
    Ok((rules, WallMs(changed_ms)))
}

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((stored, [])) => Ok(stored),
        _ => Err(Damaged(what.into())),
    }
}

fn encode<T: Serialize>(stored: &T) -> Result<Vec<u8>, Refusal> {
    postcard::to_allocvec(stored).map_err(|_| Refusal::new(&BUG, "a stored form does not encode"))
}

/// Writes a password policy, replacing one of the same name.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) name: PasswordPolicyName,
    pub(crate) rules: Password,
}

impl Command for Put {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    /// Reply: empty.
    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let written = Written::V1 { name: self.name.as_str().to_owned(), rules: self.rules.clone() };
        Ok(Outcome::new(vec![Event { kind: WRITTEN, body: encode(&written)? }], Vec::new()))
    }
}

/// Removes a password policy.
#[derive(Debug)]
pub(crate) struct Remove(pub(crate) PasswordPolicyName);

impl Command for Remove {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.0)]
    }

    /// Errors: `password_policy.not_found` (nothing happened). Reply: empty.
    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        if view.get(&record_name(&self.0))?.is_none() {
            return Err(missing().into());
        }
        let removed = Removed::V1 { name: self.0.as_str().to_owned() };
        Ok(Outcome::new(vec![Event { kind: REMOVED, body: encode(&removed)? }], Vec::new()))
    }
}

pub(super) fn missing() -> Refusal {
    Refusal::new(&PASSWORD_POLICY_NOT_FOUND, "there is no password policy of this name")
}

/// The rules of password policies as records.
#[derive(Clone, Copy, Debug, Default)]
pub struct PasswordPolicyRules;

impl Rules for PasswordPolicyRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[WRITTEN, REMOVED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        let name = if event.kind == WRITTEN {
            let Written::V1 { name, .. } = decode(WRITTEN, event.body)?;
            name
        } else {
            let Removed::V1 { name } = decode(REMOVED, event.body)?;
            name
        };
        Ok(vec![named(&name)])
    }

    fn evolve(&self, _: &RecordName, _: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        if event.kind != WRITTEN {
            return Ok(None);
        }
        let Written::V1 { rules, .. } = decode(WRITTEN, event.body)?;
        let stored = Stored::V1 { rules, changed_ms: event.stamp.time.0 };
        encode(&stored).map(Some).map_err(|_| Damaged(WRITTEN.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Characters;

    #[test]
    fn stored_forms_of_version_1_keep_their_bytes() {
        let rules = Password {
            length: 20,
            sets: vec![(Characters::Lower, 1), (Characters::Symbols, 2)],
            symbols: Some("!?".to_owned()),
            exclude: "l".to_owned(),
        };
        let body = encode(&Written::V1 { name: "p".into(), rules: rules.clone() }).unwrap();
        assert_eq!(body, b"\x00\x01p\x14\x02\x00\x01\x03\x02\x01\x02!?\x01l");
        let record = encode(&Stored::V1 { rules: rules.clone(), changed_ms: 5 }).unwrap();
        assert_eq!(record, b"\x00\x14\x02\x00\x01\x03\x02\x01\x02!?\x01l\x05");
        assert_eq!(read(&record).unwrap(), (rules, WallMs(5)));
        assert_eq!(encode(&Removed::V1 { name: "p".into() }).unwrap(), b"\x00\x01p");
        assert!(read(&record[..record.len() - 1]).is_err() && read(b"").is_err());
    }
}
