//! Reports that are told disk by disk: text and lines of JSON, to standard output and to files. The other forms wait for all disks.

use super::args::{CheckFormat, Common, ReportFile};
use super::disks::shown;
use super::output::{self, Document, Wanted};
use crate::bytes::host::directory;
use crate::prepare::staged::Staged;
use crate::report::Look;
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader, Write};

/// The reports of a run.
#[derive(Debug)]
pub(super) struct Streams {
    /// Those that grow.
    growing: Vec<Growing>,
    /// What went wrong with files; the other reports are written all the same.
    failed: Vec<String>,
    /// Why standard output takes nothing more, where reports go on into files.
    closed: Option<anyhow::Error>,
    in_file: Look,
    on_screen: Look,
    /// Those that are made at the end.
    format: Option<CheckFormat>,
    files: Vec<ReportFile>,
}

/// One report that grows.
#[derive(Debug)]
struct Growing {
    format: CheckFormat,
    /// `None` for standard output.
    file: Option<(ReportFile, Staged)>,
    begun: bool,
    /// Of what was written.
    digest: Sha256,
}

fn grows(format: CheckFormat) -> bool {
    matches!(format, CheckFormat::Text | CheckFormat::Jsonl)
}

impl Streams {
    pub(super) fn new(common: &Common, format: CheckFormat, files: &[ReportFile]) -> Self {
        let silent = format == CheckFormat::Text && common.quiet;
        let (mut growing, mut failed) = (Vec::new(), Vec::new());
        for file in files.iter().filter(|file| grows(file.format)) {
            match Staged::new(directory(&file.path), true) {
                Ok(staged) => {
                    growing.push(Growing { format: file.format, file: Some((file.clone(), staged)), begun: false, digest: Sha256::new() })
                }
                Err(error) => failed.push(format!("cannot write the report '{}': {error}", shown(&file.path))),
            }
        }
        if grows(format) && !silent {
            growing.push(Growing { format, file: None, begun: false, digest: Sha256::new() });
        }
        Self {
            growing,
            failed,
            closed: None,
            in_file: output::in_file(common),
            on_screen: output::look(common),
            format: (!grows(format)).then_some(format),
            files: files.iter().filter(|file| !grows(file.format)).cloned().collect(),
        }
    }

    /// Whether something must be kept of every disk until the end.
    pub(super) fn keeps(&self) -> bool {
        self.format.is_some() || !self.files.is_empty()
    }

    /// Whether lines of JSON are among what grows. Making one takes about as long as judging a small disk, so that whoever does that makes
    /// it as well, on a thread of its own.
    pub(super) fn wants_lines(&self) -> bool {
        self.growing.iter().any(|one| one.format == CheckFormat::Jsonl)
    }

    /// Tells the next piece: of a disk, or the words at the end.
    ///
    /// # Errors
    ///
    /// When nobody reads any more, on standard output or in a file.
    pub(super) fn tell(&mut self, make: impl Fn(Wanted<'_>) -> anyhow::Result<String>) -> anyhow::Result<()> {
        let mut place = 0;
        while let Some(one) = self.growing.get_mut(place) {
            let look = if one.file.is_some() { &self.in_file } else { &self.on_screen };
            let mut piece = make(Wanted::new(one.format, look))?;
            if one.begun && one.format == CheckFormat::Text && !piece.is_empty() {
                piece.insert(0, '\n');
            }
            one.begun |= !piece.is_empty();
            let written = match &one.file {
                None => output::print(&piece),
                Some((file, staged)) => {
                    one.digest.update(piece.as_bytes());
                    let written = staged.file().write_all(piece.as_bytes());
                    written.with_context(|| format!("cannot write the report '{}'", shown(&file.path)))
                }
            };
            let Err(error) = written else {
                place = place.saturating_add(1);
                continue;
            };
            match self.growing.remove(place).file {
                Some(_) => self.failed.push(format!("{error:#}")),
                None => self.closed = Some(error),
            }
        }
        // Files are written whoever reads along.
        if self.growing.is_empty() && !self.keeps() {
            self.closed.take().map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// Gives the files their names, and makes the reports that waited for all disks: all of them, or those that tell more than disks.
    ///
    /// # Errors
    ///
    /// All that went wrong.
    pub(super) fn finish(mut self, all: bool, make: impl Fn(Wanted<'_>) -> anyhow::Result<Document>) -> anyhow::Result<()> {
        for one in self.growing {
            if let (Some((file, staged)), true) = (one.file, one.begun)
                && let Err(error) = publish(&file, staged, one.digest)
            {
                self.failed.push(format!("cannot write the report '{}': {error}", shown(&file.path)));
            }
        }
        let tells = |format: CheckFormat| all || matches!(format, CheckFormat::Sarif | CheckFormat::Junit);
        self.files.retain(|file| tells(file.format));
        let made = output::documents(self.format.filter(|format| tells(*format)), &self.files, &self.in_file, &self.on_screen, make);
        self.failed.extend(made.as_ref().err().filter(|_| !self.failed.is_empty()).map(|error| format!("{error:#}")));
        anyhow::ensure!(self.failed.is_empty(), "{}", self.failed.join("; "));
        made?;
        self.closed.map_or(Ok(()), Err)
    }
}

/// Gives a file its name once it was read again.
fn publish(file: &ReportFile, staged: Staged, digest: Sha256) -> io::Result<()> {
    let name = file.path.file_name().unwrap_or_default();
    let (good, ()) = staged.seal()?.verify(|file| {
        let (mut reader, mut read) = (BufReader::new(file), Sha256::new());
        loop {
            let piece = reader.fill_buf()?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            read.update(piece);
            reader.consume(length);
        }
        if read.finalize() == digest.finalize() { Ok(()) } else { Err(io::Error::other("what was written reads back differently")) }
    })?;
    good.publish(directory(&file.path), name).map(drop)
}
