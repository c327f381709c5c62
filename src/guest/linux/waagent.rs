//! `waagent.conf`, as the Azure Linux agent reads it (WALinuxAgent, `azurelinuxagent/common/conf.py`).

/// The keys and values of `waagent.conf`, in the order of the text; of a key that stands twice the last value counts. A line is a key,
/// `=` and a value that ends at `#`; quotes and blanks around it are not part of it. `None` is no value.
#[must_use]
pub fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.split('\n').filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('=')).map(|(key, value)| {
        let value = value.split('#').next().unwrap_or_default();
        (key.trim().to_owned(), value.trim_matches(['"', ' ']).trim().to_owned())
    });
    pairs.filter(|(_, value)| value != "None").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_the_agent_does() {
        let text = "# Provisioning.Agent=auto\nProvisioning.Agent=cloud-init\n ResourceDisk.Format = y # no\r\nLib.Dir=\"/var/lib/waagent\"\n\
            HttpProxy.Host=None\nno line\nA=b=c\nEmpty=\n";
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            settings(text),
            [
                pair("Provisioning.Agent", "cloud-init"),
                pair("ResourceDisk.Format", "y"),
                pair("Lib.Dir", "/var/lib/waagent"),
                pair("A", "b=c"),
                pair("Empty", ""),
            ]
        );
        assert_eq!(settings(""), []);
    }
}
