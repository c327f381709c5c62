//! Text of configurations with the secrets taken out.
//!
//! Lines are told as they are written, because what is wrong with one must be seen; but a line may hold a password: a mount's options, a
//! kernel's parameters, an address with its user. What may be a secret by the name that it is given becomes `…`.

/// Stands where a secret stood.
const GONE: char = '…';

/// What parts one setting from the next, in options, parameters and queries.
const PARTS: &[char] = &[' ', '\t', '\n', ',', ';', '&', '?', '"', '\'', '{', '}', '(', ')'];

/// Last words of names whose values are nobody's business.
const SECRET: &[&str] =
    &["pass", "passwd", "password", "passphrase", "pwd", "secret", "token", "psk", "pin", "sig", "signature", "sas", "auth", "authtok"];

/// Names of secrets in logs and in what they quote, also at the end of longer ones.
const NAMES: &[&str] =
    &["password", "passwd", "pwd", "passphrase", "secret", "token", "bearer", "plaintext", "securestring", "productkey", "credential"];

/// What goes before a secret in a command or a document without naming it.
const TAKE_SECRETS: &[&str] = &["net user", "net1 user", "net use", "net.exe user", "net.exe use", "-p", "/p", "-u", "/u", "<value>"];

/// Last words of names whose values are secrets, unless they are paths of files that hold them.
const SECRET_OR_PATH: &[&str] = &["key", "credential", "credentials", "cred"];

/// The text without values that may be secrets: those of settings that are named so (`password=…`), and users in addresses
/// (`https://…@host`).
#[must_use]
pub fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in without_users(text).split_inclusive(PARTS) {
        let (setting, end) = match piece.strip_suffix(PARTS) {
            Some(setting) => (setting, piece.strip_prefix(setting).unwrap_or_default()),
            None => (piece, ""),
        };
        out.push_str(&discreet(setting));
        out.push_str(end);
    }
    out
}

/// A command as it is told: its program alone, as it is written, and `…` where there are arguments, which may be anything.
#[must_use]
pub fn program_of(command: &str) -> String {
    let command = command.trim();
    let quoted = command.strip_prefix('"').and_then(|quoted| quoted.find('"')).map(|end| end.saturating_add(2));
    let (program, rest) = match quoted.and_then(|end| command.split_at_checked(end)) {
        Some(both) => both,
        // A path of Windows may have spaces without quotes: it ends where its program's name does, if all before it can be one path.
        None => {
            let lower = command.to_ascii_lowercase();
            let first = command.find(char::is_whitespace).unwrap_or(command.len());
            let ends = [".exe", ".sys", ".cmd", ".bat"].iter().filter_map(|end| {
                let after = lower.find(end)?.saturating_add(end.len());
                let ended = lower.get(after..).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
                (ended && (after <= first || is_one_path(command.split_at_checked(after)?.0))).then_some(after)
            });
            let end = ends.min().unwrap_or(first);
            command.split_at_checked(end).unwrap_or((command, ""))
        }
    };
    if rest.trim().is_empty() { program.to_owned() } else { format!("{program} {GONE}") }
}

/// Whether a text with spaces can be a path of Windows, and no command with arguments.
fn is_one_path(text: &str) -> bool {
    let words = || text.split_whitespace();
    let rooted = words().next().is_some_and(|first| first.contains(['\\', '/', '%']));
    let argument =
        |word: &str| word.starts_with(['-', '/', '%', '\\', '@']) || word.contains(['=', '&', '|', '<', '>', '"', '\'', ':', ';', '^']);
    rooted && !words().skip(1).any(argument)
}

/// A line that a program logged, up to where a secret may begin: behind the name of one, or behind what takes one in a command. Then `…`.
#[must_use]
pub fn up_to_secret(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let end = NAMES.iter().chain(TAKE_SECRETS).filter_map(|word| ends_of(&lower, word, NAMES.contains(word)).min()).min();
    match end.and_then(|end| text.split_at_checked(end)) {
        Some((before, after)) if after.chars().any(char::is_alphanumeric) => format!("{before} {GONE}"),
        _ => text.to_owned(),
    }
}

/// Where a word of a text ends, each time that it is there; with others before it in one where it may be a `suffix`.
fn ends_of<'t>(text: &'t str, word: &'t str, suffix: bool) -> impl Iterator<Item = usize> + 't {
    text.match_indices(word).filter_map(move |(at, _)| {
        let end = at.checked_add(word.len())?;
        let before = text.get(..at)?.chars().next_back();
        let after = text.get(end..)?.chars().next();
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        (!inside(after) && (suffix || !inside(before))).then_some(end)
    })
}

/// One setting: `name=value`, where the value may be one itself.
fn discreet(setting: &str) -> String {
    let Some((name, value)) = setting.split_once('=') else { return setting.to_owned() };
    // Roots on a network are named without `//`: `netroot=iscsi:user:password@host`.
    let user = !value.contains("://") && value.split_once('@').is_some_and(|(user, _)| user.contains(':'));
    if value.is_empty() || value == "…" {
        return setting.to_owned();
    }
    if user || is_secret(name, value) { format!("{name}={GONE}") } else { format!("{name}={}", discreet(value)) }
}

/// Whether a value is one to keep quiet about, by its name: the name's last word counts, as in `rd.luks.key`, `cifspass`, `pin-value`.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()).collect();
    let last = words.iter().rev().find(|word| !matches!(**word, "value" | "data" | "text" | "plaintext"));
    let ends = |list: &[&str]| last.is_some_and(|last| list.iter().any(|end| last.ends_with(end)));
    let says = words.iter().any(|word| word.starts_with("passwd") || word.starts_with("password") || word.starts_with("secret"));
    says || ends(SECRET) || (ends(SECRET_OR_PATH) && !value.starts_with('/'))
}

/// The text without users in addresses: what stands between `://` and an `@` before the next `/`.
fn without_users(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || matches!(c, '"' | '\'' | '?' | '#')).unwrap_or(after.len());
        let (authority, left) = after.split_at_checked(end).unwrap_or((after, ""));
        // A password may hold a slash, though in an address it should not.
        let unended = authority.contains(':') && !authority.contains('@');
        let wider = unended.then(|| after.split_at_checked(after.find(PARTS).unwrap_or(after.len()))).flatten();
        let (authority, left) = wider.filter(|(text, _)| text.contains('@')).unwrap_or((authority, left));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                out.push(GONE);
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = left;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_go() {
        for (command, told) in [
            ("/bin/true", "/bin/true"),
            (" curl -u me:x http://y ", "curl …"),
            ("\"C:\\Program Files\\a.exe\" --token x", "\"C:\\Program Files\\a.exe\" …"),
            ("\"C:\\Program Files\\a.exe\"", "\"C:\\Program Files\\a.exe\""),
            ("C:\\Program Files\\A.EXE", "C:\\Program Files\\A.EXE"),
            ("C:\\Program Files\\a.exe /p x.exe", "C:\\Program Files\\a.exe …"),
            ("System32\\drivers\\a.sys", "System32\\drivers\\a.sys"),
            ("cmd /c set TOKEN=x&& C:\\a.exe y", "cmd …"),
            ("C:\\b\\cmd x C:\\a.exe y", "C:\\b\\cmd …"),
            ("cmd geheim a.exe", "cmd …"),
            ("C:\\b c\\d -k geheim.exe", "C:\\b …"),
            ("\"open", "\"open"),
            ("", ""),
        ] {
            assert_eq!(program_of(command), told);
        }
    }

    #[test]
    fn lines_of_logs_end_before_secrets() {
        for (text, wanted) in [
            ("cmd: a.exe /password:x y", "cmd: a.exe /password …"),
            ("net user adm geheim /add", "net user …"),
            ("curl -u me:x http://y", "curl -u …"),
            ("<AdministratorPassword><Value>x</Value>", "<AdministratorPassword …"),
            ("ConvertTo-SecureString 'x' -AsPlainText", "ConvertTo-SecureString …"),
            ("cannot set the password.", "cannot set the password."),
        ] {
            assert_eq!(up_to_secret(text), wanted);
            assert_eq!(up_to_secret(wanted), wanted, "once is enough");
        }
        for same in [
            "SYSPRP Package Microsoft.PasswordManager_1.0 was installed for a user, but not provisioned for all users.",
            "SYSPRP Failed to remove apps for the current user: 0x80073cf2.",
            "SYSPRP ActionPlatform::LaunchModule: Failure occurred while executing 'Sysprep_Generalize' from C:\\Windows\\x.dll; dwRet = 0x2",
            "SYSPRP Tokenbroker: a keyboard, in-place, c:/users",
            "",
        ] {
            assert_eq!(up_to_secret(same), same);
        }
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, wanted) in [
            ("username=me,password=x,nofail", "username=me,password=…,nofail"),
            ("credentials=/root/.smb,pass=x", "credentials=/root/.smb,pass=…"),
            ("rd.luks.key=/boot/key:UUID=1 rd.luks.key=geheim", "rd.luks.key=/boot/key:UUID=1 rd.luks.key=…"),
            ("pkcs11-uri=pkcs11:token=x;pin-value=1234", "pkcs11-uri=pkcs11:token=…;pin-value=…"),
            ("ds=nocloud;s=http://me:x@h/;password=y ro", "ds=nocloud;s=http://…@h/;password=… ro"),
            ("url=https://a/b?sv=1&sig=abc%3D&se=2 quiet", "url=https://a/b?sv=1&sig=…&se=2 quiet"),
            ("systemd.set_credential=passwd.plaintext-password.root:x", "systemd.set_credential=…"),
            ("Environment=TOKEN=x", "Environment=TOKEN=…"),
            ("netroot=iscsi:me:x@10.0.0.1::::iqn root=me@host:/x", "netroot=… root=me@host:/x"),
            ("https://me@host https://host/a@b", "https://…@host https://host/a@b"),
            ("netroot=cifs://me:a/b@h/s http://h:80/x", "netroot=cifs://…@h/s http://h:80/x"),
            ("WPA_PSK=x KEY1=y PASSWORD_x=z", "WPA_PSK=… KEY1=… PASSWORD_x=…"),
        ] {
            assert_eq!(without_secrets(text), wanted);
            assert_eq!(without_secrets(wanted), wanted, "once is enough");
        }
        for same in [
            "root=UUID=4f1f ro console=tty0 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 nvme_core.io_timeout=240",
            "vconsole.keymap=de iommu.passthrough=1 module.sig_enforce=1 rd.lvm.lv=r/root password= $tuned_params",
            "context=\"system_u:object_r:tmp_t:s0:c127,c456\",x-systemd.device-timeout=5,nofail,,",
            "",
        ] {
            assert_eq!(without_secrets(same), same);
        }
    }
}
