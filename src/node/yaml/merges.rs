//! Merge keys where readers differ about what counts.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use super::document::{first_document, options};
use super::message;

const MERGE: &str = "<<";

/// Kubernetes' reader lets a merge key override the keys before it in the same mapping; all others, this program among them,
/// let what is written out count. Such a file is refused, so that nothing is read in two ways.
///
/// # Errors
/// As [`super::read`].
pub(super) fn check(text: &str) -> Result<(), String> {
    let policies = options(DuplicateKeyPolicy::PassThrough, MergeKeyPolicy::AsOrdinary);
    let shape: Option<Shape> =
        first_document(text, policies).map_err(|error| message::of(&error))?;
    shape.map_or(Ok(()), |shape| shape.check())
}

/// A document without its values.
enum Shape {
    Map(Vec<(Key, Self)>),
    List(Vec<Self>),
    Scalar,
}

struct Key {
    name: String,
    line: u64,
}

impl Shape {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Scalar => Ok(()),
            Self::List(items) => items.iter().try_for_each(Self::check),
            Self::Map(entries) => {
                let mut before: HashSet<&str> = HashSet::new();
                for (key, value) in entries {
                    if key.name == MERGE {
                        let mut merged = Vec::new();
                        value.keys(&mut merged);
                        if merged.iter().any(|name| before.contains(name)) {
                            return Err(format!(
                                "a merge key (<<) that sets again what stands before it, at line {}; put it first in its mapping",
                                key.line
                            ));
                        }
                        before.extend(merged);
                    } else {
                        before.insert(&key.name);
                    }
                    value.check()?;
                }
                Ok(())
            }
        }
    }

    /// The keys that merging this brings.
    fn keys<'s>(&'s self, found: &mut Vec<&'s str>) {
        match self {
            Self::Scalar => {}
            Self::List(items) => items.iter().for_each(|item| item.keys(found)),
            Self::Map(entries) => {
                for (key, value) in entries {
                    if key.name == MERGE {
                        value.keys(found);
                    } else {
                        found.push(&key.name);
                    }
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Shapes)
    }
}

struct Shapes;

impl<'de> Visitor<'de> for Shapes {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let line = key.referenced.line();
            let name = key.value;
            entries.push((Key { name, line }, map.next_value()?));
        }
        Ok(Shape::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shape, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<Shape, A::Error> {
        Ok(Shape::Scalar)
    }
}
