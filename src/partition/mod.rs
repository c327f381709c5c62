//! Regions of a disk.
