//! Known, absent, unknown: three different things.

use serde::{Serialize, Serializer};

/// Key under which an unknown fact stands in the serialized tree until [`super::json`] turns it into `null` and a list entry. No key
/// of ours and no name from a disk can be the same: it starts with a NUL.
pub(super) const UNKNOWN_KEY: &str = "\0unknown";

/// One thing that a disk was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// It is so.
    Known(T),
    /// There is no such thing on this disk.
    #[default]
    Absent,
    /// It could not be learnt, and why.
    Unknown(Unknown),
}

/// Why something could not be learnt, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

impl<T> Fact<T> {
    /// An unknown fact with its reason.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(Unknown(reason.into()))
    }

    /// The value, `None` where it is absent; `?` on the error makes a rule undecided by itself.
    ///
    /// # Errors
    ///
    /// The reason why it is not known.
    pub fn known(&self) -> Result<Option<&T>, Unknown> {
        match self {
            Self::Known(value) => Ok(Some(value)),
            Self::Absent => Ok(None),
            Self::Unknown(reason) => Err(reason.clone()),
        }
    }

    /// The value where it is known, whatever the reason otherwise. For showing, not for judging.
    #[must_use]
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unknown(_) => None,
        }
    }

    /// The fact with its value changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(change(value)),
            Self::Absent => Fact::Absent,
            Self::Unknown(reason) => Fact::Unknown(reason),
        }
    }

    /// The reason, where it is unknown.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unknown(Unknown(reason)) => Some(reason),
            Self::Known(_) | Self::Absent => None,
        }
    }
}

impl<T> From<Option<T>> for Fact<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Known)
    }
}

impl<T, E: std::fmt::Display> From<Result<T, E>> for Fact<T> {
    fn from(value: Result<T, E>) -> Self {
        match value {
            Ok(value) => Self::Known(value),
            Err(error) => Self::unknown(error.to_string()),
        }
    }
}

impl<T: Serialize> Serialize for Fact<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Absent => serializer.serialize_none(),
            Self::Unknown(Unknown(reason)) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(UNKNOWN_KEY, reason)?;
                map.end()
            }
        }
    }
}
