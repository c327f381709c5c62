//! What refuses, and where changed bytes come to lie. Real changes are made in the oracle tests, where the peers check them.

use super::*;
use crate::bytes::{Memory, Zeros};
use crate::fs::NodeId;
use crate::fs::testing::MemoryFileSystem;
use crate::fs::testing::memory;
use crate::generalize::Draft;
use crate::inspect::{Place, Stretch};

fn region(number: u32, fs: Option<Arc<dyn FileSystem>>, lies: Vec<Stretch>) -> Region {
    Region {
        disk: 0,
        place: Place::Partition(number),
        bytes: Arc::new(Zeros(1 << 20)),
        content: None,
        partition_type: None,
        partition_uuid: None,
        partition_name: None,
        mapper_uuid: None,
        lies,
        fs: fs.map(Ok),
    }
}

fn stretch(from: u64, disk: usize, at: Range<u64>) -> Stretch {
    Stretch { from, disk, at }
}

/// An editor that does nothing, or what a test wants of it.
#[derive(Debug)]
struct Idle(Option<fs::Error>);

impl Editor for Idle {
    fn write(&mut self, _file: NodeId, _content: &[u8]) -> Result<(), fs::Error> {
        self.0.clone().map_or(Ok(()), Err)
    }

    fn remove(&mut self, _directory: NodeId, _name: &[u8]) -> Result<(), fs::Error> {
        Ok(())
    }

    fn create(&mut self, _directory: NodeId, _name: &[u8], _new: &NewFile<'_>) -> Result<NodeId, fs::Error> {
        Ok(NodeId(0))
    }

    fn finish(self: Box<Self>) -> Result<(), fs::Error> {
        Ok(())
    }
}

fn run(open: Open, given: bool) -> Result<Applied, CannotApply> {
    run_over(Arc::new(Zeros(1 << 20)), open, given)
}

fn run_over(bytes: Bytes, open: Open, given: bool) -> Result<Applied, CannotApply> {
    let fs: Arc<dyn FileSystem> = Arc::new(memory(false, &[("/etc/machine-id", "x")]));
    let tree = Tree::new("partition 1", fs.clone(), NodeId(0));
    let mut draft = Draft::new(&tree);
    assert!(draft.truncate("/etc/machine-id", "because").unwrap());
    let own = Region { bytes, ..region(1, Some(fs), vec![stretch(0, 0, 0..1 << 20)]) };
    let regions: Vec<Region> = given.then_some(own).into_iter().collect();
    apply_with(&draft.finish(), &tree, &regions, open)
}

#[test]
fn what_cannot_be_done_is_told() {
    let said = |open, given| run(open, given).unwrap_err().to_string();
    let unknown = said(|_, _| None, false);
    assert_eq!(unknown, "partition 1 (memory) cannot be changed offline: it is not on the disks given; give them together");
    assert!(said(|_, _| None, true).starts_with("partition 1 (memory) cannot be changed offline: files on memory are read, not written; "));
    let refused = said(|_, _| Some(Err(fs::Error::Unsupported("bigalloc".to_owned()))), true);
    assert_eq!(refused, "partition 1 (memory) cannot be changed offline: not supported: bigalloc");
    let full = said(|_, _| Some(Ok(Box::new(Idle(Some(fs::Error::Full("no block".to_owned())))))), true);
    assert_eq!(full, "partition 1 (memory): no room: /etc/machine-id: no block");
    let idle = said(|_, _| Some(Ok(Box::new(Idle(None)))), true);
    assert!(idle.contains("reads back otherwise than planned"), "{idle}");
}

/// A writer and a reader may say whatever they like of it.
#[test]
fn a_host_that_fails_is_no_file_system_that_cannot_be_changed() {
    #[derive(Debug)]
    struct Failing;
    impl crate::bytes::ReadAt for Failing {
        fn size(&self) -> u64 {
            1 << 20
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), crate::bytes::ReadError> {
            Err(crate::bytes::ReadError::host(offset, buf.len(), std::io::Error::from_raw_os_error(5)))
        }
    }
    let open: Open = |_, scratch| {
        crate::bytes::ReadAt::read_at(&*scratch, 0, &mut [0; 512]).unwrap_err();
        Some(Err(fs::Error::Damaged("the superblock makes no sense".to_owned())))
    };
    let failed = run_over(Arc::new(Failing), open, true).unwrap_err();
    assert!(matches!(failed, CannotApply::Host { .. }), "{failed}");
    assert!(
        failed.to_string().starts_with("partition 1 (memory) cannot be read: cannot read ") && failed.to_string().contains("os error 5")
    );
}

#[test]
fn without_changes_nothing_is_opened() {
    let fs: Arc<dyn FileSystem> = Arc::new(memory(false, &[("/x", "y")]));
    let tree = Tree::new("partition 1", fs.clone(), NodeId(0));
    let open: Open = |_, _| panic!("opened");
    let applied = apply_with(&Planned::default(), &tree, &[region(1, Some(fs), vec![])], open).unwrap();
    assert_eq!((applied.regions.len(), applied.patches.len()), (1, 0));
}

#[test]
fn runs_come_to_lie_where_the_region_does() {
    let fs = || -> Option<Arc<dyn FileSystem>> { Some(Arc::new(memory(false, &[]))) };
    // Out of order, over two disks.
    let volume = region(2, fs(), vec![stretch(8192, 1, 4096..12_288), stretch(0, 0, 1_000_000..1_008_192)]);
    let holder = region(1, None, vec![stretch(0, 0, 900_000..2_000_000)]);
    let regions = [holder, volume.clone()];
    let mut patches = BTreeMap::new();
    let runs = vec![(4096, vec![7; 8192]), (0, vec![1; 10])];
    place::lay(&runs, &volume, 1, &regions, &mut patches).unwrap();
    place::order(&mut patches).unwrap();
    let expected = [(0, vec![(1_000_000, vec![1; 10]), (1_004_096, vec![7; 4096])]), (1, vec![(4096, vec![7; 4096])])];
    assert_eq!(patches, BTreeMap::from(expected));
    // Behind the last stretch, and nowhere at all.
    let mut none = BTreeMap::new();
    assert!(place::lay(&vec![(16_383, vec![1, 2])], &volume, 1, &regions, &mut none).unwrap_err().contains("byte 16384 "));
    let lost = region(2, fs(), vec![]);
    assert!(place::lay(&runs, &lost, 1, &regions, &mut none).unwrap_err().contains("is not known"));
    // Another file system over the same bytes.
    let other = region(3, fs(), vec![stretch(0, 0, 1_008_191..1_100_000)]);
    let both = [volume.clone(), other];
    place::lay(&vec![(0, vec![1; 10])], &volume, 0, &both, &mut none).unwrap();
    assert_eq!(place::lay(&runs, &volume, 0, &both, &mut none).unwrap_err(), "it shares bytes of the disk with partition 3");
    let mut twice = BTreeMap::from([(3, vec![(5, vec![1; 3]), (0, vec![1; 6])])]);
    assert_eq!(place::order(&mut twice), Err(3));
}

#[test]
fn another_superblock_is_another_file_system() {
    let region = region(1, None, vec![]);
    let mut swap = vec![0; 1 << 20];
    swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
    swap[1024] = 1;
    swap[1028..1032].copy_from_slice(&255_u32.to_le_bytes());
    let swap: Bytes = Arc::new(Memory(swap));
    assert!(fs::identify(&*swap).unwrap().is_some());
    assert!(identity(&region, &swap).is_err());
    assert!(identity(&region, &region.bytes).is_ok());
}

#[test]
fn names_go_in_the_order_of_their_directory() {
    let mut fs = MemoryFileSystem::new(false);
    for path in ["/d/c/x", "/d/a", "/d/b", "/e"] {
        fs.add(path, crate::fs::testing::Item::File(vec![]), 0o644, 0);
    }
    let id = |path: &[&str]| path.iter().fold(NodeId(0), |at, name| fs.lookup(at, name.as_bytes()).unwrap().unwrap());
    let unlink = |directory: &[&str], name: &str| {
        let node = fs.lookup(id(directory), name.as_bytes()).unwrap().unwrap();
        let kind = fs.node(node).unwrap().kind;
        Unlink { mount: 0, directory: id(directory), name: name.into(), node, kind, path: vec![] }
    };
    let planned =
        [unlink(&["d"], "b"), unlink(&[], "e"), unlink(&["d", "c"], "x"), unlink(&["d"], "c"), unlink(&["d"], "a"), unlink(&[], "d")];
    let share = Share { unlinks: planned.iter().collect(), writes: vec![], creates: vec![] };
    let order: Vec<&[u8]> = share.in_order(&fs).unwrap().into_iter().map(|one| one.name.as_slice()).collect();
    let place = |name: &[u8]| order.iter().position(|one| *one == name).unwrap();
    assert_eq!(order.len(), planned.len());
    assert!(place(b"a") < place(b"b") && place(b"x") < place(b"c") && place(b"c") < place(b"d") && place(b"b") < place(b"d"), "{order:?}");
}
