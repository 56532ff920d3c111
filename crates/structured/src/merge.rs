//! Merge patches (RFC 7396).

use crypto::{SecretBuffer, SecretBytes};
use serde_json::value::RawValue;

use crate::Unfit;
use crate::object::Members;

/// Levels of a patch that are followed.
pub const MERGE_DEPTH_MAX: usize = 64;

/// Lays a merge patch over a document; both are objects. What the patch does not name stays as it was written.
///
/// Errors: [`Unfit::NotAnObject`] for either, [`Unfit::TooDeep`] past [`MERGE_DEPTH_MAX`].
/// Source: RFC 7396, section 2.
pub fn merge(document: &[u8], patch: &[u8]) -> Result<SecretBytes, Unfit> {
    let target = Members::read(document).ok_or(Unfit::NotAnObject)?;
    let patch = Members::read(patch).ok_or(Unfit::NotAnObject)?;
    let mut out = SecretBuffer::with_capacity(document.len().saturating_mul(2));
    objects(&target, &patch, MERGE_DEPTH_MAX, &mut out)?;
    Ok(out.finish())
}

fn objects(target: &Members<'_>, patch: &Members<'_>, depth: usize, out: &mut SecretBuffer) -> Result<(), Unfit> {
    let depth = depth.checked_sub(1).ok_or(Unfit::TooDeep)?;
    let mut first = true;
    let mut member = |name: &str, out: &mut SecretBuffer| {
        out.extend(if std::mem::take(&mut first) { b"{" } else { b"," });
        serde_json::to_writer(&mut *out, name).map_err(|_| Unfit::NotAnObject)?;
        out.extend(b":");
        Ok(())
    };
    let patches: std::collections::HashMap<&str, &RawValue> =
        patch.0.iter().map(|(name, value)| (&**name, *value)).collect();
    let present: std::collections::HashSet<&str> = target.0.iter().map(|(name, _)| &**name).collect();
    for (name, before) in &target.0 {
        match patches.get(&**name) {
            Some(change) if change.get() == "null" => {}
            Some(change) => {
                member(name, out)?;
                value(Some(before), change, depth, out)?;
            }
            None => {
                member(name, out)?;
                out.extend(before.get().as_bytes());
            }
        }
    }
    for (name, change) in &patch.0 {
        if change.get() != "null" && !present.contains(&**name) {
            member(name, out)?;
            value(None, change, depth, out)?;
        }
    }
    out.extend(if first { b"{}" } else { b"}" });
    Ok(())
}

fn value(before: Option<&RawValue>, change: &RawValue, depth: usize, out: &mut SecretBuffer) -> Result<(), Unfit> {
    match Members::read(change.get().as_bytes()) {
        Some(change) => {
            let before = before.and_then(|before| Members::read(before.get().as_bytes()));
            objects(&before.unwrap_or(Members(Vec::new())), &change, depth, out)
        }
        None => {
            out.extend(change.get().as_bytes());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn merged(document: &str, patch: &str) -> String {
        let merged = merge(document.as_bytes(), patch.as_bytes()).unwrap();
        String::from_utf8(merged.expose().to_vec()).unwrap()
    }

    #[test]
    fn the_examples_of_rfc_7396_that_are_objects() {
        for (document, patch, wanted) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            assert_eq!(merged(document, patch), wanted, "{document} {patch}");
        }
    }

    #[test]
    fn what_is_not_named_stays_as_it_was_written() {
        let document = r#"{ "big" : 123456789012345678901234567890, "e":1e400, "t" : [ 1 , 2 ] }"#;
        let wanted = r#"{"big":123456789012345678901234567890,"e":1e400,"t":[ 1 , 2 ],"new":"\u00e9"}"#;
        assert_eq!(merged(document, r#"{"new":"\u00e9"}"#), wanted);
        assert_eq!(merged(r#"{"a\"b":1}"#, r#"{"a\u0022b":2}"#), r#"{"a\"b":2}"#);
    }

    #[test]
    fn only_objects_are_merged_and_only_so_deep() {
        for (document, patch) in [("1", "{}"), ("{}", "[]"), ("canary", "{}"), ("{}", "null"), ("", "{}")] {
            assert_eq!(merge(document.as_bytes(), patch.as_bytes()).unwrap_err(), Unfit::NotAnObject);
        }
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(merge(b"{}", nested(MERGE_DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(merge(b"{}", nested(MERGE_DEPTH_MAX + 1).as_bytes()).unwrap_err(), Unfit::TooDeep);
        assert!(merge(nested(100_000).as_bytes(), br#"{"b":1}"#).is_ok(), "depth of the document is no matter");
    }

    /// RFC 7396, section 2, word for word.
    fn reference(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut object = if let Value::Object(object) = target { object } else { Map::new() };
        for (name, value) in patch {
            if value.is_null() {
                object.remove(name);
            } else {
                let before = object.remove(name).unwrap_or(Value::Null);
                object.insert(name.clone(), reference(before, value));
            }
        }
        Value::Object(object)
    }

    fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf =
            prop_oneof![Just(Value::Null), any::<i32>().prop_map(|n| json!(n)), "[a\"é]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::hash_map("[ab\\\\]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn merging_equals_the_algorithm_of_the_rfc(document in any_json(), patch in any_json()) {
            let (text, change) = (document.to_string(), patch.to_string());
            match merge(text.as_bytes(), change.as_bytes()) {
                Ok(merged) => {
                    let merged: Value = serde_json::from_slice(merged.expose()).unwrap();
                    assert_eq!(merged, reference(document, &patch));
                }
                Err(_) => assert!(!document.is_object() || !patch.is_object()),
            }
        }
    }
}
