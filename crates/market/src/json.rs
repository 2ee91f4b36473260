//! Just enough JSON: one level at a time, each value kept as the text it was read from, so that no
//! number passes through a float and nothing is read that no table asks for.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeSet;

/// The members of an object in their order; none if it is no object, or a name stands twice: two
/// readers would read two things.
pub(crate) fn members(text: &str) -> Option<Vec<(String, &str)>> {
    let Members(members) = serde_json::from_str(text).ok()?;
    Some(members.into_iter().map(|(name, raw)| (name, raw.get())).collect())
}

/// The items of a list.
pub(crate) fn items(text: &str) -> Option<Vec<&str>> {
    let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(items.into_iter().map(RawValue::get).collect())
}

/// A text.
pub(crate) fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// A member by its name.
pub(crate) fn member<'a>(members: &[(String, &'a str)], name: &str) -> Option<&'a str> {
    members.iter().find(|(other, _)| other == name).map(|(_, raw)| *raw)
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object whose names stand once")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let (mut members, mut names) = (Vec::new(), BTreeSet::new());
                while let Some((name, raw)) = map.next_entry::<String, &RawValue>()? {
                    if !names.insert(name.clone()) {
                        return Err(M::Error::custom("a name stands twice"));
                    }
                    members.push((name, raw));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Once).map(Members)
    }
}

/// A value that is written: only what a table put there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    /// A number, `true` or `false`, already checked to be one.
    Plain(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

impl Out {
    /// Appends its one spelling: no blanks, members in their order.
    pub(crate) fn write(&self, to: &mut String) {
        match self {
            Self::Plain(text) => to.push_str(text),
            Self::Text(text) => {
                to.push_str(&serde_json::to_string(text).expect("a text is JSON"));
            }
            Self::List(items) => {
                to.push('[');
                for (place, item) in items.iter().enumerate() {
                    if place > 0 {
                        to.push(',');
                    }
                    item.write(to);
                }
                to.push(']');
            }
            Self::Object(members) => {
                to.push('{');
                for (place, (name, value)) in members.iter().enumerate() {
                    if place > 0 {
                        to.push(',');
                    }
                    to.push('"');
                    to.push_str(name);
                    to.push_str("\":");
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_read_by_nobody() {
        assert_eq!(members(r#"{"a":1.50,"b":[2]}"#).unwrap()[0].1, "1.50");
        assert!(members(r#"{"a":1,"a":2}"#).is_none());
        assert!(members(r#"{"a":1,"\u0061":2}"#).is_none());
        assert!(members("[]").is_none());
        assert!(members("{").is_none());
    }
}
