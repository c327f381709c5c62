//! Logs of Windows Setup and Sysprep: `setuperr.log`.
//!
//! A line has a time, a level, a component and a message: `2021-10-28 10:12:13, Error                 SYSPRP Package … 0x80073cf2 …`.
//! Lines without a time continue the one before.

/// Characters of a message that are kept.
const MOST_MESSAGE: usize = 200;
/// Codes of a line that are kept.
const MOST_CODES: usize = 8;

/// An error line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorLine {
    /// Codes of eight hexadecimal digits, in lower case, each once.
    pub codes: Vec<String>,
    /// What follows the level, at most 200 characters.
    pub message: String,
}

/// The error lines of a log: how many there are, and the last `most` of them.
#[must_use]
pub fn errors(text: &str, most: usize) -> (usize, Vec<ErrorLine>) {
    let lines: Vec<&str> = text.lines().filter_map(message).collect();
    let skip = lines.len().saturating_sub(most);
    let last = lines.iter().skip(skip).map(|line| ErrorLine {
        codes: codes(line),
        message: line.split_whitespace().collect::<Vec<&str>>().join(" ").chars().take(MOST_MESSAGE).collect(),
    });
    (lines.len(), last.collect())
}

/// What follows the level of an error line.
fn message(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(", ")?;
    let dated = time.trim_start_matches('\u{feff}').starts_with(|c: char| c.is_ascii_digit());
    let message = rest.strip_prefix("Error").or_else(|| rest.strip_prefix("Fatal"))?;
    (dated && message.starts_with(|c: char| c.is_whitespace() || c == '[')).then(|| message.trim())
}

/// The codes that a line names.
fn codes(line: &str) -> Vec<String> {
    let mut codes = Vec::new();
    let lower = line.to_ascii_lowercase();
    for after in lower.split("0x").skip(1) {
        let digits: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
        let code = format!("0x{digits}");
        if digits.len() == 8 && !codes.contains(&code) && codes.len() < MOST_CODES {
            codes.push(code);
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2021-10-28 10:12:13, Error                 SYSPRP Package Foo_1.0 was installed for a user\r\n\
        2021-10-28 10:12:13, Info                  SYSPRP nothing\r\n\
        2021-10-28 10:12:14, Error      [0x0f0082] SYSPRP Failed to remove apps: 0x80073CF2. hr = 0x80073cf2, 0x3cf2\r\n\
        continued 0x80004005\r\n";

    #[test]
    fn errors_and_their_codes() {
        let (count, lines) = errors(LOG, 10);
        assert_eq!(count, 2);
        assert_eq!(lines[0], ErrorLine { codes: vec![], message: "SYSPRP Package Foo_1.0 was installed for a user".to_owned() });
        assert_eq!(lines[1].codes, ["0x80073cf2"]);
        assert_eq!(errors(LOG, 1).1.len(), 1);
        assert_eq!(errors(LOG, 1).1[0], lines[1]);
        let long = format!("2021-10-28 10:12:13, Error {}", "ü".repeat(1000));
        assert_eq!(errors(&long, 1).1[0].message.chars().count(), 200);
    }

    #[test]
    fn what_is_no_error_line() {
        for text in ["", "Error", "x, Error y", "2021, Errors y", "2021, Warning y", "2021-10-28 10:12:13,Error y"] {
            assert_eq!(errors(text, 10).0, 0, "{text}");
        }
    }
}
