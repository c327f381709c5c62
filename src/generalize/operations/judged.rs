//! What is left by the operations, judged by the rules: they find no leftover of what these operations remove.

use super::trial::{made, plan_all, wishes};
use crate::facts::{Fact, State};
use crate::fs::testing::tree;
use crate::generalize::Wishes;
use crate::inspect::of_tree;
use crate::rules::testing::{healthy_os, subject};
use crate::rules::{Target, judge};

/// Rules that what these operations remove would set off.
const ABOUT: [&str; 20] = [
    "LGN001", "LGN002", "LGN004", "LGN006", "LGN008", "LGN101", "LGN104", "LGN204", "LNX024", "LNX025", "LNX026", "LNX027", "LNX034",
    "LNX054", "LNX055", "LNX053", "LNX058", "LNX061", "LNX126", "LNX154",
];

fn one_machine() -> Vec<(&'static str, &'static str)> {
    let mut files: Vec<(&str, &str)> = super::agent_configuration::AGENT_CONFIGURATION.sample.before.to_vec();
    files.extend([
        ("/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\ngit:x:200:200::/srv/git:/bin/sh\n"),
        ("/etc/shadow", "root:$6$a$b:1::::::\nada:$6$s$h:1::::::\nbob:!$6$s$h:1::::::\ngit:!:1::::::\n"),
        ("/etc/shadow-", "root:$6$a$b:1::::::\neve:$6$s$h:1::::::\n"),
        ("/etc/passwd-", "eve:x:1002:1::/:/bin/sh\n"),
        ("/etc/group", "sudo:x:27:ada,bob\nada:x:1000:\nbob:x:1001:\n"),
        ("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"),
        ("/etc/sudoers.d/90-cloud-init-users", "ada ALL=(ALL) NOPASSWD:ALL\n"),
        ("/etc/sudoers.d/waagent", "bob ALL=(ALL) NOPASSWD: ALL\nada ALL=(ALL) NOPASSWD: ALL\n"),
        ("/home/ada/.ssh/authorized_keys", "ssh-rsa A\n"),
        ("/home/ada/.bash_history", "x\n"),
        ("/home/bob/.bash_history", "x\n"),
        ("/home/bob/.netrc", "x\n"),
        ("/home/bob/.ssh/id_rsa", "x\n"),
        ("/home/old/.bash_history", "x\n"),
        ("/srv/git/.ssh/id_rsa", "x\n"),
        ("/root/.ssh/authorized_keys", "ssh-rsa A\n"),
        ("/root/.ssh/id_rsa", "x\n"),
        ("/root/.bash_history", "x\n"),
        ("/root/.kube/config", "x\n"),
        ("/var/mail/ada", "x\n"),
        ("/var/mail/bob", "x\n"),
        ("/var/mail/gone", "x\n"),
        ("/etc/krb5.keytab", "x\n"),
        ("/etc/pki/consumer/cert.pem", "x\n"),
        ("/var/lib/waagent/ovf-env.xml", "<UserName>ada</UserName>"),
        ("/var/lib/waagent/provisioned", "x"),
        ("/var/lib/waagent/disable_agent", ""),
        ("/var/lib/waagent/Microsoft.A-1.0/x", "x"),
        ("/var/lib/waagent/A.prv", "x"),
        ("/var/lib/cloud/instance", "-> instances/8f3c"),
        ("/var/lib/cloud/instances/8f3c/x", "x"),
        ("/var/lib/cloud/seed/nocloud/user-data", "x"),
        ("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource_list: [None]\n"),
    ]);
    files.retain(|(path, _)| *path != "/etc/machine-id");
    files.push(("/etc/machine-id", "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n"));
    files
}

/// Codes of findings, before and after.
fn judged(files: &[(&str, &str)], kept: &[&str]) -> Vec<(&'static str, String)> {
    let mut facts = healthy_os();
    facts.os = Fact::Known(of_tree(&tree(files)));
    let target =
        Target { state: Some(State::Generalized), kept: kept.iter().map(|name| (*name).to_owned()).collect(), ..Target::default() };
    let outcomes = judge(&[subject(&facts)], &target, &[]);
    let found = outcomes.findings.into_iter().filter(|found| ABOUT.contains(&found.rule.code) || found.rule.code == "IMG008");
    found.map(|found| (found.rule.code, found.finding.message)).collect()
}

fn template(files: &[(&str, &str)], wishes: &Wishes) -> Vec<(String, String)> {
    let planned = plan_all(files, wishes);
    assert_eq!(planned.problems, []);
    let left = made(files, &planned).into_iter().collect();
    let again: Vec<(&str, &str)> =
        Vec::from_iter(&left as &Vec<(String, String)>).into_iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(plan_all(&again, wishes).changes, [], "a second time");
    left
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect()
}

#[test]
fn the_rules_find_nothing_left() {
    let files = one_machine();
    let before = judged(&files, &[]);
    for code in ABOUT.iter().filter(|code| !["LGN101", "LNX024", "LNX025", "LNX026", "LNX126"].contains(code)) {
        assert!(before.iter().any(|(found, _)| found == code), "{code} in {before:#?}");
    }
    let left = template(&files, &wishes(&[], &["ada", "bob"]));
    assert_eq!(judged(&borrowed(&left), &[]), []);
    for path in ["/home/ada/.bash_history", "/home/bob/.netrc", "/etc/shadow-"] {
        assert!(!left.iter().any(|(other, _)| other == path), "{path}");
    }
}

#[test]
fn accounts_that_stay_on_purpose_are_no_finding() {
    let files = one_machine();
    let left = template(&files, &wishes(&["bob"], &["ada"]));
    assert_eq!(judged(&borrowed(&left), &["bob"]), []);
    let told = judged(&borrowed(&left), &[]);
    assert!(told.iter().any(|(code, _)| *code == "LGN104") && told.iter().any(|(code, _)| *code == "LGN008"), "{told:#?}");
    assert!(left.iter().any(|(path, _)| path == "/home/bob/.netrc"));
}
