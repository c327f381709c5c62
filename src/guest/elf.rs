//! ELF programs: which processor they are for.
//!
//! Source: "System V Application Binary Interface", chapter 4, "ELF Header"; numbers of machines as in elf(5) and Linux
//! `include/uapi/linux/elf-em.h`.

/// The processor by the name that Azure has for it: `x64`, `Arm64`, `x86`; others by their own, or by number. `None` for bytes that do
/// not begin with an ELF header; the first 20 are enough.
#[must_use]
pub fn architecture(header: &[u8]) -> Option<String> {
    let &[0x7f, b'E', b'L', b'F', class, order, ..] = header else { return None };
    let machine: [u8; 2] = header.get(18..20)?.try_into().ok()?;
    let machine = match order {
        1 => u16::from_le_bytes(machine),
        2 => u16::from_be_bytes(machine),
        _ => return None,
    };
    Some(match (machine, class) {
        (62, 2) => "x64".to_owned(),
        // The x32 ABI: programs of 32 bits on a 64-bit processor.
        (62, _) => "x32".to_owned(),
        (183, _) => "Arm64".to_owned(),
        (3 | 6, _) => "x86".to_owned(),
        (40, _) => "Arm".to_owned(),
        (20, _) => "PowerPC".to_owned(),
        (21, _) => "PowerPC 64".to_owned(),
        (22, _) => "S/390".to_owned(),
        (243, 2) => "RISC-V 64".to_owned(),
        (243, _) => "RISC-V 32".to_owned(),
        (258, _) => "LoongArch".to_owned(),
        (8, _) => "MIPS".to_owned(),
        (50, _) => "Itanium".to_owned(),
        (other, _) => format!("machine {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, order: u8, machine: [u8; 2]) -> Vec<u8> {
        let mut header = vec![0x7f, b'E', b'L', b'F', class, order];
        header.resize(18, 0);
        header.extend_from_slice(&machine);
        header
    }

    #[test]
    fn machines_have_names() {
        for (class, order, machine, name) in [
            (2, 1, [62, 0], Some("x64")),
            (2, 1, [183, 0], Some("Arm64")),
            (1, 1, [3, 0], Some("x86")),
            (1, 1, [62, 0], Some("x32")),
            (2, 2, [0, 22], Some("S/390")),
            (2, 1, [0xff, 0xff], Some("machine 65535")),
            (2, 3, [62, 0], None),
        ] {
            assert_eq!(architecture(&header(class, order, machine)).as_deref(), name);
        }
        for len in 0..20 {
            assert_eq!(architecture(&header(2, 1, [62, 0])[..len]), None);
        }
        assert_eq!(architecture(b"#!/bin/sh and something more"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_is_for_this_processor() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let expected = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "Arm64",
            _ => return,
        };
        assert_eq!(architecture(&own).as_deref(), Some(expected));
    }
}
