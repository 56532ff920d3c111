//! One field of a value that is a JSON object.

use client::Error;
use crypto::secret::SecretBytes;

use crate::fault;

/// Picks a field: a string's content, or the JSON text of anything else.
///
/// Errors: `Invalid`, code `cli.invalid`, naming the field and never the value.
pub(crate) fn pick(value: &SecretBytes, field: &str, path: &str) -> Result<SecretBytes, Error> {
    let hint = "`aumbry get` without the field shows the value";
    let picked = structured::pick(value.expose(), field).map_err(|why| match why {
        structured::Unfit::NoField => fault::invalid(format!("`{path}` has no field `{field}`"), hint),
        _ => fault::invalid(format!("`{path}` is not a JSON object, so it has no field"), hint),
    })?;
    Ok(picked.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_gives_its_content_and_anything_else_its_json() {
        let value = SecretBytes::from_slice(br#"{"user":"app\n","port":5432,"tags":["a", "b"]}"#);
        for (field, wanted) in [("user", "app\n"), ("port", "5432"), ("tags", r#"["a", "b"]"#)] {
            assert_eq!(pick(&value, field, "db").unwrap().expose(), wanted.as_bytes());
        }
    }

    #[test]
    fn leak_01_a_missing_field_is_named_without_the_value() {
        for (value, field) in
            [(r#"{"a":"canary"}"#, "b"), ("canary", "b"), (r#"["canary"]"#, "0"), (r#"{"a":"canary"#, "a")]
        {
            let refused = pick(&SecretBytes::from_slice(value.as_bytes()), field, "db").unwrap_err();
            assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
        }
    }
}
