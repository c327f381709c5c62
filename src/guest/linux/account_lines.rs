//! Editing the account databases a line at a time: passwd(5), shadow(5), group(5), gshadow(5), subuid(5). What is not meant stays byte for
//! byte, whatever encoding it is in.

/// A line without the carriage return of another system's editor, and that.
fn without_return(line: &[u8]) -> (&[u8], &[u8]) {
    line.strip_suffix(b"\r").map_or((line, &b""[..]), |bare| (bare, b"\r"))
}

/// A field of a line, the first being 0.
#[must_use]
pub fn field(line: &[u8], place: usize) -> Option<&[u8]> {
    without_return(line).0.split(|byte| *byte == b':').nth(place)
}

/// The line with another field; `None` where it has no such field, or has that content already.
#[must_use]
pub fn with_field(line: &[u8], place: usize, content: &[u8]) -> Option<Vec<u8>> {
    let (bare, end) = without_return(line);
    let mut fields: Vec<&[u8]> = bare.split(|byte| *byte == b':').collect();
    let slot = fields.get_mut(place).filter(|old| **old != content)?;
    *slot = content;
    let mut out = fields.join(&b':');
    out.extend(end);
    Some(out)
}

/// The names in a field that lists them.
pub fn names(line: &[u8], place: usize) -> impl Iterator<Item = &[u8]> {
    let list = field(line, place).unwrap_or_default();
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// The line without some of the names in a field that lists them; the same where it names none of them.
#[must_use]
pub fn without_names(line: &[u8], place: usize, is_gone: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    if !names(line, place).any(&is_gone) {
        return line.to_vec();
    }
    let kept: Vec<&[u8]> = names(line, place).filter(|name| !is_gone(name)).collect();
    with_field(line, place, &kept.join(&b',')).unwrap_or_else(|| line.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for (line, place, found) in [
            (&b"ada:x:1000\r"[..], 0, Some(&b"ada"[..])),
            (b"ada:x:1000\r", 2, Some(b"1000")),
            (b"ada", 1, None),
            (b"", 0, Some(b"")),
            (b"\xff\xfe:x", 0, Some(b"\xff\xfe")),
        ] {
            assert_eq!(field(line, place), found, "{line:?}");
        }
        assert_eq!(with_field(b"root:$6$x:1::\r", 1, b"*").as_deref(), Some(&b"root:*:1::\r"[..]));
        assert_eq!(with_field(b"root:*:1", 1, b"*"), None);
        assert_eq!(with_field(b"root", 1, b"*"), None);
    }

    #[test]
    fn names_are_taken_out_of_lists() {
        for (line, after) in [
            (&b"sudo:x:27:ada"[..], &b"sudo:x:27:"[..]),
            (b"sudo:x:27:ada,bob\r", b"sudo:x:27:bob\r"),
            (b"sudo:x:27:bob,ada,eve", b"sudo:x:27:bob,eve"),
            (b"sudo:x:27:bob , ada", b"sudo:x:27:bob"),
            (b"sudo:x:27:adam, ,\xff", b"sudo:x:27:adam, ,\xff"),
            (b"+", b"+"),
            (b"", b""),
        ] {
            assert_eq!(without_names(line, 3, |name| name == b"ada"), after, "{line:?}");
        }
    }
}
