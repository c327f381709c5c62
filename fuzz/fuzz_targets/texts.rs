//! Every configuration file of a guest that is read; the first byte says as which one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vhdkit::guest::linux::{
    account_lines, accounts, bls, cloud_init, cmdline, crypttab, fstab, grub, identity, ini, makers, modprobe, modules, network,
    os_release, ovf_env, package_version, packages, python, sshd, sudoers, sudoers_lines, syslinux, systemd, version, waagent, yaml,
};
use vhdkit::guest::windows::{driver_path, firewall, mounted_device, setup_log, text, winhttp};
use vhdkit_fuzz as _;

fn pair(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

/// A file of the same text wherever one is asked for.
#[derive(Debug)]
struct Beside(String);

impl grub::Files for Beside {
    fn read(&self, path: &str) -> Option<String> {
        (path.len() % 2 == 0).then(|| self.0.clone())
    }

    fn exists(&self, path: &str) -> Option<bool> {
        (path.len() % 3 != 0).then_some(path.len() % 2 == 0)
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let owned = String::from_utf8_lossy(bytes);
    let text: &str = &owned;
    let (one, other) = pair(text);
    match choice % 44 {
        0 => drop(accounts::passwd(text)),
        1 => drop(accounts::shadow(text)),
        2 => drop(accounts::group(text)),
        3 => drop((accounts::login_defs(other, one), accounts::nsswitch(other, one), accounts::authorized_keys(text))),
        4 => drop(bls::bls_entry("/boot/loader/entries/x.conf", text)),
        5 => drop(bls::loader_conf(text)),
        6 => drop((bls::fits(one, other), bls::compare(one, other))),
        7 => drop(cloud_init::ds_identify(other, one)),
        8 => {
            if let Ok(value) = yaml::parse(text) {
                drop((cloud_init::keys(&value), cloud_init::secrets(&value), cloud_init::switch(&value), network::netplan(&value)));
            }
        }
        9 => {
            if let (Ok(mut first), Ok(second)) = (yaml::parse(one), yaml::parse_first(other)) {
                cloud_init::merge(&mut first, second);
            }
        }
        10 => drop(cmdline::CommandLine::parse(text)),
        11 => drop(crypttab::parse(text)),
        12 => drop(fstab::parse(text)),
        13 => drop((identity::machine_id(text), identity::host_name(text), identity::hosts(text), identity::assignment(other, one))),
        14 => drop(ini::parse(text)),
        15 => drop((makers::assignments(text), makers::module_list(text))),
        16 => drop(modprobe::parse(text)),
        17 => drop((modules::builtin(text), modules::dependencies(text), modules::of_file(text), modules::normal(text))),
        18 => drop(network::ifcfg("ifcfg-eth0", text)),
        19 => drop(network::keyfile(text)),
        20 => drop(network::interfaces(text)),
        21 => drop((network::networkd(text), network::link(text))),
        22 => drop((os_release::assignments(text), os_release::os_release(text))),
        23 => drop((os_release::redhat_release(text), os_release::suse_release(text), os_release::lsb_release(text))),
        24 => drop(ovf_env::user_name(text)),
        25 => drop((package_version::deb(one, other), package_version::rpm(one, other), package_version::apk(one, other))),
        26 => packages::dpkg(text, &mut drop),
        27 => packages::apk(text, &mut drop),
        28 => drop((packages::pacman(text), python::assigned_text(other, one))),
        29 => drop(sshd::parse(text)),
        30 => drop(sudoers::parse(text)),
        31 => drop((syslinux::syslinux(text), syslinux::grub_legacy(text))),
        32 => drop((systemd::settings(text), systemd::install(text), systemd::environment(text))),
        33 => drop((version::compare(one, other), version::numbers(text), version::is_release(text))),
        34 => drop(waagent::settings(text)),
        35 => drop((driver_path::resolve(Some(one), other, "C:\\Windows"), firewall::parse(text))),
        36 => drop((mounted_device::parse(bytes), mounted_device::letter(text), winhttp::parse(bytes))),
        37..=39 => {
            let environment = grub::Environment { saved: grub::grub_environment(other), ..grub::Environment::default() };
            if let Ok(config) = grub::grub_config(one.replace('\u{1}', "\n").as_str(), &environment, &Beside(other.to_owned())) {
                std::hint::black_box((config.default_entry(), config.default_is_found()));
            }
            drop(grub::grub_config(text, &environment, &grub::NoFiles));
        }
        40 => drop(grub::default_grub([("/etc/default/grub", text), ("/etc/default/grub.d/a.cfg", other)])),
        41 => {
            drop(sudoers_lines::without(bytes, &|name| name == b"ada" || name == b"#1000"));
            for line in bytes.split(|byte| *byte == b'\n') {
                drop((
                    account_lines::field(line, 2),
                    account_lines::with_field(line, 1, b"!"),
                    account_lines::without_names(line, 3, |n| n == b"a"),
                ));
            }
        }
        42 => drop((modprobe::order(&[(one, vec!["a".to_owned()]), (other, vec![])]), sudoers::is_read(text))),
        _ => drop((setup_log::errors(text, 10), text::decode(bytes), text::ini_value(text, "a", "b"))),
    }
});
