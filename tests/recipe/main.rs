//! Recipes, run and parsed: bash scripts against stand-ins for Azure's programs, the others by their grammars.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::print_stderr,
    clippy::allow_attributes,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test may panic"
)]

#[path = "../support/mod.rs"]
mod support;

mod images;

use images::{DATA_LUNS, Image, hints, languages};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use support::*;
use vhdkit::recipe::{Hint, Hints, Language, Route};

const ROUTES: [Route; 4] = [Route::Gallery, Route::Blob, Route::Attach, Route::Disk];

/// Every image on every route that takes it.
fn combinations() -> Vec<(Image, Route)> {
    let mut all = Vec::new();
    for image in Image::all() {
        for route in ROUTES {
            let generalized = image.state() == Some("generalized");
            let fits = match route {
                Route::Gallery | Route::Blob => image.state().is_some(),
                Route::Attach => !generalized,
                Route::Disk => true,
            };
            let recipe = image.recipe(Some(route), hints(true));
            assert_eq!(recipe.is_ok(), fits, "{} by {}: {recipe:?}", image.name(), route.name());
            if fits {
                all.push((image.clone(), route));
            }
        }
    }
    assert!(all.len() >= 30, "{}", all.len());
    all
}

fn has(tool: &str, unchecked: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {unchecked}: '{tool}' is not installed");
    }
    found
}

#[test]
fn bash_scripts_are_clean() {
    let shellcheck = has("shellcheck", "whether shellcheck finds fault with bash recipes");
    let dir = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (place, (image, route)) in combinations().iter().enumerate() {
        for yes in [true, false] {
            let path = dir.path().join(format!("{place}-{yes}.sh"));
            std::fs::write(&path, image.write(*route, Language::Az, hints(yes), "images/x").unwrap()).unwrap();
            let mut bash = Command::new("bash");
            bash.arg("-n").arg(&path);
            assert_eq!(run(bash).ended(0).err, "");
            paths.push(path);
        }
    }
    if shellcheck {
        let mut check = Command::new("shellcheck");
        check.args(["--shell=bash", "--severity=style"]).args(&paths);
        run(check).ended(0);
    }
}

/// The Python that has the grammars: one beside the build, or the system's.
fn python() -> Option<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/grammars/bin/python3");
    let all = [std::env::var("VHDKIT_GRAMMARS").unwrap_or_default(), beside.to_string_lossy().into_owned(), "python3".to_owned()];
    let modules = "import tree_sitter, tree_sitter_powershell, tree_sitter_bicep";
    all.into_iter().find(|python| Command::new(python).args(["-c", modules]).output().is_ok_and(|output| output.status.success()))
}

#[test]
fn the_other_languages_parse() {
    let Some(python) = python() else {
        eprintln!("SKIPPED: whether PowerShell and Bicep recipes parse: no Python with tree_sitter_powershell and tree_sitter_bicep");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let grammar = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipe/grammar.py");
    for (language, name) in [(Language::PowerShell, "powershell"), (Language::Bicep, "bicep")] {
        let mut paths = Vec::new();
        for (place, (image, route)) in combinations().iter().enumerate() {
            for yes in [true, false] {
                // One case that Bicep refuses.
                if let Ok(text) = image.write(*route, language, hints(yes), "images/it's") {
                    let path = dir.path().join(format!("{place}-{yes}.{name}"));
                    std::fs::write(&path, text).unwrap();
                    paths.push(path);
                }
            }
        }
        // The check itself is awake.
        let bad = dir.path().join(format!("bad.{name}"));
        std::fs::write(&bad, "param( = {{ 'x").unwrap();
        let parse = |paths: &[std::path::PathBuf]| {
            let mut command = Command::new(&python);
            command.arg(&grammar).arg(name).args(paths);
            run(command).ended(0).out
        };
        assert_ne!(parse(&[bad]), "", "{name}");
        assert_eq!(parse(&paths), "", "{name}");
    }
}

/// A run of a bash recipe against the stand-ins.
struct Deployed {
    ran: Ran,
    calls: Vec<Vec<String>>,
    left: Vec<String>,
}

fn deploy(image: &Image, text: &str, stub: &Path, environment: &[(&str, &str)]) -> Deployed {
    let stubs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipe/stubs");
    let script = stub.join("deploy.sh");
    std::fs::create_dir_all(stub).unwrap();
    std::fs::write(&script, text).unwrap();
    std::fs::remove_file(stub.join("calls")).ok();
    let mut command = Command::new("bash");
    let path = format!("{}:{}", stubs.display(), std::env::var("PATH").unwrap());
    command.arg(&script).current_dir(image.dir()).env("PATH", path).env("STUB", stub).env("SETTLE_SECONDS", "0");
    command.envs(environment.iter().copied());
    let ran = run(command);
    let calls = std::fs::read_to_string(stub.join("calls")).unwrap_or_default();
    let calls = calls.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
    let left = listing(stub).into_iter().filter(|name| name.starts_with("open-")).collect();
    Deployed { ran, calls, left }
}

fn value<'a>(call: &'a [String], option: &str) -> &'a str {
    let place = call.iter().position(|word| word == option).unwrap_or_else(|| panic!("no {option} in {call:?}"));
    &call[place + 1]
}

fn of<'a>(calls: &'a [Vec<String>], words: &str) -> Vec<&'a Vec<String>> {
    let words: Vec<&str> = words.split(' ').collect();
    calls.iter().filter(|call| call.iter().zip(&words).filter(|(a, b)| a == *b).count() == words.len()).collect()
}

#[test]
fn bash_scripts_do_what_they_say_in_order() {
    for (image, route) in combinations() {
        let what = format!("{} by {}", image.name(), route.name());
        let text = image.write(route, Language::Az, hints(true), "image").unwrap();
        let stub = image.dir().join(format!("stub-{}", route.name()));
        let machine = if image.state().is_none() { [("VM_NAME", "old-vm")] } else { [("VM_NAME", "new-vm")] };
        let done = deploy(&image, &text, &stub, &machine);
        let calls = &done.calls;
        assert_eq!(done.ran.status, Some(0), "{what}:\n{}\n{calls:#?}", done.ran.err);
        assert!(done.left.is_empty(), "{what}: {:?}", done.left);
        assert!(!done.ran.err.contains("SECRET") && !done.ran.out.contains("SECRET"), "{what}");

        let order: Vec<&str> = calls
            .iter()
            .filter_map(|call| match (call[0].as_str(), call.get(1).map(String::as_str), call.get(2).map(String::as_str)) {
                ("azcopy", ..) => Some("copy"),
                (_, Some("disk"), Some(verb @ ("create" | "grant-access" | "revoke-access"))) => Some(verb),
                (_, Some("sig"), Some("image-version")) if call[3] == "create" => Some("version"),
                (_, Some("vm"), Some(_)) => Some("vm"),
                (_, Some("storage"), Some("container")) if call[3] == "policy" => {
                    Some(if call[4] == "create" { "grant-access" } else { "revoke-access" })
                }
                _ => None,
            })
            .collect();
        let disks = image.disks().len();
        let mut expected: Vec<&str> = Vec::new();
        if route == Route::Blob {
            expected.push("grant-access");
            expected.extend(vec!["copy"; disks]);
            expected.push("revoke-access");
        } else {
            for _ in 0..disks {
                expected.extend(["create", "grant-access", "copy", "revoke-access"]);
            }
        }
        if matches!(route, Route::Gallery | Route::Blob) {
            expected.extend(["version", "vm"]);
        }
        assert!(order.starts_with(&expected), "{what}: {order:?}");

        for (copy, (file, _, _)) in of(calls, "azcopy copy").iter().zip(image.disks()) {
            assert_eq!(copy[2], format!("image/{file}"), "{what}");
            assert_eq!(copy[4..], ["--blob-type", "PageBlob"], "{what}");
        }
        for (create, (_, lun, length)) in of(calls, "az disk create").iter().zip(image.disks()) {
            assert_eq!(value(create, "--upload-size-bytes"), length.to_string(), "{what}");
            let is_os = image.state().is_some() && lun.is_none();
            assert_eq!(create.contains(&"--hyper-v-generation".to_owned()), is_os, "{what}: {create:?}");
            if is_os {
                let (generation, os) = (image.generation(), image.os());
                assert_eq!((value(create, "--hyper-v-generation"), value(create, "--os-type")), (generation, os), "{what}");
                assert_eq!(value(create, "--architecture"), "x64");
            }
        }
        check_image(&image, route, calls, &what);
        check_machine(&image, route, calls, &what);
    }
}

fn check_image(image: &Image, route: Route, calls: &[Vec<String>], what: &str) {
    if !matches!(route, Route::Gallery | Route::Blob) {
        return;
    }
    let definition = of(calls, "az sig image-definition create")[0];
    assert_eq!(value(definition, "--os-state").to_lowercase(), image.state().unwrap());
    assert_eq!((value(definition, "--os-type"), value(definition, "--hyper-v-generation")), (image.os(), image.generation()));
    let features = match image.generation() {
        "V2" => "SecurityType=TrustedLaunchSupported DiskControllerTypes=SCSI,NVMe IsAcceleratedNetworkSupported=true",
        _ => "IsAcceleratedNetworkSupported=true",
    };
    assert_eq!(value(definition, "--features"), features, "{what}");
    let version = of(calls, "az sig image-version create")[0];
    let option = if route == Route::Blob { "--data-vhds-luns" } else { "--data-snapshot-luns" };
    let luns: Vec<String> = image.disks().iter().filter_map(|(_, lun, _)| lun.map(|lun| lun.to_string())).collect();
    if luns.is_empty() {
        assert!(!version.contains(&option.to_owned()), "{what}");
    } else {
        let place = version.iter().position(|word| word == option).unwrap();
        assert_eq!(version[place + 1..=place + luns.len()], luns[..], "{what}: {version:?}");
    }
    let os = value(version, if route == Route::Blob { "--os-vhd-uri" } else { "--os-snapshot" });
    assert!(os.ends_with(if route == Route::Blob { "-os.vhd" } else { "-os" }), "{what}: {os}");
}

fn check_machine(image: &Image, route: Route, calls: &[Vec<String>], what: &str) {
    let made = of(calls, "az vm create");
    match (route, image.state()) {
        (Route::Disk, _) => assert!(made.is_empty(), "{what}"),
        (Route::Attach, None) => {
            let attach = of(calls, "az vm disk attach")[0];
            assert_eq!((value(attach, "--vm-name"), value(attach, "--lun")), ("old-vm", "0"));
        }
        (Route::Attach, Some(_)) => {
            let sequence = image.disks().len() == 1 || DATA_LUNS == [0, 1];
            assert!(value(made[0], "--attach-os-disk").ends_with("-os"));
            assert!(!made[0].contains(&"--admin-username".to_owned()), "{what}");
            let attached: Vec<&str> = of(calls, "az vm disk attach").iter().map(|call| value(call, "--lun")).collect();
            assert_eq!(attached.is_empty(), sequence, "{what}: {attached:?}");
        }
        (_, state) => {
            assert_eq!(made[0].contains(&"--specialized".to_owned()), state == Some("specialized"), "{what}");
            assert_eq!(made[0].contains(&"--admin-username".to_owned()), state == Some("generalized"), "{what}");
            let trusted = made[0].contains(&"--security-type".to_owned());
            assert_eq!(trusted, image.generation() == "V2", "{what}");
        }
    }
}

#[test]
fn no_write_access_is_left_behind_whatever_fails() {
    for (image, route) in combinations() {
        let what = format!("{} by {}", image.name(), route.name());
        let text = image.write(route, Language::Az, hints(true), "image").unwrap();
        let machine = ("VM_NAME", "vm");
        let fails: &[(&str, &str, i32)] = &[
            ("FAIL_AZCOPY", "5", 5),
            ("KILL_SCRIPT", "1", 143),
            ("FAIL_AZ", "disk grant-access --resource-group", 1),
            ("FAIL_AZ", "storage container generate-sas", 1),
        ];
        for (place, (name, how, status)) in fails.iter().enumerate() {
            if (route == Route::Blob && place == 2) || (route != Route::Blob && place == 3) {
                continue;
            }
            let stub = image.dir().join(format!("stub-{place}"));
            let failed = deploy(&image, &text, &stub, &[machine, (name, how)]);
            assert_eq!(failed.ran.status, Some(*status), "{what}, {name}={how}:\n{}", failed.ran.err);
            assert!(failed.left.is_empty(), "{what}, {name}: {:?}", failed.left);
            let revoked = if route == Route::Blob { "az storage container policy delete" } else { "az disk revoke-access" };
            assert_eq!(of(&failed.calls, revoked).len(), 1, "{what}, {name}: {:#?}", failed.calls);
            assert!(of(&failed.calls, "az sig image-version create").is_empty() && of(&failed.calls, "az vm create").is_empty(), "{what}");
            std::fs::remove_dir_all(&stub).unwrap();
        }
    }
}

#[test]
fn what_is_there_is_not_uploaded_again_nor_overwritten() {
    let image = Image::new("vm", Some("generalized"), 2, "linux");
    let text = image.write(Route::Gallery, Language::Az, hints(true), "image").unwrap();
    let stub = image.dir().join("stub");
    // The first attempt fails when everything is uploaded.
    let failed = deploy(&image, &text, &stub, &[("FAIL_AZ", "sig image-version create")]);
    assert_eq!(failed.ran.status, Some(1));
    assert_eq!(of(&failed.calls, "azcopy copy").len(), 3);
    let again = deploy(&image, &text, &stub, &[]);
    assert_eq!(again.ran.status, Some(0), "{}", again.ran.err);
    assert!(of(&again.calls, "azcopy copy").is_empty() && of(&again.calls, "az disk create").is_empty());
    assert_eq!(of(&again.calls, "az sig image-version create").len(), 1);
    // The version stands now.
    let third = deploy(&image, &text, &stub, &[]);
    third.ran.ended(1).complained("set VERSION to the next");
    // Another content under the same name.
    std::fs::remove_file(stub.join("version")).unwrap();
    for disk in listing(&stub.join("disks")) {
        std::fs::write(stub.join("disks").join(disk), "sha256:other\n").unwrap();
    }
    deploy(&image, &text, &stub, &[]).ran.ended(1).complained("not known to hold this content");
    // Without a digest, nothing is taken for the same.
    let mut unknown = image.clone();
    for disk in unknown.manifest["disks"].as_array_mut().unwrap() {
        disk["fsverity"] = json!(null);
    }
    let anonymous = unknown.write(Route::Disk, Language::Az, hints(true), "image").unwrap();
    let other = image.dir().join("stub-anonymous");
    let first = deploy(&image, &anonymous, &other, &[]);
    assert_eq!((first.ran.status, of(&first.calls, "az tag update").len()), (Some(0), 0));
    deploy(&image, &anonymous, &other, &[]).ran.ended(1).complained("not known to hold this content");
    // A definition for something else, and an account elsewhere.
    std::fs::write(stub.join("definition"), "Windows/Generalized/V2/x64\n").unwrap();
    deploy(&image, &text, &stub, &[]).ran.ended(1).complained("is for Windows/Generalized/V2/x64");
    let text = image.write(Route::Blob, Language::Az, hints(true), "image").unwrap();
    std::fs::remove_file(stub.join("definition")).unwrap();
    std::fs::write(stub.join("account"), "northeurope\n").unwrap();
    deploy(&image, &text, &stub, &[]).ran.ended(1).complained("stands in northeurope");
    // Files that are not the manifest's.
    std::fs::File::options().write(true).open(image.dir().join("image/vm.vhd")).unwrap().set_len(1 << 20).unwrap();
    let cut = deploy(&image, &text, &stub, &[]);
    assert!(cut.calls.is_empty());
    cut.ran.ended(1).complained("has 1048576 bytes, not the");
}

#[test]
fn nothing_in_a_manifest_breaks_out() {
    let nasty = [
        "it's",
        "a\"b",
        "$(touch PWNED)",
        "`touch PWNED`",
        "x; touch PWNED;",
        "x' ; touch PWNED ; '",
        "x\u{2019}; touch PWNED; \u{2018}",
        "${IFS}touch${IFS}PWNED",
        "}; touch PWNED; {",
        "# touch",
        "-rf",
        "new line",
        "*",
    ];
    let python = python();
    for name in nasty {
        let mut image = Image::new("vm", Some("generalized"), 2, "linux");
        image.rename(&format!("{name}\ntouch PWNED\r\u{2028}touch PWNED"), |place| format!("{name}{place}.vhd"));
        image.manifest["verdict"] = json!(format!("undecided\ntouch PWNED {name}"));
        image.manifest["allowed"] = json!([format!("{name}\ntouch PWNED")]);
        image.manifest["waived"] = json!([{ "code": "X\ntouch PWNED", "reason": format!("{name}\r\ntouch PWNED") }]);
        image.manifest["disks"][0]["fsverity"] = json!(format!("sha256:{name}\ntouch PWNED"));
        let directory = format!("-{name}\ndir");
        std::fs::rename(image.dir().join("image"), image.dir().join(&directory)).unwrap();
        let mut reasons = hints(true);
        reasons.nvme = Hint::Yes(format!("{name}\ntouch PWNED"));
        for route in [Route::Gallery, Route::Blob, Route::Disk] {
            let text = image.write(route, Language::Az, reasons.clone(), &directory).unwrap();
            let stub = image.dir().join(format!("stub-{}", route.name()));
            let done = deploy(&image, &text, &stub, &[]);
            assert_eq!(done.ran.status, Some(0), "{name}: {}\n{text}", done.ran.err);
            let copied: Vec<&str> = of(&done.calls, "azcopy copy").iter().map(|call| call[2].as_str()).collect();
            let shown = directory.replace('\n', "\\n");
            let expected: Vec<String> = (0..3).map(|place| format!("./{shown}/{name}{place}.vhd")).collect();
            assert_eq!(copied, expected);
            assert_eq!(listing(image.dir()).iter().filter(|entry| entry.contains("PWNED") && !entry.starts_with('-')).count(), 0, "{name}");
            for language in languages() {
                let text = image.write(route, language, reasons.clone(), &directory).unwrap();
                let start = text.lines().filter(|line| line.trim_start().starts_with("touch")).count();
                // The directory's own second line stands inside a string.
                assert_eq!(start, 0, "{name}:\n{text}");
                if let (Some(python), false) = (&python, language == Language::Az) {
                    let kind = if language == Language::Bicep { "bicep" } else { "powershell" };
                    let path = image.dir().join("text");
                    std::fs::write(&path, &text).unwrap();
                    let mut command = Command::new(python);
                    let grammar = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipe/grammar.py");
                    command.arg(grammar).arg(kind).arg(&path);
                    assert_eq!(run(command).ended(0).out, "", "{name}:\n{text}");
                }
            }
        }
    }
}

#[test]
fn what_the_image_lacks_is_said() {
    let image = Image::new("os", Some("generalized"), 2, "linux");
    let text = image.write(Route::Gallery, Language::Az, hints(false), "image").unwrap();
    assert!(text.contains("--features 'SecurityType=Standard'"), "{text}");
    assert!(text.contains("--enable-agent false") && text.contains("must itself report to 168.63.129.16"), "{text}");
    assert!(!text.contains("--security-type") && !text.contains("--supported-security-option"));
    let text = image.write(Route::Gallery, Language::PowerShell, hints(false), "image").unwrap();
    assert!(text.contains("'SecurityType'; Value = 'None'") && text.contains("-DisableVMAgent"), "{text}");
    let windows = Image::new("os", Some("generalized"), 2, "windows").write(Route::Gallery, Language::Az, hints(false), "image").unwrap();
    assert!(windows.contains("Azure installs it") && !windows.contains("--enable-agent"), "{windows}");
    let specialized = Image::new("os", Some("specialized"), 2, "linux");
    let text = specialized.write(Route::Attach, Language::Az, hints(false), "image").unwrap();
    assert!(text.contains("add no extensions") && text.contains("no osProfile") && !text.contains("--enable-agent"), "{text}");

    let mut allowed = Image::new("os", Some("generalized"), 2, "linux");
    allowed.manifest["allowed"] = json!(["LNX001"]);
    allowed.manifest["verdict"] = json!("undecided");
    for language in languages() {
        let text = allowed.write(Route::Gallery, language, hints(true), "image").unwrap();
        assert!(
            text.contains("NOT SURE: the verdict") && text.contains("NOT CURED: findings of these rules were accepted: LNX001."),
            "{text}"
        );
        assert!(text.contains("Route: gallery") && text.contains("Also possible: --route blob"), "{text}");
    }
}

/// What real disks tell; they lie where `VHDKIT_IMAGES` says, or in `../images`.
#[test]
fn real_disks_give_their_hints() {
    use std::sync::Arc;
    use vhdkit::bytes::{Bytes, HostFile, host::Access};
    use vhdkit::container::{ParentSearch, Source};
    let directory = std::env::var_os("VHDKIT_IMAGES").map_or_else(|| "../images".into(), std::path::PathBuf::from);
    // The agent and cloud-init, cloud-init alone, the agent alone: as the ground truth of the disks has them.
    for (name, agent) in [("A.raw", true), ("B.raw", false), ("D.raw", true)] {
        let path = directory.join(name);
        if !path.is_file() {
            eprintln!("SKIPPED: hints of {name}; make it with shared/images/build and set VHDKIT_IMAGES to where it is");
            continue;
        }
        let file: Bytes = Arc::new(HostFile::open(&path, Access::Positional).unwrap());
        let source = Source { file: &file, path: &path, search: &ParentSearch::default() };
        let inspected = vhdkit::inspect::disk(&source, vhdkit::inspect::Options::default()).unwrap();
        let hints = Hints::of(&inspected.facts);
        assert_eq!(hints.agent.is_yes(), agent, "{name}: {:?}", hints.agent);
        assert!(hints.provisioner.is_yes() && hints.accelerated_network.is_yes(), "{name}: {hints:?}");
        // B boots by BIOS alone.
        assert_eq!(hints.secure_boot.is_yes(), name != "B.raw", "{name}: {:?}", hints.secure_boot);
    }
}

#[test]
fn large_disks_have_their_limits() {
    const TIB: u64 = 1 << 40;
    let mut image = Image::new("vm", Some("generalized"), 2, "linux");
    image.resize(2, 2 * TIB);
    for (language, words) in
        languages().into_iter().zip(["--replication-mode Shallow", "replicationMode = 'Shallow'", "replicationMode: 'Shallow'"])
    {
        for route in [Route::Gallery, Route::Blob] {
            let text = image.write(route, language, hints(true), "image").unwrap();
            assert!(text.contains(words) && text.contains("larger than 1023 GiB"), "{text}");
            // The template's own route to blobs needs no SAS.
            let granted = language != Language::Bicep || route != Route::Blob;
            assert_eq!(text.contains("259200"), granted, "three days for more than two TiB: {text}");
        }
    }
    image.resize(2, 8 * TIB);
    assert!(image.recipe(Some(Route::Blob), hints(true)).unwrap_err().to_string().contains("a page blob holds 8 TiB at most"));
    assert!(image.recipe(Some(Route::Gallery), hints(true)).is_ok());
    image.resize(2, 32_768 * (1 << 30));
    assert!(image.recipe(None, hints(true)).unwrap_err().to_string().contains("not one of an image that Azure takes"));
}

#[test]
fn the_command_reads_the_directory_and_refuses_what_is_unknown() {
    let image = Image::new("os", Some("generalized"), 2, "linux");
    let recipe = |image: &Image, more: &[&str]| {
        image.save();
        let mut command = command();
        command.arg("recipe").arg(image.dir().join("image")).args(more);
        run(command)
    };
    recipe(&image, &[]).ended(0).said("#!/usr/bin/env bash").said("--os-snapshot \"$os_disk\"");
    recipe(&image, &["--format", "powershell", "--route", "blob"]).ended(0).said("-ApiVersion '2024-03-03'");
    recipe(&image, &["--format=bicep"]).ended(0).said("resource version 'Microsoft.Compute/galleries/images/versions@");
    recipe(&image, &["--route=attach"]).ended(2).complained("--route attach does not fit");
    recipe(&image, &["--generation=1"]).ended(2).complained("prepared as generation 2, and --generation 1");
    recipe(&image, &["--format=text"]).ended(2);
    let twice = [recipe(&image, &[]).out, recipe(&image, &[]).out];
    assert_eq!(twice[0], twice[1]);

    let missing: &[(&str, &str, &[&str])] = &[
        ("generation", "add --generation 1 or --generation 2", &["--generation=1"]),
        ("architecture", "add --architecture x64", &["--architecture=arm64"]),
        ("state", "add --as generalized or --as specialized", &["--as=specialized"]),
        ("os", "add --os linux or --os windows", &["--os=windows"]),
    ];
    for (key, words, cure) in missing {
        let mut image = image.clone();
        image.manifest["image"][*key] = json!(null);
        recipe(&image, &[]).ended(2).complained(words);
        recipe(&image, cure).ended(0);
    }
    let data = Image::new("data", None, 2, "linux");
    recipe(&data, &[]).ended(0).said("Route: disk");
    recipe(&data, &["--route=gallery"]).ended(2).complained("an image needs an OS disk");
    recipe(&data, &["--route=attach", "--format=bicep"]).ended(2).complained("cannot attach a disk to a machine that it does not make");

    for (change, words) in [
        (json!({ "lun": null }), "has no LUN"),
        (json!({ "lun": 64 }), "is above 63"),
        (json!({ "lun": DATA_LUNS[0] }), "is given twice"),
        (json!({ "role": "os" }), "has a LUN"),
        (json!({ "file": "vm.vhd" }), "is given twice"),
        (json!({ "virtual_size": 1 }), "has 25166336 bytes"),
    ] {
        let mut image = Image::new("vm", Some("generalized"), 2, "linux");
        for (key, value) in change.as_object().unwrap() {
            image.manifest["disks"][1][key] = value.clone();
        }
        let refused = image.recipe(None, hints(true)).unwrap_err().to_string();
        assert!(refused.contains(words) || refused.contains("OS disks"), "{words}: {refused}");
    }
    image.save();
    let file = image.dir().join("image/os.vhd");
    std::fs::File::options().write(true).open(&file).unwrap().set_len(1).unwrap();
    let again = || vhdkit([Path::new("recipe"), &image.dir().join("image")]);
    again().ended(2).complained("has 1 bytes, not the 25166336 of its manifest");
    std::fs::remove_file(&file).unwrap();
    again().ended(2).complained("os.vhd");
    std::fs::remove_file(image.dir().join("image/manifest.json")).unwrap();
    again().ended(2).complained("a directory without a manifest");
}
