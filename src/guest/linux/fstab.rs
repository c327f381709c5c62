//! `/etc/fstab`: what is mounted where at boot. fstab(5); escapes as getmntent(3) reads them.

/// One line of `/etc/fstab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Number of the line, the first is 1.
    pub number: usize,
    /// What is mounted, first field: `UUID=…`, `/dev/sda1`, `server:/export`.
    pub source: String,
    /// Where, second field: `/boot`, `none` for swap.
    pub target: String,
    /// Type of the file system, third field; `auto` where it is missing.
    pub kind: String,
    /// Options, fourth field, split at commas; `defaults` where it is missing.
    pub options: Vec<String>,
    /// Whether dump(8) saves it, fifth field; 0 where it is missing.
    pub dump: u32,
    /// Order in which fsck(8) looks at it, sixth field; 0 where it is missing.
    pub pass: u32,
    /// Words behind the sixth field: a comment to people, ignored by mount.
    pub comment: Option<String>,
}

impl Line {
    /// The value of an option written `name=value`, the last where there are several.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether an option without a value is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }
}

/// Parses the file. Lines that have no second field are left out, as mount(8) leaves them out.
#[must_use]
pub fn parse(text: &str) -> Vec<Line> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(place, line)| parse_line(place.saturating_add(1), line)).collect()
}

fn parse_line(number: usize, line: &str) -> Option<Line> {
    let line = line.trim_start();
    if line.starts_with('#') {
        return None;
    }
    let mut fields = line.split_ascii_whitespace();
    let source = unescape(fields.next()?);
    let target = unescape(fields.next()?);
    let kind = fields.next().map_or_else(|| "auto".to_owned(), unescape);
    let options = fields.next().map_or_else(|| "defaults".to_owned(), unescape);
    let number_of = |field: Option<&str>| field.and_then(|field| field.parse().ok()).unwrap_or(0);
    let (dump, pass) = (number_of(fields.next()), number_of(fields.next()));
    let rest: Vec<&str> = fields.collect();
    Some(Line {
        number,
        source,
        target,
        kind,
        options: split_options(&options),
        dump,
        pass,
        comment: (!rest.is_empty()).then(|| rest.join(" ")),
    })
}

/// Options split at commas that are not inside double quotes, as mount(8) does for SELinux contexts.
fn split_options(text: &str) -> Vec<String> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
        }
        if c == ',' && !quoted {
            options.push(String::new());
        } else if let Some(option) = options.last_mut() {
            option.push(c);
        }
    }
    options.retain(|option| !option.is_empty());
    options
}

/// `\040` and other octal escapes as the characters that they stand for.
fn unescape(field: &str) -> String {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))?;
            u8::from_str_radix(digits, 8).ok()
        });
        match escaped {
            Some(byte) => {
                out.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_fields() {
        let lines = parse(
            "# <file system> <mount point>\n\n  UUID=a0 / ext4 errors=remount-ro 0 1\nLABEL=UEFI\t/boot/efi vfat umask=0077,nofail 0 1 # the ESP\n\
             /dev/sdb1 /mnt\\040data\nlonely\n//s/x /x cifs context=\"system_u:object_r:tmp_t:s0:c127,c456\",ro x y\n",
        );
        let short: Vec<_> =
            lines.iter().map(|line| (line.number, line.source.as_str(), line.target.as_str(), line.kind.as_str())).collect();
        assert_eq!(
            short,
            [
                (3, "UUID=a0", "/", "ext4"),
                (4, "LABEL=UEFI", "/boot/efi", "vfat"),
                (5, "/dev/sdb1", "/mnt data", "auto"),
                (7, "//s/x", "/x", "cifs"),
            ]
        );
        assert_eq!((lines[0].dump, lines[0].pass), (0, 1));
        assert_eq!(lines[0].option("errors"), Some("remount-ro"));
        assert!(lines[1].has("nofail") && !lines[1].has("no"));
        assert_eq!(lines[1].comment.as_deref(), Some("# the ESP"));
        assert_eq!(lines[2].options, ["defaults"]);
        assert_eq!(lines[3].options, ["context=\"system_u:object_r:tmp_t:s0:c127,c456\"", "ro"]);
        assert_eq!((lines[3].dump, lines[3].pass), (0, 0));
    }

    #[test]
    fn escapes() {
        for (text, plain) in
            [("a\\040b", "a b"), ("a\\134b", "a\\b"), ("\\", "\\"), ("\\04", "\\04"), ("\\999", "\\999"), ("\\303\\274", "ü")]
        {
            assert_eq!(unescape(text), plain, "{text}");
        }
    }
}
