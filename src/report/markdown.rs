//! For pages: tables in Markdown.

use crate::generalize::Operation;
use crate::rules::{Profile, Rule};

/// `rules`: one row each.
#[must_use]
pub fn rules(rules: &[&Rule]) -> String {
    let mut out =
        String::from("| code | name | azure / marketplace | applies to | requirement | what it demands |\n|---|---|---|---|---|---|\n");
    for rule in rules {
        let azure = if rule.profile == Profile::Azure { rule.severity.to_string() } else { "–".to_owned() };
        let marketplace = rule.severity_in(Profile::Marketplace).to_string();
        let severity = if azure == marketplace { azure } else { format!("{azure} / {marketplace}") };
        let rows: Vec<&str> = rule.rows().collect();
        let cells = [rule.code, rule.name, &severity, rule.applies_to, &rows.join(", "), rule.summary].map(cell);
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

/// `generalize --list-operations`: one row each.
#[must_use]
pub fn operations(operations: &[&Operation]) -> String {
    let mut out = String::from("| operation | by default | requirement | what it does |\n|---|---|---|---|\n");
    for one in operations {
        let default = if one.default { "yes" } else { "no" };
        out.push_str(&format!("| {} |\n", [one.name, default, one.requirement, one.summary].map(cell).join(" | ")));
    }
    out
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn every_operation_has_its_row() {
        use crate::generalize::OPERATIONS;
        let table = operations(OPERATIONS);
        assert_eq!(table.lines().count(), OPERATIONS.len() + 2);
        assert!(table.lines().all(|line| line.replace("\\|", "").matches('|').count() == 5), "{table}");
        assert!(table.contains("\n| machine-id | yes | LG-06 | "), "{table}");
    }

    #[test]
    fn every_row_has_its_cells() {
        let table = rules(&RULES);
        assert_eq!(table.lines().count(), RULES.len() + 2);
        for line in table.lines() {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 7, "{line}");
        }
        assert!(table.contains("\n| VHD003 | size-not-whole-mib | error | "), "{table}");
    }
}
