//! Reading values with the references in them resolved.

use super::read::{Revealed, reveal};
use crate::grant::Authorized;
use crate::limits::{READ_BYTES_MAX, RESOLVE_COUNT_MAX, RESOLVE_DEPTH_MAX};
use access::Action;
use futures::FutureExt as _;
use ledger::code::{REFERENCE_INVALID, REQUEST_INVALID};
use ledger::{Path, Refusal};
use secrets::Encoding;
use storage::BoxFuture;
use structured::{Filling, Picked, Reference};

/// As [`super::get`], with references resolved: a value that is one, or texts of a JSON document that are.
///
/// Each secret on the way is authorised for the caller by itself, before it is looked up, and has its own row. Errors: as a read
/// of each, with its path; `policy.denied`; `reference.invalid` for one that cannot be read, leads to another tenant, in a
/// circle, too deep, to too many, or to bytes in the middle of a text.
pub async fn get_resolved(grant: Authorized) -> Result<Revealed, Refusal> {
    let path = grant.path()?.clone();
    let mut resolver = Resolver::new(&grant);
    let found = resolver.read(&path, grant.act.version).await?;
    resolver.noted();
    Ok(found)
}

/// As [`super::read_many`], with references resolved as by [`get_resolved`]: all of them, or none.
pub async fn read_many_resolved(grant: Authorized) -> Result<Vec<Revealed>, Refusal> {
    let mut resolver = Resolver::new(&grant);
    let mut all = Vec::new();
    for path in grant.paths()? {
        all.push(resolver.read(path, None).await?);
    }
    resolver.noted();
    Ok(all)
}

/// A place on the way: path, version and field, as they were asked for.
type Step = (Path, Option<u64>, Option<String>);

struct Resolver<'a> {
    grant: &'a Authorized,
    /// Secrets read so far, with their versions.
    touched: Vec<(String, Option<u64>)>,
    /// The way from the value asked for to the one that is looked at.
    way: Vec<Step>,
    followed: usize,
    bytes: usize,
}

impl<'a> Resolver<'a> {
    fn new(grant: &'a Authorized) -> Resolver<'a> {
        Resolver { grant, touched: Vec::new(), way: Vec::new(), followed: 0, bytes: 0 }
    }

    /// A value that the act names.
    async fn read(&mut self, path: &Path, version: Option<u64>) -> Result<Revealed, Refusal> {
        let found = self.open(path, version).await?;
        self.way.push((path.clone(), version, None));
        let filled = self.filled(filling(found.value, found.encoding)).await?;
        self.way.pop();
        let (value, encoding) = match filled {
            Filling::Text(value) => (value, Encoding::Text),
            Filling::Json(value) => (value, Encoding::Json),
            Filling::Bytes(value) => (value, Encoding::Bytes),
        };
        Ok(Revealed { value, encoding, ..found })
    }

    /// Opens a value that the caller may read. A refusal names it, and so does the row.
    async fn open(&mut self, path: &Path, version: Option<u64>) -> Result<Revealed, Refusal> {
        let found = reveal(self.grant, path, version).await.map_err(|refusal| {
            self.grant.note_subjects(vec![(path.as_str().to_owned(), version)]);
            Refusal { detail: format!("`{path}`: {}", refusal.detail), ..refusal }
        })?;
        self.count(found.value.len())?;
        let row = (path.as_str().to_owned(), Some(found.version));
        if !self.touched.contains(&row) {
            self.touched.push(row);
        }
        Ok(found)
    }

    /// Names what was read in rows and as used.
    fn noted(self) {
        let read = self.touched.iter().filter_map(|(path, _)| Path::parse(path).ok());
        read.for_each(|path| self.grant.note_use(&path));
        self.grant.note_subjects(self.touched);
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > READ_BYTES_MAX {
            let why = format!("the values together are longer than {READ_BYTES_MAX} bytes; ask for fewer");
            return Err(Refusal::new(&REQUEST_INVALID, why));
        }
        Ok(())
    }

    /// A value with what its references lead to in their places.
    fn filled(&mut self, value: Filling) -> BoxFuture<'_, Result<Filling, Refusal>> {
        async move {
            let slots = structured::slots(value.bytes().expose()).map_err(|why| self.invalid(&why.to_string()))?;
            if slots.is_empty() {
                return Ok(value);
            }
            let mut fillings = Vec::with_capacity(slots.len());
            for slot in &slots {
                let filling = self.follow(&slot.reference).await?;
                if slot.is_whole() {
                    return Ok(filling);
                }
                fillings.push(filling);
            }
            let filled = structured::fill(value.bytes().expose(), &slots, &fillings);
            let filled = filled.ok_or_else(|| self.invalid("a reference leads to bytes that are no text"))?;
            self.count(filled.len())?;
            Ok(if matches!(value, Filling::Json(_)) { Filling::Json(filled) } else { Filling::Text(filled) })
        }
        .boxed()
    }

    /// What a reference leads to, resolved itself.
    async fn follow(&mut self, reference: &Reference) -> Result<Filling, Refusal> {
        if let Some(named) = &reference.tenant {
            let app = &self.grant.app;
            if app.tenants().resolve(app, Some(named)).await? != Some(self.grant.tenant()) {
                return Err(self.invalid("a reference leads to another tenant"));
            }
        }
        let path = Path::parse(&reference.path)
            .map_err(|_| self.invalid("a reference names no path in its canonical form"))?;
        let step = (path.clone(), reference.version, reference.field.clone());
        if self.way.contains(&step) {
            return Err(self.invalid("its references lead in a circle"));
        }
        self.followed = self.followed.saturating_add(1);
        if self.way.len() > RESOLVE_DEPTH_MAX || self.followed > RESOLVE_COUNT_MAX {
            let why =
                format!("more than {RESOLVE_DEPTH_MAX} references follow each other, or {RESOLVE_COUNT_MAX} in all");
            return Err(self.invalid(&why));
        }
        self.grant.require(Action::SecretRead, &path)?;
        let found = self.open(&path, reference.version).await?;
        let value = match &reference.field {
            None => filling(found.value, found.encoding),
            Some(field) => match structured::pick(found.value.expose(), field) {
                Ok(Picked::Text(text)) => Filling::Text(text),
                Ok(Picked::Json(json)) => Filling::Json(json),
                Err(_) => return Err(self.invalid("a reference names a field that is not there")),
            },
        };
        self.way.push(step);
        let filled = self.filled(value).await?;
        self.way.pop();
        Ok(filled)
    }

    /// A refusal about the value that is looked at, which the caller may read.
    fn invalid(&self, why: &str) -> Refusal {
        let at = self.way.last().map(|(path, ..)| path.as_str()).unwrap_or_default();
        self.grant.note_subjects(vec![(at.to_owned(), None)]);
        Refusal::new(&REFERENCE_INVALID, format!("`{at}`: {why}"))
    }
}

fn filling(value: crypto::SecretBytes, encoding: Encoding) -> Filling {
    match encoding {
        Encoding::Json => Filling::Json(value),
        Encoding::Text => Filling::Text(value),
        Encoding::Bytes if std::str::from_utf8(value.expose()).is_ok() => Filling::Text(value),
        Encoding::Bytes => Filling::Bytes(value),
    }
}
