//! Commands, options, exit statuses, and the looks of text.

use crate::support::*;
use std::path::Path;

const COMMANDS: &[&str] = &["inspect", "check", "prepare", "generalize", "verify", "recipe", "rules", "explain", "completions", "man"];

const EVERYWHERE: &[&str] = &["--quiet", "--verbose", "--color", "--progress", "--no-mmap", "--help", "-q", "-v", "-h"];
const OPENING: &[&str] = &["--parent-dir <DIR>", "--deep"];
const WANTED: &[&str] = &["--as <STATE>", "--role"];
const GENERALIZING: &[&str] = &["--operations <LIST>", "--keep-user <NAME>", "--remove-user <NAME>", "--trim", "--no-trim"];
const ASKING: &[&str] = &[
    "--data <LUN=DISK>",
    "--generation <1|2>",
    "--profile",
    "--fail-on <SEVERITY>",
    "--waive <CODE[=REASON]>",
    "--config <FILE>",
    "--no-config",
];
const WRITING: &[&str] = &[
    "--output <DIR>",
    "-o",
    "--dry-run",
    "--overwrite",
    "--name",
    "--size",
    "--digest",
    "--sha256",
    "--reflink",
    "--allow <CODE>",
    "--allow-undecided",
];
const JOBS: &[&str] = &["--jobs <N>"];
const FORMAT: &[&str] = &["--format"];
const REPORT: &[&str] = &["--report <FORMAT=FILE>"];

#[test]
fn help_of_every_command_lists_every_option_and_fits_a_terminal() {
    let own: &[(&str, &[&[&str]])] = &[
        ("inspect", &[OPENING, JOBS, FORMAT, REPORT, &["<DISK>..."]]),
        ("check", &[OPENING, JOBS, WANTED, ASKING, FORMAT, REPORT, &["<DISK>..."]]),
        ("prepare", &[OPENING, WANTED, ASKING, WRITING, GENERALIZING, FORMAT, REPORT, &["<DISK>", "--generalize"]]),
        ("generalize", &[OPENING, ASKING, WRITING, GENERALIZING, FORMAT, REPORT, &["[DISK]", "--list-operations"]]),
        ("verify", &[FORMAT, &["<DIR>"]]),
        ("recipe", &[FORMAT, &["<DIR>", "--route", "--as <STATE>", "--generation <1|2>", "--architecture", "--os"]]),
        ("rules", &[FORMAT]),
        ("explain", &[&["<CODE>..."]]),
        ("completions", &[&["<SHELL>"]]),
        ("man", &[&["[COMMAND]"]]),
    ];
    assert_eq!(own.iter().map(|(name, _)| *name).collect::<Vec<_>>(), COMMANDS);
    for (command, options) in own {
        for flag in ["--help", "-h"] {
            let help = vhdkit([command, flag]).ended(0);
            for option in options.iter().copied().flatten().chain(EVERYWHERE) {
                assert!(help.out.contains(option), "{command} {flag} does not tell of {option}:\n{}", help.out);
            }
            for line in help.out.lines() {
                assert!(line.chars().count() <= 100, "{command} {flag}: {line}");
            }
            assert_eq!(help.err, "");
        }
    }
    let help = vhdkit(["--help"]).ended(0).said("Exit status: 0 ready; 1 not ready");
    for command in COMMANDS {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command}");
    }
    assert!(help.out.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_version_is_the_packages() {
    for args in [&["--version"][..], &["-V"], &["check", "--version"]] {
        assert!(vhdkit(args).ended(0).out.trim_end().ends_with(env!("CARGO_PKG_VERSION")), "{args:?}");
    }
    assert_eq!(vhdkit(["--version"]).out, format!("vhdkit {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_status_2_and_says_so_on_standard_error() {
    for args in [
        &[][..],
        &["frobnicate"],
        &["inspect"],
        &["check"],
        &["check", "--format", "yaml", "x"],
        &["check", "--fail-on", "fatal", "x"],
        &["check", "--profile", "aws", "x"],
        &["check", "--as", "golden", "x"],
        &["check", "--role", "boot", "x"],
        &["check", "--generation", "0", "x"],
        &["check", "--generation", "3", "x"],
        &["check", "--generation", "two", "x"],
        &["check", "--waive", "VHD999", "x"],
        &["check", "--waive", "", "x"],
        &["check", "--report", "json", "x"],
        &["check", "--report", "xml=f", "x"],
        &["check", "--report", "json=", "x"],
        &["check", "--data", "data.vhd", "x"],
        &["check", "--data", "0=", "x"],
        &["check", "--data", "64=d", "x"],
        &["check", "--data", "-1=d", "x"],
        &["check", "--data", "=d", "x"],
        &["check", "-q", "-v", "x"],
        &["check", "--color", "sometimes", "x"],
        &["check", "--nonsense", "x"],
        &["prepare", "x"],
        &["prepare", "x", "y", "-o", "o"],
        &["prepare", "x", "-o", "o", "--role", "data", "--allow", "VHD999"],
        &["prepare", "x", "-o", "o", "--role", "data", "--size", "big"],
        &["prepare", "x", "-o", "o", "--role", "data", "--digest", "md5"],
        &["verify"],
        &["explain"],
        &["completions", "tcsh"],
        &["man", "frobnicate"],
    ] {
        let ran = vhdkit(args);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{args:?}: {}", ran.err);
        assert!(ran.err.len() > 20, "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
}

#[test]
fn questions_that_contradict_themselves_are_refused_before_any_work() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (os, data) = (at("os.vhd"), at("data.vhd"));
    // None of these files is a disk: whoever had begun to work would speak of that.
    for path in [&os, &data, &at("other.vhd")] {
        std::fs::write(path, "no disk").unwrap();
    }
    std::os::unix::fs::symlink(&os, at("link.vhd")).unwrap();
    std::fs::hard_link(&os, at("hard.vhd")).unwrap();
    let equal = |lun: u8, path: &str| format!("{lun}={path}");
    let cases: &[(&[&str], &str)] = &[
        (&[&os, "--data", &equal(0, &data), "--data", &equal(0, &at("other.vhd"))], "LUN 0 is given twice"),
        (&[&os, "--data", &equal(0, &data), "--data", &equal(1, &data)], "are the same file"),
        (&[&os, "--data", &equal(5, &os)], "are the same file"),
        (&[&os, "--data", &equal(5, &at("link.vhd"))], "are the same file"),
        (&[&os, "--data", &equal(5, &at("hard.vhd"))], "are the same file"),
        (&[&os, "--data", &equal(5, &format!("{}/./os.vhd", dir.path().display()))], "are the same file"),
        (&[&os, "--data", &equal(0, &data), "--role", "data"], "says that the disk is none"),
        (&[&os, "--parent-dir", &at("nowhere")], "--parent-dir"),
        (&[&os, "--parent-dir", &data], "is not a directory"),
    ];
    for (args, words) in cases {
        let ran = vhdkit(["check"].iter().chain(*args)).ended(2).complained(words);
        assert_eq!(ran.out, "");
        let output = at("out");
        let as_image = if args.contains(&"--role") { vec![] } else { vec!["--as", "generalized"] };
        vhdkit(["prepare", "-o", &output].iter().chain(*args).chain(&as_image)).ended(2).complained(words);
        assert!(!Path::new(&output).exists());
    }
    vhdkit(["check", &os, &data, "--data", &equal(0, &at("other.vhd"))]).ended(2).complained("give one OS disk, not 2");
    vhdkit(["prepare", &os, "-o", &at("out")]).ended(2).complained("--as generalized or --as specialized");
    vhdkit(["prepare", &os, "-o", &at("out"), "--as", "generalized", "--role", "data"]).ended(2).complained("give one of the two");
}

#[test]
fn statuses_of_check() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (fixed, dynamic, os, odd) = (at("fixed.vhd"), at("dynamic.vhd"), at("os.vhd"), at("odd.vhd"));
    Disk::data(24 * MIB).write_fixed(Path::new(&fixed));
    Disk::data(24 * MIB).write_dynamic(Path::new(&dynamic));
    Disk::os(24 * MIB).write_fixed(Path::new(&os));
    // A warning and nothing worse: the disk of a suspended machine.
    Disk::data(24 * MIB).write_fixed_with(Path::new(&odd), |footer| footer[84] = 1);
    let missing = at("missing.vhd");

    let fixed_ready = vhdkit(["check", &fixed]).ended(0).said("ready for Azure");
    assert_eq!(fixed_ready.err, "");
    vhdkit(["check", &dynamic]).ended(1).said("error[VHD002] not-fixed");
    // What cannot be told is not ready: whether the installation is generalized is in files.
    vhdkit(["check", &os, "--as", "generalized"]).ended(1).said("IMG008").said("UNDECIDED");
    vhdkit(["check", &fixed, "--as", "generalized"]).ended(1).said("IMG001");
    vhdkit(["check", &missing]).ended(2).complained("missing.vhd").complained("No such file");

    // Several disks: the highest of their statuses, and each is told all the same.
    vhdkit(["check", &fixed, &fixed]).ended(0);
    vhdkit(["check", &fixed, &dynamic]).ended(1).said("ready for Azure").said("NOT READY");
    vhdkit(["check", &dynamic, &missing, &fixed]).ended(2).said("VHD002").said("fixed.vhd: ready").complained("missing.vhd");
    vhdkit(["inspect", &missing, &fixed]).ended(2).said("fixed VHD").complained("missing.vhd");
    vhdkit(["inspect", &dynamic]).ended(0);
    // An image of which a disk is missing is not judged.
    let image = vhdkit(["check", &os, "--data", &format!("0={missing}")]).ended(2);
    assert_eq!(image.out, "");

    for (severity, status) in [("error", 0), ("warning", 1), ("note", 1)] {
        vhdkit(["check", &odd, "--fail-on", severity]).ended(status).said("warning[VHD019]");
    }
    vhdkit(["check", &odd, "--fail-on", "warning", "--waive", "vhd019=known"]).ended(0).said("known");
    vhdkit(["check", &os]).ended(0);
    // The role that is given is the one that is judged by: data disks may not stand where an image starts, OS disks must boot.
    vhdkit(["check", &os, "--role", "data"]).ended(0);
    let forced = vhdkit(["check", &fixed, "--role", "os"]).ended(1).said("GEN104");
    assert!(!forced.out.contains("IMG001"), "{}", forced.out);
    vhdkit(["check", &os, "--generation", "1"]).ended(1).said("GEN0");
    // Marketplace wants 1 GiB at least.
    vhdkit(["check", &os, "--profile", "marketplace"]).ended(1);
}

#[test]
fn a_waived_finding_stays_in_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.vhd");
    Disk::data(24 * MIB).write_dynamic(&disk);
    let disk = disk.to_str().unwrap();
    let ran = vhdkit(["check", disk, "--format", "json", "--waive", "VHD002=it is converted later"]).ended(0);
    let document = ran.json();
    assert_eq!(document["verdict"], "ready");
    let findings = document["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["code"], &findings[0]["waived"]), (1, &"VHD002".into(), &"it is converted later".into()));
    let rule = document["rules"].as_array().unwrap().iter().find(|rule| rule["code"] == "VHD002").unwrap();
    assert_eq!(rule["outcome"], "finding");
    vhdkit(["check", disk, "--waive", "VHD002"]).ended(0).said("error[VHD002]").said("waived");
    vhdkit(["check", disk, "--waive", "VHD003=another"]).ended(1);
}

#[test]
fn quiet_verbose_and_colour() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.vhd");
    Disk::data(24 * MIB).write_dynamic(&disk);
    let disk = disk.to_str().unwrap();
    for flag in ["-q", "--quiet"] {
        for (command, status) in [("check", 1), ("inspect", 0)] {
            let ran = vhdkit([command, disk, flag]).ended(status);
            assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
        }
    }
    // Data that was asked for by name is data.
    assert!(vhdkit(["check", disk, "-q", "--format", "json"]).ended(1).json().is_object());

    let plain = vhdkit(["check", disk]).ended(1).out;
    let verbose = vhdkit(["check", disk, "-v"]).ended(1).out;
    assert!(verbose.len() > plain.len(), "{verbose}");
    assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");

    assert!(!plain.contains('\x1b'), "a pipe has no colours");
    assert_eq!(vhdkit(["check", disk, "--color", "never"]).out, plain);
    let coloured = vhdkit(["check", disk, "--color", "always"]).ended(1).out;
    assert!(coloured.contains("\x1b["), "{coloured}");
    assert_eq!(without_colours(&coloured), plain);
    assert!(!vhdkit(["check", disk, "--color", "always", "--format", "json"]).out.contains('\x1b'));
    for value in ["1", ""] {
        let mut command = command();
        command.args(["check", disk]).env("NO_COLOR", value);
        assert_eq!(run(command).out, plain);
    }
}

fn without_colours(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        out += before;
        rest = after.split_once('m').unwrap().1;
    }
    out + rest
}

#[test]
fn a_mapping_and_positional_reads_say_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (name, disk) in [("fixed.vhd", 0), ("dynamic.vhd", 1), ("raw.img", 2)] {
        let path = dir.path().join(name);
        match disk {
            0 => Disk::data(24 * MIB).write_fixed(&path),
            1 => Disk::data(24 * MIB).write_dynamic(&path),
            _ => Disk::os(24 * MIB).write_raw(&path),
        }
        let path = path.to_str().unwrap();
        for args in [&["inspect", path, "--format", "json"][..], &["check", path, "--deep", "--format", "json"], &["check", path, "-v"]] {
            let mapped = vhdkit(args);
            let positional = vhdkit(args.iter().chain(&["--no-mmap"]));
            assert_eq!((mapped.status, mapped.out, mapped.err), (positional.status, positional.out, positional.err), "{args:?}");
        }
    }
}

#[test]
fn a_rule_is_explained_by_code_name_or_catalogue_id() {
    let page = vhdkit(["explain", "VHD003"]).ended(0).out;
    for words in ["size-not-whole-mib", "C-03", "https://"] {
        assert!(page.contains(words), "{page}");
    }
    for name in ["vhd003", "size-not-whole-mib", " VHD003 "] {
        assert_eq!(vhdkit(["explain", name]).ended(0).out, page, "{name}");
    }
    // A catalogue id: the page of its only rule, a list of several, or why there is none.
    assert_eq!(vhdkit(["explain", "c-05"]).ended(0).out, vhdkit(["explain", "VHD005"]).out);
    vhdkit(["explain", "C-01"]).ended(0).said("C-01: ").said("VHD001").said("rules check it");
    vhdkit(["explain", "C-31"]).ended(0).said("no rule checks it, because");
    for name in ["VHD999", "", "../etc", "\u{1b}[31mred"] {
        let ran = vhdkit(["explain", name]).ended(2).complained("there is no rule");
        assert!(ran.out.is_empty() && !ran.err.contains('\x1b'), "{}", ran.err);
    }
    vhdkit(["explain", "size-not-whole-mb"]).ended(2).complained("near it: size-not-whole-mib");
}

#[test]
fn an_error_is_explained_as_it_was_shown() {
    for (message, words) in [
        ("OSProvisioningTimedOut", "IMG008"),
        ("cookie 'conectix'", "VHD002"),
        ("  the vhd https://x.example/a.vhd has an UNSUPPORTED\n virtual size of 31457281 bytes.", "VHD003"),
        ("VHD is already registered with image repository as the resource 'a'", "No rule looks for its cause"),
    ] {
        vhdkit(["explain", message]).ended(0).said(words);
        // Without quotes it is several arguments.
        vhdkit(["explain"].into_iter().chain(message.split_whitespace())).ended(0).said(words);
    }
}

#[test]
fn the_readme_holds_the_rules() {
    let readme = String::from_utf8(read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))).unwrap();
    let (_, rest) = readme.split_once("<!-- rules: begin -->\n").expect("README.md has the first marker");
    let (table, _) = rest.split_once("<!-- rules: end -->").expect("README.md has the second marker");
    let wanted = vhdkit(["rules", "--format", "markdown"]).ended(0).out;
    assert!(
        table.trim() == wanted.trim(),
        "the table of rules in README.md is not that of this program: put what 'cargo run -- rules --format markdown' prints between the \
         two markers"
    );
}

#[test]
fn the_readme_holds_the_operations() {
    let readme = String::from_utf8(read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))).unwrap();
    let (_, rest) = readme.split_once("<!-- operations: begin -->\n").expect("README.md has the first marker");
    let (table, _) = rest.split_once("<!-- operations: end -->").expect("README.md has the second marker");
    let wanted = vhdkit(["generalize", "--list-operations", "--format", "markdown"]).ended(0).out;
    assert!(
        table.trim() == wanted.trim(),
        "the table of operations in README.md is not that of this program: put what 'cargo run -- generalize --list-operations --format \
         markdown' prints between the two markers"
    );
}

#[test]
fn what_packagers_take() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = vhdkit(["completions", shell]).ended(0).out;
        assert!(script.len() > 1000 && script.contains("allow-undecided"), "{shell}");
    }
    let page = vhdkit(["man"]).ended(0).out;
    assert!(page.starts_with(".TH") || page.starts_with(".ie"), "{page}");
    for command in COMMANDS {
        let page = vhdkit(["man", command]).ended(0).out;
        assert!(page.starts_with(".TH") || page.starts_with(".ie"), "{page}");
        assert!(page.contains(&format!("vhdkit-{command}")), "{page}");
    }
}
