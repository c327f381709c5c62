//! Kernel releases: which is newer.
//!
//! A release is compared part by part, parts being runs of digits or of letters, as package managers do: numbers by value, a number
//! above letters, more parts above fewer; only `rc`, a candidate, stands below its release.

use std::cmp::Ordering;

/// Compares two releases as `uname -r` prints them.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a_parts, mut b_parts) = (parts(a), parts(b));
    loop {
        let order = match (a_parts.next(), b_parts.next()) {
            (None, None) => return a.cmp(b),
            (Some(part), None) => if_candidate(part, Ordering::Greater),
            (None, Some(part)) => if_candidate(part, Ordering::Greater).reverse(),
            (Some(a), Some(b)) => match (digits(a), digits(b)) {
                (Some(a), Some(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (None, None) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The numbers that a release begins with, to be compared with a floor: `[6, 1, 0, 56]` of `6.1.0-56-cloud-amd64`,
/// `[3, 10, 0, 957, 21, 3]` of `3.10.0-957.21.3.el7.x86_64`.
#[must_use]
pub fn numbers(release: &str) -> Vec<u64> {
    parts(release).map_while(|part| part.parse().ok()).take(16).collect()
}

/// Whether a text is the release of a kernel: digits, a dot, a digit.
#[must_use]
pub fn is_release(text: &str) -> bool {
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, rest)| digits(major).is_some() && starts_with_digit(rest))
}

fn if_candidate(part: &str, otherwise: Ordering) -> Ordering {
    if part == "rc" { otherwise.reverse() } else { otherwise }
}

/// A number without leading zeros, so that a longer one is a greater one; `None` for letters.
fn digits(part: &str) -> Option<&str> {
    (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.trim_start_matches('0'))
}

/// Runs of digits and runs of letters; everything else separates.
fn parts(release: &str) -> impl Iterator<Item = &str> {
    let mut rest = release;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let first = rest.chars().next()?;
        let same = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == first.is_ascii_digit();
        let length = rest.find(|c: char| !same(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_stand_in_order() {
        let ascending = [
            "2.6.32-504.el6.x86_64",
            "3.10.0-957.el7.x86_64",
            "3.10.0-957.21.3.el7.x86_64",
            "3.10.0-1062.el7.x86_64",
            "4.18.0-80.el8.x86_64",
            "4.18.0-80.4.2.el8_0.x86_64",
            "5.15.0-99-generic",
            "5.15.0-1037-azure",
            "6.1.0-rc1",
            "6.1.0",
            "6.1.0-9-amd64",
            "6.1.0-56-cloud-amd64",
            "6.4.0-150600.23.7-default",
            "6.6.58-0-virt",
            "6.10.0",
        ];
        for (place, a) in ascending.iter().enumerate() {
            for (other, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), place.cmp(&other), "{a} and {b}");
            }
        }
        assert_eq!(compare("6.01", "6.1"), "6.01".cmp("6.1"), "equal parts fall back to the text");
        assert_eq!(compare("99999999999999999999999.1", "9.1"), Ordering::Greater);
    }

    #[test]
    fn numbers_end_at_the_first_word() {
        assert_eq!(numbers("6.1.0-56-cloud-amd64"), [6, 1, 0, 56]);
        assert_eq!(numbers("3.10.0-957.21.3.el7.x86_64"), [3, 10, 0, 957, 21, 3]);
        assert_eq!(numbers("virt"), [0; 0]);
        assert!(numbers("99999999999999999999999.1").is_empty());
    }

    #[test]
    fn releases_are_told_from_other_names() {
        for text in ["6.1.0-56-cloud-amd64", "6.10", "3.10.0-957.el7.x86_64"] {
            assert!(is_release(text), "{text}");
        }
        for text in ["virt", "linux", "0-rescue-8f3c", "6", "6.", "6.x", "", "extramodules-6.1"] {
            assert!(!is_release(text), "{text}");
        }
    }
}
