//! `ovf-env.xml`: the answers with which Azure provisioned a Linux, as its agents keep them.

/// The account that the answers name. The password, which agents replace with a word, is never looked at.
#[must_use]
pub fn user_name(text: &str) -> Option<String> {
    // Elements may have a namespace prefix; nothing else in these files is called so.
    let (_, rest) = text.split_once("UserName>").or_else(|| text.split_once("userName>"))?;
    let (name, _) = rest.split_once('<')?;
    let plain = !name.is_empty() && name.len() <= 256 && !name.contains(['&', '>']);
    plain.then(|| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, name) in [
            ("<wa:UserName>azureuser</wa:UserName><wa:UserPassword>x</wa:UserPassword>", Some("azureuser")),
            ("<UserName> a </UserName>", Some("a")),
            ("<UserName></UserName>", None),
            ("<UserName>", None),
            ("", None),
        ] {
            assert_eq!(user_name(text).as_deref(), name, "{text}");
        }
    }
}
