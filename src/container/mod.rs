//! A disk inside a file.
