//! What a rule says when something is wrong.

use crate::bytes::MIB;

/// One thing that is wrong, with its evidence and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was found where, what is required, and what happens otherwise: one or two sentences.
    pub message: String,
    /// The value found.
    pub actual: String,
    /// The value required.
    pub required: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// What cures it.
    pub remedy: Remedy,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Bytes of the disk file.
    Bytes {
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// A line of a guest's file.
    File {
        /// Path in the guest.
        path: String,
        /// Line, from 1.
        line: Option<u32>,
    },
    /// A registry value.
    Registry(String),
}

/// What cures a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// `vhdkit prepare` does; what must become true.
    Prepare(Need),
    /// Only a person can; the instruction.
    Hand(String),
}

/// What must become true of the written disk. A plan merges these, so that several findings may share one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A fixed VHD with a fresh footer.
    Rewrite,
    /// A virtual size of this many bytes at least.
    Grow(u64),
    /// A GPT with both copies sound and in their places.
    RebuildGpt,
}

impl Need {
    /// What `prepare` will do, in words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Rewrite => "vhdkit prepare writes a fixed VHD with a correct footer".to_owned(),
            Self::Grow(size) if size.is_multiple_of(MIB) => {
                format!("vhdkit prepare grows the disk to {} MiB ({size} bytes)", size / MIB)
            }
            Self::Grow(size) => format!("vhdkit prepare grows the disk to {size} bytes"),
            Self::RebuildGpt => "vhdkit prepare writes both copies of the GPT to their places, with correct checksums".to_owned(),
        }
    }
}

impl Remedy {
    /// Who cures it, as the JSON says: `prepare` or `hand`.
    #[must_use]
    pub fn by(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::Hand(_) => "hand",
        }
    }

    /// The instruction.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Prepare(need) => need.text(),
            Self::Hand(text) => text.clone(),
        }
    }

    /// By hand, with the instruction.
    pub fn hand(text: impl Into<String>) -> Self {
        Self::Hand(text.into())
    }
}
