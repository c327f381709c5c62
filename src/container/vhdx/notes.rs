//! What was met on the way: deviations, and the first reason to refuse.

use super::Deviation;
use crate::bytes::{Corrupt, ReadAt, ReadError, read_array};

/// Deviations that are listed; a file made of nothing else shall not fill a report.
const LISTED: usize = 32;

/// Collects while a file is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) deviations: Vec<Deviation>,
    pub(super) refusal: Option<ReadError>,
}

impl Notes {
    /// A deviation that does not change what the disk holds.
    pub(super) fn deviation(&mut self, at: u64, message: impl Into<String>) {
        match self.deviations.len() {
            ..LISTED => self.deviations.push(Deviation { at, message: message.into() }),
            LISTED => self.deviations.push(Deviation { at, message: "further deviations are not listed".to_owned() }),
            _ => {}
        }
    }

    /// A reason not to give the disk.
    pub(super) fn refuse(&mut self, error: ReadError) {
        let at = match &error {
            ReadError::Corrupt(corrupt) => corrupt.at,
            ReadError::OutOfBounds { offset, .. } | ReadError::Host { offset, .. } => *offset,
            ReadError::Unsupported(_) | ReadError::Parent { .. } => 0,
        };
        self.deviation(at, error.to_string());
        self.refusal.get_or_insert(error);
    }

    /// The value, or `None` and a reason not to give the disk.
    ///
    /// # Errors
    ///
    /// The host's failures are not the file's, and go back as they are.
    pub(super) fn keep<T>(&mut self, result: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
        match settle(result)? {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                self.refuse(error);
                Ok(None)
            }
        }
    }
}

/// The host's failures outside, the file's inside.
pub(super) fn settle<T>(result: Result<T, ReadError>) -> Result<Result<T, ReadError>, ReadError> {
    match result {
        Err(error) if error.is_host() => Err(error),
        other => Ok(other),
    }
}

/// The `N` bytes of a structure, or the corruption that the file ends within them.
pub(super) fn structure<const N: usize>(file: &dyn ReadAt, name: &'static str, at: u64) -> Result<[u8; N], ReadError> {
    read_array(file, at).map_err(|error| match error {
        ReadError::OutOfBounds { size, .. } => {
            Corrupt::new(name, at, format!("{N} bytes"), format!("the end of the file at byte {size}")).into()
        }
        other => other,
    })
}

/// Fails with a corruption unless the condition holds.
pub(super) fn require(
    holds: bool,
    structure: &'static str,
    at: u64,
    expected: &str,
    found: impl std::fmt::Display,
) -> Result<(), ReadError> {
    if holds { Ok(()) } else { Err(Corrupt::new(structure, at, expected, found.to_string()).into()) }
}
