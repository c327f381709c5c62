//! How much of its matrix a test goes through.

/// Whether all of it: `VHDKIT_FULL` is set.
pub(crate) fn full() -> bool {
    std::env::var_os("VHDKIT_FULL").is_some_and(|value| !value.is_empty())
}

/// The rows that are named, or all of them.
pub(crate) fn rows<'t, T>(all: &'t [T], named: &'t [&str], name: impl Fn(&T) -> &str + 't) -> impl Iterator<Item = &'t T> {
    assert!(named.iter().all(|wanted| all.iter().any(|one| name(one) == *wanted)), "{named:?}");
    all.iter().filter(move |one| full() || named.contains(&name(one)))
}
