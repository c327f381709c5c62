//! Compressed extents.
//!
//! zlib and zstd are single streams, possibly with padding behind them; LZO is a sequence of segments, each of a sector of content, whose
//! lengths never stand across the border of a sector: `fs/btrfs/lzo.c`.

use crate::bytes::int_u64;
use crate::fs::fields::{le32, part};
use std::io::Read;

/// The longest content of a compressed extent, and the longest extent.
pub(super) const MAX: u64 = 128 * 1024;
/// The largest window that the kernel decompresses: `ZSTD_BTRFS_MAX_WINDOWLOG`.
const MAX_WINDOW: u32 = 17;

/// How an extent is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Zlib,
    Lzo,
    Zstd,
}

/// The content of a compressed extent, `len` bytes; zeros where the stream ends before.
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn decompress(how: Compression, stream: &[u8], len: usize, sector: usize) -> Result<Vec<u8>, String> {
    let mut content = Vec::with_capacity(len);
    let read = match how {
        Compression::Zlib => flate2::read::ZlibDecoder::new(stream).take(int_u64(len)).read_to_end(&mut content).map(drop),
        Compression::Zstd => zstd::stream::read::Decoder::with_buffer(stream).and_then(|decoder| {
            let mut decoder = decoder.single_frame();
            decoder.window_log_max(MAX_WINDOW)?;
            decoder.take(int_u64(len)).read_to_end(&mut content).map(drop)
        }),
        Compression::Lzo => {
            content = segments(stream, len, sector)?;
            Ok(())
        }
    };
    read.map_err(|error| format!("{how:?} stream: {error}"))?;
    content.resize(len, 0);
    Ok(content)
}

fn segments(stream: &[u8], len: usize, sector: usize) -> Result<Vec<u8>, String> {
    let short = || "LZO segments pass the end".to_owned();
    let all = usize::try_from(le32(stream, 0)).ok().and_then(|all| stream.get(..all)).ok_or_else(short)?;
    let (mut at, mut content) = (4_usize, Vec::with_capacity(len));
    while at < all.len() && content.len() < len {
        let rest = sector.saturating_sub(at.checked_rem(sector).unwrap_or_default());
        if rest < 4 {
            at = at.saturating_add(rest);
            continue;
        }
        let segment = usize::try_from(le32(all, at)).unwrap_or(usize::MAX);
        at = at.saturating_add(4);
        let packed = part(all, at, segment).filter(|packed| !packed.is_empty()).ok_or_else(short)?;
        let most = sector.min(len.saturating_sub(content.len()));
        content.extend(lzo1x::decompress(packed, most).map_err(|error| format!("LZO segment: {error}"))?);
        at = at.saturating_add(segment);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn content() -> Vec<u8> {
        (0..9000_u32).map(|i| (i / 100) as u8).collect()
    }

    #[test]
    fn streams_give_their_content_and_zeros_behind_it() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&content()).unwrap();
        let mut zlib = zlib.finish().unwrap();
        zlib.resize(zlib.len() + 100, 0);
        let mut zstd = zstd::bulk::compress(&content(), 1).unwrap();
        zstd.resize(zstd.len() + 100, 0);
        for (how, stream) in [(Compression::Zlib, zlib), (Compression::Zstd, zstd)] {
            assert_eq!(decompress(how, &stream, 9000, 4096).unwrap(), content());
            let longer = decompress(how, &stream, 9100, 4096).unwrap();
            assert_eq!((&longer[..9000], &longer[9000..]), (content().as_slice(), [0; 100].as_slice()));
            assert_eq!(decompress(how, &stream, 10, 4096).unwrap(), content()[..10]);
            for cut in 0..stream.len() - 100 {
                drop(decompress(how, &stream[..cut], 9000, 4096));
            }
            assert!(decompress(how, &[0xff; 40], 9000, 4096).is_err());
        }
    }

    #[test]
    fn lengths_of_segments_do_not_stand_across_sectors() {
        // Segments of literals: a length of 17 more than the bytes, the bytes, the end.
        let segment = |byte: u8, len: u8| [&[len + 17][..], &vec![byte; usize::from(len)], &[0x11, 0, 0]].concat();
        let mut stream = vec![0; 4];
        for (byte, len) in [(1, 40), (2, 6), (3, 9)] {
            // Sectors of 64 bytes here.
            if 64 - stream.len() % 64 < 4 {
                stream.resize(stream.len().next_multiple_of(64), 0);
            }
            let segment = segment(byte, len);
            stream.extend((segment.len() as u32).to_le_bytes());
            stream.extend(segment);
        }
        let len = stream.len() as u32;
        stream[..4].copy_from_slice(&len.to_le_bytes());
        let expected = [vec![1; 40], vec![2; 6], vec![3; 9], vec![0; 5]].concat();
        assert_eq!(decompress(Compression::Lzo, &stream, 60, 64).unwrap(), expected);
        for at in 0..stream.len() {
            let mut damaged = stream.clone();
            damaged[at] = 0xff;
            drop(decompress(Compression::Lzo, &damaged, 60, 64));
            drop(decompress(Compression::Lzo, &stream[..at], 60, 64));
        }
    }
}
