//! Kernel images: for which processor, and of which release.
//!
//! Sources: Linux `Documentation/arch/x86/boot.rst` (the setup header), `Documentation/arch/arm64/booting.rst` (the image header),
//! `drivers/firmware/efi/libstub/zboot-header.S`, the PE/COFF specification (`Machine`) and the ELF specification (`e_machine`).

/// Bytes from the start of an image that are enough for everything here.
pub const HEAD: usize = 64 << 10;

/// What the first bytes of a kernel image tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelImage {
    /// `x64`, `x86` or `Arm64`; `None` where it is none of them, or not told.
    pub architecture: Option<&'static str>,
    /// The release that it was built as; only x86 images have it in plain sight.
    pub release: Option<String>,
}

/// Reads the first bytes of an image, [`HEAD`] or as many as there are. An image that is packed as a whole must be unpacked first.
#[must_use]
pub fn read(head: &[u8]) -> KernelImage {
    let at = |offset: usize, expected: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(expected));
    let half = |offset: usize| head.get(offset..).and_then(<[u8]>::first_chunk::<2>).map(|bytes| u16::from_le_bytes(*bytes));
    let architecture = if at(0x38, b"ARM\x64") {
        Some("Arm64")
    } else if at(0, b"\x7fELF") {
        match half(18) {
            Some(0x3e) => Some("x64"),
            Some(0xb7) => Some("Arm64"),
            Some(3) => Some("x86"),
            _ => None,
        }
    } else {
        let pe = at(0, b"MZ").then(|| machine(head)).flatten();
        // XLF_KERNEL_64 of xloadflags, which protocol 2.12 brought.
        let wide = (half(0x206) >= Some(0x20c)).then(|| half(0x236)).flatten().map(|flags| if flags & 1 == 0 { "x86" } else { "x64" });
        pe.or(if at(0x202, b"HdrS") { wide } else { None })
    };
    let release = at(0x202, b"HdrS").then(|| half(0x20e)).flatten().filter(|pointer| *pointer != 0).and_then(|pointer| {
        let text = head.get(usize::from(pointer).saturating_add(0x200)..)?;
        let text = text.split(|byte| *byte == 0 || *byte == b' ').next()?;
        let text = std::str::from_utf8(text).ok()?;
        (text.len() < 128 && super::version::is_release(text)).then(|| text.to_owned())
    });
    KernelImage { architecture, release }
}

/// The processor that a PE file is for.
fn machine(head: &[u8]) -> Option<&'static str> {
    let pointer = head.get(0x3c..).and_then(<[u8]>::first_chunk::<4>)?;
    let header = head.get(crate::bytes::int_usize(u64::from(u32::from_le_bytes(*pointer)))..)?;
    let machine = header.strip_prefix(b"PE\0\0")?.first_chunk::<2>()?;
    match u16::from_le_bytes(*machine) {
        0x8664 => Some("x64"),
        0x014c => Some("x86"),
        0xaa64 => Some("Arm64"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        for (at, part) in parts {
            bytes[*at..at + part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn headers_tell_the_processor_and_the_release() {
        let x86: &[(usize, &[u8])] =
            &[(0x202, b"HdrS"), (0x206, &[0x0f, 2]), (0x20e, &[0, 4]), (0x600, b"6.1.0-56-cloud-amd64 (x@y) #1 SMP\0")];
        let with = |more: &[(usize, &[u8])]| image(&[x86, more].concat());
        let found = read(&with(&[(0x236, &[1])]));
        assert_eq!(found, KernelImage { architecture: Some("x64"), release: Some("6.1.0-56-cloud-amd64".to_owned()) });
        assert_eq!(read(&with(&[(0x236, &[0])])).architecture, Some("x86"));
        let pe: &[(usize, &[u8])] = &[(0, b"MZ"), (0x3c, &[0x80]), (0x80, b"PE\0\0\x64\x86")];
        assert_eq!(read(&with(pe)).architecture, Some("x64"));
        assert_eq!(read(&image(&[(0, b"MZ"), (0x38, b"ARM\x64")])).architecture, Some("Arm64"));
        assert_eq!(read(&image(&[(0, b"MZ\0\0zimg"), (0x3c, &[0x80]), (0x80, b"PE\0\0\x64\xaa")])).architecture, Some("Arm64"));
        assert_eq!(read(&image(&[(0, b"\x7fELF"), (18, &[0x3e])])).architecture, Some("x64"));
        assert_eq!(read(&image(&[])), KernelImage::default());
    }

    #[test]
    fn pointers_out_of_the_file_are_nothing() {
        let bytes = image(&[(0, b"MZ"), (0x3c, &[0xff; 4]), (0x202, b"HdrS"), (0x20e, &[0xff, 0xff])]);
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]).release, None);
        }
        assert_eq!(read(&bytes).architecture, None);
    }
}
