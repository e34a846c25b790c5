//! The schema: is every table, policy, key, grant and function as it was declared?

use super::facts::Facts;
use super::{Examination, Verdict};
use crate::catalog::Section;

pub(super) const ALL: &[Examination] = &[
    Examination { name: "schema.tables", judge: |facts| of(facts, Section::Tables) },
    Examination { name: "schema.policies", judge: |facts| of(facts, Section::Policies) },
    Examination { name: "schema.columns", judge: |facts| of(facts, Section::Columns) },
    Examination { name: "schema.keys", judge: |facts| of(facts, Section::Keys) },
    Examination { name: "schema.foreign_keys", judge: foreign_keys },
    Examination { name: "schema.grants", judge: |facts| of(facts, Section::Grants) },
    Examination { name: "schema.functions", judge: |facts| of(facts, Section::Functions) },
    Examination { name: "schema.search", judge: |facts| of(facts, Section::Search) },
];

fn of(facts: &Facts<'_>, section: Section) -> Verdict {
    match &facts.findings {
        Err(reason) => Verdict::Skipped(reason.clone()),
        Ok(findings) => {
            let found: Vec<_> = findings.iter().filter(|finding| finding.section == section).collect();
            let problems: Vec<_> =
                found.iter().map(|finding| format!("{}: {}", finding.object, finding.problem)).collect();
            Verdict::of(&problems, found.first().map_or("", |finding| finding.mend))
        }
    }
}

fn foreign_keys(facts: &Facts<'_>) -> Verdict {
    match &facts.server {
        Err(reason) => Verdict::Skipped(reason.clone()),
        Ok(seer) => {
            let problems: Vec<_> = seer.unindexed.iter().map(|key| format!("{key} has no index")).collect();
            Verdict::of(&problems, "create an index that begins with the key's columns, concurrently")
        }
    }
}
