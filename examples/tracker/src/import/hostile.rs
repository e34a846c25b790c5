//! What holds of files of issues, whatever is in them.

use csv::Writer;

use super::People;
use super::problem::Problems;
use super::row::{Row, Rows};
use crate::error::Error;

/// Every row keeps the rules of an issue, every line is in the file, and what was read can be written and read again.
pub(crate) fn file(data: &[u8]) {
    let (rows, problems) = read(data);
    let told = problems.fields().len();
    assert!(told <= 100 && told <= problems.count());
    if rows.is_empty() {
        return;
    }
    let mut table = Writer::from_writer(Vec::new());
    let lines = rows
        .iter()
        .map(|row| [row.title.as_str(), row.body.as_str(), row.status.name(), row.priority.name()]);
    for line in std::iter::once(["title", "body", "status", "priority"]).chain(lines) {
        table.write_record(line).expect("memory takes it");
    }
    let (again, problems) = read(&table.into_inner().expect("memory takes it"));
    assert!(problems.is_empty(), "{problems:?}");
    let said = |rows: &[Row]| {
        rows.iter()
            .map(|row| (row.title.clone(), row.body.clone(), row.status, row.priority))
            .collect::<Vec<_>>()
    };
    assert_eq!(said(&rows), said(&again));
}

fn read(data: &[u8]) -> (Vec<Row>, Problems) {
    let (mut good, mut problems) = (Vec::new(), Problems::default());
    let mut rows = match Rows::of(data) {
        Ok(rows) => rows,
        Err(Error::ImportRefused(problems)) => return (good, problems),
        Err(_) => return (good, problems),
    };
    let lines = data.split(|byte| *byte == b'\n').count();
    let mut last = 0;
    while let Some(line) = rows.next().expect("bytes in memory can be read") {
        let number = line.number();
        assert!(
            number >= last && usize::try_from(number).is_ok_and(|number| number <= lines),
            "line {number}"
        );
        last = number;
        let Some(row) = line.read(&People::new(), &mut problems) else { continue };
        assert!((1..=120).contains(&row.title.chars().count()) && !row.title.trim().is_empty());
        assert!(row.body.chars().count() <= 20_000);
        assert!(![&row.title, &row.body].iter().any(|text| text.contains('\0')));
        assert!(row.assignee.is_none(), "nobody is known");
        good.push(row);
    }
    (good, problems)
}
