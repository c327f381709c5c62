//! The proxy of WinHTTP: the value `WinHttpSettings`.
//!
//! Little-endian words: the structure's version, a counter, flags, then the proxy and the list of exceptions, each as its length and its
//! text. Flag 1 stands for direct connections, 2 for the proxy. Source: values that `netsh winhttp` wrote.

use crate::bytes::int_usize;

/// Flag: a proxy is used.
const PROXY: u32 = 2;

/// The proxy of WinHTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether a proxy is used.
    pub used: bool,
    /// The proxy, or one for each protocol; a user and password before `@` left out.
    pub proxy: Option<String>,
    /// What is reached without it; users and passwords left out too.
    pub bypass: Option<String>,
}

/// Parses the value; `None` where it ends too early.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Settings> {
    let flags = word(bytes, 8)?;
    let (proxy, next) = text(bytes, 12)?;
    let (bypass, _) = text(bytes, next)?;
    Some(Settings {
        used: flags & PROXY != 0,
        proxy: proxy.map(|text| without_password(&text)),
        bypass: bypass.map(|text| without_password(&text)),
    })
}

/// A text with its length before it, and where the next field begins.
fn text(bytes: &[u8], at: usize) -> Option<(Option<String>, usize)> {
    let len = int_usize(u64::from(word(bytes, at)?));
    let start = at.checked_add(4)?;
    let end = start.checked_add(len)?;
    let text = String::from_utf8_lossy(bytes.get(start..end)?).into_owned();
    Some((Some(text).filter(|text| !text.is_empty()), end))
}

/// The 32-bit field at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Proxies without what stands before an `@`, each.
fn without_password(proxy: &str) -> String {
    let one = |part: &str| {
        let Some((before, host)) = part.rsplit_once('@') else { return part.to_owned() };
        // The protocol stays: `http=`, `http://`.
        let kept = ["://", "="].iter().find_map(|mark| before.find(mark)?.checked_add(mark.len()));
        format!("{}{host}", kept.and_then(|end| before.get(..end)).unwrap_or_default())
    };
    proxy.split(';').map(one).collect::<Vec<String>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(flags: u32, proxy: &str, bypass: &str) -> Vec<u8> {
        let mut bytes = [0x28_u32, 0, flags, proxy.len() as u32].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        bytes.extend(proxy.as_bytes());
        bytes.extend((bypass.len() as u32).to_le_bytes());
        bytes.extend(bypass.as_bytes());
        bytes
    }

    #[test]
    fn direct_and_proxy() {
        assert_eq!(parse(&blob(1, "", "")), Some(Settings { used: false, proxy: None, bypass: None }));
        let set = parse(&blob(3, "proxy:8080", "*.local;168.63.129.16")).unwrap();
        assert_eq!((set.used, set.proxy.as_deref(), set.bypass.as_deref()), (true, Some("proxy:8080"), Some("*.local;168.63.129.16")));
        let secret = parse(&blob(3, "http=http://me:geheim@proxy:1;https=you:x@y@proxy:2", "*.local;me:geheim@host")).unwrap();
        assert_eq!(secret.proxy.as_deref(), Some("http=http://proxy:1;https=proxy:2"));
        assert_eq!(secret.bypass.as_deref(), Some("*.local;host"));
    }

    #[test]
    fn damaged() {
        let whole = blob(3, "proxy:8080", "x");
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len]), None, "{len}");
        }
        let mut long = blob(3, "p", "");
        long[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse(&long), None);
    }
}
