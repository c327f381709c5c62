//! gzip members: RFC 1952 around what RFC 1951 defines. The kernel takes one member an archive, and so does this.

use super::{CHUNK, Compression, Fed, Sink, Unpack, UnpackError};
use byteorder::{ByteOrder, LittleEndian};
use flate2::{Decompress, FlushDecompress, Status};

/// Longest header, its optional fields included; the extra field alone may have 64 KiB.
const MAX_HEADER: usize = 128 << 10;
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;

#[derive(Debug)]
pub(super) struct Gzip {
    stage: Stage,
    /// What of header or trailer has come.
    held: Vec<u8>,
    inflate: Decompress,
    out: Vec<u8>,
    check: crc32fast::Hasher,
    /// Length of the content, modulo 2^32.
    length: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Body,
    Trailer,
}

impl Gzip {
    pub(super) fn new() -> Self {
        let inflate = Decompress::new(false);
        Self { stage: Stage::Header, held: vec![], inflate, out: vec![0; CHUNK], check: crc32fast::Hasher::new(), length: 0 }
    }
}

fn damaged(what: impl Into<String>) -> UnpackError {
    UnpackError::Damaged { format: Compression::Gzip, what: what.into() }
}

impl Unpack for Gzip {
    fn feed(&mut self, input: &[u8], _last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        let mut rest = input;
        if self.stage == Stage::Header {
            let before = self.held.len();
            self.held.extend_from_slice(rest);
            let Some(length) = header(&self.held)? else {
                return if self.held.len() > MAX_HEADER { Err(damaged("a header without an end")) } else { Ok(Fed::More) };
            };
            rest = rest.get(length.saturating_sub(before)..).unwrap_or_default();
            self.held.clear();
            self.stage = Stage::Body;
        }
        while self.stage == Stage::Body {
            let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(rest, &mut self.out, FlushDecompress::None).map_err(|error| damaged(error.to_string()))?;
            let taken = crate::bytes::int_usize(self.inflate.total_in().saturating_sub(taken));
            let made = crate::bytes::int_usize(self.inflate.total_out().saturating_sub(made));
            rest = rest.get(taken..).unwrap_or_default();
            let out = self.out.get(..made).unwrap_or_default();
            self.check.update(out);
            self.length = self.length.wrapping_add(u32::try_from(made).unwrap_or_default());
            if sink(out).is_break() {
                return Ok(Fed::Stopped);
            }
            match status {
                Status::StreamEnd => self.stage = Stage::Trailer,
                // Room was left, so all input was used.
                _ if made < self.out.len() && rest.is_empty() => return Ok(Fed::More),
                _ if taken == 0 && made == 0 => return Err(damaged("it makes no progress")),
                _ => {}
            }
        }
        let (head, tail) = rest.split_at_checked(8_usize.saturating_sub(self.held.len())).unwrap_or((rest, &[]));
        self.held.extend_from_slice(head);
        let Some(trailer) = self.held.first_chunk::<8>() else { return Ok(Fed::More) };
        let (check, length) = trailer.split_at_checked(4).unwrap_or_default();
        if LittleEndian::read_u32(check) != self.check.clone().finalize() || LittleEndian::read_u32(length) != self.length {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(Fed::Done { left: tail.len() })
    }
}

/// Length of the header; `None` where it has not come whole.
fn header(bytes: &[u8]) -> Result<Option<usize>, UnpackError> {
    let Some([_, _, method, flags, _, _, _, _, _, _]) = bytes.first_chunk::<10>() else { return Ok(None) };
    if *method != 8 {
        return Err(damaged(format!("compression method {method}")));
    }
    let mut length = 10_usize;
    if flags & FEXTRA != 0 {
        let Some(size) = bytes.get(length..).and_then(<[u8]>::first_chunk::<2>) else { return Ok(None) };
        length = length.saturating_add(2).saturating_add(usize::from(u16::from_le_bytes(*size)));
    }
    for flag in [FNAME, FCOMMENT] {
        if flags & flag != 0 {
            let Some(zero) = bytes.get(length..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else { return Ok(None) };
            length = length.saturating_add(zero).saturating_add(1);
        }
    }
    if flags & FHCRC != 0 {
        length = length.saturating_add(2);
    }
    Ok((length <= bytes.len()).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optional_fields_are_passed_over() {
        let head = |flags: u8, rest: &[u8]| {
            let bytes = [&[0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3], rest].concat();
            header(&bytes).unwrap()
        };
        assert_eq!(head(0, b""), Some(10));
        assert_eq!(head(FNAME, b"name\0rest"), Some(15));
        assert_eq!(head(FNAME, b"name"), None);
        assert_eq!(head(FEXTRA | FCOMMENT | FHCRC, b"\x03\x00abcwords\0xx"), Some(23));
        assert_eq!(head(FEXTRA, b"\x03\x00ab"), None);
        assert!(header(&[0x1f, 0x8b, 7, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
