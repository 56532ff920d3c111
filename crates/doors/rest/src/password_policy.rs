//! Password policies: put, see, list, remove.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time;
use api::password_policy as wire;
use api::policy::PageQuery;
use api::secret::{AtLeast, Characters as Set};
use app::password_policy::{self, Shown};
use app::secret::{Characters, Password};
use app::{Act, PasswordPolicyName};

/// Characters of a password where no length is named.
pub(crate) const LENGTH: usize = 32;

/// `PUT password-policies/{name}`
pub(crate) async fn put(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::PasswordRules = call.json()?;
            Ok((Act::password_policy_write(PasswordPolicyName::parse(&call.name)?), password(body)))
        },
        password_policy::put,
        |changed| {
            let policy = shown(changed.what);
            Answer::json(&wire::PasswordPolicyChanged { policy, position: position(changed.position) })
        },
    )
    .await
}

/// `GET password-policies/{name}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::password_policy_read(PasswordPolicyName::parse(&call.name)?), ())),
        |grant, ()| password_policy::get(grant),
        |found| Answer::json(&shown(found)),
    )
    .await
}

/// `GET password-policies`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::password_policy_list(), call.query::<PageQuery>()?)),
        |grant, page| password_policy::list(grant, page.cursor, page.limit.map(u64::from)),
        |page| {
            let items = page.items.into_iter().map(shown).collect();
            Answer::json(&wire::PasswordPolicyList { items, next_cursor: page.next })
        },
    )
    .await
}

/// `DELETE password-policies/{name}`
pub(crate) async fn remove(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::password_policy_remove(PasswordPolicyName::parse(&call.name)?), ())),
        |grant, ()| password_policy::remove(grant),
        |changed| {
            let (name, position) = (changed.what, position(changed.position));
            Answer::json(&wire::PasswordPolicyRemoved { name, position })
        },
    )
    .await
}

const SETS: [(Set, Characters); 4] = [
    (Set::Lower, Characters::Lower),
    (Set::Upper, Characters::Upper),
    (Set::Digits, Characters::Digits),
    (Set::Symbols, Characters::Symbols),
];

/// Rules as they are meant: every set that is named by one of them, each once.
pub(crate) fn password(rules: wire::PasswordRules) -> Password {
    let wire::PasswordRules { length, characters, at_least, symbols, exclude } = rules;
    let named = characters.unwrap_or_else(|| vec![Set::Lower, Set::Upper, Set::Digits]);
    let least = at_least.unwrap_or_default();
    let least = |set| match set {
        Set::Lower => least.lower,
        Set::Upper => least.upper,
        Set::Digits => least.digits,
        Set::Symbols => least.symbols,
    };
    // A rule about a set names the set; so do symbols.
    let wanted = |set| named.contains(&set) || least(set).is_some() || (set == Set::Symbols && symbols.is_some());
    let sets = SETS.into_iter().filter(|(set, _)| wanted(*set)).map(|(set, own)| (own, least(set).unwrap_or(1)));
    Password { length: length.unwrap_or(LENGTH), sets: sets.collect(), symbols, exclude: exclude.unwrap_or_default() }
}

fn shown(policy: Shown) -> wire::PasswordPolicy {
    let Shown { name, rules, changed } = policy;
    let least = |own| rules.sets.iter().find(|(set, _)| *set == own).map(|(_, least)| *least);
    let at_least = AtLeast {
        lower: least(Characters::Lower),
        upper: least(Characters::Upper),
        digits: least(Characters::Digits),
        symbols: least(Characters::Symbols),
    };
    let rules = wire::PasswordRules {
        length: Some(rules.length),
        characters: Some(SETS.into_iter().filter(|(_, own)| least(*own).is_some()).map(|(set, _)| set).collect()),
        at_least: Some(at_least),
        symbols: rules.symbols,
        exclude: Some(rules.exclude).filter(|exclude| !exclude.is_empty()),
    };
    wire::PasswordPolicy { name, rules, updated_at: time::shown(changed) }
}
