//! Rules about boot.
