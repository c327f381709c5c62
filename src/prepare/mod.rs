//! Writing the files that are ready.
