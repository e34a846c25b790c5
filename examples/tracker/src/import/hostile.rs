//! What holds of files of issues, whatever is in them.

use bytes::Bytes;
use csv::Writer;
use kernel_core::http::BodyFile;
use tokio::runtime::Builder;

use super::People;
use super::problem::Problems;
use super::row::{Row, Rows};

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
    let runtime = Builder::new_current_thread().build().expect("a runtime needs nothing");
    let file = BodyFile::from(Bytes::copy_from_slice(data));
    let lines = data.split(|byte| *byte == b'\n').count();
    runtime.block_on(rows(&file, lines))
}

async fn rows(file: &BodyFile, lines: usize) -> (Vec<Row>, Problems) {
    let (mut good, mut problems) = (Vec::new(), Problems::default());
    // The first line may be refused for what it names.
    let Ok(mut rows) = Rows::of(file).await else { return (good, problems) };
    let mut last = 0;
    while let Some(line) = rows.next().await.expect("bytes in memory can be read") {
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
