//! The rows of a file, one at a time, by the columns of its first line.
//!
//! A piece of the file and one row are all that is in memory, however long the file and whatever is in it.

use bytes::{Buf, Bytes};
use csv_core::{ReadRecordResult, Reader};
use kernel_core::UserId;
use kernel_core::http::BodyFile;
use kernel_core::rule::flaws;

use super::People;
use super::problem::Problems;
use crate::error::Error;
use crate::issue::{NewIssue, Priority, Status};

/// The columns that a file may have.
const COLUMNS: [&str; 5] = ["title", "body", "status", "priority", "assignee"];
/// How many fields of a row are kept; more are too many, whatever they hold.
const FIELDS_MAX: usize = 16;
/// How many bytes a row may have without its quotes: the longest title and body in UTF-8, and a little.
const ROW_MAX: usize = 128 * 1024;
/// After how many rows others are let run: a large file takes a while.
const BREATH: usize = 1000;

/// What spreadsheets put before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// What they put before one in UTF-16.
const OTHER_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// What a row says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) status: Status,
    pub(super) priority: Priority,
    pub(super) assignee: Option<UserId>,
}

impl Row {
    /// How many bytes its texts have.
    pub(super) fn weight(&self) -> usize {
        self.title.len() + self.body.len()
    }
}

/// The rows that have not been read yet.
pub(super) struct Rows<'f> {
    source: Source<'f>,
    reader: Reader,
    fields: Vec<u8>,
    ends: [usize; FIELDS_MAX],
    /// The column of each field.
    columns: Vec<&'static str>,
    count: usize,
}

/// What has been read of the file and not looked at, and in which line that is.
struct Source<'f> {
    file: &'f BodyFile,
    piece: Bytes,
    at: u64,
    line: u64,
}

/// A row as the file has it.
#[derive(Debug)]
pub(super) struct Line<'r> {
    number: u64,
    columns: &'r [&'static str],
    record: Result<Record<'r>, TooLong>,
}

#[derive(Debug, Clone, Copy)]
struct Record<'r> {
    fields: &'r [u8],
    ends: &'r [usize],
    /// There were more than can be kept.
    more: bool,
}

/// A row of more bytes than any issue has.
#[derive(Debug, Clone, Copy)]
struct TooLong;

impl Source<'_> {
    /// Reads on when everything has been looked at; whether there is anything.
    async fn fill(&mut self) -> Result<bool, kernel_core::Error> {
        if self.piece.is_empty() {
            self.piece = self.file.read(self.at).await?;
            self.at += self.piece.len() as u64;
        }
        Ok(!self.piece.is_empty())
    }

    fn advance(&mut self, by: usize) {
        self.line += self.piece.iter().take(by).filter(|byte| **byte == b'\n').count() as u64;
        self.piece.advance(by);
    }

    /// Goes on to the next line that is not empty; whether there is one.
    async fn next_line(&mut self) -> Result<bool, kernel_core::Error> {
        while self.fill().await? {
            let empty = self.piece.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.advance(empty);
            if !self.piece.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'f> Rows<'f> {
    /// Reads the first line.
    pub(super) async fn of(file: &'f BodyFile) -> Result<Self, kernel_core::Error> {
        let mut source = Source { file, piece: Bytes::new(), at: 0, line: 1 };
        let mut problems = Problems::default();
        if source.fill().await? {
            let mark = source.piece.starts_with(BYTE_ORDER_MARK);
            source.advance(if mark { BYTE_ORDER_MARK.len() } else { 0 });
            if OTHER_MARKS.iter().any(|mark| source.piece.starts_with(mark)) {
                problems.add(1, None, "tracker.field.not_utf8");
                return Err(Error::ImportRefused(problems).into());
            }
        }
        let (reader, fields) = (Reader::new(), vec![0; ROW_MAX]);
        let mut rows = Self { source, reader, fields, ends: [0; FIELDS_MAX], columns: Vec::new(), count: 0 };
        let Some(line) = rows.next().await? else { return Err(Error::ImportEmpty.into()) };
        let columns = line.names(&mut problems);
        if !problems.is_empty() {
            return Err(Error::ImportRefused(problems).into());
        }
        Ok(Self { columns, count: 0, ..rows })
    }

    /// The next row. Empty lines are none.
    pub(super) async fn next(&mut self) -> Result<Option<Line<'_>>, kernel_core::Error> {
        if !self.source.next_line().await? {
            return Ok(None);
        }
        let number = self.source.line;
        let (mut length, mut count, mut more, mut too_long) = (0, 0, false, false);
        loop {
            // At the end of the file the piece is empty, which tells the reader.
            self.source.fill().await?;
            let into = (&mut self.fields[length..], &mut self.ends[count..]);
            let (outcome, read, written, ended) = self.reader.read_record(&self.source.piece, into.0, into.1);
            self.source.advance(read);
            (length, count) = (length + written, count + ended);
            match outcome {
                ReadRecordResult::InputEmpty => {}
                // The rest is read all the same: behind it the next row begins.
                ReadRecordResult::OutputFull => (length, too_long) = (0, true),
                ReadRecordResult::OutputEndsFull => (count, more) = (0, true),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        self.count += 1;
        if self.count.is_multiple_of(BREATH) {
            tokio::task::yield_now().await;
        }
        let (fields, ends) = (&self.fields[..length], &self.ends[..count]);
        let record = if too_long { Err(TooLong) } else { Ok(Record { fields, ends, more }) };
        Ok(Some(Line { number, columns: &self.columns, record }))
    }
}

impl Rows<'_> {
    /// How many bytes of the file have been read.
    pub(super) fn position(&self) -> u64 {
        self.source.at
    }
}

impl<'r> Record<'r> {
    fn field(self, index: usize) -> Option<&'r [u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.fields.get(start..end)
    }
}

impl Line<'_> {
    #[cfg(feature = "testkit")]
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The columns that this line names.
    fn names(&self, problems: &mut Problems) -> Vec<&'static str> {
        let mut columns = Vec::new();
        let Some(record) = self.record(problems) else { return columns };
        for index in 0..record.ends.len() {
            let field = record.field(index).unwrap_or_default();
            let name = String::from_utf8_lossy(field).trim().to_lowercase();
            match COLUMNS.into_iter().find(|column| *column == name) {
                Some(column) if columns.contains(&column) => {
                    problems.add(self.number, Some(&name), "field.duplicate");
                }
                Some(column) => columns.push(column),
                None => problems.add(self.number, Some(&name), "tracker.field.unknown_column"),
            }
        }
        if !columns.contains(&"title") {
            problems.add(self.number, Some("title"), "tracker.field.missing_column");
        }
        columns
    }

    /// The fields, unless there are too many of them or too much is in them.
    fn record(&self, problems: &mut Problems) -> Option<Record<'_>> {
        match self.record {
            Ok(record) if !record.more => Some(record),
            Ok(_) => {
                problems.add(self.number, None, "tracker.field.wrong_count");
                None
            }
            Err(TooLong) => {
                problems.add(self.number, None, "tracker.field.row_too_long");
                None
            }
        }
    }

    fn field(&self, column: &str) -> Option<&[u8]> {
        self.record.ok()?.field(self.columns.iter().position(|name| *name == column)?)
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
        let before = problems.notes();
        if self.record(problems)?.ends.len() != self.columns.len() {
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
        for (column, flaw) in flaws(&new).into_iter().filter(|(column, _)| !(blank && column == "title")) {
            problems.add(self.number, Some(&column), flaw);
        }
        let NewIssue { title, body, priority, assignee, .. } = new;
        (problems.notes() == before).then_some(Row { title, body, status, priority, assignee })
    }

    /// One of a few words, in capitals or not; the usual one when nothing is said.
    fn choice<T: TryFrom<String> + Default>(
        &self,
        column: &str,
        why: &'static str,
        problems: &mut Problems,
    ) -> T {
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
    use std::collections::BTreeMap;

    use kernel_core::Flaw;

    use super::*;

    async fn problems(file: &[u8]) -> Vec<(String, String)> {
        let file = BodyFile::from(Bytes::copy_from_slice(file));
        let mut problems = Problems::default();
        match Rows::of(&file).await {
            Ok(mut rows) => {
                while let Some(row) = rows.next().await.unwrap() {
                    row.read(&People::new(), &mut problems);
                }
                keys(problems.fields())
            }
            Err(error) if error.fields().is_empty() => vec![(error.code().to_owned(), String::new())],
            Err(error) => keys(error.fields().clone()),
        }
    }

    fn keys(fields: BTreeMap<String, Flaw>) -> Vec<(String, String)> {
        fields.into_iter().map(|(place, flaw)| (place, flaw.key().to_owned())).collect()
    }

    fn one(place: &str, why: &str) -> Vec<(String, String)> {
        vec![(place.to_owned(), why.to_owned())]
    }

    #[tokio::test]
    async fn columns_come_in_any_order_and_lines_are_those_of_the_file() {
        let file: &'static [u8] =
            b"\xEF\xBB\xBFPriority,\"title\",body\r\nHIGH,First,\"two\r\nlines\"\r\n\r\n,Second,\r\n";
        let file = BodyFile::from(Bytes::from_static(file));
        let mut rows = Rows::of(&file).await.unwrap();
        let first = rows.next().await.unwrap().unwrap();
        let row = first.read(&People::new(), &mut Problems::default()).unwrap();
        assert_eq!((row.title.as_str(), row.body.as_str()), ("First", "two\r\nlines"));
        assert_eq!((row.priority, row.status, first.number), (Priority::High, Status::Open, 2));
        let second = rows.next().await.unwrap().unwrap();
        assert_eq!(second.number, 5);
        let row = second.read(&People::new(), &mut Problems::default()).unwrap();
        assert_eq!((row.title.as_str(), row.priority), ("Second", Priority::None));
        assert!(rows.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_first_line_must_name_known_columns_once() {
        assert_eq!(
            problems(b"title,colour\nx,red\n").await,
            one("lines[1].colour", "tracker.field.unknown_column")
        );
        assert_eq!(problems(b"title,Title\nx,y\n").await, one("lines[1].title", "field.duplicate"));
        assert_eq!(problems(b"body\nx\n").await, one("lines[1].title", "tracker.field.missing_column"));
        let nothing = "tracker.import_empty";
        assert_eq!(problems(b"").await, one(nothing, ""));
        assert_eq!(problems(b"\n\r\n").await, one(nothing, ""));
    }

    #[tokio::test]
    async fn a_wrong_value_is_told_by_line_and_column() {
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
            assert_eq!(problems(&file).await, one(place, why), "{}", String::from_utf8_lossy(line));
        }
        let long = format!("title\n{}\n", "x".repeat(121));
        assert_eq!(problems(long.as_bytes()).await, one("lines[2].title", "field.too_long"));
    }
    #[tokio::test]
    async fn whatever_a_file_holds_is_told_by_line_and_reading_goes_on() {
        let huge = "x".repeat(10 * 1024 * 1024);
        for (file, told) in [
            (
                format!("title\n{huge}\n\"{huge}\n\"\nshort,\n"),
                &["2 row_too_long", "3 row_too_long", "5 wrong_count"][..],
            ),
            (format!("title,body\n\"{huge}"), &["2 row_too_long"]),
            (format!("title{}\nx\n", ",".repeat(FIELDS_MAX)), &["1 wrong_count"]),
            (format!("title\nx{}\n\nx,y\n", ",".repeat(100_000)), &["2 wrong_count", "4 wrong_count"]),
            ("title\r\na \"quote\" inside\r\n\"open\r\nfor good".to_owned(), &[]),
            ("title\n\"\"\n\" \"\n".to_owned(), &["2 required", "3 required"]),
            ("title\ra\r\0\r".to_owned(), &["1 unprintable"]),
        ] {
            let told: Vec<_> = told.iter().map(|told| (*told).to_owned()).collect();
            let found = problems(file.as_bytes()).await.into_iter().map(|(place, why)| {
                let line: String = place.chars().filter(char::is_ascii_digit).collect();
                format!("{line} {}", why.rsplit('.').next().unwrap())
            });
            assert_eq!(found.collect::<Vec<_>>(), told, "{file:.40}");
        }
        let utf16: Vec<u8> = "\u{feff}title\nx\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(problems(&utf16).await, one("lines[1]", "tracker.field.not_utf8"));
        assert_eq!(problems(b"t\0itle\nx\n").await[0].1, "tracker.field.unknown_column");
    }

    #[tokio::test]
    async fn a_broken_row_in_the_line_of_another_one_is_broken_too() {
        let file = BodyFile::from(Bytes::from_static(b"title\n\rtwo,fields\rmore,fields"));
        let (mut rows, mut problems) = (Rows::of(&file).await.unwrap(), Problems::default());
        let mut read = 0;
        while let Some(row) = rows.next().await.unwrap() {
            assert!(row.read(&People::new(), &mut problems).is_none());
            read += 1;
        }
        assert_eq!((read, problems.count()), (2, 1));
    }
}
