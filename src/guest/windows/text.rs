//! Text files of Windows: their encodings, and values of INI files.

use super::hive::utf16;

/// A text file: UTF-16 with a byte order mark, otherwise UTF-8 with or without one; what is no character becomes U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest),
        [0xfe, 0xff, rest @ ..] => {
            let swapped: Vec<u8> = rest.as_chunks::<2>().0.iter().flat_map(|[high, low]| [*low, *high]).collect();
            utf16(&swapped)
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The value of `key` in `[section]` of an INI file, as `GetPrivateProfileString` finds it: names in any case, the first one counts,
/// quotes around the value are no part of it.
#[must_use]
pub fn ini_value(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            inside = name.trim().eq_ignore_ascii_case(section);
        } else if inside
            && !line.starts_with(';')
            && let Some((name, value)) = line.split_once('=')
            && name.trim().eq_ignore_ascii_case(key)
        {
            let value = value.trim();
            let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            return Some(quoted.unwrap_or(value).to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        for bytes in [&b"a=b"[..], b"\xef\xbb\xbfa=b", b"\xff\xfea\0=\0b\0", b"\xfe\xff\0a\0=\0b", b"\xff\xfea\0=\0b\0x"] {
            assert_eq!(decode(bytes), "a=b", "{bytes:?}");
        }
        assert_eq!(decode(b"\xff\xfe"), "");
        assert_eq!(decode(b"gr\xfcn"), "gr\u{fffd}n");
    }

    #[test]
    fn values_of_ini_files() {
        let text = "x=0\r\n[Other]\r\nImageState=NO\r\n[State]\r\n;ImageState=COMMENT\r\n imagestate = \"YES\" \r\nImageState=LATER\r\n";
        assert_eq!(ini_value(text, "state", "ImageState").as_deref(), Some("YES"));
        assert_eq!(ini_value(text, "State", "x"), None);
        assert_eq!(ini_value("[State]\nImageState=\"\n", "State", "ImageState").as_deref(), Some("\""));
        assert_eq!(ini_value("", "State", "ImageState"), None);
    }
}
