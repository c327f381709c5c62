//! What somebody may have meant who wrote something else.

/// Names that are spelt nearly so, or that have the word in them.
pub(super) fn nearest(word: &str, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if !(3..=60).contains(&length) {
        return vec![];
    }
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let away = if length > 3 && lower.contains(&word) { 1 } else { distance(&word, &lower) };
            (away <= length / 3).then_some((away, name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().map(|(_, name)| name).take(5).collect()
}

/// Letters to put in, take out or change to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut next = vec![place.saturating_add(1)];
        for ((above, before), known) in row.iter().skip(1).zip(&row).zip(&other) {
            let changed = before.saturating_add(usize::from(letter != *known));
            let left = next.last().copied().unwrap_or_default();
            next.push(changed.min(above.saturating_add(1)).min(left.saturating_add(1)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    fn near(word: &str) -> Vec<&'static str> {
        nearest(word, RULES.iter().flat_map(|rule| [rule.code, rule.name]))
    }

    #[test]
    fn words_that_are_nearly_right() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!((distance("", "abc"), distance("abc", "")), (3, 3));
        assert!(near("size-not-whole-mb").contains(&"size-not-whole-mib"));
        assert!(near("VHD0003").contains(&"VHD003"));
        assert!(near("whole-mib").contains(&"size-not-whole-mib"));
        assert_eq!(near("xyzzy"), Vec::<&str>::new());
        assert_eq!(near(""), Vec::<&str>::new());
    }
}
