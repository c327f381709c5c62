//! Scripts in the shapes that distributions write, odd ones, and hostile ones.

use super::super::bls::bls_entry;
use super::*;

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str) -> GrubConfig {
    grub_config(text, &Environment::default(), &NoFiles).unwrap()
}

fn saved(text: &str, pairs: &[(&str, &str)]) -> GrubConfig {
    grub_config(text, &Environment { saved: Some(values(pairs)), ..Environment::default() }, &NoFiles).unwrap()
}

/// The shape that grub-mkconfig gives it on Debian: conditions first, then a simple entry and a submenu.
const DEBIAN: &str = r#"
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="${saved_entry}"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
export menuentry_id_option
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}
function gfxmode {
	set gfxpayload="${1}"
	if [ "${1}" = "keep" ]; then
		set vt_handoff=vt.handoff=7
	else
		set vt_handoff=
	fi
}
if loadfont $font ; then
  insmod gfxterm
fi
serial --speed=115200 --unit=0
terminal_input console serial
terminal_output console serial
if [ "${recordfail}" = 1 ] ; then
  set timeout=30
else
  if [ x$feature_timeout_style = xy ] ; then
    set timeout_style=menu
    set timeout=5
  # Fallback normal timeout code in case the timeout_style feature is
  else
    set timeout=7
  fi
fi
menuentry 'Some Linux' --class some --class os $menuentry_id_option 'simple-1' {
	load_video
	gfxmode keep
	search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt1 1111-aaaa
	linux	/boot/vmlinuz-6.1 root=UUID=1111-aaaa ro  quiet "a b" $vt_handoff
	initrd	/boot/initrd.img-6.1
}
submenu 'Advanced options' $menuentry_id_option 'advanced-1' {
	menuentry 'Some Linux, 6.1' --id 'six-one' {
		linux /boot/vmlinuz-6.1 root=UUID=1111-aaaa ro
	}
	menuentry 'Some Linux, 5.10 (recovery)' --id=five {
		linux /boot/vmlinuz-5.10 root=UUID=1111-aaaa ro single
		initrd /boot/initrd.img-5.10
	}
}
if [ "$grub_platform" = "efi" ]; then
	menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
		fwsetup
	}
fi
"#;

#[test]
fn a_generated_configuration_is_understood() {
    let config = read(DEBIAN);
    let titles: Vec<_> = config.entries.iter().map(|entry| (entry.title.as_str(), entry.id.as_deref(), entry.place.clone())).collect();
    assert_eq!(
        titles,
        [
            ("Some Linux", Some("simple-1"), vec![0]),
            ("Some Linux, 6.1", Some("six-one"), vec![1, 0]),
            ("Some Linux, 5.10 (recovery)", Some("five"), vec![1, 1]),
            ("UEFI Firmware Settings", Some("uefi-firmware"), vec![2]),
        ]
    );
    let first = &config.entries[0];
    assert_eq!(first.kernel.as_deref(), Some("/boot/vmlinuz-6.1"));
    assert_eq!(first.command_line.as_deref(), Some("root=UUID=1111-aaaa ro quiet a b vt.handoff=7"));
    assert_eq!((first.initrds.as_slice(), first.line), (&["/boot/initrd.img-6.1".to_owned()][..], 55));
    assert_eq!(first.search.as_ref().unwrap().uuid.as_deref(), Some("1111-aaaa"));
    assert_eq!((config.timeout.as_deref(), config.default.as_deref(), config.default_entry()), (Some("5"), None, Some(0)));
    assert_eq!(config.terminal_output, ["console", "serial"]);
    assert_eq!(config.serial.as_deref(), Some("serial --speed=115200 --unit=0"));
    assert!(!config.uses_blscfg && config.not_understood.is_empty(), "{:?}", config.not_understood);
    // A variable that only an entry sets is gone after it.
    assert!(!config.variables.contains_key("vt_handoff"));
}

#[test]
fn the_default_is_found_in_every_way() {
    for (value, place) in [
        ("", 0),
        ("0", 0),
        ("1>1", 2),
        ("1", 1),
        ("advanced-1>five", 2),
        ("Advanced options>Some Linux, 6.1", 1),
        ("simple-1", 0),
        ("uefi-firmware", 3),
        ("2", 3),
        ("9", 0),
        ("gone>1", 0),
    ] {
        let config = saved(DEBIAN, &[("saved_entry", value)]);
        assert_eq!(config.default_entry(), Some(place), "{value:?}");
        assert_eq!(config.default_is_found(), !matches!(value, "9" | "gone>1"), "{value:?}");
    }
    let once = saved(DEBIAN, &[("saved_entry", "0"), ("next_entry", "1>1"), ("recordfail", "1")]);
    assert_eq!((once.default_entry(), once.timeout.as_deref()), (Some(2), Some("30")));
    assert_eq!(read("set default=0").default_entry(), None);
}

/// The shape of Red Hat's: entries in files of their own, and options in a variable.
const BLS: &str = r#"
if [ -f ${config_directory}/grubenv ]; then
  load_env -f ${config_directory}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
set default="${saved_entry}"
search --no-floppy --fs-uuid --set=root 2222
insmod blscfg
if [ -z "${kernelopts}" ]; then
  set kernelopts="root=/dev/mapper/r-root ro console=ttyS0 "
fi
blscfg
"#;

#[test]
fn snippets_become_entries_with_the_variables_of_the_moment() {
    let entry =
        |path: &str, options: &str| bls_entry(path, &format!("title T {path}\nlinux /vmlinuz\ninitrd /i.img $tuned_initrd\n{options}"));
    let bls = vec![entry("e/m-2.conf", "options $kernelopts $tuned_params x=${y}z"), entry("e/m-1.conf", "options root=1 quiet")];
    let run = |saved: &[(&str, &str)]| {
        let environment = Environment { saved: Some(values(saved)), bls: bls.clone(), ..Environment::default() };
        grub_config(BLS, &environment, &NoFiles).unwrap()
    };
    let config = run(&[("saved_entry", "m-1")]);
    assert!(config.uses_blscfg);
    assert_eq!(config.default_entry(), Some(1));
    assert_eq!(config.entries[0].command_line.as_deref(), Some("root=/dev/mapper/r-root ro console=ttyS0 x=z"));
    assert_eq!(
        (config.entries[1].command_line.as_deref(), config.entries[1].source.as_deref()),
        (Some("root=1 quiet"), Some("e/m-1.conf"))
    );
    assert_eq!((config.entries[0].initrds.as_slice(), config.entries[0].id.as_deref()), (&["/i.img".to_owned()][..], Some("m-2")));
    assert_eq!(config.search.as_ref().unwrap().uuid.as_deref(), Some("2222"));
    // What the environment block says comes before what the script would say.
    let stale = run(&[("kernelopts", "root=/dev/sda1 quiet")]);
    assert_eq!((stale.entries[0].command_line.as_deref(), stale.default_entry()), (Some("root=/dev/sda1 quiet x=z"), Some(0)));
}

#[test]
fn a_stub_leads_on() {
    let debian = read("search.fs_uuid 1234-5678 root hd0,gpt1\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n");
    assert_eq!(debian.leads_to.as_deref(), Some("(1234-5678)/boot/grub/grub.cfg"));
    assert_eq!(debian.search.unwrap().uuid.as_deref(), Some("1234-5678"));
    let fedora = read(
        "search --no-floppy --root-dev-only --fs-uuid --set=dev abcd\nset prefix=($dev)/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg",
    );
    assert_eq!((fedora.leads_to.as_deref(), fedora.search.unwrap().uuid.as_deref()), (Some("(abcd)/grub2/grub.cfg"), Some("abcd")));
    for (text, label, file) in [
        ("search --label --set=root cloudimg", Some("cloudimg"), None),
        ("search.fs_label boot root", Some("boot"), None),
        ("search --set=root --file /boot/x", None, Some("/boot/x")),
        ("search --set=root -f /boot/x", None, Some("/boot/x")),
        ("search --no-floppy --set oem --part-label OEM --hint hd0", Some("OEM"), None),
        ("search --label --set cloudimg", Some("cloudimg"), None),
    ] {
        let found = read(text).search.unwrap();
        assert_eq!((found.label.as_deref(), found.file.as_deref()), (label, file), "{text}");
    }
}

#[derive(Debug)]
struct OneFile(&'static str, &'static str);

impl Files for OneFile {
    fn read(&self, path: &str) -> Option<String> {
        (path == self.0).then(|| self.1.to_owned())
    }

    fn exists(&self, path: &str) -> Option<bool> {
        Some(path == self.0)
    }
}

#[test]
fn other_files_are_followed_where_they_can_be_read() {
    let script = "set p=/boot/grub\nif [ -f $p/custom.cfg ]; then source $p/custom.cfg; elif [ -z \"$x\" -a -f /no ]; then set x=no; fi\n\
                  menuentry a { linux /a $more; }";
    let files = OneFile("/boot/grub/custom.cfg", "set more='b c'; menuentry z { chainloader /x.efi }");
    let config = grub_config(script, &Environment::default(), &files).unwrap();
    assert_eq!(config.entries[1].command_line.as_deref(), Some("b c"));
    assert_eq!(config.entries[0].chain.as_deref(), Some("/x.efi"));
    let same = OneFile("/a", "source /a");
    assert!(grub_config("source /a", &Environment::default(), &same).is_err());
}

/// The shape of Flatcar's: settings on one partition, kernels chosen by another.
#[test]
fn slots_and_settings_elsewhere_are_followed() {
    let script = "set linux_append=\"\"\nsearch --no-floppy --set oem --part-label OEM --hint \"$root\"\n\
                  if [ -n \"$oem\" -a -f \"($oem)/grub.cfg\" ]; then\n source \"($oem)/grub.cfg\"\nfi\n\
                  if [ \"$grub_platform\" = pc ]; then\n set c=pc\nelif [ \"$grub_platform\" = efi ]; then\n set c=efi\nfi\n\
                  set line=\"root=LABEL=ROOT $c $linux_append\"\n\
                  function gptprio {\n gptprio.next -d usr_device -u usr_uuid\n\
                  if [ \"$usr_uuid\" = \"7130c94a-213a-4e5a-8e26-6cce9662f132\" ]; then set slot=a; else set slot=b; fi\n}\n\
                  menuentry \"Default\" --id=x --unrestricted {\n gptprio\n linux /vmlinuz-$slot $line\n}\nset default=x\n";
    let environment = Environment { variables: values(&[("grub_platform", "efi")]), ..Environment::default() };
    let config = grub_config(script, &environment, &OneFile("(OEM)/grub.cfg", "set linux_append=\"console=ttyS0 x=1\"")).unwrap();
    let entry = &config.entries[config.default_entry().unwrap()];
    assert_eq!(entry.kernel.as_deref(), Some("/vmlinuz-a"));
    assert_eq!(entry.command_line.as_deref(), Some("root=LABEL=ROOT efi console=ttyS0 x=1"));
    assert_eq!(config.not_understood, ["line 13: gptprio.next, taken as if it chose the first of both"]);
}

#[test]
fn odd_scripts_say_what_is_odd() {
    let config = read("for x in a b; do menuentry $x { linux /$x; }; done\nfrobnicate now\nlinux /vmlinuz root=1\ninitrd /i\nboot\n");
    assert_eq!(config.not_understood, ["line 1: a loop, taken as if it ran once", "line 2: frobnicate"]);
    let loaded = config.entries.last().unwrap();
    assert_eq!((loaded.command_line.as_deref(), loaded.initrds.len()), (Some("root=1"), 1));
    let xen = read("menuentry x { multiboot2 /xen.gz p; module2 /vmlinuz root=1 quiet; module2 --nounzip /initrd; }");
    let entry = &xen.entries[0];
    assert_eq!(
        (entry.chain.as_deref(), entry.kernel.as_deref(), entry.command_line.as_deref()),
        (Some("/xen.gz"), Some("/vmlinuz"), Some("root=1 quiet"))
    );
    assert_eq!(entry.initrds, ["/initrd"]);
    for text in
        ["}", "{", "fi", "if", "menuentry", "menuentry {", "function", "else done } fi", "'", "\"$", "${", "\\", "$", "set =x", "[ ! ! ! a"]
    {
        read(text);
    }
    for (text, timeout) in [
        ("if [ a = a -a b != c ]; then timeout=1; fi", Some("1")),
        ("if [ ! a = a -o \"\" ]; then timeout=1; else timeout=2; fi", Some("2")),
        ("if test -n x; then timeout=1; fi", Some("1")),
        ("if false; then timeout=1; elif true; then timeout=3; fi", Some("3")),
        ("if keystatus --shift; then timeout=-1; else timeout=4; fi", Some("4")),
        ("timeout=''", None),
        ("terminal_output --append serial; terminal_output --remove console; timeout=\"a\\\"b\"", Some("a\"b")),
    ] {
        assert_eq!(read(text).timeout.as_deref(), timeout, "{text}");
    }
}

#[test]
fn hostile_scripts_end() {
    let deep = format!("{}x{}", "if true; then ".repeat(50), "; fi".repeat(50));
    assert!(grub_config(&deep, &Environment::default(), &NoFiles).is_err());
    let itself = "function f { f; f; }\nf";
    assert!(grub_config(itself, &Environment::default(), &NoFiles).is_err());
    let doubling = (0..64).fold("a=xxxxxxxx\n".to_owned(), |text, _| text + "a=\"$a$a\"\n");
    assert!(grub_config(&doubling, &Environment::default(), &NoFiles).is_err());
    let many = "menuentry x { true; }\n".repeat(5000);
    assert!(grub_config(&many, &Environment::default(), &NoFiles).is_err());
    let tree = (0..15).fold(String::new(), |text, n| format!("function f{} {{ f{n}; f{n}; f{n}; }}\n{text}", n + 1))
        + "function f0 { true; }\nf15";
    assert!(grub_config(&tree, &Environment::default(), &NoFiles).is_err());
    assert!(grub_config(&"[ ! ".repeat(90_000), &Environment::default(), &NoFiles).is_ok());
}

#[test]
fn environment_blocks_are_read() {
    let block = "# GRUB Environment Block\nsaved_entry=id-5.14\nkernelopts=root=/dev/x ro a\\\\b\nempty=\n####";
    let expected = values(&[("saved_entry", "id-5.14"), ("kernelopts", "root=/dev/x ro a\\b"), ("empty", "")]);
    assert_eq!(grub_environment(block), Some(expected));
    assert_eq!(grub_environment("saved_entry=1"), None);
}

#[test]
fn shell_settings_are_read() {
    let main = "# comment\nGRUB_DEFAULT=0\nGRUB_TIMEOUT='5'  # later\nexport GRUB_X=\"a b\"\nGRUB_CMDLINE_LINUX=\"console=ttyS0\\\n quiet\"\n\
                GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\nGRUB_OS=\"$(sed 's, release .*$,,g' /etc/system-release)\"\n\
                if [ -f /x ]; then\nGRUB_CMDLINE_LINUX+=\" more\"\nGRUB_Y=${GRUB_X}-$GRUB_NONE\"\\$z\"\nGRUB_LONG=\"one\ntwo\"\nGRUB_LAST=a\\ b\n";
    let drop_in = "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT console=tty1\"\nGRUB_TIMEOUT=0\n";
    let all = default_grub([("/etc/default/grub", main), ("/etc/default/grub.d/50.cfg", drop_in)]);
    for (name, value) in [
        ("GRUB_DEFAULT", Some("0")),
        ("GRUB_TIMEOUT", Some("0")),
        ("GRUB_X", Some("a b")),
        ("GRUB_CMDLINE_LINUX", Some("console=ttyS0 quiet more")),
        ("GRUB_DISTRIBUTOR", Some("`lsb_release -i -s 2> /dev/null || echo Debian`")),
        ("GRUB_OS", Some("$(sed 's, release .*$,,g' /etc/system-release)")),
        ("GRUB_Y", Some("a b-$z")),
        ("GRUB_LONG", Some("one\ntwo")),
        ("GRUB_LAST", Some("a b")),
        ("GRUB_CMDLINE_LINUX_DEFAULT", Some(" console=tty1")),
        ("GRUB_NONE", None),
    ] {
        assert_eq!(all.get(name), value, "{name}");
    }
    assert_eq!(all.not_understood, ["/etc/default/grub, line 9: if [ -f /x ]; then"]);
    let big = (0..40).fold("A=xx\n".to_owned(), |text, _| text + "A=\"$A$A\"\n");
    assert!(default_grub([("x", big.as_str())]).get("A").unwrap().len() < 1_000_000);
}

#[test]
fn damage_does_not_panic() {
    let mut seed = 0x1234_5678_9abc_def1_u64;
    let mut roll = || {
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        seed.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let ask = |text: &str| {
        if let Ok(config) = grub_config(text, &Environment::default(), &NoFiles) {
            assert!(config.default_entry().is_none_or(|place| place < config.entries.len()));
        }
        let _ = (default_grub([("x", text)]), grub_environment(text));
    };
    for (len, _) in DEBIAN.char_indices() {
        ask(&DEBIAN[..len]);
    }
    let odd = b"{}\"'\\$;#\n >=[]!";
    for _ in 0..3000 {
        let mut damaged = DEBIAN.as_bytes().to_vec();
        for _ in 0..=roll() % 4 {
            let at = roll() as usize % damaged.len();
            damaged[at] = odd[(roll() >> 32) as usize % odd.len()];
        }
        ask(&String::from_utf8_lossy(&damaged));
    }
}
