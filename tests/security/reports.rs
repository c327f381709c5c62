//! Words of strangers in every place that is told: no report carries what steers a terminal, a pipeline, a parser or a shell.

use crate::every::{Form, Said, reading, run_raw, writing};
use crate::linux::{Guest, RELEASE, able};
use crate::linux_healthy;
use crate::support::{Disk, LINUX_DATA, MIB};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a terminal, a pipeline, a parser or a shell would act on.
pub const EVIL: &str = "\x1b[2J\x1b]52;c;aGk=\x07\r\u{202e}gpj\u{2028}\u{200b}\u{ad}\u{9b}31m\u{7f} ]]></testcase><script>&amp;&x; \"; rm -rf / \
                    $(touch pwned) `touch pwned` 'q ##vso[task.setvariable variable=PATH]x ##[add-mask]y ::error::z ##\u{200b}vso[x]";

/// The same for a file's name on the host, where there is less room.
const EVIL_NAME: &str = "-\x1b[2J\x07\r\n\u{202e}\u{9b}31m::error::e ##vso[task.x]##[x] ]]><b>\"&'$(touch pwned)`touch pwned`.vhd";

/// For places in which colons or white space part the fields.
pub fn tight(text: &str) -> String {
    text.replace([' ', '\r', '\n', '\u{2028}'], "").replace(':', "\u{202e}").replace(',', "")
}

/// Characters that are written as escapes wherever they come from, beside control characters.
fn hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text without the colours that the program itself gives it.
fn without_colors(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (sgr, rest) = piece.split_once('m').expect("a colour ends");
        assert!(sgr.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'), "{piece:?}");
        out += rest;
    }
    out
}

/// Everything that is promised of what is said.
fn holds(said: &Said) {
    let text = std::str::from_utf8(&said.bytes).unwrap_or_else(|error| panic!("{}: {error}", said.by));
    let text = if said.form == Form::Colored { without_colors(text) } else { text.to_owned() };
    let by = &said.by;
    if let Some(at) = text.find(|c: char| (c.is_control() && c != '\n') || hidden(c)) {
        panic!("{by}: {:?}", text[at..].chars().take(60).collect::<String>());
    }
    for mark in ["##vso[", "##VSO[", "##["] {
        assert!(!text.contains(mark), "{by}: a pipeline would take {mark} for a command");
    }
    for line in text.lines() {
        assert!(!line.trim_start().starts_with("::"), "{by}: a pipeline would take it for a command: {line}");
    }
    match said.form {
        Form::Json if !text.is_empty() => {
            drop(serde_json::from_str::<serde_json::Value>(&text).unwrap_or_else(|error| panic!("{by}: {error}")))
        }
        Form::Lines => text.lines().for_each(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap())),
        Form::Xml if !text.is_empty() => {
            assert!(!text.contains("<script") && !text.contains("]]>"), "{by}");
            well_formed(&text, by);
        }
        _ => {}
    }
}

/// An independent parser's word.
fn well_formed(text: &str, by: &str) {
    let parser = Command::new("xmllint").args(["--noout", "--nonet", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut parser) = parser else {
        eprintln!("SKIPPED: whether {by} is well-formed, since xmllint is not installed");
        return;
    };
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = parser.wait_with_output().unwrap();
    assert!(out.status.success(), "{by}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Commands that a report tells to be typed are typed: nothing but the program itself may come of it.
fn can_be_typed(said: &Said, dir: &Path) -> usize {
    let text = String::from_utf8_lossy(&said.bytes);
    let mut typed = 0;
    for (_, command) in text.split("next: ").skip(1).map(|rest| ("", rest)) {
        let mut whole = String::new();
        for line in command.lines() {
            whole += line.trim_start();
            match whole.strip_suffix('\\') {
                Some(begun) => whole = begun.to_owned(),
                None => break,
            }
        }
        if !whole.starts_with("vhdkit ") {
            continue;
        }
        let script = format!("vhdkit() {{ printf '%s\\n' \"$#\"; }}\n{whole}\n");
        let out = Command::new("bash").args(["-c", &script]).current_dir(dir).stdin(Stdio::null()).output();
        let Ok(out) = out else { continue };
        assert!(out.status.success() && out.stderr.is_empty(), "{}: {whole}: {}", said.by, String::from_utf8_lossy(&out.stderr));
        assert!(!dir.join("pwned").exists(), "{}: {whole}", said.by);
        typed += 1;
    }
    typed
}

pub fn all_hold(all: &[Said], dir: &Path) -> usize {
    let mut typed = 0;
    for said in all {
        holds(said);
        typed += can_be_typed(said, dir);
    }
    assert!(!dir.join("pwned").exists());
    typed
}

/// A disk whose table, label and footer hold hostile words.
fn disk() -> Disk {
    let mut label: Vec<u8> = vec![0; 4096];
    label[1024] = 1;
    label[1028] = 1;
    label[1052..1068].copy_from_slice(b"\x1b[2J\x9b\xff\xfe##vso[\x07\x00\x00");
    label[4086..].copy_from_slice(b"SWAPSPACE2");
    let disk = Disk::blank(24 * MIB).gpt(&[(LINUX_DATA, 2048, 8192), (LINUX_DATA, 10_240, 8192)]).put(MIB, label);
    let mut bytes = disk.bytes();
    name_partitions(
        &mut bytes,
        &[
            EVIL.encode_utf16().collect(),
            // Half of a pair, alone and the wrong way around.
            [0xd83d, 0x41, 0xdc00, 0xd800, 0x202e, 0x9b].into_iter().chain("##vso[task.x]y ::error::z".encode_utf16()).collect(),
        ],
    );
    Disk::blank(24 * MIB).put(0, bytes)
}

/// Gives the partitions of a GPT names of up to 36 units, both arrays and all checksums made right again.
pub fn name_partitions(bytes: &mut [u8], names: &[Vec<u16>]) {
    let end = bytes.len();
    for array in [1024, end - 33 * 512] {
        for (number, name) in names.iter().enumerate() {
            let name: Vec<u8> = name.iter().take(36).flat_map(|unit| unit.to_le_bytes()).collect();
            bytes[array + number * 128 + 56..][..72].fill(0);
            bytes[array + number * 128 + 56..][..name.len()].copy_from_slice(&name);
        }
    }
    let sum = crc32fast::hash(&bytes[1024..1024 + 128 * 128]);
    for header in [512, end - 512] {
        bytes[header + 88..][..4].copy_from_slice(&sum.to_le_bytes());
        bytes[header + 16..][..4].fill(0);
        let own = crc32fast::hash(&bytes[header..header + 92]);
        bytes[header + 16..][..4].copy_from_slice(&own.to_le_bytes());
    }
}

#[test]
fn hostile_names_of_disks_and_partitions_are_told_safely() {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join(EVIL_NAME);
    disk().write_fixed_with(&path, |footer| footer[28..32].copy_from_slice(b"\x1b[m\x9b"));
    // By its bare name it begins with a dash.
    let all = reading(&path, work.path(), &[]);
    let text = String::from_utf8_lossy(&all[0].bytes).into_owned();
    assert!(text.contains("\\u{1b}[2J") && text.contains("#\\u{23}vso["), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&all[2].bytes).unwrap();
    assert!(json["disks"][0]["path"].as_str().unwrap().contains("##vso["), "a program gets the name as it is");
    all_hold(&all, work.path());
    let all = writing(&path, work.path(), &["prepare", "-v", "--role=data"]);
    assert!(all.iter().any(|said| said.form == Form::Script && said.bytes.len() > 1000), "{}", String::from_utf8_lossy(&all[1].bytes));
    all_hold(&all, work.path());
    for said in all.iter().filter(|said| said.form == Form::Script && said.by.contains("az\"") && !said.bytes.is_empty()) {
        let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all(&said.bytes).unwrap();
        assert!(bash.wait().unwrap().success(), "{}", said.by);
    }
}

#[test]
fn complaints_are_told_safely() {
    let work = tempfile::tempdir().unwrap();
    let named = |start: &str| format!("{start}{EVIL_NAME}");
    fs::write(work.path().join(named("x")), "no disk").unwrap();
    fs::create_dir(work.path().join(named("d"))).unwrap();
    fs::write(work.path().join(named("d")).join("manifest.json"), format!("{{\"schema_version\": 1, {:?}: 1}}", "x\u{9b}##vso[a]"))
        .unwrap();
    fs::write(work.path().join(named("t")), "\"\\u001b[2J##vso[x]::error::\" = 1\n").unwrap();
    let toml = |text: &str| fs::write(work.path().join("hostile.toml"), text).unwrap();
    let (x, d, t, gone) = (named("x"), named("d"), named("t"), named("gone"));
    let at = format!("--parent-dir={gone}");
    let mut cases: Vec<Vec<&str>> = vec![
        vec!["check", &x],
        vec!["check", &gone],
        vec!["check", &d],
        vec!["check", "--format=jsonl", &gone, &d, &x],
        vec!["check", "--format=sarif", &gone],
        vec!["check", "--format=junit", &gone],
        vec!["inspect", &gone],
        vec!["verify", &d],
        vec!["verify", &gone],
        vec!["recipe", &d],
        vec!["ls", &x, EVIL],
        vec!["cat", &x, EVIL],
        vec!["check", &at, &x],
        vec!["check", "--config", &t, &x],
        vec!["prepare", &x, "--role=data", "-o", &x],
        vec!["prepare", &gone, "--role=data", "-o", &gone],
        vec!["generalize", &gone],
        // What the shell gave instead of what was meant.
        vec!["check", EVIL_NAME],
        vec!["check", "--format", EVIL],
        vec!["check", "--waive", EVIL, &x],
        vec!["explain", EVIL],
        vec![EVIL],
        vec!["prepare", &x, "--name", EVIL, "-o", "out"],
        vec!["prepare", &x, "--size", EVIL, "-o", "out"],
        vec!["generalize", "--operations", EVIL, &x],
        vec!["check", "--data", EVIL, &x],
        vec!["check", "--report", EVIL, &x],
    ];
    for text in
        ["\u{1b}[2J = \"##vso[x]\"", "profile = \"\\u001b##vso[x]\\u009b\"", "[[waive]]\ncode = \"::error::\\u001b\"", "x = [\u{202e}"]
    {
        toml(text);
        cases.push(vec!["check", "--config=hostile.toml", &x]);
        let case = cases.pop().unwrap();
        let (status, out, err) = run_raw(&case, work.path());
        assert_eq!(status, Some(2), "{case:?}");
        all_hold(&[Said { by: format!("{text:?}"), bytes: [out, err].concat(), form: Form::Text }], work.path());
    }
    for case in cases {
        let (status, out, err) = run_raw(&case, work.path());
        assert!(matches!(status, Some(1 | 2)), "{case:?}: {status:?}");
        let by = format!("{case:?}");
        all_hold(&[Said { by: by.clone(), bytes: out, form: Form::Text }, Said { by, bytes: err, form: Form::Text }], work.path());
    }
}

/// A guest that says hostile words wherever it is asked.
fn guest() -> Guest {
    let mut guest = linux_healthy::specialized();
    let evil = EVIL;
    let name = tight(EVIL).replace('/', "");
    let name: String = name.chars().take(80).collect();
    guest.file(
        "/usr/lib/os-release",
        format!("PRETTY_NAME=\"{}\"\nNAME=\"x\"\nVERSION_ID=\"{}\"\nID=debian\n", evil.replace(['"', '$', '`'], ""), tight(evil)),
    );
    let mut broken = b"root:x:0:0:root:/root:/bin/bash\n\xff\x9b\x1b[2J:x:1001:1001:\xf0\x9f:/home/y:/bin/sh\n".to_vec();
    broken.extend(format!("{}:x:1000:1000:{}:/home/{}:/bin/{}\n", tight(evil), tight(evil), tight(evil), tight(evil)).into_bytes());
    guest
        .file("/etc/hostname", format!("{evil}\n"))
        .file("/etc/passwd", broken)
        .file(
            "/etc/fstab",
            format!("{0} /x/{0} {0} {0},nofail 0 0\nUUID=4f1f5c39-6f3b-4f0a-9a51-3a1d6f1f7c11 / ext4 defaults 0 1\n", tight(evil)),
        )
        .file("/etc/crypttab", format!("{0} UUID={0} /{0} luks,{0}\n", tight(evil)))
        .file(&format!("/boot/vmlinuz-6.1.0-{name}"), "no kernel")
        .file(&format!("/boot/initrd.img-6.1.0-{name}"), "\x1b[2J no archive")
        .file(
            &format!("/etc/cloud/cloud.cfg.d/50-{name}.cfg"),
            format!("datasource_list: [ \"{}\" ]\n", tight(evil).replace(['"', '\\'], "")),
        )
        .file("/etc/cloud/cloud.cfg.d/51-bad.cfg", format!("a: [{evil}\n b"))
        .file(&format!("/etc/netplan/{name}.yaml"), format!("network: {{{evil}"))
        .file("/etc/waagent.conf", format!("Provisioning.Agent={evil}\n{}=x\nLib.Dir=/{evil}\n", tight(evil)))
        .file("/etc/ssh/sshd_config", format!("ClientAliveInterval {evil}\nPasswordAuthentication {evil}\n{} x\n", tight(evil)))
        .file(&format!("/etc/modprobe.d/{name}.conf"), format!("blacklist {0}\ninstall {0} {0}\noptions {0} {0}\n", tight(evil)))
        .file("/etc/selinux/config", format!("SELINUX={evil}\nSELINUXTYPE={evil}\n"))
        .file("/etc/hosts", format!("10.0.0.1 {}\n", tight(evil)))
        .file("/etc/apt/sources.list", format!("deb http://{} {evil}\n", tight(evil)))
        .file(&format!("/etc/ssh/ssh_host_{name}_key"), "x")
        .file(&format!("/var/log/{name}.log"), "x")
        .file(&format!("/root/{name}"), "x")
        .file(&format!("/{name}"), "x")
        .link(&format!("/link-{name}"), &tight(evil))
        .package(&tight(evil), &tight(evil))
        .package("openssh-server", &tight(evil))
        .package("cloud-init", &tight(evil))
        .enabled(&format!("{name}.service"));
    let title = evil.replace(['\'', '\r', '{', '}'], "");
    guest.replace("/boot/grub/grub.cfg", "Debian GNU/Linux", &title);
    guest.replace(
        "/boot/grub/grub.cfg",
        "console=tty0",
        &format!("x={} console=tty0", tight(evil).replace(['\'', '"', ';', '$', '`', '&', '|', '<', '>'], "")),
    );
    guest.append("/boot/grub/grub.cfg", &format!("{}\n", tight(evil).replace(['\'', '"', '`'], "")));
    guest.initramfs.insert(format!("usr/lib/modules/{RELEASE}/{name}"), b"x".to_vec());
    guest.initramfs.insert("etc/cmdline.d/x.conf".to_owned(), evil.as_bytes().to_vec());
    guest.initramfs.insert("etc/modprobe.d/x.conf".to_owned(), format!("blacklist {0}\n", tight(evil)).into_bytes());
    guest.esp.insert(format!("/EFI/{}/grubx64.efi", "vso"), b"MZ".to_vec());
    // The label of the file system.
    guest.patches.push((1024 + 120, b"\x1b[2J\x9b\xff##vso[a]\r\n".to_vec()));
    guest
}

#[test]
fn hostile_guests_are_told_safely() {
    if !able() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let disk = guest().write(work.path());
    let mut all = reading(&disk, work.path(), &[]);
    all.extend(writing(&disk, work.path(), &["prepare", "-v", "--as=specialized", "--allow-undecided"]));
    let told: usize = all.iter().map(|said| String::from_utf8_lossy(&said.bytes).matches("vso[").count()).sum();
    assert!(told > 100, "the words are hardly told anywhere ({told}): the test is blind");
    all_hold(&all, work.path());
}

#[test]
fn hostile_images_are_told_safely() {
    // What `verify` and `recipe` read was written by somebody, perhaps not by vhdkit.
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("good.vhd");
    Disk::data(24 * MIB).write_fixed(&path);
    writing(&path, work.path(), &["prepare", "--role=data"]);
    let manifest = work.path().join("written/manifest.json");
    let good: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let places =
        ["/image/name", "/image/architecture", "/image/os", "/image/kind", "/image/state", "/profile", "/verdict", "/tool/version"];
    let of_disk = ["/disks/0/unique_id", "/disks/0/fsverity", "/disks/0/sha256", "/disks/0/role", "/disks/0/file", "/disks/0/source/path"];
    for place in places.iter().chain(&of_disk) {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap_or_else(|| panic!("{place}")) = EVIL.into();
        fs::write(&manifest, bad.to_string()).unwrap();
        let written = work.path().join("written");
        for args in [
            &["verify", "-v"][..],
            &["verify", "--format=json"],
            &["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux"],
            &["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux", "--format=powershell"],
            &["recipe", "--as=specialized", "--generation=2", "--architecture=x64", "--os=linux", "--format=bicep"],
        ] {
            let args: Vec<&str> = args.iter().copied().chain([written.to_str().unwrap()]).collect();
            let (status, out, err) = run_raw(&args, work.path());
            assert!(matches!(status, Some(0..=2)), "{place}: {args:?}");
            let script = if args[0] == "recipe" { Form::Script } else { Form::Text };
            let by = format!("{place}: {args:?}");
            all_hold(
                &[Said { by: by.clone(), bytes: out.clone(), form: script }, Said { by: by.clone(), bytes: err, form: Form::Text }],
                work.path(),
            );
            if args.len() == 6 {
                let mut bash = Command::new("bash").args(["-n"]).stdin(Stdio::piped()).spawn().unwrap();
                bash.stdin.take().unwrap().write_all(&out).unwrap();
                assert!(bash.wait().unwrap().success(), "{by}");
            }
        }
    }
}
