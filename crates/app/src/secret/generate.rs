//! Values made here, so that nobody has seen them before they are stored.

use super::password::Password;
use super::write::{NewValue, Written, put};
use crate::app::{App, no_entropy};
use crate::grant::{Authorized, bug};
use crate::limits::{GENERATED_BITS_MIN, GENERATED_LENGTH_MAX};
use crate::password_policy::{Fresh, rules};
use crate::reply::Changed;
use access::PasswordPolicyName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::pair::PairKind;
use crypto::{Entropy, SecretBytes};
use ledger::Refusal;
use ledger::code::SECRET_INVALID;
use secrets::Encoding;
use secrets::command::MetadataEdit;
use std::sync::Arc;

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// Characters by rules.
    Password(Password),
    /// Characters by the rules that have this name.
    Named(PasswordPolicyName),
    /// So many random bytes as lower-case hex.
    Hex(usize),
    /// So many random bytes as standard base64 with padding.
    Base64(usize),
    /// So many random bytes.
    Bytes(usize),
    /// A random UUID (RFC 9562, version 4).
    Uuid,
    /// A key pair, as a JSON object with `private_key` and `public_key`.
    Pair(PairKind),
}

impl Recipe {
    /// Makes a value and says in which form. Errors: `secret.invalid`, `entropy.failed`; for a named policy `policy.denied` and
    /// `password_policy.not_found`.
    pub(super) async fn make(&self, grant: &Authorized, fresh: &Fresh) -> Result<(SecretBytes, Encoding), Refusal> {
        let entropy = &*grant.app.parts().entropy;
        match self {
            Recipe::Named(name) => Recipe::Password(rules(grant, name, fresh).await?).draw(entropy),
            slow if slow.is_slow() => self.draw_aside(&grant.app).await,
            recipe => recipe.draw(entropy),
        }
    }

    /// Whether it takes long, up to seconds.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self, Recipe::Pair(kind) if kind.is_slow())
    }

    /// As [`Recipe::draw`], for what would hold others up. Errors: `server.busy` too.
    async fn draw_aside(&self, app: &App) -> Result<(SecretBytes, Encoding), Refusal> {
        let _place = app.making().enter().await?;
        let (recipe, entropy) = (self.clone(), Arc::clone(&app.parts().entropy));
        let (tell, told) = tokio::sync::oneshot::channel();
        // Whoever waited for it may be gone.
        app.parts().tasks.block(Box::new(move || drop(tell.send(recipe.draw(&*entropy)))));
        told.await.unwrap_or_else(|_| Err(bug("a value that was not made to its end")))
    }

    fn draw(&self, entropy: &dyn Entropy) -> Result<(SecretBytes, Encoding), Refusal> {
        let random = |length: usize| -> Result<SecretBytes, Refusal> {
            let mut bytes = SecretBytes::zeroed(checked(length, length.saturating_mul(8))?);
            entropy.fill_secret(bytes.expose_mut()).map_err(no_entropy)?;
            Ok(bytes)
        };
        match self {
            Recipe::Password(password) => password.make(entropy).map(|text| (text, Encoding::Text)),
            Recipe::Named(_) => Err(bug("a name is no rule")),
            Recipe::Hex(length) => Ok((hex(random(*length)?.expose()), Encoding::Text)),
            Recipe::Base64(length) => {
                let text = STANDARD.encode(random(*length)?.expose());
                Ok((SecretBytes::new(text.into_bytes()), Encoding::Text))
            }
            Recipe::Bytes(length) => Ok((random(*length)?, Encoding::Bytes)),
            Recipe::Uuid => Ok((uuid(random(16)?.expose()), Encoding::Text)),
            Recipe::Pair(kind) => {
                let pair = crypto::pair::generate(*kind, entropy).map_err(no_entropy)?;
                let fields = [("private_key", pair.private_key.expose()), ("public_key", pair.public_key.as_bytes())];
                let object = structured::object(&fields).ok_or_else(|| bug("a key pair that is no text"))?;
                Ok((object, Encoding::Json))
            }
        }
    }
}

pub(super) fn checked(length: usize, bits: usize) -> Result<usize, Refusal> {
    if length > GENERATED_LENGTH_MAX {
        return Err(Refusal::new(&SECRET_INVALID, format!("`length` is more than {GENERATED_LENGTH_MAX}")));
    }
    if bits < GENERATED_BITS_MIN {
        let why = format!(
            "that has {bits} bits and is easily guessed; ask for at least {GENERATED_BITS_MIN}: more length or characters"
        );
        return Err(Refusal::new(&SECRET_INVALID, why));
    }
    Ok(length)
}

fn hex(bytes: &[u8]) -> SecretBytes {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied().unwrap_or(b'0');
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(2));
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    SecretBytes::new(text)
}

/// Version and variant of RFC 9562 set into 16 random bytes, written in its groups.
fn uuid(random: &[u8]) -> SecretBytes {
    let mut bytes = SecretBytes::from_slice(random);
    for (index, byte) in bytes.expose_mut().iter_mut().enumerate() {
        match index {
            6 => *byte = (*byte & 0x0f) | 0x40,
            8 => *byte = (*byte & 0x3f) | 0x80,
            _ => {}
        }
    }
    let digits = hex(bytes.expose());
    let mut text = crypto::SecretBuffer::with_capacity(36);
    for (index, digit) in digits.expose().iter().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.extend(b"-");
        }
        text.extend(&[*digit]);
    }
    text.finish()
}

/// Writes a new version with a value that is made here, and does not show it.
///
/// Errors: `secret.invalid` for a length or strength out of bounds, `entropy.failed`, `password_policy.not_found`; otherwise
/// as [`put`].
pub async fn generate(
    grant: Authorized,
    recipe: Recipe,
    cas: Option<u64>,
    edit: MetadataEdit,
) -> Result<Changed<Written>, Refusal> {
    let (value, encoding) = recipe.make(&grant, &Fresh::new()).await?;
    put(grant, NewValue { value, encoding, cas, edit }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::seam::SystemEntropy;

    fn made(recipe: &Recipe) -> Result<Vec<u8>, Refusal> {
        recipe.draw(&SystemEntropy::new()).map(|(value, _)| value.expose().to_vec())
    }

    #[test]
    fn what_is_too_weak_or_too_long_is_refused_and_the_bounds_are_not() {
        for recipe in [Recipe::Hex(7), Recipe::Base64(GENERATED_LENGTH_MAX + 1), Recipe::Bytes(0)] {
            assert_eq!(made(&recipe).unwrap_err().code.name, "secret.invalid", "{recipe:?}");
        }
        for (recipe, length) in [
            (Recipe::Hex(8), 16),
            (Recipe::Base64(32), 44),
            (Recipe::Bytes(GENERATED_LENGTH_MAX), GENERATED_LENGTH_MAX),
        ] {
            assert_eq!(made(&recipe).unwrap().len(), length, "{recipe:?}");
        }
        assert!(made(&Recipe::Hex(32)).unwrap().iter().all(u8::is_ascii_hexdigit));
        let uuid = String::from_utf8(made(&Recipe::Uuid).unwrap()).unwrap();
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!((groups, uuid.as_bytes()[14]), (vec![8, 4, 4, 4, 12], b'4'), "{uuid}");
        assert!(b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
        let pair = made(&Recipe::Pair(PairKind::Ed25519)).unwrap();
        for (field, wanted) in
            [("private_key", "-----BEGIN PRIVATE KEY-----\n"), ("public_key", "-----BEGIN PUBLIC KEY-----\n")]
        {
            assert!(structured::pick(&pair, field).unwrap().into_bytes().expose().starts_with(wanted.as_bytes()));
        }
    }
}
