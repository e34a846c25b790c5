//! Migrations: does the database have the files that this program was built with?

use super::facts::{Facts, Ledger};
use super::{Examination, Verdict};

pub(super) const ALL: &[Examination] = &[
    Examination { name: "migration.pending", judge: pending },
    Examination { name: "migration.changed", judge: changed },
    Examination { name: "migration.unknown", judge: unknown },
    Examination { name: "migration.failed", judge: failed },
    Examination { name: "migration.direct", judge: direct },
];

fn each(facts: &Facts<'_>, problems: fn(&Ledger) -> Vec<String>, mend: &str) -> Verdict {
    match &facts.ledgers {
        Err(reason) => Verdict::Skipped(reason.clone()),
        Ok(ledgers) => Verdict::of(&ledgers.iter().flat_map(problems).collect::<Vec<_>>(), mend),
    }
}

fn pending(facts: &Facts<'_>) -> Verdict {
    let problems = |ledger: &Ledger| {
        let missing = ledger
            .files
            .iter()
            .filter(|(version, _)| ledger.applied.iter().all(|applied| applied.version != *version));
        missing.map(|(version, _)| format!("{} {version:04} has not run", ledger.schema)).collect()
    };
    each(facts, problems, "run the migrations before the new version serves")
}

fn changed(facts: &Facts<'_>) -> Verdict {
    let problems = |ledger: &Ledger| {
        let differing = ledger.applied.iter().filter(|applied| {
            ledger
                .files
                .iter()
                .any(|(version, checksum)| *version == applied.version && *checksum != applied.checksum)
        });
        differing
            .map(|applied| format!("{} {:04} was another file", ledger.schema, applied.version))
            .collect()
    };
    each(facts, problems, "restore the file as it was, and put the change into a new one")
}

fn unknown(facts: &Facts<'_>) -> Verdict {
    let problems = |ledger: &Ledger| {
        let newer = ledger
            .applied
            .iter()
            .filter(|applied| ledger.files.iter().all(|(version, _)| *version != applied.version));
        newer
            .map(|applied| format!("{} {:04} is not of this program", ledger.schema, applied.version))
            .collect()
    };
    each(facts, problems, "a newer version has migrated: deploy that one, or restore a backup from before")
}

fn failed(facts: &Facts<'_>) -> Verdict {
    let problems = |ledger: &Ledger| {
        let broken = ledger.applied.iter().filter(|applied| !applied.success);
        broken.map(|applied| format!("{} {:04} stopped half-way", ledger.schema, applied.version)).collect()
    };
    each(facts, problems, "undo what it did, delete its row from the ledger, and run it again")
}

fn direct(facts: &Facts<'_>) -> Verdict {
    match facts.migrates_pooled {
        None => Verdict::Skipped("the login that migrates was not given".to_owned()),
        Some(false) => Verdict::Sound,
        Some(true) => Verdict::fault(
            "migrations go through a pooler, where two of them may run at once",
            "give them a URL that leads to the server itself",
        ),
    }
}
