//! Volumes that ntfs-3g mounts.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A volume under ntfs-3g until it is dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    /// Where it is mounted.
    pub(crate) at: PathBuf,
    driver: Child,
}

impl Mounted {
    /// Mounts an image; `None`, told loudly, where this host lets nobody.
    pub(crate) fn new(image: &Path, at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let outside = fs::metadata(at).unwrap().dev();
        let options = format!("no_detach,{options}");
        let output = (Stdio::null(), Stdio::null(), Stdio::piped());
        let mut command = Command::new("ntfs-3g");
        command.args([utf8(image), utf8(at), "-o", &options]).stdin(output.0).stdout(output.1).stderr(output.2);
        let mut mounted = Self { at: at.to_owned(), driver: command.spawn().unwrap() };
        loop {
            if fs::metadata(at).is_ok_and(|meta| meta.dev() != outside) {
                return Some(mounted);
            }
            if mounted.driver.try_wait().unwrap().is_some() {
                let mut words = String::new();
                mounted.driver.stderr.take().unwrap().read_to_string(&mut words).unwrap();
                eprintln!("SKIPPED: ntfs-3g cannot mount here: {}", words.trim());
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.driver.try_wait().unwrap().is_some() {
            return;
        }
        let unmount = |(tool, option): (&str, &[&str])| {
            Command::new(tool).args(option).arg(&self.at).output().is_ok_and(|output| output.status.success())
        };
        let tools: [(&str, &[&str]); 3] = [("umount", &[]), ("fusermount", &["-u"]), ("fusermount3", &["-u"])];
        assert!(tools.into_iter().any(unmount), "cannot unmount {}", self.at.display());
        // The driver writes the last of it after the mount has gone.
        self.driver.wait().unwrap();
    }
}
