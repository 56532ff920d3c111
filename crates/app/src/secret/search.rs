//! Finding secrets by name, labels, owner and expiry, within what the caller may list.

use super::list::{Item, Knows, secret_item};
use super::read::Names;
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::limits::{self, PATTERN_CHARS_MAX};
use crate::reply::Page;
use crate::walk::{Found, Frame, Order, Walk};
use access::{Action, Principal, PrincipalName, Resource, principal};
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::code::REQUEST_INVALID;
use ledger::{Path, Prefix, Refusal};
use secrets::{Labels, Secret};

/// What is wanted; everything that is named must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Search {
    /// A part of the path, or a pattern of the whole: `*` stands for anything within a segment, `**` across segments, `?` for
    /// one character.
    pub name: Option<String>,
    /// Labels it has, with these values.
    pub labels: Labels,
    /// The name of the principal that made it.
    pub owner: Option<PrincipalName>,
    /// Values that stop being readable before this time.
    pub expires_before: Option<WallMs>,
    /// Where an earlier page stopped.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 1,000; the latter if absent.
    pub limit: Option<u64>,
}

/// Secrets below the folder that the act names, in store order.
///
/// A folder is gone into only if the caller may list it, labels and expiry count only of secrets whose metadata or value the
/// caller may see, and owners only of those whose metadata it may see: nothing hints at the others. A page may be short or empty and still have a next one: work per page is
/// bounded. Errors: `cursor.invalid`, `request.invalid`.
pub async fn search(grant: Authorized, search: Search) -> Result<Page<Item>, Refusal> {
    let root = grant.folder()?.clone();
    let limit = limits::page(search.limit)?;
    let pattern = search.name.as_deref().map(Pattern::parse).transpose()?;
    let labels = format!("{:?}", search.labels);
    let expires = search.expires_before.map(|at| at.0.to_be_bytes());
    let owner = match &search.owner {
        Some(name) => Some(entity(&grant, name).await?),
        None => None,
    };
    let bound: [&[u8]; 7] = [
        b"secret.search",
        root.as_str().as_bytes(),
        &[u8::from(search.name.is_some())],
        search.name.as_deref().unwrap_or_default().as_bytes(),
        labels.as_bytes(),
        expires.as_ref().map(<[u8; 8]>::as_slice).unwrap_or_default(),
        search.owner.as_ref().map(|name| name.as_str().as_bytes()).unwrap_or_default(),
    ];
    let cursors = grant.app.cursors();
    let frames: Vec<Frame> = match &search.cursor {
        Some(text) => cursors.read(grant.tenant(), &bound, text)?,
        None => vec![Frame::top()],
    };
    let may = |folder: &str| {
        Prefix::parse(folder).is_ok_and(|folder| grant.also(Action::SecretList, &Resource::Folder(folder)))
    };
    let mut walk = Walk::resume((grant.ledger(), grant.tenant()), &may, root.clone(), Order::Store, true, frames);
    let (mut items, mut names) = (Vec::new(), Names::of(&grant));
    while items.len() < limit {
        let Some(found) = walk.next().await? else { break };
        let Found::Secret(path, body) = found else { continue };
        if pattern.as_ref().is_some_and(|pattern| !pattern.fits(&path)) {
            continue;
        }
        let Some(secret) = Secret::decode(&body).map_err(damaged)? else { continue };
        let knows = Knows::of(&grant, &Path::parse(&path)?);
        if !knows.labels && (!search.labels.is_empty() || search.expires_before.is_some()) {
            continue;
        }
        let labelled = search.labels.iter().all(|(name, value)| secret.labels.get(name) == Some(value));
        let ends = search.expires_before.is_none_or(|before| secret.expires.is_some_and(|at| at < before));
        let made = owner.is_none_or(|owner| knows.owner && owner.is_some() && secret.owner == owner);
        if labelled && ends && made {
            items.push(secret_item(path, secret, knows, grant.now(), &mut names).await?);
        }
    }
    let next = match walk.rest() {
        Some(frames) => Some(cursors.write(grant.tenant(), &bound, &frames)?),
        None => None,
    };
    Ok(Page { items, next })
}

/// Who has a name in the caller's tenant. Nobody is an answer like any other: it tells nothing.
async fn entity(grant: &Authorized, name: &PrincipalName) -> Result<Option<EntityId>, Refusal> {
    let record = grant.ledger().record(grant.tenant(), &principal::record_name(name)).await?;
    let found = record.map(|record| Principal::decode(&record)).transpose().map_err(damaged)?;
    Ok(found.map(|principal| principal.entity))
}

/// A part of a path, or a pattern of the whole.
#[derive(Debug)]
enum Pattern {
    Part(String),
    Whole(Vec<Token>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    Is(char),
    /// One character of a segment.
    One,
    /// Any characters of a segment.
    Any,
    /// Any characters.
    Across,
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, Refusal> {
        if text.is_empty() || text.chars().count() > PATTERN_CHARS_MAX {
            return Err(Refusal::new(&REQUEST_INVALID, format!("`name` has 1 to {PATTERN_CHARS_MAX} characters")));
        }
        if !text.contains(['*', '?']) {
            return Ok(Pattern::Part(text.to_owned()));
        }
        let mut tokens = Vec::new();
        for character in text.chars() {
            match (character, tokens.last()) {
                ('*', Some(Token::Any | Token::Across)) => {
                    tokens.pop();
                    tokens.push(Token::Across);
                }
                ('*', _) => tokens.push(Token::Any),
                ('?', _) => tokens.push(Token::One),
                (other, _) => tokens.push(Token::Is(other)),
            }
        }
        Ok(Pattern::Whole(tokens))
    }

    /// Whether a path fits. At most its length times the pattern's: all ways through the pattern are followed at once.
    fn fits(&self, path: &str) -> bool {
        let tokens = match self {
            Pattern::Part(part) => return path.contains(part.as_str()),
            Pattern::Whole(tokens) => tokens,
        };
        let skipped = |reached: &mut Vec<bool>| {
            for (at, token) in tokens.iter().enumerate() {
                if matches!(token, Token::Any | Token::Across) && reached.get(at) == Some(&true) {
                    mark(reached, at.saturating_add(1));
                }
            }
        };
        let mut reached = vec![false; tokens.len().saturating_add(1)];
        mark(&mut reached, 0);
        skipped(&mut reached);
        for character in path.chars() {
            let mut next = vec![false; reached.len()];
            for (at, token) in tokens.iter().enumerate().filter(|(at, _)| reached.get(*at) == Some(&true)) {
                match token {
                    Token::Is(wanted) if *wanted == character => mark(&mut next, at.saturating_add(1)),
                    Token::One if character != '/' => mark(&mut next, at.saturating_add(1)),
                    Token::Any if character != '/' => mark(&mut next, at),
                    Token::Across => mark(&mut next, at),
                    _ => {}
                }
            }
            skipped(&mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }
}

fn mark(reached: &mut [bool], at: usize) {
    if let Some(place) = reached.get_mut(at) {
        *place = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_by_part_or_by_pattern() {
        let fits = |pattern: &str, path: &str| Pattern::parse(pattern).unwrap().fits(path);
        for (pattern, path, wanted) in [
            ("pass", "db/password", true),
            ("Pass", "db/password", false),
            ("db/*", "db/password", true),
            ("db/*", "db/a/password", false),
            ("db/**", "db/a/password", true),
            ("**/password", "db/a/password", true),
            ("**password", "password", true),
            ("*/password", "db/password", true),
            ("db/passwor?", "db/password", true),
            ("db?password", "db/password", false),
            ("*", "db", true),
            ("*", "db/x", false),
            ("d*b*", "dabob", true),
            ("\u{e9}?", "\u{e9}\u{fc}", true),
            ("***", "a/b/c", true),
        ] {
            assert_eq!(fits(pattern, path), wanted, "{pattern} {path}");
        }
        assert!(Pattern::parse("").is_err());
        assert!(Pattern::parse(&"x".repeat(PATTERN_CHARS_MAX)).is_ok());
        assert!(Pattern::parse(&"x".repeat(PATTERN_CHARS_MAX + 1)).is_err());
        assert!(!fits(&format!("{}b", "a*".repeat(60)), &"a".repeat(1_024)), "no pattern takes long");
    }
}
