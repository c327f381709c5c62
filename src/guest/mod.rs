//! What an operating system's files mean.
//!
//! Parsers of guest files: text, bytes or [`Bytes`](crate::bytes::Bytes) in, values out. Nothing here opens a file or knows where one is.

pub mod elf;
pub mod linux;
pub mod pe;
pub mod windows;
