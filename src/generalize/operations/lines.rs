//! Lines of configuration files, as bytes: what is not changed stays as it is, whatever its encoding and its line ends.

/// A line without the white space around it.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// The value of a line that assigns it to a variable as the shell does, `NAME=value`, without quotes; `None` for other lines.
pub(super) fn assigned<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let line = trimmed(line);
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?.trim_ascii();
    for quote in [b'"', b'\''] {
        if let Some(inner) = value.strip_prefix(&[quote]) {
            return inner.split(|byte| *byte == quote).next();
        }
    }
    Some(value.split(u8::is_ascii_whitespace).next().unwrap_or_default())
}

/// The same line with another value.
pub(super) fn assign(line: &[u8], value: &str) -> Vec<u8> {
    let before = line.split_inclusive(|byte| *byte == b'=').next().unwrap_or_default();
    let end: &[u8] = if line.ends_with(b"\r") { b"\r" } else { b"" };
    [before, value.as_bytes(), end].concat()
}

/// The key of a line `key=value` of an INI file, with its value; `None` for comments, sections and other lines.
pub(super) fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = trimmed(line);
    if line.starts_with(b"#") || line.starts_with(b";") || line.starts_with(b"[") {
        return None;
    }
    let place = line.iter().position(|byte| *byte == b'=')?;
    let (key, value) = line.split_at_checked(place)?;
    Some((key.trim_ascii(), value.get(1..)?.trim_ascii()))
}

/// The name of a section, where the line begins one: `[Match]`.
pub(super) fn section(line: &[u8]) -> Option<&[u8]> {
    trimmed(line).strip_prefix(b"[")?.split(|byte| *byte == b']').next()
}

/// A line's words, each with the place behind it.
pub(super) fn words(line: &[u8]) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = None;
    for (place, byte) in line.iter().chain(b" ").enumerate() {
        match (byte.is_ascii_whitespace(), start) {
            (false, None) => start = Some(place),
            (true, Some(first)) => {
                out.push((first, place));
                start = None;
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments() {
        for (line, value) in [
            (&b"HOSTNAME=web-01"[..], Some(&b"web-01"[..])),
            (b" export HOSTNAME='web 01' # x", Some(b"web 01")),
            (b"HOSTNAME=\"a\"\r", Some(b"a")),
            (b"HOSTNAME=", Some(b"")),
            (b"#HOSTNAME=a", None),
            (b"HOSTNAMES=a", None),
            (b"HOSTNAME=\xff\xfe", Some(b"\xff\xfe")),
        ] {
            assert_eq!(assigned(line, "HOSTNAME"), value, "{line:?}");
        }
        assert_eq!(assign(b"  export HOSTNAME=a=b\r", "x"), b"  export HOSTNAME=x\r");
        assert_eq!(pair(b" mac-address = 00:11\r"), Some((&b"mac-address"[..], &b"00:11"[..])));
        assert_eq!(pair(b"; a=b"), None);
        assert_eq!(section(b" [Match] \r"), Some(&b"Match"[..]));
        assert_eq!(words(b" a  bc\r"), [(1, 2), (4, 6)]);
        assert_eq!(words(b""), []);
    }
}
