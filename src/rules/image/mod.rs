//! Rules about image.
