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
        // A path of Windows may have spaces without quotes: it ends where its program's name does.
        None => {
            let lower = command.to_ascii_lowercase();
            let ends = [".exe", ".sys", ".cmd", ".bat"].iter().filter_map(|end| {
                let after = lower.find(end)?.saturating_add(end.len());
                lower.get(after..).is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(after)
            });
            let end = ends.min().or_else(|| command.find(char::is_whitespace)).unwrap_or(command.len());
            command.split_at_checked(end).unwrap_or((command, ""))
        }
    };
    if rest.trim().is_empty() { program.to_owned() } else { format!("{program} {GONE}") }
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
            ("\"open", "\"open"),
            ("", ""),
        ] {
            assert_eq!(program_of(command), told);
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
