//! The rows of a file, one at a time, by the columns of its first line.

use csv::{ByteRecord, Position, Reader, ReaderBuilder};
use garde::Validate;
use kernel_core::UserId;

use super::People;
use super::problem::Problems;
use crate::error::Error;
use crate::issue::{NewIssue, Priority, Status};

/// The columns that a file may have.
const COLUMNS: [&str; 5] = ["title", "body", "status", "priority", "assignee"];

/// What spreadsheets put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a row says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) status: Status,
    pub(super) priority: Priority,
    pub(super) assignee: Option<UserId>,
}

/// The rows that have not been read yet.
pub(super) struct Rows<'f> {
    file: &'f [u8],
    reader: Reader<&'f [u8]>,
    record: ByteRecord,
    /// The column of each field.
    columns: Vec<&'static str>,
    count: usize,
}

/// A row as the file has it.
#[derive(Debug)]
pub(super) struct Line<'r> {
    number: u64,
    record: &'r ByteRecord,
    columns: &'r [&'static str],
}

impl<'f> Rows<'f> {
    /// Reads the first line.
    pub(super) fn of(file: &'f [u8]) -> Result<Self, Error> {
        let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(file);
        let mut record = ByteRecord::new();
        let mut problems = Problems::default();
        if !read(&mut reader, &mut record)? {
            return Err(Error::ImportEmpty);
        }
        let mut columns = Vec::new();
        for field in &record {
            let name = String::from_utf8_lossy(field).trim().to_lowercase();
            match COLUMNS.into_iter().find(|column| *column == name) {
                Some(column) if columns.contains(&column) => {
                    problems.add(1, Some(&name), "field.duplicate");
                }
                Some(column) => columns.push(column),
                None => problems.add(1, Some(&name), "tracker.field.unknown_column"),
            }
        }
        if !columns.contains(&"title") {
            problems.add(1, Some("title"), "tracker.field.missing_column");
        }
        if !problems.is_empty() {
            return Err(Error::ImportRefused(problems));
        }
        Ok(Self { file, reader, record, columns, count: 0 })
    }

    /// The next row. Empty lines are none.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Error> {
        if !read(&mut self.reader, &mut self.record)? {
            return Ok(None);
        }
        self.count += 1;
        let number = self.record.position().map_or(0, |place| self.line(place));
        Ok(Some(Line { number, record: &self.record, columns: &self.columns }))
    }

    /// The line where a record begins. The reader tells where it began to look: the end of a line and empty lines may
    /// still be before it.
    fn line(&self, place: &Position) -> u64 {
        let rest = usize::try_from(place.byte()).ok().and_then(|byte| self.file.get(byte..));
        let skipped = rest.unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        place.line() + skipped.filter(|byte| **byte == b'\n').count() as u64
    }

    /// How many have been read.
    pub(super) fn count(&self) -> usize {
        self.count
    }
}

/// Bytes in memory can always be read, and of lines that differ in length none is refused here.
fn read(reader: &mut Reader<&[u8]>, record: &mut ByteRecord) -> Result<bool, Error> {
    reader.read_byte_record(record).map_err(|_| Error::ImportEmpty)
}

impl Line<'_> {
    #[cfg(feature = "testkit")]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn field(&self, column: &str) -> Option<&[u8]> {
        self.record.get(self.columns.iter().position(|name| *name == column)?)
    }

    /// The text of a column; nothing when it is not there or empty.
    fn text(&self, column: &str, problems: &mut Problems) -> Option<&str> {
        let text = std::str::from_utf8(self.field(column)?);
        if text.is_err() {
            problems.add(self.number, Some(column), "tracker.field.not_utf8");
        }
        text.ok().filter(|text| !text.is_empty())
    }

    /// Whom it names, if it can be read.
    pub(super) fn assignee(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.field("assignee")?).ok()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// What the row says; nothing when something is wrong with it, which is noted.
    pub(super) fn read(&self, people: &People, problems: &mut Problems) -> Option<Row> {
        let before = problems.count();
        if self.record.len() != self.columns.len() {
            problems.add(self.number, None, "tracker.field.wrong_count");
            return None;
        }
        let title = self.text("title", problems).unwrap_or_default();
        let blank = title.trim().is_empty();
        if blank {
            problems.add(self.number, Some("title"), "field.required");
        }
        let new = NewIssue {
            title: title.to_owned(),
            body: self.text("body", problems).unwrap_or_default().to_owned(),
            priority: self.choice("priority", "tracker.field.no_priority", problems),
            assignee: self.member(people, problems),
            labels: Vec::new(),
        };
        let status = self.choice("status", "tracker.field.no_status", problems);
        if let Err(report) = new.validate() {
            let broken = report.iter().map(|(path, error)| (path.to_string(), error));
            for (column, error) in broken.filter(|(column, _)| !(blank && column == "title")) {
                problems.add(self.number, Some(&column), error.message());
            }
        }
        let NewIssue { title, body, priority, assignee, .. } = new;
        (problems.count() == before).then_some(Row { title, body, status, priority, assignee })
    }

    /// One of a few words, in capitals or not; the usual one when nothing is said.
    fn choice<T: TryFrom<String> + Default>(&self, column: &str, why: &str, problems: &mut Problems) -> T {
        let Some(text) = self.text(column, problems) else { return T::default() };
        T::try_from(text.trim().to_lowercase()).unwrap_or_else(|_| {
            problems.add(self.number, Some(column), why);
            T::default()
        })
    }

    fn member(&self, people: &People, problems: &mut Problems) -> Option<UserId> {
        self.text("assignee", problems)?;
        let found = people.get(&self.assignee()?.to_lowercase()).copied();
        if found.is_none() {
            problems.add(self.number, Some("assignee"), "tracker.field.not_member");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(file: &[u8]) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        match Rows::of(file) {
            Ok(mut rows) => {
                while let Some(row) = rows.next().unwrap() {
                    row.read(&People::new(), &mut problems);
                }
            }
            Err(Error::ImportRefused(refused)) => problems = refused,
            Err(other) => return vec![(other.to_string(), String::new())],
        }
        problems.fields().into_iter().collect()
    }

    fn one(place: &str, why: &str) -> Vec<(String, String)> {
        vec![(place.to_owned(), why.to_owned())]
    }

    #[test]
    fn columns_come_in_any_order_and_lines_are_those_of_the_file() {
        let file = b"\xEF\xBB\xBFPriority,\"title\",body\r\nHIGH,First,\"two\r\nlines\"\r\n\r\n,Second,\r\n";
        let mut rows = Rows::of(file).unwrap();
        let first = rows.next().unwrap().unwrap();
        let row = first.read(&People::new(), &mut Problems::default()).unwrap();
        assert_eq!((row.title.as_str(), row.body.as_str()), ("First", "two\r\nlines"));
        assert_eq!((row.priority, row.status, first.number), (Priority::High, Status::Open, 2));
        let second = rows.next().unwrap().unwrap();
        assert_eq!(second.number, 5);
        let row = second.read(&People::new(), &mut Problems::default()).unwrap();
        assert_eq!((row.title.as_str(), row.priority), ("Second", Priority::None));
        assert!(rows.next().unwrap().is_none());
    }

    #[test]
    fn the_first_line_must_name_known_columns_once() {
        assert_eq!(
            problems(b"title,colour\nx,red\n"),
            one("lines[1].colour", "tracker.field.unknown_column")
        );
        assert_eq!(problems(b"title,Title\nx,y\n"), one("lines[1].title", "field.duplicate"));
        assert_eq!(problems(b"body\nx\n"), one("lines[1].title", "tracker.field.missing_column"));
        let nothing = Error::ImportEmpty.to_string();
        assert_eq!(problems(b""), one(&nothing, ""));
        assert_eq!(problems(b"\n\r\n"), one(&nothing, ""));
    }

    #[test]
    fn a_wrong_value_is_told_by_line_and_column() {
        for (line, place, why) in [
            (&b"x,shut,,"[..], "lines[2].status", "tracker.field.no_status"),
            (b"x,,very,", "lines[2].priority", "tracker.field.no_priority"),
            (b"x,,,nobody", "lines[2].assignee", "tracker.field.not_member"),
            (b"  ,,,", "lines[2].title", "field.required"),
            (b"a\0b,,,", "lines[2].title", "field.unprintable"),
            (b"\xFF,,,", "lines[2].title", "tracker.field.not_utf8"),
            (b"x,,,\xFF", "lines[2].assignee", "tracker.field.not_utf8"),
            (b"x,,", "lines[2]", "tracker.field.wrong_count"),
            (b"x,,,,", "lines[2]", "tracker.field.wrong_count"),
        ] {
            let file = [b"title,status,priority,assignee\n", line, b"\n"].concat();
            assert_eq!(problems(&file), one(place, why), "{}", String::from_utf8_lossy(line));
        }
        let long = format!("title\n{}\n", "x".repeat(121));
        assert_eq!(problems(long.as_bytes()), one("lines[2].title", "length is greater than 120"));
    }
}
