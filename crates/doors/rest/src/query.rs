//! Queries read straight into their typed form.
//!
//! An unknown or repeated name and a value of the wrong kind are refused; the answer names the field,
//! never what was sent.

use crate::limits::QUERY_FIELDS_MAX;
use crate::target::decoded_value;
use app::Refusal;
use app::code::REQUEST_INVALID;
use serde::de::{DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Reads a query, as it stands after the question mark.
pub(crate) fn read<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    let wrong = |why: &str| Refusal::new(&REQUEST_INVALID, why.to_owned());
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded_value(name)?;
        if pairs.iter().any(|(known, _)| *known == name) {
            return Err(wrong("a field stands twice in the query"));
        }
        if pairs.len() >= QUERY_FIELDS_MAX {
            return Err(wrong("the query has too many fields"));
        }
        let value = decoded_value(value)?;
        pairs.push(if name == "limit" { (name, capped(value)) } else { (name, value) });
    }
    let mut at = String::new();
    let fields = Fields { pairs: pairs.into_iter(), value: None, at: &mut at };
    T::deserialize(Query(fields)).map_err(|error| match error {
        Wrong::Unknown => wrong("the query has a field that this route does not know"),
        Wrong::Missing(field) => wrong(&format!("the query needs `{field}`")),
        Wrong::Value => wrong(&format!("`{at}` in the query does not have the form it needs")),
    })
}

/// A page size past what a number holds is told the range, as every one past the largest is.
fn capped(value: Cow<'_, str>) -> Cow<'_, str> {
    let plain = !value.is_empty() && !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    if plain && value.parse::<u32>().is_err() { Cow::Owned(u32::MAX.to_string()) } else { value }
}

/// What can be wrong; never holds what was sent.
#[derive(Debug)]
enum Wrong {
    Unknown,
    Missing(&'static str),
    Value,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a query of this route")
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(_: T) -> Wrong {
        Wrong::Value
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Wrong {
        Wrong::Unknown
    }

    fn missing_field(field: &'static str) -> Wrong {
        Wrong::Missing(field)
    }
}

struct Fields<'a, 'n> {
    pairs: std::vec::IntoIter<(Cow<'a, str>, Cow<'a, str>)>,
    value: Option<Cow<'a, str>>,
    at: &'n mut String,
}

struct Query<'a, 'n>(Fields<'a, 'n>);

impl<'de> serde::Deserializer<'de> for Query<'_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_map(self.0)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.pairs.next() else { return Ok(None) };
        self.value = Some(value);
        let key = seed.deserialize(name.as_ref().into_deserializer())?;
        name.as_ref().clone_into(self.at);
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Wrong> {
        seed.deserialize(Value(self.value.take().unwrap_or_default()))
    }
}

/// One value: text that stands for what the field wants.
struct Value<'a>(Cow<'a, str>);

impl Value<'_> {
    /// Digits only: no sign, no blank, no leading zero, so that one number has one spelling.
    fn number(&self) -> Result<u64, Wrong> {
        let plain = self.0.bytes().all(|byte| byte.is_ascii_digit()) && (self.0.len() == 1 || !self.0.starts_with('0'));
        if plain { self.0.parse().map_err(|_bad| Wrong::Value) } else { Err(Wrong::Value) }
    }
}

impl<'de> serde::Deserializer<'de> for Value<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_string(self.0.into_owned())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.as_ref() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Wrong::Value),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(Word(self.0))
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A word of a closed set.
struct Word<'a>(Cow<'a, str>);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = Wrong;
    type Variant = Unit;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Unit), Wrong> {
        Ok((seed.deserialize(self.0.as_ref().into_deserializer())?, Unit))
    }
}

struct Unit;

impl<'de> VariantAccess<'de> for Unit {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong::Value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::Value)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::ledger::EntriesQuery;
    use api::secret::{ListQuery, ReadQuery, View};

    #[test]
    fn a_query_is_read_into_its_types() {
        let list: ListQuery = read("prefix=a%2Fb&limit=10&recursive=true&sort=name").unwrap();
        assert_eq!((list.prefix.as_deref(), list.limit, list.recursive), (Some("a/b"), Some(10), true));
        let entries: EntriesQuery = read("from=18446744073709551615").unwrap();
        assert_eq!(entries.from, u64::MAX);
        assert_eq!(read::<ReadQuery>("view=versions").unwrap().view, View::Versions);
        assert!(read::<ListQuery>("").unwrap().limit.is_none());
    }

    #[test]
    fn http_07_a_number_has_one_spelling() {
        for bad in ["", "-1", "+1", "1.0", "1e3", "01", "0x1", " 1", "18446744073709551616", "canary"] {
            let told = read::<EntriesQuery>(&format!("from={bad}")).unwrap_err();
            assert!(told.detail.contains("`from`") && !told.detail.contains("canary"), "{bad}: {told}");
        }
    }

    #[test]
    fn leak_01_a_refused_query_names_no_value_and_no_unknown_name() {
        for bad in
            ["canary=1", "view=canary", "version=1&version=canary", "version=canary", "view=value&canary", "%ff=1"]
        {
            let told = read::<ReadQuery>(bad).unwrap_err();
            assert!(!told.to_string().contains("canary"), "{told}");
        }
    }
}
