//! zstd, xz and lzma: formats whose crates take bytes as they come.

use super::{CHUNK, Compression, Fed, MAX_DICTIONARY, Sink, Unpack, UnpackError};
use lzma_rust2::{Action, LzmaStream, Status, StreamResult, XzStream};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// The memory that the xz and lzma decoders may take, in KiB: the dictionary and 32 MiB for tables.
const MAX_KIB: u32 = 160 << 10;
/// Base-2 logarithm of [`MAX_DICTIONARY`].
const MAX_WINDOW_LOG: u32 = MAX_DICTIONARY.ilog2();

fn damaged(format: Compression, error: &impl std::fmt::Display) -> UnpackError {
    UnpackError::Damaged { format, what: error.to_string() }
}

/// One zstd frame.
pub(super) struct Zstd {
    decoder: Decoder<'static>,
    out: Vec<u8>,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, UnpackError> {
        let failed = |error| damaged(Compression::Zstd, &error);
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(failed)?;
        Ok(Self { decoder, out: vec![0; CHUNK] })
    }
}

impl Unpack for Zstd {
    fn feed(&mut self, input: &[u8], _last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        let mut rest = input;
        loop {
            let status = self.decoder.run_on_buffers(rest, &mut self.out).map_err(|error| damaged(Compression::Zstd, &error))?;
            rest = rest.get(status.bytes_read..).unwrap_or_default();
            if sink(self.out.get(..status.bytes_written).unwrap_or_default()).is_break() {
                return Ok(Fed::Stopped);
            }
            if status.remaining == 0 {
                return Ok(Fed::Done { left: rest.len() });
            }
            if rest.is_empty() && status.bytes_written < self.out.len() {
                return Ok(Fed::More);
            }
            if status.bytes_read == 0 && status.bytes_written == 0 {
                return Err(damaged(Compression::Zstd, &"it makes no progress"));
            }
        }
    }
}

/// One xz stream.
pub(super) struct Xz {
    stream: XzStream,
    out: Vec<u8>,
}

impl Xz {
    pub(super) fn new() -> Self {
        Self { stream: XzStream::new_mem_limit(false, MAX_KIB), out: vec![0; CHUNK] }
    }
}

impl Unpack for Xz {
    fn feed(&mut self, input: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        let step = |rest: &[u8], out: &mut [u8], action| self.stream.process(rest, out, action);
        drain(Compression::Xz, input, last, &mut self.out, sink, step)
    }
}

/// One file of the old lzma format.
pub(super) struct Lzma {
    stream: LzmaStream,
    out: Vec<u8>,
}

impl Lzma {
    pub(super) fn new() -> Self {
        Self { stream: LzmaStream::new_mem_limit(MAX_KIB, None), out: vec![0; CHUNK] }
    }
}

impl Unpack for Lzma {
    fn feed(&mut self, input: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<Fed, UnpackError> {
        let step = |rest: &[u8], out: &mut [u8], action| self.stream.process(rest, out, action);
        drain(Compression::Lzma, input, last, &mut self.out, sink, step)
    }
}

/// Runs a decoder until it has taken all input.
fn drain<E: std::fmt::Display>(
    format: Compression,
    input: &[u8],
    last: bool,
    out: &mut [u8],
    sink: &mut Sink<'_>,
    mut step: impl FnMut(&[u8], &mut [u8], Action) -> Result<StreamResult, E>,
) -> Result<Fed, UnpackError> {
    let mut rest = input;
    loop {
        let action = if last { Action::Finish } else { Action::Run };
        let result = step(rest, out, action).map_err(|error| damaged(format, &error))?;
        rest = rest.get(result.bytes_consumed..).unwrap_or_default();
        if sink(out.get(..result.bytes_produced).unwrap_or_default()).is_break() {
            return Ok(Fed::Stopped);
        }
        if result.status == Status::StreamEnd {
            return Ok(Fed::Done { left: rest.len() });
        }
        if rest.is_empty() && result.bytes_produced < out.len() {
            return Ok(Fed::More);
        }
        if result.bytes_consumed == 0 && result.bytes_produced == 0 {
            return Err(damaged(format, &"it makes no progress"));
        }
    }
}
