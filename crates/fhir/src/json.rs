//! A JSON tree that keeps each node's own bytes: what is handed on is what was received, and no
//! number passes through a float.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Levels of nesting at most. Each level is scanned again, so this also bounds the work.
pub(crate) const DEPTH_MAX: usize = 24;
/// Values in one document at most.
pub(crate) const NODES_MAX: usize = 20_000;

/// A value and the text it was read from.
pub(crate) struct Node<'a> {
    pub(crate) raw: &'a str,
    pub(crate) value: Value<'a>,
}

/// What a node is. Members stay in their order; doubles stay too.
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// Its text stands in [`Node::raw`].
    Number,
    Text(String),
    List(Vec<Node<'a>>),
    Object(Vec<(String, Node<'a>)>),
}

/// Why a text is no tree.
#[derive(thiserror::Error, Debug)]
pub(crate) enum JsonError {
    #[error("not JSON: {0}")]
    Syntax(serde_json::Error),
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("more than {NODES_MAX} values")]
    TooMany,
}

impl<'a> Node<'a> {
    /// The tree of a text.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_slice(bytes).map_err(JsonError::Syntax)?;
        let mut nodes_left = NODES_MAX;
        Self::of(raw.get(), DEPTH_MAX, &mut nodes_left)
    }

    fn of(raw: &'a str, depth_left: usize, nodes_left: &mut usize) -> Result<Self, JsonError> {
        *nodes_left = nodes_left.checked_sub(1).ok_or(JsonError::TooMany)?;
        let deeper = depth_left.checked_sub(1).ok_or(JsonError::TooDeep);
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let deeper = deeper?;
                let Members(members) = serde_json::from_str(raw).map_err(JsonError::Syntax)?;
                let nodes = members.into_iter().map(|(name, raw)| {
                    Self::of(raw.get(), deeper, nodes_left).map(|node| (name, node))
                });
                Value::Object(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'[') => {
                let deeper = deeper?;
                let items: Vec<&'a RawValue> =
                    serde_json::from_str(raw).map_err(JsonError::Syntax)?;
                let nodes = items.into_iter().map(|raw| Self::of(raw.get(), deeper, nodes_left));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            Some(b'"') => Value::Text(serde_json::from_str(raw).map_err(JsonError::Syntax)?),
            Some(b't') => Value::Bool(true),
            Some(b'f') => Value::Bool(false),
            Some(b'n') => Value::Null,
            _ => Value::Number,
        };
        Ok(Self { raw, value })
    }

    /// A member; of doubles the last, as other JSON readers take it.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rfind(|(other, _)| other == name).map(|(_, node)| node)
    }

    /// The text of a member.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Members in order; none if this is no object.
    pub(crate) fn members(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Object(members) => members,
            _ => &[],
        }
    }

    /// Items of a member that is a list; none otherwise.
    pub(crate) fn list(&self, name: &str) -> &[Self] {
        match self.get(name).map(|node| &node.value) {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// This value if it is text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<(String, &'de RawValue)>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_keeps_its_own_text() {
        let text = br#" {"a": 1.50 , "b":["x\u0041", {"c":1e999}] } "#;
        let tree = Node::parse(text).unwrap();
        assert_eq!(tree.get("a").unwrap().raw, "1.50");
        assert_eq!(tree.list("b")[0].as_text(), Some("xA"));
        assert_eq!(tree.list("b")[0].raw, r#""x\u0041""#);
        assert_eq!(tree.list("b")[1].get("c").unwrap().raw, "1e999");
    }

    #[test]
    fn nesting_and_size_have_a_bound() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(Node::parse(&nested(DEPTH_MAX)).is_ok());
        assert!(matches!(Node::parse(&nested(DEPTH_MAX + 1)), Err(JsonError::TooDeep)));
        assert!(Node::parse(&nested(100_000)).is_err());
        let many = format!("[{}0]", "0,".repeat(NODES_MAX));
        assert!(matches!(Node::parse(many.as_bytes()), Err(JsonError::TooMany)));
        assert!(matches!(Node::parse(b"{\"a\":1,}"), Err(JsonError::Syntax(_))));
    }
}
