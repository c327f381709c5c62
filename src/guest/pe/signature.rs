//! Authenticode signatures: who signed a program.
//!
//! Sources: Microsoft, "PE Format", section "The Attribute Certificate Table", and "Windows Authenticode Portable Executable Signature
//! Format" 1.0; PKCS #7 (RFC 2315). UEFI 2.10 section 32.5.3 tries each entry of the table by itself; signatures that Windows nests in an
//! attribute of another are not entries and are left out.

use super::{PeError, part, u16_at, u32_at};
use crate::bytes::{ReadAt, int_u64, int_usize};
use cms::cert::CertificateChoices;
use cms::cert::x509::Certificate;
use cms::cert::x509::der::asn1::ObjectIdentifier;
use cms::cert::x509::der::{Decode, Encode, Reader, SliceReader, Tag, Tagged};
use cms::cert::x509::name::Name;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};

/// Bytes of an attribute certificate table that are read at most; those of Windows and of shim have some ten thousand.
const MAX_TABLE: u32 = 1 << 20;
/// Entries of a table that are read at most.
const MAX_ENTRIES: usize = 64;
/// Certificates that a chain is followed through at most.
const MAX_CHAIN: usize = 16;
/// `WIN_CERT_TYPE_PKCS_SIGNED_DATA`.
const PKCS_SIGNED_DATA: u16 = 2;
/// `id-at-commonName`, X.520.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
/// `id-signedData`, PKCS #7.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// One entry of an attribute certificate table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who signed: one in all that is known.
    pub signers: Vec<Signer>,
}

/// A signer, by the names in its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The common name of the signer's certificate.
    pub subject: String,
    /// The common names of those who vouch for it, the certificate's issuer first, as far as the signature carries certificates.
    pub issuers: Vec<String>,
}

/// The entries of a table.
pub(super) fn table(bytes: &dyn ReadAt, offset: u32, size: u32) -> Result<Vec<Result<Signature, String>>, PeError> {
    if size > MAX_TABLE {
        return Err(PeError::Damaged(format!("a certificate table of {size} bytes; at most {MAX_TABLE} are read")));
    }
    let past = || PeError::Damaged("the certificate table passes the end".to_owned());
    let table = part(bytes, u64::from(offset), int_usize(u64::from(size))).ok_or_else(past)??;
    let mut signatures = Vec::new();
    let mut rest = table.as_slice();
    while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 6)) {
        // Padding behind the last entry.
        if length == 0 {
            break;
        }
        let length = int_usize(u64::from(length));
        let entry = rest.get(8..length).ok_or_else(|| PeError::Damaged("an entry of the certificate table passes its end".to_owned()))?;
        if signatures.len() >= MAX_ENTRIES {
            return Err(PeError::Damaged(format!("more than {MAX_ENTRIES} signatures")));
        }
        signatures.push(match kind {
            PKCS_SIGNED_DATA => signature(entry),
            other => Err(format!("a certificate of type {other}, not PKCS #7")),
        });
        // Entries begin at multiples of eight bytes of the file, and so of the table.
        let next = int_u64(length).checked_next_multiple_of(8).map_or(usize::MAX, int_usize);
        rest = rest.get(next..).unwrap_or_default();
    }
    Ok(signatures)
}

/// One PKCS #7 structure; what follows it is padding.
fn signature(bytes: &[u8]) -> Result<Signature, String> {
    decode(bytes).map_err(|error| format!("a signature that cannot be read: {error}"))
}

fn decode(bytes: &[u8]) -> Result<Signature, cms::cert::x509::der::Error> {
    let mut reader = SliceReader::new(bytes)?;
    let outer: ContentInfo = reader.decode()?;
    outer.content_type.eq(&SIGNED_DATA).then_some(()).ok_or(Tag::ObjectIdentifier.value_error())?;
    let signed = SignedData::from_der(&outer.content.to_der()?)?;
    let certificates: Vec<&Certificate> = signed
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let signers = signed.signer_infos.0.iter().map(|info| signer(info, &certificates)).collect();
    Ok(Signature { signers })
}

/// A signer's names; from the certificate where it is there, else the issuer that the signature itself names.
fn signer(info: &SignerInfo, certificates: &[&Certificate]) -> Signer {
    let SignerIdentifier::IssuerAndSerialNumber(id) = &info.sid else {
        return Signer { subject: "named by its key only".to_owned(), issuers: vec![] };
    };
    let own = certificates.iter().find(|one| {
        let body = &one.tbs_certificate;
        body.serial_number == id.serial_number && body.issuer == id.issuer
    });
    let Some(own) = own else {
        return Signer { subject: "its certificate is not in the signature".to_owned(), issuers: vec![common_name(&id.issuer)] };
    };
    let mut issuers = Vec::new();
    let mut below = *own;
    while issuers.len() < MAX_CHAIN {
        let issuer = &below.tbs_certificate.issuer;
        issuers.push(common_name(issuer));
        // A root vouches for itself.
        let above = certificates.iter().find(|one| one.tbs_certificate.subject == *issuer);
        match above {
            Some(above) if above.tbs_certificate.issuer != *issuer => below = *above,
            _ => break,
        }
    }
    Signer { subject: common_name(&own.tbs_certificate.subject), issuers }
}

/// The common name, the last where there are several; the whole name where there is none.
fn common_name(name: &Name) -> String {
    let attributes = name.0.iter().flat_map(|relative| relative.0.iter());
    let found = attributes.rev().find(|attribute| attribute.oid == COMMON_NAME);
    found.map_or_else(
        || name.to_string(),
        |attribute| match attribute.value.tag() {
            Tag::BmpString => utf16(attribute.value.value()),
            _ => String::from_utf8_lossy(attribute.value.value()).into_owned(),
        },
    )
}

/// Text of a BMPString.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}
