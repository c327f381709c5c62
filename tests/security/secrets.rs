//! Secrets of a guest, in every place that is read and in files that cannot be parsed: none of them is ever said.

use crate::every::{Said, reading, writing};
use crate::linux::{Guest, able};
use crate::linux_healthy;
use std::path::Path;

/// What every secret begins with; the rest is its own.
const MARK: &str = "Zq9Xsecret";

/// The places of secrets: a file, and its text with `{}` where the secret stands.
const FILES: &[(&str, &str)] = &[
    ("/etc/shadow", "root:$6$salt${}:20000:0:99999:7:::\nazureuser:$y$j9T$salt${}:20000:0:99999:7:::\n{}\n"),
    ("/etc/shadow-", "root:{}:20000:0:99999:7:::\n"),
    ("/etc/gshadow", "sudo:{}::azureuser\n"),
    ("/etc/group", "root:x:0:\nsudo:x:27:\nazureuser:{}:1000:\n"),
    (
        "/etc/fstab",
        "//server/share /mnt cifs username=me,password={},nofail 0 0\nUUID=4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11 / ext4 defaults 0 1\nhttps://me:{}@host/dav /dav davfs nofail 0 0\n//host/more /more cifs nofail,user=me,pass={} 0 0\n",
    ),
    ("/etc/crypttab", "data UUID=4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c12 /etc/luks.key luks,nofail,pkcs11-uri=pkcs11:token=x;pin-value={}\n"),
    ("/etc/luks.key", "{}"),
    (
        "/etc/apt/sources.list",
        "deb https://me:{}@mirror/debian bookworm main\ndeb https://account.blob.core.windows.net/apt?sv=2022&sig={} bookworm main\n",
    ),
    ("/etc/apt/sources.list.d/x.sources", "Types: deb\nURIs: https://me:{}@mirror/debian\nSuites: bookworm\nComponents: main\n"),
    ("/etc/apt/apt.conf.d/95proxy", "Acquire::http::Proxy \"http://me:{}@proxy:3128/\";\n"),
    ("/etc/apt/auth.conf", "machine mirror login me password {}\n"),
    ("/etc/environment", "https_proxy=http://me:{}@proxy:3128\nTOKEN={}\n"),
    ("/etc/yum.repos.d/x.repo", "[x]\nname=x\nbaseurl=https://me:{}@mirror/x\nenabled=1\npassword={}\nproxy_password={}\n"),
    ("/etc/dnf/dnf.conf", "[main]\nproxy=http://proxy\nproxy_password={}\n"),
    ("/etc/waagent.conf", "Provisioning.Agent=auto\nHttpProxy.Host=me:{}@proxy\nHttpProxy.Port=3128\nResourceDisk.Format=n\n"),
    ("/var/lib/waagent/ovf-env.xml", "<Environment><LinuxProvisioningConfigurationSet><UserPassword>{}</UserPassword></Lin"),
    ("/var/lib/waagent/Certificates.xml", "<Data>{}</Data>"),
    ("/var/lib/waagent/Microsoft.Ext/config/0.settings", "{\"protectedSettings\": \"{}\", \"fileUris\": [\"https://a/b?sig={}\"]"),
    ("/var/lib/cloud/instance/user-data.txt", "#cloud-config\npassword: {}\n"),
    ("/var/lib/cloud/seed/nocloud/user-data", "#cloud-config\npassword: {}\nchpasswd: {list: 'root:{}'\n"),
    ("/etc/cloud/cloud.cfg.d/50-bad.cfg", "users:\n - name: x\n   passwd: {}\n  bad indent: {}\n\t- {}\n"),
    ("/etc/cloud/cloud.cfg.d/51-alias.cfg", "password: *{}\n"),
    (
        "/etc/cloud/cloud.cfg.d/52-type.cfg",
        "datasource_list: {}\nusers: {}\nssh_pwauth: {}\ndisable_root: {}\ndatasource: {Azure: {agent_command: {}}}\n",
    ),
    (
        "/etc/cloud/cloud.cfg.d/53-users.cfg",
        "users:\n - default\n - name: ops\n   hashed_passwd: {}\n   ssh_authorized_keys: ['ssh-ed25519 {}']\nchpasswd: {list: ['ops:{}']}\n",
    ),
    ("/etc/netplan/01-bad.yaml", "network:\n  wifis:\n    w:\n      access-points: {x: {password: \"{}\"\n  renderer: {}\n"),
    (
        "/etc/netplan/02-wifi.yaml",
        "network:\n  version: 2\n  wifis:\n    w:\n      dhcp4: true\n      access-points: {home: {password: \"{}\"}}\n",
    ),
    (
        "/etc/NetworkManager/system-connections/w.nmconnection",
        "[connection]\nid=w\ntype=wifi\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={}\n{}\n[802-1x]\npassword={}\n",
    ),
    ("/etc/wpa_supplicant/wpa_supplicant.conf", "network={\n psk=\"{}\"\n}\n"),
    ("/etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n wpa-psk {}\n up curl -u me:{} http://x\n"),
    ("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nWPA_PSK={}\nKEY1={}\n"),
    (
        "/etc/ssh/sshd_config",
        "PasswordAuthentication no\nForceCommand curl -H 'X: {}' x\nClientAliveInterval 180\nMatch User {}\n PasswordAuthentication {}\n",
    ),
    ("/etc/ssh/ssh_host_ed25519_key", "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n"),
    ("/home/azureuser/.ssh/id_ed25519", "{}\n"),
    ("/home/azureuser/.ssh/authorized_keys", "command=\"curl -u me:{}\" ssh-ed25519 {} me@host\n"),
    ("/root/.ssh/authorized_keys", "ssh-ed25519 {} root\n"),
    ("/home/azureuser/.bash_history", "mysql -p{}\nexport AWS_SECRET_ACCESS_KEY={}\n"),
    ("/home/azureuser/.azure/msal_token_cache.json", "{\"secret\": \"{}\"}"),
    ("/home/azureuser/.aws/credentials", "[default]\naws_secret_access_key={}\n"),
    ("/home/azureuser/.netrc", "machine x login y password {}\n"),
    ("/home/azureuser/.git-credentials", "https://me:{}@github.com\n"),
    ("/home/azureuser/.docker/config.json", "{\"auths\": {\"x\": {\"auth\": \"{}\"}}}"),
    ("/etc/krb5.keytab", "\x05\x02{}"),
    ("/etc/sssd/sssd.conf", "[sssd]\nservices=nss\ndomains={}\n[domain/x]\nldap_default_authtok={}\nid_provider=ldap\n"),
    ("/etc/krb5.conf", "[libdefaults]\n default_realm = X\n # {}\n"),
    ("/etc/sudoers.d/90-x", "azureuser ALL=(ALL) NOPASSWD: /bin/curl -u me\\:{}\n{}\n"),
    ("/etc/chrony/chrony.conf", "refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0\nmakestep 1.0 -1\nkeyfile {}\n{}\n"),
    (
        "/etc/default/grub",
        "GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX=\"console=ttyS0 cifspass={} ds=nocloud;password={}\"\nGRUB_TERMINAL=serial\nGRUB_PASSWORD={}\n",
    ),
    ("/etc/grub.d/40_custom", "set superusers=root\npassword_pbkdf2 root grub.pbkdf2.sha512.{}\n"),
    ("/boot/grub/user.cfg", "GRUB2_PASSWORD=grub.pbkdf2.sha512.{}\n"),
    (
        "/etc/systemd/system/x.service",
        "[Service]\nEnvironment=TOKEN={}\nExecStart=/bin/curl -u me:{} http://x\n[Install]\nWantedBy=multi-user.target\n",
    ),
    ("/etc/systemd/system/mnt.mount", "[Mount]\nWhat=//server/share\nWhere=/mnt\nType=cifs\nOptions=username=me,password={}\n"),
    ("/etc/cron.d/x", "* * * * * root curl -u me:{} http://x\n"),
    ("/etc/modprobe.d/x.conf", "options hv_netvsc key={}\ninstall udf /bin/curl -u me:{} x\n"),
    ("/etc/udev/rules.d/99-x.rules", "ACTION==\"add\", RUN+=\"/bin/curl -u me:{}\"\n"),
    ("/etc/dracut.conf.d/x.conf", "kernel_cmdline=\"rd.luks.key={}\"\nadd_drivers+=\" hv_vmbus \"\ninstall_items+=\" {} \"\n"),
    ("/etc/initramfs-tools/conf.d/x", "MODULES=most\nCRYPTSETUP_PASS={}\n"),
    ("/var/log/auth.log", "{}\n"),
    ("/var/lib/dhcp/dhclient.eth0.leases", "lease { option x {}; }\n"),
    ("/var/lib/NetworkManager/secret_key", "{}"),
    ("/var/lib/systemd/random-seed", "{}"),
    ("/opt/azure/token", "{}"),
];

/// Words of a kernel's command line that are nobody's business.
const PARAMETERS: &str = "ds=nocloud;s=http://me:{}@x/;password={} cifspass={} rd.luks.key={} ip=dhcp proxy=http://me:{}@proxy \
                          url=https://a.blob.core.windows.net/c?sv=1&sig={} systemd.set_credential=passwd.plaintext-password.root:{}";

/// The text with a secret of its own in each place.
pub fn filled(text: &str, next: &mut usize) -> String {
    let mut pieces = text.split("{}");
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        *next += 1;
        out += &format!("{MARK}{next:03}z{piece}");
    }
    out
}

/// A guest that is full of secrets, and where each of them is.
fn laden(files: &[(&'static str, &str)]) -> (Guest, Vec<String>) {
    let mut guest = linux_healthy::specialized();
    let (mut next, mut places) = (0, Vec::new());
    let mut note = |count: usize, place: &str| places.extend(std::iter::repeat_n(place.to_owned(), count));
    for (path, text) in files {
        let before = next;
        guest.mode(path, filled(text, &mut next), 0o600);
        note(next - before, path);
    }
    let before = next;
    let parameters = filled(PARAMETERS, &mut next);
    note(next - before, "grub.cfg");
    guest.replace("/boot/grub/grub.cfg", "console=tty0", &format!("{parameters} console=tty0"));
    let before = next;
    let menu = filled("password root {}\npassword_pbkdf2 root grub.{}\nset superusers=\"root\"\n", &mut next);
    note(next - before, "grub.cfg, its passwords");
    guest.replace("/boot/grub/grub.cfg", "set timeout=1\n", &format!("set timeout=1\n{menu}"));
    let before = next;
    guest.initramfs.insert("etc/cmdline.d/x.conf".to_owned(), filled("rd.luks.key={} cifspass={}\n", &mut next).into_bytes());
    guest.initramfs.insert("etc/crypttab".to_owned(), filled("x UUID=1 /k pin-value={}\n", &mut next).into_bytes());
    guest.initramfs.insert("etc/shadow".to_owned(), filled("root:{}:1:::::\n", &mut next).into_bytes());
    note(next - before, "initramfs");
    (guest, places)
}

/// Secrets that are said, by place.
pub fn said(all: &[Said], places: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for one in all {
        let text = String::from_utf8_lossy(&one.bytes);
        for (at, _) in text.match_indices(MARK) {
            let number: usize = text[at + MARK.len()..].chars().take(3).collect::<String>().parse().unwrap();
            found.push(format!("{} is told by {}", places[number - 1], one.by));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn nothing_is_said_of(guest: &Guest, places: &[String], work: &Path) {
    let disk = guest.write(work);
    let mut all = reading(&disk, work, &[]);
    all.extend(writing(&disk, work, &["prepare", "-v", "--as=specialized", "--allow-undecided"]));
    all.extend(writing(&disk, work, &["generalize", "-v", "--remove-user", "azureuser", "--allow-undecided"]));
    assert!(all.iter().map(|one| one.bytes.len()).sum::<usize>() > 100_000, "hardly anything was said");
    let found = said(&all, places);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_secret_of_a_guest_is_said() {
    if !able() {
        return;
    }
    let (guest, places) = laden(FILES);
    if let Some(kept) = std::env::var_os("VHDKIT_KEEP_PLANTED") {
        let work = tempfile::tempdir().unwrap();
        std::fs::copy(guest.write(work.path()), kept).unwrap();
    }
    let work = tempfile::tempdir().unwrap();
    nothing_is_said_of(&guest, &places, work.path());
}
