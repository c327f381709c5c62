//! The master file table: records by number, and the attributes of a file wherever its records put them.
//!
//! A file whose attributes outgrow its record has a list of them (`$ATTRIBUTE_LIST`), which says in which other records they are; a run
//! list that outgrows a record is cut into parts there. "$MFT" and "$ATTRIBUTE_LIST" in the Linux-NTFS project's documentation.

use super::boot::Geometry;
use super::raw::{byte, le16, le32, le64, len16, part, units};
use super::record::{self, ATTRIBUTE_LIST, Attribute, DATA, FILE_NAME, Record, Value};
use super::runs::Runs;
use super::stream::Stream;
use crate::bytes::{Bytes, ReadAt, int_u64, int_usize, is_zero, read_vec};
use crate::fs::Error;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest list of attributes that Windows writes.
const MAX_LIST: u64 = 256 << 10;
/// Bytes of records that are remembered.
const REMEMBERED: u64 = 4 << 20;
/// The part of a reference that is the number of a record.
const NUMBER: u64 = 0xffff_ffff_ffff;

/// The number of the record that a reference names.
pub(super) fn number_of(reference: u64) -> u64 {
    reference & NUMBER
}

/// A file: its first record, and the list of its attributes where there is one.
#[derive(Debug)]
pub(super) struct File {
    pub record: Record,
    list: Option<Vec<Listed>>,
}

/// A line in a list of attributes.
#[derive(Debug)]
struct Listed {
    kind: u32,
    name: Vec<u16>,
    /// Cluster of the stream at which this part begins.
    first: u64,
    /// The record that holds it.
    record: u64,
    /// Its number there.
    id: u16,
}

/// An attribute in the record that holds it.
#[derive(Debug)]
pub(super) struct Held {
    file: Arc<File>,
    place: usize,
}

/// The bytes of an attribute, all parts together.
#[derive(Debug)]
pub(super) enum Content {
    /// In the record itself.
    Resident(Vec<u8>),
    /// In clusters.
    Stream(Stream),
}

/// The master file table.
#[derive(Debug)]
pub(super) struct Table {
    pub volume: Bytes,
    pub geometry: Geometry,
    records: Stream,
    remembered: Mutex<Remembered>,
}

/// Files by number, and their order of arrival.
#[derive(Debug, Default)]
struct Remembered {
    files: BTreeMap<u64, Arc<File>>,
    order: VecDeque<u64>,
}

fn damaged(number: u64, what: impl std::fmt::Display) -> Error {
    Error::Damaged(format!("record {number}: {what}"))
}

impl Table {
    /// Finds the whole table from its first record, or from the copy of that.
    pub(super) fn open(volume: Bytes, geometry: Geometry) -> Result<Self, Error> {
        let first = first_record(&volume, &geometry, geometry.table).or_else(|error| {
            if geometry.mirror == 0 { Err(error) } else { first_record(&volume, &geometry, geometry.mirror).map_err(|_second| error) }
        })?;
        let data = first.own(DATA, &[]).ok_or_else(|| damaged(0, "the table has no data"))?;
        let Value::Mapped(mapped) = &data.value else { return Err(damaged(0, "the table's data is resident")) };
        let mut runs = Runs::default();
        runs.add(&mapped.pairs, geometry.clusters).map_err(|what| damaged(0, what))?;
        let records = Stream {
            volume: volume.clone(),
            cluster: geometry.cluster,
            runs,
            size: mapped.size,
            initialized: mapped.initialized.min(mapped.size),
        };
        let mut table = Self { volume, geometry, records, remembered: Mutex::default() };
        // Further parts are read through those before them.
        for line in table.list(&first)?.unwrap_or_default() {
            if line.kind == DATA && line.name.is_empty() && line.first > 0 {
                let record = table.read(line.record)?;
                let part = record.attributes.iter().find(|attribute| attribute.kind == DATA && attribute.id == line.id);
                table.append(line.first, part, line.record)?;
            }
        }
        Ok(table)
    }

    /// Adds a part to the table's own run list.
    fn append(&mut self, first: u64, part: Option<&Attribute>, record: u64) -> Result<(), Error> {
        match part.map(|part| &part.value) {
            Some(Value::Mapped(mapped)) if mapped.first == first && self.records.runs.end() == first => {
                self.records.runs.add(&mapped.pairs, self.geometry.clusters).map_err(|what| damaged(record, what))
            }
            _ => Err(damaged(record, "it does not continue the master file table")),
        }
    }

    /// The places of all records that may be in use: every one that was ever written.
    pub(super) fn places(&self) -> impl Iterator<Item = u64> {
        let record = self.geometry.record;
        let (mut at, mut until) = (0_u64, 0_u64);
        std::iter::from_fn(move || {
            if at >= until {
                let found = self.records.data(at)?;
                (at, until) = (found.start, found.end);
            }
            // Data may begin within a record.
            let number = at.checked_div(record)?;
            at = number.saturating_add(1).saturating_mul(record);
            (at <= self.records.initialized).then_some(number)
        })
    }

    /// The runs of every attribute in a record, and nothing where it is not in use. What was never used since the table grew has no magic.
    pub(super) fn runs(&self, number: u64) -> Result<Vec<Runs>, Error> {
        let bytes = read_vec(&self.records, number.saturating_mul(self.geometry.record), int_usize(self.geometry.record))?;
        if is_zero(&bytes) || bytes.starts_with(b"FILE") && le16(&bytes, 22).is_some_and(|flags| flags & record::IN_USE == 0) {
            return Ok(vec![]);
        }
        let record = Record::parse(number, bytes).map_err(|what| damaged(number, what))?;
        let mapped = record.attributes.iter().filter_map(|attribute| match &attribute.value {
            Value::Mapped(mapped) => Some(mapped),
            Value::Resident(_) => None,
        });
        let runs = mapped.map(|mapped| {
            let mut runs = Runs::default();
            runs.add(&mapped.pairs, self.geometry.clusters).map_err(|what| damaged(number, what))?;
            Ok(runs)
        });
        runs.collect()
    }

    /// A record, whatever it is.
    fn read(&self, number: u64) -> Result<Record, Error> {
        let at = number.checked_mul(self.geometry.record).filter(|at| at.saturating_add(self.geometry.record) <= self.records.initialized);
        let at = at.ok_or_else(|| damaged(number, "it lies past the end of the master file table"))?;
        let bytes = read_vec(&self.records, at, int_usize(self.geometry.record))?;
        Record::parse(number, bytes).map_err(|what| damaged(number, what))
    }

    /// The record of this number with its list of attributes.
    pub(super) fn record(&self, number: u64) -> Result<Arc<File>, Error> {
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).files.get(&number).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let record = self.read(number)?;
        let list = if record.base == 0 { self.list(&record)? } else { None };
        let file = Arc::new(File { record, list });
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.files.insert(number, file.clone()).is_none() {
            remembered.order.push_back(number);
        }
        if int_u64(remembered.order.len()).saturating_mul(self.geometry.record) > REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.files.remove(&oldest);
        }
        drop(remembered);
        Ok(file)
    }

    /// The file that a reference names: a number in 48 bits, and in the upper 16 how often the place was used; 0 fits every use.
    pub(super) fn file(&self, reference: u64) -> Result<Arc<File>, Error> {
        let number = number_of(reference);
        let file = self.record(number)?;
        let sequence = reference.checked_shr(48).unwrap_or_default();
        if sequence != 0 && sequence != u64::from(file.record.sequence) {
            return Err(damaged(number, "it now holds another file than the one that a directory names"));
        }
        if file.record.base != 0 {
            return Err(damaged(number, "it is a continuation, not a file"));
        }
        Ok(file)
    }

    /// The list of attributes of a record that has one.
    fn list(&self, record: &Record) -> Result<Option<Vec<Listed>>, Error> {
        let Some(attribute) = record.own(ATTRIBUTE_LIST, &[]) else { return Ok(None) };
        let bytes = match &attribute.value {
            Value::Resident(bytes) => bytes.clone(),
            Value::Mapped(mapped) => {
                let mut runs = Runs::default();
                runs.add(&mapped.pairs, self.geometry.clusters).map_err(|what| damaged(record.number, what))?;
                if mapped.size > MAX_LIST {
                    return Err(damaged(record.number, format_args!("a list of attributes of {} bytes", mapped.size)));
                }
                let stream = self.stream(runs, mapped.size, mapped.initialized);
                read_vec(&stream, 0, int_usize(mapped.size))?
            }
        };
        lines(&bytes).map(Some).ok_or_else(|| damaged(record.number, "its list of attributes is damaged"))
    }

    fn stream(&self, runs: Runs, size: u64, initialized: u64) -> Stream {
        Stream { volume: self.volume.clone(), cluster: self.geometry.cluster, runs, size, initialized: initialized.min(size) }
    }

    /// An attribute in a record of its file.
    fn held(&self, file: &Arc<File>, line: &Listed) -> Result<Held, Error> {
        let number = file.record.number;
        let holder = if line.record == number { file.clone() } else { self.record(line.record)? };
        if line.record != number && number_of(holder.record.base) != number {
            return Err(damaged(number, format_args!("its list of attributes leads to record {}, which is not part of it", line.record)));
        }
        let fits = |attribute: &Attribute| attribute.kind == line.kind && attribute.id == line.id && attribute.name == line.name;
        match holder.record.attributes.iter().position(fits) {
            Some(place) => Ok(Held { file: holder, place }),
            None => Err(damaged(number, format_args!("an attribute that it lists is not in record {}", line.record))),
        }
    }

    /// The attribute of this kind and name, or its first part.
    pub(super) fn find(&self, file: &Arc<File>, kind: u32, name: &[u16]) -> Result<Option<Held>, Error> {
        match &file.list {
            Some(list) => {
                let line = list.iter().find(|line| line.kind == kind && line.name == name && line.first == 0);
                line.map(|line| self.held(file, line)).transpose()
            }
            None => {
                let found = file.record.attributes.iter().position(|attribute| attribute.kind == kind && attribute.name == name);
                Ok(found.map(|place| Held { file: file.clone(), place }))
            }
        }
    }

    /// The names of a file.
    pub(super) fn names(&self, file: &Arc<File>) -> Result<Vec<Held>, Error> {
        match &file.list {
            Some(list) => list.iter().filter(|line| line.kind == FILE_NAME).map(|line| self.held(file, line)).collect(),
            None => {
                let all = file.record.attributes.iter().enumerate().filter(|(_, attribute)| attribute.kind == FILE_NAME);
                Ok(all.map(|(place, _)| Held { file: file.clone(), place }).collect())
            }
        }
    }

    /// The bytes of an attribute as they are stored, all its parts together.
    pub(super) fn content(&self, file: &Arc<File>, kind: u32, name: &[u16]) -> Result<Option<Content>, Error> {
        let number = file.record.number;
        let Some(first) = self.find(file, kind, name)? else { return Ok(None) };
        let head = match &first.value {
            Value::Resident(bytes) => return Ok(Some(Content::Resident(bytes.clone()))),
            Value::Mapped(mapped) => mapped,
        };
        let mut runs = Runs::default();
        let mut add = |attribute: &Attribute| match &attribute.value {
            Value::Mapped(mapped) if mapped.first == runs.end() => runs.add(&mapped.pairs, self.geometry.clusters),
            _ => Err("the parts of a run list do not follow each other".to_owned()),
        };
        add(&first).map_err(|what| damaged(number, what))?;
        for line in file.list.iter().flatten().filter(|line| line.kind == kind && line.name == name && line.first > 0) {
            add(&*self.held(file, line)?).map_err(|what| damaged(number, what))?;
        }
        if head.size > runs.end().saturating_mul(self.geometry.cluster) {
            let end = runs.end().saturating_mul(self.geometry.cluster);
            return Err(damaged(number, format_args!("a stream of {} bytes, of which {end} are mapped", head.size)));
        }
        Ok(Some(Content::Stream(self.stream(runs, head.size, head.initialized))))
    }
}

impl Deref for Held {
    type Target = Attribute;

    fn deref(&self) -> &Attribute {
        // The place was found in this very record, which does not change.
        static NONE: Attribute = Attribute { kind: 0, id: 0, name: vec![], flags: 0, value: Value::Resident(vec![]) };
        self.file.record.attributes.get(self.place).unwrap_or(&NONE)
    }
}

impl Content {
    /// The same as bytes.
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Resident(bytes) => Arc::new(crate::bytes::Memory(bytes)),
            Self::Stream(stream) => Arc::new(stream),
        }
    }

    /// The whole content, if it is no longer than `limit`.
    pub(super) fn whole(self, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match self {
            Self::Resident(bytes) => Ok(Some(bytes)),
            Self::Stream(stream) if stream.size > limit => Ok(None),
            Self::Stream(stream) => Ok(Some(read_vec(&stream, 0, int_usize(stream.size()))?)),
        }
    }
}

/// Reads record 0, or its copy.
fn first_record(volume: &Bytes, geometry: &Geometry, at: u64) -> Result<Record, Error> {
    Record::parse(0, read_vec(volume, at, int_usize(geometry.record))?).map_err(|what| damaged(0, what))
}

/// The lines of a list of attributes.
fn lines(mut bytes: &[u8]) -> Option<Vec<Listed>> {
    let mut lines = Vec::new();
    // A line takes 26 bytes or more, so the loop ends. What is left over is padding.
    while bytes.len() >= 26 {
        let line = part(bytes, 0, len16(bytes, 4).filter(|length| *length >= 26)?)?;
        let name = part(line, usize::from(byte(line, 7)?), usize::from(byte(line, 6)?).saturating_mul(2))?;
        lines.push(Listed {
            kind: le32(line, 0)?,
            name: units(name),
            first: le64(line, 8)?,
            record: number_of(le64(line, 16)?),
            id: le16(line, 24)?,
        });
        bytes = bytes.get(line.len()..)?;
    }
    Some(lines)
}
