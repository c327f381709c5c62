//! Reads that fail while a template is planned and made of a guest, in process: it is refused, or it is the one that is made when all goes
//! well.

use crate::full::full;
use crate::fuzzing::{Dice, Kind};
use crate::guests;
use crate::support::{footer, seal};
use crate::within::{Failing, Fault};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use vhdkit::bytes::{Bytes, Memory, ReadAt, ReadError};
use vhdkit::container::{ParentSearch, Source};
use vhdkit::facts::OsFamily;
use vhdkit::generalize::{self, System, Wishes};
use vhdkit::inspect::{self, Options};
use vhdkit::prepare::Changed;
use vhdkit::trim;

/// What is written over a disk, and what is left out of it.
#[derive(Debug, PartialEq, Eq)]
struct Template {
    patches: Vec<(u64, Vec<u8>)>,
    holes: Vec<Range<u64>>,
}

/// Plans, makes and trims; the reason where it is refused. The second answer is how many reads there were before the plan.
fn make(file: &Arc<Failing>, path: &Path) -> (Result<Template, String>, u64) {
    let mut inspecting = 0;
    let made = (|| {
        let bytes: Bytes = file.clone();
        let search = ParentSearch::default();
        let source = Source { file: &bytes, path, search: &search };
        let inspected = inspect::disk(&source, Options::default()).map_err(|error| error.to_string())?;
        inspecting = file.reads.load(Ordering::SeqCst);
        let inside = inspected.inside.as_ref().ok_or("no disk")?;
        let disk = inspected.container.disk.as_ref().map_err(|error| error.to_string())?;
        let guest = inside.guests.iter().find(|guest| guest.family == OsFamily::Linux).ok_or("no guest")?;
        let os = inspected.facts.os.value().ok_or("no system")?;
        let operations = generalize::OPERATIONS.iter().map(|one| one.name.to_owned()).collect();
        let wishes = Wishes { operations, remove: ["azureuser".to_owned()].into(), ..Wishes::default() };
        let system = System::new(&guest.tree, os, &wishes).ok_or("no Linux")?.with_disk(&inspected.facts);
        let planned = generalize::plan(&system).map_err(|error| format!("{error:?}"))?;
        let mut applied = generalize::apply(&planned, &guest.tree, &inside.regions).map_err(|error| error.to_string())?;
        let patches = applied.patches.remove(&0).unwrap_or_default();
        let over = Changed { patches: patches.clone(), ..Changed::default() }.over(disk.clone()).map_err(|error| error.to_string())?;
        let found = trim::find(&applied.regions, std::slice::from_ref(&over)).map_err(|error| error.to_string())?;
        let holes = found.iter().flat_map(|one| one.free.iter().flatten().map(|(_, range)| range.clone())).collect();
        Ok(Template { patches, holes })
    })();
    (made, inspecting)
}

/// The bytes of a guest, fast to read.
#[derive(Debug)]
struct Pages(BTreeMap<u64, Memory>, u64);

const PAGE: u64 = 1 << 20;

impl ReadAt for Pages {
    fn size(&self) -> u64 {
        self.1
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        vhdkit::bytes::check_bounds(offset, buf.len(), self.1)?;
        let (mut at, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let within = at % PAGE;
            let (now, later) = rest.split_at_mut(rest.len().min((PAGE - within) as usize));
            match self.0.get(&(at / PAGE)) {
                Some(page) => page.read_at(within, now)?,
                None => now.fill(0),
            }
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

#[test]
fn a_template_of_what_cannot_be_read_is_not_made() {
    for Kind { name, mut image, path, .. } in guests::kinds() {
        // A VHD, since a raw disk is searched for lost footers, which takes its time.
        let mut footer = footer(image.size, 2, u64::MAX);
        seal(&mut footer, 64);
        let end = image.size;
        image.size += 512;
        image.put(end, &footer);
        let mut pages: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for (number, sector) in &image.sectors {
            let at = number * 512;
            let page = pages.entry(at / PAGE).or_insert_with(|| vec![0; PAGE as usize]);
            page[(at % PAGE) as usize..][..512].copy_from_slice(sector);
        }
        let bytes: Bytes = Arc::new(Pages(pages.into_iter().map(|(place, page)| (place, Memory(page))).collect(), image.size));
        let counting = Failing::new(&bytes, Fault::None);
        let (healthy, inspecting) = make(&counting, &path);
        let reads = counting.reads.load(Ordering::SeqCst);
        if let Err(why) = &healthy {
            eprintln!("{name}: no template is made of it: {why}");
            continue;
        }
        let started = Instant::now();
        let mut dice = Dice(reads);
        let (mut refused, mut tried) = (0, 0);
        let all: Vec<u64> = (inspecting..reads).collect();
        let some: Vec<u64> = if full() { all } else { (0..6).map(|_| dice.pick(&all)).collect() };
        for n in some {
            for fault in [Fault::Nth(n), Fault::From(n)] {
                tried += 1;
                match make(&Failing::new(&bytes, fault.clone()), &path).0 {
                    Err(error) => {
                        assert!(crate::truth::tells_of_a_fault(&error), "{name}: {fault:?}: {error}");
                        refused += 1;
                    }
                    made => assert!(made == healthy, "{name}: {fault:?}: another template"),
                }
            }
        }
        eprintln!(
            "{name:16} {} reads behind the inspection, {tried} faults, {refused} refused, {:?}",
            reads - inspecting,
            started.elapsed()
        );
    }
}
