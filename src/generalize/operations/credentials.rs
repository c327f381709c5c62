//! Tokens and keys of people and programs: L-54.

use super::accounts::{is_kept, users};
use super::histories::homes;
use crate::fs::{Error, NodeKind};
use crate::generalize::{Draft, Operation, Sample, System};
use crate::inspect::linux;

pub(super) static CREDENTIALS: Operation = Operation {
    name: "credentials",
    requirement: "L-54",
    summary: "remove tokens and private keys in all homes but those of kept accounts",
    default: true,
    plan,
    sample: Sample {
        before: &[
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\ngit:x:200:200::/srv/git:/bin/sh\n"),
            ("/root/.azure/msal_token_cache.json", "{}"),
            ("/root/.aws/config", "[default]\n"),
            ("/root/.aws/credentials", "[default]\n"),
            ("/srv/git/.ssh/id_rsa", "key\n"),
            ("/srv/git/.ssh/id_rsa.pub", "key\n"),
        ],
        after: &[("/root/.azure/msal_token_cache.json", None), ("/root/.aws/credentials", None), ("/srv/git/.ssh/id_rsa", None)],
    },
};

/// Tokens and keys of tools, below each home, beside those that facts tell of.
const MORE: [&str; 8] = [
    ".azure/msal_token_cache.bin",
    ".aws/sso/cache",
    ".config/gcloud/access_tokens.db",
    ".config/gcloud/application_default_credentials.json",
    ".config/containers/auth.json",
    ".config/gh/hosts.yml",
    ".k5login",
    ".vault-token",
];
const WHY: &str = "whoever gets the image, and every machine made from it, would have this secret";

fn plan(system: &System<'_>, draft: &mut Draft<'_>) -> Result<(), Error> {
    let users = users(system)?;
    let kept: Vec<&str> = users.iter().filter(|user| is_kept(system, user)).map(|user| user.home.trim_end_matches('/')).collect();
    let mut paths: Vec<String> = Vec::new();
    for home in homes(system, draft)?.iter().filter(|home| !kept.contains(&home.as_str())) {
        paths.extend(linux::CREDENTIALS.iter().chain(&MORE).map(|name| format!("{home}/{name}")));
    }
    for user in users.iter().filter(|user| !is_kept(system, user)) {
        match user.private_keys.known() {
            Ok(keys) => paths.extend(keys.into_iter().flatten().cloned()),
            Err(reason) => return Err(Error::Damaged(reason.0).at(&user.home)),
        }
    }
    // Caches of Kerberos, which libraries put there by the number of the user.
    for name in draft.names("/tmp")?.into_iter().filter(|name| name.starts_with("krb5cc")) {
        paths.push(format!("/tmp/{name}"));
    }
    for path in paths {
        let directory = system.tree.find_link(&path)?.is_some_and(|found| found.node.kind == NodeKind::Directory);
        if directory {
            draft.empty(&path, WHY)?;
        } else {
            draft.remove(&path, WHY)?;
        }
    }
    let configuration = system.linux.agents.cloud_init.value().and_then(|cloud| cloud.configuration.value());
    if let Some(places) = configuration.map(|configuration| &configuration.secrets).filter(|places| !places.is_empty()) {
        let list = places.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let message = format!("cloud-init's configuration gives every machine a password, a hash or a key ({list})");
        draft.remains(message, vec!["grep -rnE 'passw|ssh_authorized_keys|ssh_keys|private_key' /etc/cloud".to_owned()]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trial::{after, wishes};

    #[test]
    fn kept_accounts_keep_theirs() {
        let files = [
            ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada/:/bin/bash\n"),
            ("/home/ada/.netrc", "x"),
            ("/home/ada/.ssh/id_rsa", "x"),
            ("/home/bob/.netrc", "x"),
            ("/root/.netrc", "x"),
        ];
        let left = after("credentials", &files, &wishes(&["ada"], &[]));
        assert_eq!(left.keys().collect::<Vec<_>>(), ["/etc/passwd", "/home/ada/.netrc", "/home/ada/.ssh/id_rsa"]);
        assert_eq!(after("credentials", &files, &wishes(&["root"], &[])).keys().collect::<Vec<_>>(), ["/etc/passwd", "/root/.netrc"]);
    }
}
