//! Secrets whose value the server makes.

use crate::answer::Answer;
use crate::call::Call;
use crate::secret_wire::{edit, written};
use api::secret as wire;
use app::code::REQUEST_INVALID;
use app::secret::{self, Characters, MetadataEdit, PairKind, Password, Recipe};
use app::{Act, Path, Refusal};

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
    let length = body.length.unwrap_or(GENERATED_LENGTH);
    let wrong = |why: &str| Err(Refusal::new(&REQUEST_INVALID, why.to_owned()));
    let rules =
        body.characters.is_some() || body.at_least.is_some() || body.symbols.is_some() || body.exclude.is_some();
    if body.kind != wire::GeneratedKind::Password && rules {
        return wrong("`characters`, `at_least`, `symbols` and `exclude` go with a password only");
    }
    let sized = match body.kind {
        wire::GeneratedKind::Password => return Ok(Recipe::Password(password(body, length))),
        wire::GeneratedKind::Hex => return Ok(Recipe::Hex(length)),
        wire::GeneratedKind::Base64 => return Ok(Recipe::Base64(length)),
        wire::GeneratedKind::Bytes => return Ok(Recipe::Bytes(length)),
        wire::GeneratedKind::Uuid => Recipe::Uuid,
        wire::GeneratedKind::Ed25519 => Recipe::Pair(PairKind::Ed25519),
        wire::GeneratedKind::X25519 => Recipe::Pair(PairKind::X25519),
        wire::GeneratedKind::EcdsaP256 => Recipe::Pair(PairKind::EcdsaP256),
        wire::GeneratedKind::SshEd25519 => Recipe::Pair(PairKind::SshEd25519),
    };
    if body.length.is_some() { wrong("`length` does not go with this kind") } else { Ok(sized) }
}

fn password(body: &wire::Generate, length: usize) -> Password {
    let usual = [wire::Characters::Lower, wire::Characters::Upper, wire::Characters::Digits];
    let mut sets = body.characters.clone().unwrap_or(usual.into());
    let least = body.at_least.unwrap_or_default();
    let named = |set: wire::Characters| match set {
        wire::Characters::Lower => least.lower,
        wire::Characters::Upper => least.upper,
        wire::Characters::Digits => least.digits,
        wire::Characters::Symbols => least.symbols,
    };
    // A rule about a set names the set; so do symbols.
    let all = [wire::Characters::Lower, wire::Characters::Upper, wire::Characters::Digits, wire::Characters::Symbols];
    sets.extend(all.into_iter().filter(|set| named(*set).is_some()));
    sets.extend(body.symbols.iter().map(|_| wire::Characters::Symbols));
    sets.sort_unstable();
    sets.dedup();
    let set = |set| match set {
        wire::Characters::Lower => Characters::Lower,
        wire::Characters::Upper => Characters::Upper,
        wire::Characters::Digits => Characters::Digits,
        wire::Characters::Symbols => Characters::Symbols,
    };
    let sets = sets.into_iter().map(|one| (set(one), named(one).unwrap_or(1)));
    let exclude = body.exclude.clone().unwrap_or_default();
    Password { length, sets: sets.collect(), symbols: body.symbols.clone(), exclude }
}

const GENERATED_LENGTH: usize = 32;
