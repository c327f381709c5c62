//! Rules about starting a Linux: kernels, drivers, initial ramdisks, boot loaders, the kernel command line.

use crate::rules::{Advice, Rule};

/// The rules of this folder.
pub(in crate::rules) static RULES: &[&Rule] = &[];

/// Rows of the catalogue beside them that no rule checks.
pub(in crate::rules) static ADVICE: &[Advice] = &[];
