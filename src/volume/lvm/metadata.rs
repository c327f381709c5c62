//! What the text of a volume group says, as values.
//!
//! Source: `lib/format_text/import_vsn1.c` of LVM2. What it demands of a group and of its physical volumes is demanded here; a
//! logical volume that contradicts itself is kept, with the reason why it cannot be read.

use super::config::{Section, Value};
use crate::bytes::SECTOR;

/// A volume group at one point of its history.
#[derive(Debug, PartialEq)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) uuid: String,
    /// Grows with every change.
    pub(super) sequence: u64,
    /// Bytes.
    pub(super) extent_size: u64,
    pub(super) exported: bool,
    pub(super) physical: Vec<Physical>,
    pub(super) logical: Vec<Logical>,
}

/// A physical volume as its group knows it.
#[derive(Debug, PartialEq)]
pub(super) struct Physical {
    /// The name that segments use: `pv0`.
    pub(super) name: String,
    pub(super) uuid: String,
    /// Where it was last seen.
    pub(super) device: Option<String>,
    /// Bytes of its device.
    pub(super) size: Option<u64>,
    /// The byte at which its first extent begins.
    pub(super) start: u64,
    pub(super) extents: u64,
    /// It was not there when the group was last changed.
    pub(super) missing: bool,
}

/// A logical volume.
#[derive(Debug, PartialEq)]
pub(super) struct Logical {
    pub(super) name: String,
    pub(super) uuid: String,
    /// Whether it is one for users, not a part of another.
    pub(super) visible: bool,
    /// In the order of their extents.
    pub(super) segments: Vec<Segment>,
    /// Why its segments cannot be followed.
    pub(super) fault: Option<String>,
}

/// Successive extents of a logical volume that are mapped in one way.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) extents: u64,
    /// Its type, without flags: `striped`.
    pub(super) kind: String,
    /// The physical or logical volumes that it lies on, each with the first extent there.
    pub(super) stripes: Vec<(String, u64)>,
    /// Bytes that lie together before the next stripe follows.
    pub(super) stripe_size: u64,
    /// For snapshots: the volume whose past it keeps, the one that keeps it, and whether it is being merged back.
    pub(super) snapshot: Option<Snapshot>,
    /// For thin volumes: a volume outside of the pool from which they read what they do not keep themselves.
    pub(super) external_origin: Option<String>,
}

/// The two volumes of a snapshot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    pub(super) origin: String,
    pub(super) store: String,
    pub(super) merging: bool,
}

/// The 32 characters of an identity, with hyphens anywhere, in the usual form.
fn identity(section: &Section<'_>) -> Option<String> {
    let text = section.text("id")?;
    let plain: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let id: [u8; 32] = plain.try_into().ok()?;
    let known = id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'#'));
    if known { super::super::text::lvm(&id) } else { None }
}

/// The number of this name, which must be there.
fn number(section: &Section<'_>, key: &str, of: &str) -> Result<u64, String> {
    section.number(key).ok_or_else(|| format!("{of} has no {key}"))
}

/// A number of sectors as bytes.
fn sectors(count: u64, of: &str) -> Result<u64, String> {
    count.checked_mul(SECTOR).ok_or_else(|| format!("{of} has impossible sizes"))
}

/// A flag in either of the places where flags are kept.
fn flagged(section: &Section<'_>, flag: &str) -> bool {
    section.has("status", flag) || section.has("flags", flag)
}

impl Metadata {
    /// Reads the text of a group.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let root = Section::parse(text).map_err(|fault| fault.to_string())?;
        if root.text("contents") != Some("Text Format Volume Group") || root.number("version") != Some(1) {
            return Err("it is not the description of a volume group in version 1".to_owned());
        }
        let (name, group) = root.sections().next().ok_or("it has no volume group")?;
        let of = format!("group {name}");
        let extent_size = sectors(number(group, "extent_size", &of)?, &of)?;
        if extent_size == 0 {
            return Err(format!("{of} has extents of 0 bytes"));
        }
        let physical = group.section("physical_volumes").into_iter().flat_map(Section::sections);
        let logical = group.section("logical_volumes").into_iter().flat_map(Section::sections);
        Ok(Self {
            name: name.to_owned(),
            uuid: identity(group).ok_or_else(|| format!("{of} has no identity"))?,
            sequence: number(group, "seqno", &of)?,
            extent_size,
            exported: flagged(group, "EXPORTED"),
            physical: physical.map(|(name, section)| Physical::parse(name, section)).collect::<Result<_, _>>()?,
            logical: logical.map(|(name, section)| Logical::parse(name, section)).collect(),
        })
    }
}

impl Physical {
    fn parse(name: &str, section: &Section<'_>) -> Result<Self, String> {
        let of = format!("physical volume {name}");
        Ok(Self {
            name: name.to_owned(),
            uuid: identity(section).ok_or_else(|| format!("{of} has no identity"))?,
            device: section.text("device").filter(|device| !device.is_empty()).map(str::to_owned),
            size: section.number("dev_size").map(|count| sectors(count, &of)).transpose()?,
            start: sectors(number(section, "pe_start", &of)?, &of)?,
            extents: number(section, "pe_count", &of)?,
            missing: flagged(section, "MISSING"),
        })
    }
}

impl Logical {
    fn parse(name: &str, section: &Section<'_>) -> Self {
        let parts = section.sections().map(|(name, section)| Segment::parse(name, section));
        let (segments, fault) = match parts.collect::<Result<Vec<_>, _>>() {
            Ok(segments) => Self::ordered(segments, section.number("segment_count")),
            Err(fault) => (vec![], Some(fault)),
        };
        Self {
            name: name.to_owned(),
            uuid: identity(section).unwrap_or_default(),
            visible: section.has("status", "VISIBLE"),
            segments,
            fault,
        }
    }

    /// Segments in the order of their extents, and what is wrong with them as a whole.
    fn ordered(mut segments: Vec<Segment>, count: Option<u64>) -> (Vec<Segment>, Option<String>) {
        segments.sort_by_key(|segment| segment.start);
        let found = crate::bytes::int_u64(segments.len());
        let mut next = 0_u64;
        let mut fault = (count != Some(found)).then(|| format!("it should have {} segments and has {found}", count.unwrap_or_default()));
        for segment in &segments {
            if segment.start != next && fault.is_none() {
                let how = if segment.start < next { "overlaps the one before it" } else { "leaves a gap before it" };
                fault = Some(format!("its segment at extent {} {how}", segment.start));
            }
            next = segment.start.saturating_add(segment.extents);
        }
        (segments, fault)
    }
}

impl Segment {
    /// The volume that must stay as it is for this segment to keep its content.
    pub(super) fn origin(&self) -> Option<&str> {
        self.snapshot.as_ref().map(|snapshot| snapshot.origin.as_str()).or(self.external_origin.as_deref())
    }

    fn parse(name: &str, section: &Section<'_>) -> Result<Self, String> {
        let kind = section.text("type").ok_or_else(|| format!("its {name} has no type"))?;
        // Flags may follow the type: striped+WRITE_LOCKED.
        let kind = kind.split('+').next().unwrap_or_default().to_owned();
        let extents = number(section, "extent_count", name)?;
        if extents == 0 {
            return Err(format!("its {name} has no extents"));
        }
        let word = |key: &str| section.text(key).map(str::to_owned);
        let snapshot = word("cow_store").map(|store| (store, false)).or_else(|| word("merging_store").map(|store| (store, true)));
        let stripes = if matches!(kind.as_str(), "striped" | "linear") { stripes(name, section)? } else { vec![] };
        Ok(Self {
            start: number(section, "start_extent", name)?,
            extents,
            kind,
            stripes,
            stripe_size: section.number("stripe_size").map_or(Ok(0), |count| sectors(count, name))?,
            external_origin: word("external_origin"),
            snapshot: snapshot.zip(word("origin")).map(|((store, merging), origin)| Snapshot { origin, store, merging }),
        })
    }
}

/// Pairs of a volume's name and an extent.
fn stripes(name: &str, section: &Section<'_>) -> Result<Vec<(String, u64)>, String> {
    let (pairs, rest) = section.list("stripes").as_chunks::<2>();
    let count = section.number("stripe_count");
    if count != Some(crate::bytes::int_u64(pairs.len())) || pairs.is_empty() || !rest.is_empty() {
        return Err(format!("its {name} does not list the stripes that it counts"));
    }
    let pair = |pair: &[Value<'_>; 2]| match pair {
        [Value::Text(volume), Value::Number(extent)] => Ok((volume.clone().into_owned(), *extent)),
        _ => Err(format!("its {name} lists stripes that are no volume and extent")),
    };
    pairs.iter().map(pair).collect()
}
