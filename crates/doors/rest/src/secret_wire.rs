//! Secrets between the use cases' types and those of the wire.

use crate::answer::Answer;
use crate::secret::edited;
use crate::show::position;
use crate::time::{read, shown};
use api::Timestamp;
use api::secret as wire;
use app::code::{REQUEST_INVALID, SECRET_INVALID};
use app::secret::{
    About, Deleted, Edit, Encoding, Fate, Item, ItemKind, MetadataEdit, Purged, Revealed, Undeleted, Written,
};
use app::wrap::Content;
use app::{Changed, Page, Refusal};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use crypto::SecretBytes;
use http::header::{ETAG, HeaderValue};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What remains after a purge, for as long as it does.
const REMAINS: &str = "the live store no longer has it; copies in backups go with their retention, and remains in freed \
     pages or archives can be read only with the seal as it is now, until keys are rotated and the seal is re-keyed";

/// [`wire::Secret`] over borrowed parts: the value is written once, straight into the answer.
#[derive(Serialize)]
struct Shown<'a> {
    path: &'a str,
    version: u64,
    encoding: api::Encoding,
    value: Value<'a>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

/// A value in the form it was given in.
enum Value<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
    Json(&'a RawValue),
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => out.serialize_str(text),
            Value::Bytes(bytes) => out.collect_str(&Base64Display::new(bytes, &STANDARD)),
            Value::Json(json) => json.serialize(out),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(revealed: &'a Revealed) -> Shown<'a> {
        let bytes = revealed.value.expose();
        let text = || std::str::from_utf8(bytes).ok();
        let (encoding, value) = match revealed.encoding {
            Encoding::Text => text().map(|text| (api::Encoding::Utf8, Value::Text(text))),
            Encoding::Json => {
                text().and_then(|text| Some((api::Encoding::Json, Value::Json(serde_json::from_str(text).ok()?))))
            }
            Encoding::Bytes => None,
        }
        .unwrap_or((api::Encoding::Base64, Value::Bytes(bytes)));
        Shown {
            path: revealed.path.as_str(),
            version: revealed.version,
            encoding,
            value,
            created_at: shown(revealed.created),
            expires_at: revealed.expires.map(shown),
            labels: &revealed.labels,
        }
    }
}

/// The answer to a read: JSON, or the value as it is.
pub(crate) fn found(revealed: Revealed, raw: bool) -> Answer {
    let version = HeaderValue::from_str(&format!("\"{}\"", revealed.version));
    let answer = if raw { Answer::bytes(api::OCTETS, revealed.value) } else { Answer::json(&Shown::of(&revealed)) };
    match version {
        Ok(version) => answer.with(ETAG, version),
        Err(_unlikely) => answer,
    }
}

/// What was wrapped.
pub(crate) fn unwrapped(content: &Content, at: app::Position) -> Answer {
    #[derive(Serialize)]
    struct Opened<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<Shown<'a>>,
        position: api::Position,
    }
    let (text, secret) = match content {
        Content::Text(text) => (Some(text.expose()), None),
        Content::Secret(revealed) => (None, Some(Shown::of(revealed))),
    };
    Answer::json(&Opened { text, secret, position: position(at) })
}

/// The answer to a read of several.
pub(crate) fn found_many(all: &[Revealed]) -> Answer {
    #[derive(Serialize)]
    struct Many<'a> {
        items: Vec<Shown<'a>>,
    }
    Answer::json(&Many { items: all.iter().map(Shown::of).collect() })
}

pub(crate) fn written(changed: Changed<Written>) -> wire::Written {
    wire::Written {
        path: changed.what.path.as_str().to_owned(),
        version: changed.what.version,
        created_at: shown(changed.what.created),
        position: position(changed.position),
        replayed: changed.replayed,
    }
}

pub(crate) fn deleted(changed: &Changed<Deleted>) -> wire::Deleted {
    let Changed { what, position: place, .. } = changed;
    wire::Deleted { path: what.path.as_str().to_owned(), version: what.version, position: position(*place) }
}

pub(crate) fn restored(changed: &Changed<Undeleted>) -> wire::Restored {
    let Changed { what, position: place, .. } = changed;
    wire::Restored { path: what.path.as_str().to_owned(), version: what.version, position: position(*place) }
}

pub(crate) fn purged(changed: Changed<Purged>) -> wire::Purged {
    wire::Purged {
        path: changed.what.path.as_str().to_owned(),
        versions: changed.what.versions,
        position: position(changed.position),
        remains: REMAINS.to_owned(),
    }
}

pub(crate) fn metadata(about: &About) -> wire::Metadata {
    let kept = about.versions.iter().filter(|version| version.fate != Fate::Purged).count();
    wire::Metadata {
        path: about.path.as_str().to_owned(),
        current_version: about.current,
        last_version: about.last,
        kept_versions: u32::try_from(kept).unwrap_or(u32::MAX),
        max_versions: about.max_versions,
        deleted: about.is_deleted(),
        created_at: shown(about.created),
        updated_at: shown(about.changed),
        expires_at: about.expires.map(shown),
        labels: about.labels.clone(),
        owner: about.owner.clone(),
        last_read_at: about.last_read.map(shown),
        last_read_by: about.last_reader.clone(),
    }
}

pub(crate) fn versions(about: About) -> wire::Versions {
    let expires = about.expires;
    let items = about.versions.into_iter().map(|version| wire::Version {
        version: version.number,
        state: state(version.fate),
        created_at: shown(version.created),
        created_by: Some(version.author),
        expires_at: expires.map(shown),
        rolled_back_to: version.copied_from,
    });
    wire::Versions { items: items.collect(), path: about.path.as_str().to_owned() }
}

fn state(fate: Fate) -> wire::VersionState {
    match fate {
        Fate::Live => wire::VersionState::Live,
        Fate::Expired => wire::VersionState::Expired,
        Fate::Deleted => wire::VersionState::Deleted,
        Fate::Purged => wire::VersionState::Purged,
    }
}

pub(crate) fn item(item: Item) -> wire::Item {
    let folder = wire::Item {
        path: item.path,
        kind: wire::ItemKind::Folder,
        version: None,
        state: None,
        updated_at: None,
        labels: BTreeMap::new(),
        expires_at: None,
        owner: None,
    };
    match item.kind {
        ItemKind::Folder => folder,
        ItemKind::Secret { version, fate, changed, labels, expires, owner } => wire::Item {
            kind: wire::ItemKind::Secret,
            version: Some(version),
            state: Some(state(fate)),
            updated_at: Some(shown(changed)),
            labels,
            expires_at: expires.map(shown),
            owner,
            ..folder
        },
    }
}

pub(crate) fn page(page: Page<Item>, item: fn(Item) -> wire::Item) -> wire::SecretList {
    wire::SecretList { items: page.items.into_iter().map(item).collect(), next_cursor: page.next }
}

/// The bytes of a value as it was sent, and how it was given.
pub(crate) fn value(value: api::Value, encoding: Option<api::Encoding>) -> Result<(SecretBytes, Encoding), Refusal> {
    let (bytes, encoding) = value.into_bytes(encoding).map_err(|why| Refusal::new(&SECRET_INVALID, why.to_string()))?;
    let encoding = match encoding {
        api::Encoding::Utf8 => Encoding::Text,
        api::Encoding::Base64 => Encoding::Bytes,
        api::Encoding::Json => Encoding::Json,
    };
    Ok((bytes, encoding))
}

/// What a request changes of metadata; a time of `none` clears the expiry.
pub(crate) fn edit(
    labels: Option<BTreeMap<String, String>>,
    expires_at: Option<Timestamp>,
    max_versions: Option<u32>,
) -> Result<MetadataEdit, Refusal> {
    let expires = match expires_at {
        None => Edit::Keep,
        Some(text) if text.0 == "none" => Edit::Clear,
        Some(text) => Edit::Set(read(&text, &SECRET_INVALID, "expires_at")?),
    };
    Ok(MetadataEdit { labels: edited(labels), expires, max_versions: edited(max_versions), ..MetadataEdit::default() })
}

/// Labels of a query: `name=value`, separated by commas.
pub(crate) fn labels(text: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = |why: &str| Refusal::new(&REQUEST_INVALID, why.to_owned());
    let mut labels = BTreeMap::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| wrong("`labels` wants name=value, separated by commas"))?;
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(wrong("`labels` names one label twice"));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::Path;
    use crypto::WallMs;

    #[test]
    fn what_is_shown_reads_as_the_type_of_the_wire() {
        let labels = BTreeMap::from([("team".to_owned(), "a \"b\"".to_owned())]);
        for (bytes, encoding, wanted) in [
            (&b"gr\xc3\xbc\xc3\x9fe \"\n\x01"[..], Encoding::Text, api::Encoding::Utf8),
            (&[0, 255, 10], Encoding::Bytes, api::Encoding::Base64),
            (br#"{"k": [1e400, -0]}"#, Encoding::Json, api::Encoding::Json),
            (&[0xff], Encoding::Text, api::Encoding::Base64),
            (b"{", Encoding::Json, api::Encoding::Base64),
            (b"", Encoding::Text, api::Encoding::Utf8),
        ] {
            let revealed = Revealed {
                path: Path::parse("a/b").unwrap(),
                version: 7,
                created: WallMs(1_700_000_000_123),
                encoding,
                labels: labels.clone(),
                expires: None,
                value: SecretBytes::from_slice(bytes),
            };
            let text = serde_json::to_string(&Shown::of(&revealed)).unwrap();
            let read: wire::Secret = serde_json::from_str(&text).unwrap();
            assert_eq!((read.encoding, read.version, &read.labels), (wanted, 7, &labels), "{text}");
            assert_eq!(read.value.into_bytes(Some(read.encoding)).unwrap().0.expose(), bytes, "{text}");
        }
    }
}
