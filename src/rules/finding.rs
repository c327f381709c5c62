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
    /// Only a person can; the instructions in the order in which they are followed.
    Steps(Vec<String>),
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
            Self::Hand(_) | Self::Steps(_) => "hand",
        }
    }

    /// Whether only a person can.
    #[must_use]
    pub fn is_by_hand(&self) -> bool {
        matches!(self, Self::Hand(_) | Self::Steps(_))
    }

    /// The instruction on one line; several are numbered: `1. this; 2. that`.
    #[must_use]
    pub fn text(&self) -> String {
        match self.steps().as_slice() {
            [only] => only.clone(),
            steps => (1_usize..).zip(steps).map(|(number, step)| format!("{number}. {step}")).collect::<Vec<_>>().join("; "),
        }
    }

    /// The instructions, one after the other.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        match self {
            Self::Prepare(need) => vec![need.text()],
            Self::Hand(text) => vec![text.clone()],
            Self::Steps(steps) => steps.clone(),
        }
    }

    /// By hand, with the instruction.
    pub fn hand(text: impl Into<String>) -> Self {
        Self::Hand(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_one_text_and_a_list() {
        let steps = Remedy::Steps(vec!["shut it down".to_owned(), "copy it".to_owned()]);
        assert_eq!((steps.by(), steps.text().as_str()), ("hand", "1. shut it down; 2. copy it"));
        assert_eq!(steps.steps(), ["shut it down", "copy it"]);
        let hand = Remedy::hand("copy it");
        assert_eq!((hand.is_by_hand(), hand.text().as_str(), hand.steps().len()), (true, "copy it", 1));
        let prepare = Remedy::Prepare(Need::Rewrite);
        assert_eq!((prepare.is_by_hand(), prepare.by()), (false, "prepare"));
    }
}
