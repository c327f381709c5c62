//! Writing the files that are ready.

pub mod copy;
pub mod fsverity;
mod host;
pub mod staged;
