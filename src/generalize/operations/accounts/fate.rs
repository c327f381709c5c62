//! Who goes and who stays, found by name and by number: a guest may have ten thousand accounts, and every line of a database asks.

use crate::facts::UserFacts;
use crate::fs::{Error, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// The accounts of a guest, parted.
#[derive(Debug, Default)]
pub(super) struct Fate<'a> {
    /// Those that go, in the order of their file.
    pub(super) gone: Vec<&'a UserFacts>,
    /// Names of those, with the group of each account that has the name.
    names: BTreeMap<&'a [u8], Vec<u32>>,
    numbers: BTreeSet<u32>,
    /// Numbers and groups of those that stay.
    left_numbers: BTreeSet<u32>,
    left_groups: BTreeSet<u32>,
    /// Homes of those that stay, by the names on the way there, with the first account of each.
    left_homes: BTreeMap<Vec<Vec<u8>>, &'a str>,
}

impl<'a> Fate<'a> {
    /// Parts accounts. Homes are looked up where anybody goes.
    ///
    /// # Errors
    ///
    /// When it cannot be told where a home is.
    pub(super) fn new(tree: &Tree, users: &'a [UserFacts], goes: impl Fn(&UserFacts) -> bool) -> Result<Self, Error> {
        let mut fate = Self::default();
        let (gone, left): (Vec<&UserFacts>, Vec<&UserFacts>) = users.iter().partition(|user| goes(user));
        for user in &gone {
            fate.names.entry(user.name.as_bytes()).or_default().push(user.gid);
            fate.numbers.insert(user.uid);
        }
        for user in left.iter().filter(|_| !gone.is_empty()) {
            fate.left_numbers.insert(user.uid);
            fate.left_groups.insert(user.gid);
            if user.home.starts_with('/')
                && let Some(home) = tree.find(&user.home)?
            {
                fate.left_homes.entry(home.names).or_insert(&user.name);
            }
        }
        fate.gone = gone;
        Ok(fate)
    }

    /// Whether the account of this name goes.
    pub(super) fn is_gone(&self, name: &[u8]) -> bool {
        self.names.contains_key(name)
    }

    /// Whether a number is free afterwards: one that another account has too stays that one's.
    pub(super) fn number_is_gone(&self, uid: u32) -> bool {
        self.numbers.contains(&uid) && !self.left_numbers.contains(&uid)
    }

    /// Whether a group is that of an account that goes, by name and number, and nobody's who stays.
    pub(super) fn is_own_group(&self, name: &[u8], gid: Option<u32>) -> bool {
        let own = |gid: &u32| self.names.get(name).is_some_and(|gids| gids.contains(gid));
        gid.is_some_and(|gid| own(&gid) && !self.left_groups.contains(&gid))
    }

    /// An account that stays and whose home is this directory, or lies in it.
    pub(super) fn lives_in(&self, directory: &[Vec<u8>]) -> Option<&'a str> {
        // In their order, what begins with a path follows it at once.
        let (home, name) = self.left_homes.range(directory.to_vec()..).next()?;
        home.starts_with(directory).then_some(*name)
    }
}
