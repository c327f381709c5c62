//! Whether a Linux is generalized: the marks that its tools and its running leave, weighed as a whole.
//!
//! No single mark decides. The Azure Linux agent's `-deprovision` leaves machine-id and all of cloud-init's state; `cloud-init clean`
//! leaves accounts, host keys and the agent's state; virt-sysprep leaves accounts and both agents' state. A disk that bears marks of both
//! states was deprovisioned by halves, and the evidence says what is missing.

use crate::facts::{Fact, LinuxFacts, State, UserFacts};

/// Marks for and against, and what could not be read.
#[derive(Debug, Default)]
struct Marks {
    /// It was set up as one machine and still is: each with what would take it away.
    machine: Vec<(String, &'static str)>,
    /// A tool has taken a machine out of it.
    template: Vec<String>,
    /// What leans to a machine and decides nothing by itself.
    leaning: Vec<String>,
    /// Whether `/etc/machine-id` holds an id: every clone would have it, but Azure would not notice.
    id: bool,
    unknown: Vec<String>,
}

impl Marks {
    /// The value of a fact; its reason is kept where it is unknown.
    fn value<'a, T>(&mut self, fact: &'a Fact<T>) -> Option<&'a T> {
        if let Some(reason) = fact.reason() {
            self.unknown.push(reason.to_owned());
        }
        fact.value()
    }
}

/// Decides from the facts of a Linux. The evidence names marks of a machine first.
pub(super) fn state(facts: &LinuxFacts) -> (Fact<State>, Vec<String>) {
    let mut marks = Marks::default();
    agents(facts, &mut marks);
    accounts(facts, &mut marks);
    identity(facts, &mut marks);
    deprovisioned(facts, &mut marks);
    leaning(facts, &mut marks);
    let Marks { machine, template, leaning, id, unknown } = marks;
    let state = match (machine.is_empty(), template.is_empty()) {
        // Marks of a machine without any of a template: one machine, whatever else could not be read.
        (false, true) => State::Specialized,
        (false, false) => State::Inconsistent,
        (true, _) if !unknown.is_empty() => return (Fact::unknown(unknown.join("; ")), template),
        (true, true) if id => State::Specialized,
        // Nothing of a machine on it but perhaps its id, which the Azure Linux agent's deprovisioning leaves: rules warn of that.
        (true, _) => State::Generalized,
    };
    let mut evidence: Vec<String> = machine.iter().map(|(mark, _)| mark.clone()).collect();
    if id {
        evidence.push("/etc/machine-id holds the id of one machine".to_owned());
    }
    evidence.extend(template);
    match state {
        State::Inconsistent => {
            let mut cures: Vec<&str> = machine.iter().map(|(_, cure)| *cure).chain(id.then_some("emptying /etc/machine-id")).collect();
            cures.dedup();
            evidence.push(format!("it was generalized by halves, or started since; missing: {}", cures.join(", ")));
        }
        State::Specialized => evidence.extend(leaning),
        State::Generalized => {}
    }
    (Fact::Known(state), evidence)
}

fn agents(facts: &LinuxFacts, marks: &mut Marks) {
    if let Some(cloud) = marks.value(&facts.residue.cloud_init)
        && cloud.provisioned
    {
        let named = cloud.instances.first().map(|id| format!(" as instance {id}")).unwrap_or_default();
        marks.machine.push((format!("cloud-init has set it up{named} (/var/lib/cloud)"), "cloud-init clean"));
    }
    if let Some(agent) = marks.value(&facts.residue.waagent)
        && (agent.provisioned || agent.ovf_env || agent.goal_states > 0)
    {
        marks.machine.push(("the Azure Linux agent has set it up (/var/lib/waagent)".to_owned(), "waagent -deprovision"));
    }
}

fn accounts(facts: &LinuxFacts, marks: &mut Marks) {
    let users = marks.value(&facts.accounts.users).map(Vec::as_slice).unwrap_or_default();
    let people: Vec<&UserFacts> = users.iter().filter(|user| user.person).collect();
    let able: Vec<&str> = people.iter().filter(|user| user.can_log_in == Fact::Known(true)).map(|user| user.name.as_str()).collect();
    if !able.is_empty() {
        marks.machine.push((format!("somebody can log in as {} (/etc/passwd)", able.join(", ")), "removing these accounts"));
    }
    for user in &people {
        marks.value(&user.can_log_in);
    }
    if let Some(root) = users.iter().find(|user| user.uid == 0)
        && root.can_log_in == Fact::Known(true)
    {
        marks.leaning.push("root can log in".to_owned());
    }
}

fn identity(facts: &LinuxFacts, marks: &mut Marks) {
    match marks.value(&facts.identity.machine_id).map(|id| id.state.as_str()) {
        Some("set") => marks.id = true,
        Some("empty") => marks.template.push("/etc/machine-id is empty".to_owned()),
        Some("uninitialized") => marks.template.push("/etc/machine-id says uninitialized".to_owned()),
        Some(_) => marks.leaning.push("/etc/machine-id holds no id".to_owned()),
        // A system with systemd that has run always has one; others need none.
        None if facts.identity.machine_id == Fact::Absent && has_systemd(facts) => {
            marks.template.push("/etc/machine-id is missing".to_owned());
        }
        None => {}
    }
}

fn has_systemd(facts: &LinuxFacts) -> bool {
    facts.services.value().and_then(|services| services.init.value()).is_some_and(|init| init == "systemd")
}

/// What `waagent -deprovision` leaves, together: root's line in the shadow file by itself is there on every machine that the agent
/// provisioned.
fn deprovisioned(facts: &LinuxFacts, marks: &mut Marks) {
    let name = facts.identity.host_name.value().map(|name| name.name.as_str());
    let locked = facts.accounts.root_locked_by_waagent == Fact::Known(true);
    if locked && name == Some("localhost.localdomain") && facts.residue.waagent == Fact::Absent {
        marks
            .template
            .push("waagent -deprovision has run: root's password is locked its way, the host name is localhost.localdomain".to_owned());
    }
}

fn leaning(facts: &LinuxFacts, marks: &mut Marks) {
    if let Some(name) = facts.identity.host_name.value()
        && !matches!(name.name.as_str(), "localhost.localdomain" | "localhost" | "")
    {
        marks.leaning.push(format!("the host name is {} ({})", name.name, name.path));
    }
    let keys = facts.ssh.host_keys.value().map_or(0, |keys| keys.iter().filter(|key| key.private).count());
    if keys > 0 {
        marks.leaning.push(format!("{keys} SSH host keys are there (/etc/ssh)"));
    }
    if facts.residue.leases.value().is_some_and(|leases| !leases.is_empty()) {
        marks.leaning.push("DHCP leases are there".to_owned());
    }
    let users = |rule: &&crate::facts::SudoRuleFacts| rule.path.ends_with("/waagent") || rule.path.ends_with("/90-cloud-init-users");
    if let Some(rule) = facts.accounts.sudo.value().and_then(|sudo| sudo.rules.iter().find(users)) {
        marks.leaning.push(format!("{} names {}", rule.path, rule.who.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::tree;

    const LOCKED: &str = "root:*LOCK*:14600::::::\n";
    const ROOT: &str = "root:x:0:0::/root:/bin/bash\n";
    const PEOPLE: &str = "root:x:0:0::/root:/bin/bash\nazureuser:x:1000:1000::/home/azureuser:/bin/bash\n";
    const ID: &str = "8f3c1d2e4b5a69788796a5b4c3d2e1f0\n";

    fn decided(files: &[(&str, &str)]) -> (Option<State>, String) {
        let (state, evidence) = state(&super::super::learn(&tree(files)));
        (state.value().copied(), evidence.join("; "))
    }

    #[test]
    fn machines_and_templates() {
        let specialized = [
            ("/etc/passwd", PEOPLE),
            ("/etc/shadow", "root:$6$a$b:1::::::\nazureuser:$6$a$b:1::::::\n"),
            ("/etc/machine-id", ID),
            ("/var/lib/cloud/instance", "-> instances/x"),
            ("/var/lib/waagent/provisioned", "x"),
            ("/etc/hostname", "web-prod-01"),
        ];
        let (found, evidence) = decided(&specialized);
        assert_eq!(found, Some(State::Specialized));
        for part in
            ["cloud-init has set it up", "Azure Linux agent has set it up", "log in as azureuser", "/etc/machine-id holds", "web-prod-01"]
        {
            assert!(evidence.contains(part), "{part}: {evidence}");
        }
        // Only one tool ran: waagent leaves machine-id and cloud-init's state.
        let by_waagent = [
            ("/etc/passwd", ROOT),
            ("/etc/shadow", LOCKED),
            ("/etc/machine-id", ID),
            ("/var/lib/cloud/instance", "-> instances/x"),
            ("/etc/hostname", "localhost.localdomain"),
            ("/var/lib/waagent/", ""),
        ];
        let (found, evidence) = decided(&by_waagent);
        assert_eq!(found, Some(State::Inconsistent));
        assert!(evidence.contains("cloud-init has set it up") && evidence.contains("waagent -deprovision has run"), "{evidence}");
        assert!(evidence.ends_with("missing: cloud-init clean, emptying /etc/machine-id"), "{evidence}");
        // Where there is no cloud-init, the agent's own deprovisioning is whole but for the id.
        assert_eq!(decided(&[by_waagent[0], by_waagent[1], by_waagent[2], by_waagent[4]]).0, Some(State::Generalized));
        // The agent locks root so whenever it provisions.
        assert_eq!(
            decided(&[
                ("/etc/passwd", PEOPLE),
                ("/etc/shadow", "root:*LOCK*:14600::::::\nazureuser:$6$a$b:1::::::\n"),
                ("/etc/machine-id", ID)
            ])
            .0,
            Some(State::Specialized)
        );
        // cloud-init clean --machine-id alone leaves accounts and the agent's state.
        let by_cloud_init = [
            ("/etc/passwd", PEOPLE),
            ("/etc/shadow", "root:*:1::::::\nazureuser:$6$a$b:1::::::\n"),
            ("/var/lib/waagent/ovf-env.xml", "x"),
            ("/usr/lib/systemd/systemd", "x"),
            ("/sbin/init", "-> /usr/lib/systemd/systemd"),
        ];
        assert_eq!(decided(&by_cloud_init).0, Some(State::Inconsistent));
        // Without systemd nobody needs an id, and that it is missing says nothing.
        assert_eq!(decided(by_cloud_init.get(..3).unwrap_or_default()).0, Some(State::Specialized));
        let generalized =
            [("/etc/passwd", ROOT), ("/etc/shadow", LOCKED), ("/etc/machine-id", ""), ("/etc/hostname", "localhost.localdomain\n")];
        assert_eq!(decided(&generalized).0, Some(State::Generalized));
        // A template that never ran: nothing of a machine on it.
        assert_eq!(decided(&[("/etc/passwd", ROOT), ("/etc/shadow", "root:*:1::::::\n")]).0, Some(State::Generalized));
        // Installed at home, never in Azure.
        assert_eq!(
            decided(&[("/etc/passwd", PEOPLE), ("/etc/shadow", "azureuser:$6$a$b:1::::::\n"), ("/etc/machine-id", ID)]).0,
            Some(State::Specialized)
        );
    }

    #[test]
    fn what_cannot_be_read_leaves_a_template_undecided_and_a_machine_decided() {
        let unread = [("/etc/passwd", PEOPLE), ("/etc/shadow", "!damaged"), ("/etc/machine-id", "")];
        assert_eq!(decided(&unread).0, None);
        let machine =
            [("/etc/passwd", PEOPLE), ("/etc/shadow", "!damaged"), ("/etc/machine-id", ID), ("/var/lib/waagent/provisioned", "x")];
        assert_eq!(decided(&machine).0, Some(State::Specialized));
    }
}
