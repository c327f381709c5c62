//! Text where a disk was expected: most often what a server said instead of giving it.

use super::name;

/// The sample as text, if it is text: UTF-8, or UTF-16 with its mark, without control characters but white space and escape.
pub(super) fn decode(sample: &[u8], goes_on: bool) -> Option<String> {
    let text = match sample {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => match str::from_utf8(sample) {
            Ok(text) => text.to_owned(),
            // The sample may end within a character.
            Err(cut) if goes_on && cut.error_len().is_none() => String::from_utf8_lossy(sample.get(..cut.valid_up_to())?).into_owned(),
            Err(_) => return None,
        },
    };
    let control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\x0c' | '\r' | '\x1b' | '\u{85}');
    (!text.contains(control)).then_some(text)
}

fn utf16(stored: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units = stored.chunks_exact(2).filter_map(<[u8]>::first_chunk).copied().map(unit);
    String::from_utf16(&units.collect::<Vec<_>>()).ok()
}

/// What the text is, and what to do about it.
pub(super) fn tell(text: &str) -> (String, &'static str) {
    const ANSWER: &str =
        "Download the disk again and check the address and its access token: what was saved is a server's answer, not the disk.";
    const OTHER: &str = "Look for the disk beside it: this file is text, not a disk.";
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let start: String = text.chars().take(64).collect::<String>().to_ascii_lowercase();
    if start.starts_with("version https://git-lfs") {
        return ("Git LFS pointer; the content was not fetched".to_owned(), "Fetch the content that the pointer stands for: git lfs pull.");
    }
    if start.starts_with("<!doctype html") || start.starts_with("<html") {
        return ("web page (HTML)".to_owned(), ANSWER);
    }
    if start.starts_with("<?xml") || start.starts_with("<error") {
        if text.contains("<Envelope") || text.contains(":Envelope") {
            return ("OVF description; the disk is in another file".to_owned(), "Give vhdkit the disk that the description names.");
        }
        // Azure Storage and S3 both name the error in <Code>.
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| name(code.as_bytes()));
        return match code {
            Some(code) => (format!("error message of a storage service (XML): {code}"), ANSWER),
            None => ("XML document".to_owned(), ANSWER),
        };
    }
    if start.starts_with('{') || start.starts_with('[') {
        return ("JSON document".to_owned(), ANSWER);
    }
    ("text".to_owned(), OTHER)
}
