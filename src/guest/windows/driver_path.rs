//! Where the file of a driver is.
//!
//! `ImagePath` of a driver is a native path (`\SystemRoot\…`, `\??\C:\…`) or stands below the Windows directory; without one, the driver
//! is `System32\drivers\NAME.sys`. Source: "Specifying Driver Load Order", and the hives of installed machines.

/// The path below the volume's root with `/` between names, such as `/Windows/System32/drivers/storvsc.sys`; `None` for a place on another
/// volume, or one that cannot be told. `root` is where Windows was installed: `C:\Windows`.
#[must_use]
pub fn resolve(image: Option<&str>, name: &str, root: &str) -> Option<String> {
    const WINDOWS: &str = "Windows";
    let default = format!("System32\\drivers\\{name}.sys");
    let image = image.map(|path| path.trim().trim_matches('"')).filter(|path| !path.is_empty()).unwrap_or(&default);
    let image = image.replace('/', "\\");
    let after = |text: &str, start: &str| {
        let head = text.get(..start.len())?;
        head.eq_ignore_ascii_case(start).then(|| text.get(start.len()..).unwrap_or_default().to_owned())
    };
    let below = |rest: &str| format!("/{WINDOWS}/{}", rest.trim_start_matches('\\').replace('\\', "/"));
    for start in ["\\SystemRoot\\", "%SystemRoot%\\", "%windir%\\"] {
        if let Some(rest) = after(&image, start) {
            return Some(below(&rest));
        }
    }
    let native = image.starts_with('\\');
    let image = after(&image, "\\??\\").unwrap_or(image);
    let mut start = image.chars();
    let letter = start.next();
    if start.next() == Some(':') {
        let same = letter.map(|c| c.to_ascii_uppercase()) == root.chars().next().map(|c| c.to_ascii_uppercase());
        let rest = start.as_str();
        return (same && rest.starts_with('\\')).then(|| rest.replace('\\', "/"));
    }
    // Another native path: a volume or device by its name.
    (!native).then(|| below(&image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_drivers() {
        let root = "C:\\Windows";
        for (image, path) in [
            (None, Some("/Windows/System32/drivers/storvsc.sys")),
            (Some(""), Some("/Windows/System32/drivers/storvsc.sys")),
            (Some("System32\\drivers\\a.sys"), Some("/Windows/System32/drivers/a.sys")),
            (Some("\\SystemRoot\\System32\\drivers\\a.sys"), Some("/Windows/System32/drivers/a.sys")),
            (Some("%systemroot%\\a.sys"), Some("/Windows/a.sys")),
            (Some("\\??\\C:\\Program Files\\x\\a.sys"), Some("/Program Files/x/a.sys")),
            (Some("c:/x/a.sys"), Some("/x/a.sys")),
            (Some("\\??\\D:\\a.sys"), None),
            (Some("\\Device\\HarddiskVolume1\\a.sys"), None),
            (Some("C:a.sys"), None),
            (Some("\\??\\Volume{1}\\a.sys"), None),
            (Some("ü:\\a"), None),
        ] {
            assert_eq!(resolve(image, "storvsc", root).as_deref(), path, "{image:?}");
        }
    }
}
