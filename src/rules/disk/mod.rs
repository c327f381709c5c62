//! Rules about disk.
