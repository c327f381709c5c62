//! The databases of rpm: SQLite since rpm 4.16, ndb on SUSE, Berkeley DB before.
//!
//! Each reader walks its database page by page and takes of every package no more than the start of its header, where the names are:
//! a database of 200 MiB is read in a few. Documents: rpm's `lib/backend/sqlite.c`, `ndb/rpmpkg.c` and `bdb_ro.c`.

pub mod bdb;
mod header;
pub mod ndb;
pub mod sqlite;

pub use header::RpmPackage;

use crate::bytes::{Corrupt, ReadError, int_u64};

/// Packages that one database may hold; distributions have some 60000 to choose from.
const MAX_PACKAGES: usize = 1 << 18;

/// Who gets the packages.
pub type Each<'a> = &'a mut dyn FnMut(RpmPackage);

/// A corruption in words.
fn corrupt(structure: &'static str, at: u64, expected: impl Into<String>, found: impl ToString) -> ReadError {
    ReadError::Corrupt(Corrupt::new(structure, at, expected, found.to_string()))
}

/// A walk through a database: who gets its packages, and what it may cost.
struct Walk<'a> {
    each: Each<'a>,
    packages: usize,
    /// Bytes of headers that may still be read. Records of a damaged database may overlap, and all be long.
    bytes: u64,
}

impl<'a> Walk<'a> {
    /// A walk through a database of `size` bytes.
    fn new(size: u64, each: Each<'a>) -> Self {
        Self { each, packages: 0, bytes: size.saturating_mul(4).saturating_add(16 << 20) }
    }

    /// Reads the header of a package and hands it on; `prefix` gives as many bytes from its start as it is asked for.
    fn package(&mut self, len: u64, prefix: &mut dyn FnMut(usize) -> Result<Vec<u8>, ReadError>) -> Result<(), ReadError> {
        self.packages = self.packages.saturating_add(1);
        if self.packages > MAX_PACKAGES {
            return Err(ReadError::Unsupported(format!("more than {MAX_PACKAGES} packages")));
        }
        let package = header::read(len, &mut |wanted| {
            let left = self.bytes.checked_sub(int_u64(wanted));
            self.bytes = left.ok_or_else(|| corrupt("rpm database", 0, "headers that do not overlap", "more bytes than it has"))?;
            prefix(wanted)
        })?;
        (self.each)(package);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
