//! LG-04, L-54: accounts of people, and what is kept of them.

use crate::facts::{Fact, State};
use crate::rules::linux::{self, Guest, people};
use crate::rules::word;
use crate::rules::{Check, Finding, Judgement, Profile, Remedy, Rule, Severity, Skip, Subject, Target, shared, source};
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::rules) static RULE: Rule = Rule {
    code: "LGN004",
    name: "account-with-password-left",
    requirement: "LG-04",
    also: &["L-54", "LG-11", "LG-20", "LG-21"],
    severity: Severity::Error,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Nobody can log in to a template with a password that somebody knows.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Accounts of people (numbered from `UID_MIN` of `/etc/login.defs` on, but not `nobody`) that have a shell, and a password that is set or
empty. Accounts that stay on purpose (`--keep-user`) are left out.

## Why it matters

Every machine that is made from the disk has the account, with the password of the one who made the image. `waagent -deprovision+user`
removes no more than the account that `/var/lib/waagent/ovf-env.xml` names: the one of the last provisioning in Azure. It removes nobody
on a machine that was installed elsewhere, and nobody when that directory was emptied before, as some recipes have it.

## How to fix it

Remove each account by its name, with its home.",
    check: Check::Disk(check),
};

pub(in crate::rules) static OTHERS: Rule = Rule {
    code: "LGN104",
    name: "account-left",
    requirement: "LG-04",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No account of a person is left on a template.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Accounts of people with keys in `authorized_keys`, or with the hash of a password that is locked. Accounts that stay on purpose
(`--keep-user`) are left out.

## Why it matters

Whoever has the private key can log in to every machine that is made from the disk. A locked hash is a password that unlocking brings
back.

## How to fix it

Remove each account by its name, with its home.",
    check: Check::Disk(others),
};

pub(in crate::rules) static BELONGINGS: Rule = Rule {
    code: "LGN204",
    name: "belongings-of-accounts-left",
    requirement: "LG-04",
    also: &[],
    severity: Severity::Warning,
    marketplace: None,
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Nothing of a person's account is left outside its home.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

Crontabs, mail and settings below `/var` that belong to a person's account, or to one that exists no more; not those of accounts that stay
on purpose (`--keep-user`). `userdel` and
`waagent -deprovision+user` leave some of them.

## Why it matters

Whoever gets an account of that name on a new machine takes them over: the crontab runs in that account's name, the mail is theirs to read.

## How to fix it

Delete the files.",
    check: Check::Disk(belongings),
};

pub(in crate::rules) static BACKUPS: Rule = Rule {
    code: "LNX154",
    name: "account-backups-left",
    requirement: "L-54",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Backups of the account databases hold no hashes.",
    azure_error: None,
    source: source::LINUX_SYSPREP,
    docs: r"## What it checks

`/etc/shadow-` and its like, for hashes of passwords and for accounts that exist no more.

## Why it matters

Tools that remove an account leave the former file beside the new one, with the hash of the password of the one they have removed. It goes
to everybody who gets the image.

## How to fix it

Delete the backups, after the last change of an account.",
    check: Check::Disk(backups),
};

pub(in crate::rules) static SECRETS: Rule = Rule {
    code: "LNX054",
    name: "secrets-left",
    requirement: "L-54",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "No secret of a person is left on a template.",
    azure_error: None,
    source: source::CERTIFICATION,
    docs: r"## What it checks

Tokens and keys of cloud tools and Kerberos, private SSH keys in homes, and passwords, hashes or keys in cloud-init's configuration. Their
content is never shown. What is in homes of accounts that stay on purpose (`--keep-user`) is theirs.

## Why it matters

They go to everybody who gets the image, and to every machine that is made from it.

## How to fix it

Delete them, and make new ones: what was on a disk that was handed on is no secret any more.",
    check: Check::Disk(secrets),
};

pub(in crate::rules) static ROOT: Rule = Rule {
    code: "LNX055",
    name: "root-can-log-in",
    requirement: "L-55",
    also: &[],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks, used as generalized",
    summary: "Nobody can log in to a template as root.",
    azure_error: None,
    source: source::LINUX_AGENT,
    docs: r"## What it checks

That root has no password and that no key is admitted in its `authorized_keys`, unless it stays on purpose (`--keep-user root`).

## Why it matters

Every machine that is made from the disk admits the same password or key, as root.

## How to fix it

Lock root's password and delete the keys.",
    check: Check::Disk(root),
};

pub(in crate::rules) static EMPTY: Rule = Rule {
    code: "LNX155",
    name: "root-without-password",
    requirement: "L-55",
    also: &["LG-23"],
    severity: Severity::Warning,
    marketplace: Some(Severity::Error),
    profile: Profile::Azure,
    applies_to: "Linux OS disks",
    summary: "root's password is not empty.",
    azure_error: None,
    source: source::LINUX_REMOVE_AGENT,
    docs: r"## What it checks

That the field of root's password in `/etc/shadow` is not empty. `passwd -d root`, which a page about removing the agent prints, empties
it.

## Why it matters

An empty field is not a locked one: root is let in without a password, at the serial console and by `su` for every user.

## How to fix it

Lock the password (`usermod -p '*' root`), or set one where no other account can administer the machine; never use `passwd -d`.",
    check: Check::Disk(empty),
};

/// The Linux of a disk that is used as generalized.
fn asked<'a>(subject: &Subject<'a>, target: &Target) -> Result<Guest<'a>, Skip> {
    let guest = linux::guest(subject)?;
    shared::demand_purpose(guest.os, target, State::Generalized)?;
    Ok(guest)
}

fn word(user: &crate::facts::UserFacts) -> &str {
    user.password.value().map_or("unknown", String::as_str)
}

/// Whether the account is one that a password lets in.
fn by_password(user: &crate::facts::UserFacts) -> bool {
    user.can_log_in == Fact::Known(true) && matches!(word(user), "set" | "empty")
}

/// So many keys, in words.
fn keys_admitted(keys: usize) -> String {
    if keys == 1 { "1 SSH key is admitted".to_owned() } else { format!("{keys} SSH keys are admitted") }
}

/// What `waagent -deprovision+user` would do about it; `removed` is who that is, asked once for all accounts.
fn trap(guest: &Guest<'_>, removed: Option<&str>, name: &str) -> String {
    if people::waagent_program(guest).is_none() {
        return String::new();
    }
    match removed {
        Some(removed) if removed == name => " (waagent -deprovision+user does this too, for this account only)".to_owned(),
        Some(removed) => format!("; waagent -deprovision+user removes {removed} only, whom /var/lib/waagent/ovf-env.xml names"),
        None => "; waagent -deprovision+user removes nobody here, because no /var/lib/waagent/ovf-env.xml names an account".to_owned(),
    }
}

/// People's accounts that nobody has said to keep.
fn people_of<'a>(guest: &Guest<'a>, target: &Target) -> Result<impl Iterator<Item = &'a crate::facts::UserFacts>, Skip> {
    let users = guest.linux.accounts.users.known()?.map(Vec::as_slice).unwrap_or_default();
    Ok(users.iter().filter(|user| user.person && !target.keeps(&user.name)))
}

fn check(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let removed = people::removed_by_waagent(&guest);
    let mut out = Vec::new();
    for user in people_of(&guest, target)?.filter(|user| by_password(user)) {
        let keys = user
            .authorized_keys
            .value()
            .filter(|keys| **keys > 0)
            .map(|keys| format!(", and {}", keys_admitted(*keys)))
            .unwrap_or_default();
        let password = if word(user) == "empty" { "without any password" } else { "with a password" };
        out.push(Finding {
            message: format!(
                "{} (uid {}) can log in {password}{keys}; every machine that is made from the disk has this account",
                user.name, user.uid
            ),
            actual: format!("password {}{keys}", word(user)),
            required: "no account of a person".to_owned(),
            place: shared::file("/etc/passwd", None),
            remedy: Remedy::hand(format!("{}{}", people::remove(guest.distribution(), &user.name), trap(&guest, removed, &user.name))),
        });
    }
    if out.is_empty() {
        for user in people_of(&guest, target)? {
            user.can_log_in.known()?;
            user.password.known()?;
        }
    }
    Ok(out)
}

fn others(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let removed = people::removed_by_waagent(&guest);
    let mut out = Vec::new();
    for user in people_of(&guest, target)?.filter(|user| !by_password(user) && people::opens(user) == Fact::Known(true)) {
        let keys = user.authorized_keys.value().copied().unwrap_or_default();
        let what = if keys > 0 { format!("{} for it", keys_admitted(keys)) } else { "the hash of its password is still there".to_owned() };
        out.push(Finding {
            message: format!("the account {} (uid {}) is left, and {what}", user.name, user.uid),
            actual: what,
            required: "no account of a person".to_owned(),
            place: shared::file("/etc/passwd", None),
            remedy: Remedy::hand(format!("{}{}", people::remove(guest.distribution(), &user.name), trap(&guest, removed, &user.name))),
        });
    }
    if out.is_empty() {
        for user in people_of(&guest, target)? {
            people::opens(user).known()?;
        }
    }
    Ok(out)
}

fn backups(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let files = guest.linux.accounts.backups.known()?.map(Vec::as_slice).unwrap_or_default();
    let holding: Vec<_> = files.iter().filter(|file| !file.accounts_with_hash.is_empty()).collect();
    let found = holding.into_iter().map(|file| {
        let gone: BTreeSet<&String> = file.deleted_accounts.iter().collect();
        let deleted: Vec<String> = file.accounts_with_hash.iter().filter(|name| gone.contains(name)).cloned().collect();
        let gone = if deleted.is_empty() { String::new() } else { format!("; no longer there: {}", shared::first_three(&deleted, ", ")) };
        let held = shared::first_three(&file.accounts_with_hash, ", ");
        let command = "rm -f /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid-";
        let command = if file.path.ends_with('-') { command.to_owned() } else { format!("rm -f {}", word::sh(&file.path)) };
        Finding {
            message: format!("{} holds the password hashes of {held}, which whoever gets the image can read{gone}", file.path),
            actual: format!("hashes of {held}"),
            required: "no backups of the account databases".to_owned(),
            place: shared::file(&file.path, None),
            remedy: Remedy::hand(format!("{command}, after the last account was removed")),
        }
    });
    Ok(found.collect())
}

fn secrets(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let mut files: Vec<String> = guest.linux.residue.credentials.value().cloned().unwrap_or_default();
    let users = guest.linux.accounts.users.value().into_iter().flatten().filter(|user| !target.keeps(&user.name));
    files.extend(users.filter_map(|user| user.private_keys.value()).flatten().cloned());
    files.retain(|path| !people::is_kept(&guest, target, path));
    let mut out = Vec::new();
    if !files.is_empty() {
        out.push(Finding {
            message: format!(
                "private keys or tokens of people are left ({}); whoever gets the image has them",
                shared::first_three(&files, ", ")
            ),
            actual: shared::first_three(&files, ", "),
            required: "none".to_owned(),
            place: files.first().and_then(|path| shared::file(path, None)),
            remedy: Remedy::hand(format!("rm -f {}, and revoke them", word::sh_all(&files))),
        });
    }
    let cloud = guest.linux.agents.cloud_init.value().and_then(|cloud| cloud.configuration.value());
    if let Some(places) = cloud.map(|config| &config.secrets).filter(|places| !places.is_empty()) {
        out.push(Finding {
            message: format!(
                "cloud-init's configuration holds a password, a hash or a key ({}), which every machine gets",
                shared::first_three(places, ", ")
            ),
            actual: shared::first_three(places, ", "),
            required: "no secrets in /etc/cloud".to_owned(),
            place: shared::file("/etc/cloud/cloud.cfg", None),
            remedy: Remedy::hand(format!("take {} out of the files of /etc/cloud", shared::first_three(places, ", "))),
        });
    }
    if out.is_empty() {
        guest.linux.residue.credentials.known()?;
        for user in guest.linux.accounts.users.known()?.into_iter().flatten() {
            user.private_keys.known()?;
        }
    }
    Ok(out)
}

fn belongings(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let Some(paths) = guest.linux.accounts.belongings.known()? else { return Ok(vec![]) };
    let users = guest.linux.accounts.users.known()?.map(Vec::as_slice).unwrap_or_default();
    // Of a person's account, or of one that is there no more; those of the system's accounts came with packages.
    let mut people: BTreeMap<&str, bool> = BTreeMap::new();
    for user in users {
        people.entry(&user.name).or_insert(user.person);
    }
    let owner = |path: &&String| people.get(shared::file_name(path)).is_none_or(|person| *person);
    let left: Vec<String> = paths.iter().filter(owner).filter(|path| !target.keeps(shared::file_name(path))).cloned().collect();
    if left.is_empty() {
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!(
            "files of people's accounts are left outside their homes ({}); an account of that name takes them over",
            shared::first_three(&left, ", ")
        ),
        actual: shared::first_three(&left, ", "),
        required: "none".to_owned(),
        place: left.first().and_then(|path| shared::file(path, None)),
        remedy: Remedy::hand(format!("rm -f {}", word::sh_all(&left))),
    }])
}

fn root_of<'a>(guest: &Guest<'a>) -> Result<&'a crate::facts::UserFacts, Skip> {
    let users = guest.linux.accounts.users.known()?.map(Vec::as_slice).unwrap_or_default();
    users.iter().find(|user| user.uid == 0).ok_or_else(|| Skip::not_applicable("there is no account root"))
}

fn root(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = asked(subject, target)?;
    let root = root_of(&guest)?;
    if target.keeps(&root.name) {
        return Err(Skip::not_applicable("root stays as it is"));
    }
    let mut found = Vec::new();
    let mut commands = Vec::new();
    if root.password.value().is_some_and(|word| word == "set") {
        found.push("a password of root is set".to_owned());
        commands.push(people::lock_root(guest.distribution()).to_owned());
    }
    if let Some(keys) = root.authorized_keys.value().filter(|keys| **keys > 0) {
        found.push(format!("{} for root", keys_admitted(*keys)));
        commands.push(format!("rm -f {}", word::sh(&format!("{}/.ssh/authorized_keys", root.home))));
    }
    if found.is_empty() {
        root.password.known()?;
        root.authorized_keys.known()?;
        return Ok(vec![]);
    }
    Ok(vec![Finding {
        message: format!("{}; every machine that is made from the disk admits the same", found.join(", and ")),
        actual: found.join(", "),
        required: "root's password is locked, and no key is admitted".to_owned(),
        place: if root.password.value().is_some_and(|word| word == "set") {
            shared::file("/etc/shadow", None)
        } else {
            shared::file(&format!("{}/.ssh/authorized_keys", root.home), None)
        },
        remedy: Remedy::hand(commands.join("; ")),
    }])
}

fn empty(subject: &Subject<'_>, target: &Target) -> Judgement {
    let guest = linux::guest(subject)?;
    let root = root_of(&guest)?;
    if root.password.known()?.is_none_or(|word| word != "empty") {
        return Ok(vec![]);
    }
    // On one machine root may be the only way in.
    let generalized = shared::purpose(guest.os, target).ok().flatten() == Some(State::Generalized);
    let admin =
        |user: &crate::facts::UserFacts| user.uid != 0 && user.can_log_in == Fact::Known(true) && user.can_become_root == Fact::Known(true);
    let locked = generalized || guest.linux.accounts.users.value().is_some_and(|users| users.iter().any(admin));
    let cure =
        if locked { people::lock_root(guest.distribution()) } else { "passwd root, to set a password: no other account can become root" };
    Ok(vec![Finding {
        message: "the password of root is empty, which is not locked: root is let in without one, as passwd -d leaves it".to_owned(),
        actual: "an empty field in /etc/shadow".to_owned(),
        required: "a locked password".to_owned(),
        place: shared::file("/etc/shadow", None),
        remedy: Remedy::hand(cure),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::*;
    use crate::rules::testing::linux::user;
    use crate::rules::testing::*;

    const ALL: [(&str, &Rule); 7] = [
        ("LGN204", &BELONGINGS),
        ("LGN004", &RULE),
        ("LGN104", &OTHERS),
        ("LNX154", &BACKUPS),
        ("LNX054", &SECRETS),
        ("LNX055", &ROOT),
        ("LNX155", &EMPTY),
    ];

    fn found(facts: &DiskFacts) -> Vec<&'static str> {
        ALL.iter().filter(|(_, rule)| ask(rule, facts).starts_with("hand")).map(|(code, _)| *code).collect()
    }

    fn with(name: &str, uid: u32, shell: &str, password: &str, keys: usize) -> DiskFacts {
        linux(|l| {
            let mut one = user(name, uid, &format!("/home/{name}"), shell, password);
            one.authorized_keys = Fact::Known(keys);
            one.can_log_in = Fact::Known(!shell.ends_with("nologin") && (keys > 0 || matches!(password, "set" | "empty")));
            let users = known(&mut l.accounts.users);
            users.retain(|user| user.uid != uid);
            users.push(one);
        })
    }

    #[test]
    fn accounts() {
        for (name, uid, shell, password, keys, codes) in [
            ("ada", 1000, "/bin/bash", "set", 0, &["LGN004"][..]),
            ("ada", 1000, "/bin/bash", "empty", 0, &["LGN004"]),
            ("ada", 1000, "/bin/bash", "locked", 1, &["LGN104"]),
            ("ada", 1000, "/bin/bash", "locked_with_hash", 0, &["LGN104"]),
            ("ada", 1000, "/bin/bash", "locked", 0, &[]),
            ("svc", 500, "/bin/bash", "set", 0, &[]),
            ("root", 0, "/bin/bash", "set", 0, &["LNX055"]),
            ("root", 0, "/bin/bash", "locked", 2, &["LNX055"]),
            ("root", 0, "/bin/bash", "empty", 0, &["LNX155"]),
        ] {
            assert_eq!(found(&with(name, uid, shell, password, keys)), codes, "{name} {password} {keys}");
        }
        assert_eq!(found(&healthy_os()), Vec::<&str>::new());
    }

    #[test]
    fn the_trap_is_told() {
        let cure = |ovf: Option<&str>| {
            let mut facts = with("ada", 1000, "/bin/bash", "set", 0);
            let linux = known(&mut known(&mut facts.os).linux);
            linux.residue.waagent = ovf.map_or(Fact::Absent, |name| {
                Fact::Known(WaagentStateFacts {
                    provisioned: true,
                    ovf_env: true,
                    ovf_user: Fact::Known(name.to_owned()),
                    certificates: 0,
                    goal_states: 0,
                    extensions: vec![],
                    disabled: false,
                })
            });
            findings(&RULE, &facts, &Target::default())[0].remedy.text()
        };
        assert!(cure(None).starts_with("userdel -r ada; waagent -deprovision+user removes nobody here"), "{}", cure(None));
        assert!(cure(Some("ada")).contains("does this too"), "{}", cure(Some("ada")));
        assert!(cure(Some("daemon")).contains("removes daemon only"), "{}", cure(Some("daemon")));
    }

    #[test]
    fn what_is_kept_of_them() {
        let backup = |hashes: &[&str]| {
            linux(|l| {
                let names: Vec<String> = hashes.iter().map(|name| (*name).to_owned()).collect();
                l.accounts.backups = Fact::Known(vec![AccountBackupFacts {
                    path: "/etc/shadow-".to_owned(),
                    deleted_accounts: names.clone(),
                    accounts_with_hash: names,
                }]);
            })
        };
        assert_eq!(found(&backup(&["ada"])), ["LNX154"]);
        assert_eq!(found(&backup(&[])), Vec::<&str>::new());
        assert_eq!(found(&linux(|l| known(&mut l.residue.credentials).push("/root/.azure/msal_token_cache.json".to_owned()))), ["LNX054"]);
        let config = linux(|l| known(&mut known(&mut l.agents.cloud_init).configuration).secrets.push("chpasswd".to_owned()));
        assert_eq!(found(&config), ["LNX054"]);
        assert_eq!(
            found(&linux(|l| known(&mut l.accounts.users)[0].private_keys = Fact::Known(vec!["/root/.ssh/id_rsa".to_owned()]))),
            ["LNX054"]
        );
    }

    #[test]
    fn belongings() {
        for (path, codes) in
            [("/var/spool/cron/crontabs/gone", &["LGN204"][..]), ("/var/spool/cron/crontabs/root", &[]), ("/var/mail/daemon", &[])]
        {
            assert_eq!(found(&linux(|l| l.accounts.belongings = Fact::Known(vec![path.to_owned()]))), codes, "{path}");
        }
        assert_eq!(ask(&BELONGINGS, &linux(|l| l.accounts.belongings = Fact::unknown("x"))), "undecided");
    }

    #[test]
    fn table() {
        for (code, rule) in ALL {
            assert_eq!(ask(rule, &healthy_data()), "not applicable");
            if code != "LNX155" {
                assert_eq!(ask(rule, &specialized_linux(|_| {})), "not applicable", "{code}");
            }
            if code != "LNX154" {
                assert_eq!(ask(rule, &linux(|l| l.accounts.users = Fact::unknown("x"))), "undecided", "{code}");
            }
        }
        assert_eq!(ask(&BACKUPS, &linux(|l| l.accounts.backups = Fact::unknown("x"))), "undecided");
        let unknown = linux(|l| {
            let mut one = user("ada", 1000, "/home/ada", "/bin/bash", "locked");
            (one.password, one.can_log_in) = (Fact::unknown("x"), Fact::unknown("x"));
            known(&mut l.accounts.users).push(one);
        });
        assert_eq!((ask(&RULE, &unknown).as_str(), ask(&OTHERS, &unknown).as_str()), ("undecided", "undecided"));
    }

    /// Whoever says that an account stays gets no findings on it, and all others.
    #[test]
    fn accounts_that_stay_on_purpose_are_no_leftovers() {
        let facts = specialized_linux(|facts| {
            let linux = known(&mut known(&mut facts.os).linux);
            let users = known(&mut linux.accounts.users);
            users.push(user("app", 1001, "/home/app", "/bin/bash", "locked_with_hash"));
            users.iter_mut().find(|user| user.name == "app").unwrap().private_keys = Fact::Known(vec!["/home/app/.ssh/id_rsa".to_owned()]);
            linux.accounts.belongings = Fact::Known(vec!["/var/mail/app".to_owned()]);
            linux.residue.credentials = Fact::Known(vec!["/home/app/.netrc".to_owned()]);
            linux.residue.histories = Fact::Known(vec![FileFacts { path: "/home/app/.bash_history".to_owned(), size: 3 }]);
        });
        let of = |kept: &[&str]| {
            let target =
                Target { state: Some(State::Generalized), kept: kept.iter().map(|name| (*name).to_owned()).collect(), ..Target::default() };
            let codes = crate::rules::judge(&[subject(&facts)], &target, &[]).findings;
            let about = |code: &str| ["LGN004", "LGN104", "LGN204", "LNX054", "LGN010", "LNX060"].contains(&code);
            let mut codes: Vec<(&str, String)> = codes.into_iter().map(|found| (found.rule.code, found.finding.message)).collect();
            codes.retain(|(code, message)| about(code) && message.contains("app"));
            codes.len()
        };
        assert_eq!(of(&["app"]), 0);
        assert!(of(&[]) >= 3, "{}", of(&[]));
        assert_eq!(of(&["ap", "app/"]), of(&[]));
    }
}
