//! Which of two package versions is the newer, as each package manager sees it.

use std::cmp::Ordering;

/// Compares as dpkg does (deb-version(7), "Sorting algorithm"): `[epoch:]upstream[-revision]`.
#[must_use]
pub fn deb(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| -> (u64, Vec<u8>, Vec<u8>) {
        let version = version.trim();
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, version),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        (epoch, upstream.as_bytes().to_vec(), revision.as_bytes().to_vec())
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| deb_part(&a.1, &b.1)).then_with(|| deb_part(&a.2, &b.2))
}

/// Text and numbers in turn. `~` goes before the end, letters before all other signs.
fn deb_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let weight = |sign: Option<&u8>| -> i32 {
        match sign {
            Some(b'~') => -1,
            Some(digit) if digit.is_ascii_digit() => 0,
            Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
            Some(other) => i32::from(*other).saturating_add(256),
            None => 0,
        }
    };
    while !a.is_empty() || !b.is_empty() {
        loop {
            let stop = |text: &[u8]| text.first().is_none_or(u8::is_ascii_digit);
            if stop(a) && stop(b) {
                break;
            }
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            (a, b) = (tail(a), tail(b));
        }
        let (number_a, rest_a) = run(a, u8::is_ascii_digit);
        let (number_b, rest_b) = run(b, u8::is_ascii_digit);
        let order = numbers(number_a, number_b);
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// Compares as rpm does (rpm-version(7)): `[epoch:]version[-release]`. A release that only one has is not compared.
#[must_use]
pub fn rpm(a: &str, b: &str) -> Ordering {
    let parts = |version: &str| -> (u64, String, Option<String>) {
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|digit| digit.is_ascii_digit()) => (epoch.parse().unwrap_or(0), rest),
            _ => (0, version),
        };
        match rest.rsplit_once('-') {
            Some((version, release)) => (epoch, version.to_owned(), Some(release.to_owned())),
            None => (epoch, rest.to_owned(), None),
        }
    };
    let (a, b) = (parts(a), parts(b));
    a.0.cmp(&b.0).then_with(|| rpm_part(&a.1, &b.1)).then_with(|| match (&a.2, &b.2) {
        (Some(a), Some(b)) => rpm_part(a, b),
        _ => Ordering::Equal,
    })
}

/// Compares a version or a release alone as rpm does: runs of digits and runs of letters, whatever stands between them. `~` goes before
/// the end, `^` after it and before all else.
#[must_use]
pub fn rpm_part(a: &str, b: &str) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let separator = |sign: &u8| !sign.is_ascii_alphanumeric() && !matches!(sign, b'~' | b'^');
        (_, a) = run(a, separator);
        (_, b) = run(b, separator);
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (tail(a), tail(b));
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), _) => return Ordering::Less,
            (_, Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(first), Some(_)) => {
                let digits = first.is_ascii_digit();
                let kind = |sign: &u8| if digits { sign.is_ascii_digit() } else { sign.is_ascii_alphabetic() };
                let (segment_a, rest_a) = run(a, kind);
                let (segment_b, rest_b) = run(b, kind);
                if segment_b.is_empty() {
                    // A number is newer than letters.
                    return if digits { Ordering::Greater } else { Ordering::Less };
                }
                let order = if digits { numbers(segment_a, segment_b) } else { segment_a.cmp(segment_b) };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (rest_a, rest_b);
            }
        }
    }
}

/// Compares as apk does (apk-package(5), "version"; apk-tools 2.14 `src/version.c`):
/// `number{.number}…{letter}{_suffix{number}}…{~hash}{-rnumber}`.
#[must_use]
pub fn apk(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (Apk::new(a), Apk::new(b));
    loop {
        if left.part != right.part || left.part >= Part::End {
            break;
        }
        let order = left.order(&right);
        if order.is_ne() {
            return order;
        }
        left.next();
        right.next();
    }
    // What goes on is newer, unless it says that it comes before.
    let before = |side: &Apk<'_>| side.part == Part::Suffix && side.suffix < AFTER;
    match (before(&left), before(&right)) {
        _ if left.part == right.part => Ordering::Equal,
        (true, _) => Ordering::Less,
        (_, true) => Ordering::Greater,
        _ => right.part.cmp(&left.part),
    }
}

/// Parts of an Alpine version, in the order in which they may follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    First,
    Number,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
    End,
    Invalid,
}

/// Suffixes from the oldest to the newest; those from [`AFTER`] on come after the version without one.
const SUFFIXES: &[&[u8]] = &[b"alpha", b"beta", b"pre", b"rc", b"cvs", b"svn", b"git", b"hg", b"p"];
const AFTER: usize = 4;

/// A version that is being read, at one of its parts.
#[derive(Debug)]
struct Apk<'a> {
    part: Part,
    value: &'a [u8],
    suffix: usize,
    rest: &'a [u8],
}

impl<'a> Apk<'a> {
    fn new(text: &'a str) -> Self {
        let mut apk = Self { part: Part::First, value: &[], suffix: 0, rest: text.as_bytes() };
        apk.number(Part::First);
        apk
    }

    fn number(&mut self, part: Part) {
        (self.value, self.rest) = run(self.rest, u8::is_ascii_digit);
        self.part = if self.value.is_empty() { Part::Invalid } else { part };
    }

    fn next(&mut self) {
        let Some(first) = self.rest.first() else {
            self.part = Part::End;
            return;
        };
        match (first, self.part) {
            (b'a'..=b'z', Part::First | Part::Number) => {
                (self.value, self.rest) = self.rest.split_at_checked(1).unwrap_or_default();
                self.part = Part::Letter;
            }
            (b'.', Part::First | Part::Number) => {
                self.rest = tail(self.rest);
                self.number(Part::Number);
            }
            (b'0'..=b'9', Part::First | Part::Number) => self.number(Part::Number),
            (b'0'..=b'9', Part::Suffix) => self.number(Part::SuffixNumber),
            (b'_', Part::First | Part::Number | Part::Letter | Part::Suffix | Part::SuffixNumber) => {
                (self.value, self.rest) = run(tail(self.rest), u8::is_ascii_lowercase);
                let known = SUFFIXES.iter().position(|suffix| *suffix == self.value);
                self.suffix = known.unwrap_or_default();
                self.part = if known.is_some() { Part::Suffix } else { Part::Invalid };
            }
            (b'~', Part::First | Part::Number | Part::Letter | Part::Suffix | Part::SuffixNumber) => {
                (self.value, self.rest) = run(tail(self.rest), u8::is_ascii_hexdigit);
                self.part = if self.value.is_empty() { Part::Invalid } else { Part::Hash };
            }
            (b'-', part) if part < Part::Revision && self.rest.starts_with(b"-r") => {
                self.rest = tail(tail(self.rest));
                self.number(Part::Revision);
            }
            _ => self.part = Part::Invalid,
        }
    }

    /// Two values of the same part.
    fn order(&self, other: &Self) -> Ordering {
        match self.part {
            Part::Suffix => self.suffix.cmp(&other.suffix),
            Part::First | Part::SuffixNumber | Part::Revision => numbers(self.value, other.value),
            // As Gentoo has it: a number with a zero before it is compared as text.
            Part::Number if !self.value.starts_with(b"0") && !other.value.starts_with(b"0") => numbers(self.value, other.value),
            _ => self.value.cmp(other.value),
        }
    }
}

/// The bytes at the start that fit, and the others.
fn run(text: &[u8], fits: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|sign| !fits(sign)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, &[]))
}

/// All but the first byte.
fn tail(text: &[u8]) -> &[u8] {
    text.split_first().map_or(&[], |(_, rest)| rest)
}

/// Compares digits as numbers of any size.
fn numbers(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = run(a, |digit| *digit == b'0');
    let (_, b) = run(b, |digit| *digit == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    fn both(compare: fn(&str, &str) -> Ordering, table: &[(&str, &str, Ordering)]) {
        for (a, b, order) in table {
            assert_eq!(compare(a, b), *order, "{a} and {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} and {a}");
        }
    }

    #[test]
    fn deb_versions_compare() {
        both(
            deb,
            &[
                ("1.0", "1.0", Equal),
                ("1.0-1", "1.0-01", Equal),
                ("1.0", "1.0-0", Equal),
                ("1:0.1", "2.0", Greater),
                ("1.0~rc1", "1.0", Less),
                ("1.0~~", "1.0~", Less),
                ("1.0+b1", "1.0", Greater),
                ("1.0a", "1.0+", Less),
                ("2.7.3.0-4.1", "2.2.53.1-1", Greater),
                ("1.10", "1.9", Greater),
                ("22.4.2-1+deb12u4", "22.4.2-1+deb12u3", Greater),
                ("5.15.0-1037.44", "5.15.0-1036.43", Greater),
            ],
        );
    }

    #[test]
    fn rpm_versions_compare() {
        both(
            rpm_part,
            &[
                ("1.0", "1.0", Equal),
                ("2.0.1a", "2.0.1", Greater),
                ("5.5p1", "5.5p10", Less),
                ("xyz.4", "8", Less),
                ("10.0001", "10.1", Equal),
                ("1.0~rc1", "1.0", Less),
                ("1.0^", "1.0", Greater),
                ("1.0^git1", "1.0.1", Less),
                ("1.0~rc1^git1", "1.0~rc1", Greater),
                ("a", "", Greater),
                ("", "~", Greater),
            ],
        );
        both(
            rpm,
            &[
                ("1:1.0-1", "2.0-1", Greater),
                ("1.0-1", "1.0", Equal),
                ("2.7.0.6-9.el9", "2.7.0.6-10.el9", Less),
                ("0:1.0-1", "1.0-1", Equal),
            ],
        );
    }

    #[test]
    fn apk_versions_compare() {
        both(
            apk,
            &[
                ("1.0", "1.0", Equal),
                ("1.0-r1", "1.0", Greater),
                ("1.0_alpha1", "1.0", Less),
                ("1.0_p1", "1.0", Greater),
                ("1.0_rc2", "1.0_rc10", Less),
                ("1.0a", "1.0", Greater),
                ("1.01", "1.1", Less),
                ("23.4.4-r0", "23.4.4-r10", Less),
                ("2.10", "2.9", Greater),
                ("1.0_git20240101", "1.0_p1", Less),
            ],
        );
    }

    #[test]
    fn any_text_can_be_compared() {
        let texts = [
            "",
            "-",
            ":",
            "~",
            "^",
            "1:",
            "-1",
            "_",
            "1_",
            "1_x",
            "a",
            "\u{e9}",
            "1..2",
            "999999999999999999999999",
            "0",
            "00",
            "1-r",
            "1-r1-r2",
            "1~",
            "1~zz",
        ];
        for a in texts {
            for b in texts {
                assert_eq!(deb(a, b), deb(b, a).reverse(), "{a} {b}");
                assert_eq!(apk(a, b), apk(b, a).reverse(), "{a} {b}");
                // rpm's order is no order where both ends are odd; that it ends is all that can be asked.
                let _ = rpm(a, b);
            }
        }
    }
}
