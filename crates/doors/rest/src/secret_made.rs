//! Secrets whose value the server makes.

use crate::answer::Answer;
use crate::call::Call;
use crate::password_policy::{LENGTH, password};
use crate::secret_wire::{edit, written};
use api::password_policy::PasswordRules;
use api::secret as wire;
use app::code::REQUEST_INVALID;
use app::secret::{self, MetadataEdit, PairKind, Recipe, RsaSize};
use app::{Act, PasswordPolicyName, Path, Refusal};

/// `POST secrets:generate`
pub(crate) async fn generate(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::Generate = call.json()?;
            let recipe = recipe(&body)?;
            let edit: MetadataEdit = edit(body.labels, body.expires_at, body.max_versions)?;
            let cas = call.cas(body.cas)?;
            Ok((Act::secret_generate(Path::parse(&body.path)?).replacing(cas), (recipe, cas, edit)))
        },
        |grant, (recipe, cas, edit)| secret::generate(grant, recipe, cas, edit),
        |changed| Answer::json(&written(changed)),
    )
    .await
}

/// What to make.
pub(crate) fn recipe(body: &wire::Generate) -> Result<Recipe, Refusal> {
    let rules = rules(body);
    let wrong = |why: &str| Err(Refusal::new(&REQUEST_INVALID, why.to_owned()));
    if let Some(policy) = &body.policy {
        if body.kind != wire::GeneratedKind::Password || rules != PasswordRules::default() {
            return wrong("`policy` goes with a password only, and in place of rules of its own");
        }
        return Ok(Recipe::Named(PasswordPolicyName::parse(policy)?));
    }
    let length = body.length.unwrap_or(LENGTH);
    if body.kind != wire::GeneratedKind::Password
        && rules != (PasswordRules { length: body.length, ..PasswordRules::default() })
    {
        return wrong("`characters`, `at_least`, `symbols` and `exclude` go with a password only");
    }
    let sized = match body.kind {
        wire::GeneratedKind::Password => return Ok(Recipe::Password(password(rules))),
        wire::GeneratedKind::Hex => return Ok(Recipe::Hex(length)),
        wire::GeneratedKind::Base64 => return Ok(Recipe::Base64(length)),
        wire::GeneratedKind::Bytes => return Ok(Recipe::Bytes(length)),
        wire::GeneratedKind::Uuid => Recipe::Uuid,
        wire::GeneratedKind::Ed25519 => Recipe::Pair(PairKind::Ed25519),
        wire::GeneratedKind::X25519 => Recipe::Pair(PairKind::X25519),
        wire::GeneratedKind::EcdsaP256 => Recipe::Pair(PairKind::EcdsaP256),
        wire::GeneratedKind::SshEd25519 => Recipe::Pair(PairKind::SshEd25519),
        wire::GeneratedKind::Rsa2048 => Recipe::Pair(PairKind::Rsa(RsaSize::Bits2048)),
        wire::GeneratedKind::Rsa3072 => Recipe::Pair(PairKind::Rsa(RsaSize::Bits3072)),
        wire::GeneratedKind::Rsa4096 => Recipe::Pair(PairKind::Rsa(RsaSize::Bits4096)),
    };
    if body.length.is_some() { wrong("`length` does not go with this kind") } else { Ok(sized) }
}

/// The rules for a password among the fields.
fn rules(body: &wire::Generate) -> PasswordRules {
    let wire::Generate { length, characters, at_least, symbols, exclude, .. } = body;
    PasswordRules {
        length: *length,
        characters: characters.clone(),
        at_least: *at_least,
        symbols: symbols.clone(),
        exclude: exclude.clone(),
    }
}
