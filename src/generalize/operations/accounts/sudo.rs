//! Rules of sudo and doas that are for the accounts that go.

use super::fate::Fate;
use crate::fs::Error;
use crate::generalize::{Draft, System};
use crate::guest::linux::sudoers_lines;

const WHY: &str = "whoever has that name on a new machine would be root there";

/// Takes accounts out of the rules; a file that says nothing else goes.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn edit(system: &System<'_>, draft: &mut Draft<'_>, fate: &Fate<'_>) -> Result<(), Error> {
    let is_gone = |name: &[u8]| {
        let number = name.strip_prefix(b"#").and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|text| text.parse::<u32>().ok());
        number.map_or_else(|| fate.is_gone(name), |uid| fate.number_is_gone(uid))
    };
    let mut paths = vec!["/etc/sudoers".to_owned()];
    // Those that sudo does not read, because of a dot in their names, are a rename away from being read.
    paths.extend(draft.glob("/etc/sudoers.d/*")?);
    let read = system.linux.accounts.sudo.value().into_iter().flat_map(|sudo| &sudo.rules);
    paths.extend(read.map(|rule| rule.path.clone()).filter(|path| path.starts_with("/etc/")));
    paths.sort();
    paths.dedup();
    for path in paths {
        let Some(text) = draft.read(&path)? else { continue };
        let Some(edited) = sudoers_lines::without(&text, &is_gone) else { continue };
        if edited.says_nothing && path.starts_with("/etc/sudoers.d/") {
            draft.remove(&path, WHY)?;
        } else {
            draft.rewrite(&path, edited.content, WHY)?;
        }
    }
    for path in ["/etc/doas.conf".to_owned()].into_iter().chain(draft.glob("/etc/doas.d/*.conf")?) {
        draft.lines(&path, WHY, |line| (!doas_identity(line).is_some_and(is_gone)).then(|| line.to_vec()))?;
    }
    Ok(())
}

/// Whom a line of doas.conf(5) is about: the first word behind `permit` or `deny` that is no option.
fn doas_identity(line: &[u8]) -> Option<&[u8]> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.next().filter(|word| matches!(*word, b"permit" | b"deny"))?;
    let mut in_braces = false;
    words.find(|word| {
        let option = in_braces || matches!(*word, b"nopass" | b"nolog" | b"persist" | b"keepenv" | b"setenv" | b"{");
        in_braces = (in_braces || word.starts_with(b"{")) && !word.ends_with(b"}");
        !option && !word.starts_with(b"{")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_of_doas() {
        for (line, name) in [
            (&b"permit nopass ada as root"[..], Some(&b"ada"[..])),
            (b"permit persist :wheel", Some(b":wheel")),
            (b"permit setenv { A B } ada cmd x", Some(b"ada")),
            (b"deny ada", Some(b"ada")),
            (b"permit", None),
            (b"# permit ada", None),
            (b"", None),
        ] {
            assert_eq!(doas_identity(line), name, "{:?}", String::from_utf8_lossy(line));
        }
    }
}
