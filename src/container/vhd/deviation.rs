//! What a file does otherwise than the format says: each a fact with its place, none a judgement.

use std::fmt;

/// One deviation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Which.
    pub kind: Kind,
    /// First byte concerned, in the file.
    pub at: u64,
    /// Bytes concerned.
    pub length: u64,
    /// What the format asks for.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $code:literal,)*) => {
        /// The deviations that are known, one for each way in which real or damaged files differ.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Its name in reports.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];
        }
    };
}

kinds! {
    /// The file does not end in a footer; the copy at its start is used.
    FooterMissing = "footer-missing",
    /// The footer stands before the end of the file.
    FooterNotAtEnd = "footer-not-at-end",
    /// The footer has 511 bytes, as Virtual PC wrote it before 2004.
    FooterShort = "footer-short",
    /// XenServer marked the disk as not to be used.
    FooterPoisoned = "footer-poisoned",
    /// XenServer marked the disk as hidden.
    FooterHidden = "footer-hidden",
    /// The footer's checksum is not that of its bytes.
    FooterChecksum = "footer-checksum",
    /// Feature bits other than the reserved one, or that one clear.
    FooterFeatures = "footer-features",
    /// A format version other than 1.0.
    FooterVersion = "footer-version",
    /// A fixed disk whose data offset is not all ones.
    FooterDataOffset = "footer-data-offset",
    /// A disk type that has no meaning.
    FooterDiskType = "footer-disk-type",
    /// Reserved bytes of the footer in use.
    FooterReserved = "footer-reserved",
    /// No unique id.
    FooterNoUniqueId = "footer-no-unique-id",
    /// A current size that is not a whole number of sectors.
    SizeNotSectors = "size-not-sectors",
    /// The footer promises more bytes than the file holds.
    PayloadShort = "payload-short",
    /// The file holds more bytes than the footer says.
    PayloadLong = "payload-long",
    /// A dynamic or differencing disk without the copy of its footer at the start.
    CopyMissing = "copy-missing",
    /// The copy's checksum is not that of its bytes.
    CopyChecksum = "copy-checksum",
    /// The copy and the footer differ.
    CopyDiffers = "copy-differs",
    /// The payload of a fixed disk begins with a footer of its own: a VHD stored inside a VHD, or a converted dynamic disk.
    PayloadBeginsWithFooter = "payload-begins-with-footer",
    /// No dynamic header where the footer says.
    HeaderMissing = "header-missing",
    /// The dynamic header's checksum is not that of its bytes.
    HeaderChecksum = "header-checksum",
    /// A dynamic header version other than 1.0.
    HeaderVersion = "header-version",
    /// The dynamic header's unused data offset is not all ones.
    HeaderDataOffset = "header-data-offset",
    /// Reserved bytes of the dynamic header in use.
    HeaderReserved = "header-reserved",
    /// A block size that is not a power of two of at least a sector.
    BlockSize = "block-size",
    /// The table is not aligned to a sector.
    TableUnaligned = "table-unaligned",
    /// The table lies outside the file.
    TableOutside = "table-outside",
    /// The table has fewer entries than the disk has blocks.
    TableShort = "table-short",
    /// The table claims entries that the file has no room for.
    TableOverlong = "table-overlong",
    /// The table has more entries than the disk has blocks.
    TableSurplus = "table-surplus",
    /// A dynamic or differencing disk above 2040 GiB.
    DynamicTooLarge = "dynamic-too-large",
    /// A block that lies in the file's headers.
    BlockInHeader = "block-in-header",
    /// A block that passes the end of the file.
    BlockPastEnd = "block-past-end",
    /// Blocks that share bytes of the file.
    BlocksOverlap = "blocks-overlap",
    /// Blocks that the table places in the file, but that lie beyond the size of the disk.
    BlocksBeyondDisk = "blocks-beyond-disk",
    /// A last block that is cut after the disk's last byte.
    LastBlockCut = "last-block-cut",
    /// Parent locator data outside the file.
    LocatorOutside = "locator-outside",
    /// A differencing disk that names no parent.
    ParentUnnamed = "parent-unnamed",
    /// XenServer's batmap is present.
    Batmap = "batmap",
    /// XenServer's payload encryption is in use.
    Encrypted = "encrypted",
    /// A creator version whose bitmaps have their bytes the other way round.
    BitmapsLittleEndian = "bitmaps-little-endian",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: expected {}, found {}", self.kind, self.at, self.expected, self.found)
    }
}

impl Deviation {
    /// A deviation from its parts.
    pub fn new(kind: Kind, at: u64, length: u64, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { kind, at, length, expected: expected.into(), found: found.into() }
    }
}
