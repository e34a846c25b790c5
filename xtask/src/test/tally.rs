//! How many tests of a step passed, read off what it prints.

use std::fmt;
use std::io::Write;
use std::iter::Sum;
use std::process::Stdio;

use anyhow::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

/// How many tests passed and failed; a step without tests counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    is_one_step: bool,
}

impl Tally {
    pub(super) fn is_good(self) -> bool {
        self.failed == 0
    }

    /// Whether there were tests to count.
    pub(super) fn counted(self) -> bool {
        !self.is_one_step
    }

    /// Adds what a line says: nextest's `Summary […] 3 tests run: 2 passed, 1 failed, 0 skipped` or the standard
    /// harness's `test result: ok. 3 passed; 0 failed; …`.
    fn read(&mut self, line: &str) {
        let is_nextest = line.trim_start().starts_with("Summary [") && line.contains(" run: ");
        if is_nextest || line.starts_with("test result: ") {
            self.passed += number_before(line, "passed");
            self.failed +=
                ["failed", "timed", "exec"].iter().map(|word| number_before(line, word)).sum::<usize>();
        }
    }

    /// The verdict of a step that ended well or not: what failed without a test to show for it counts too.
    fn close(mut self, success: bool) -> Self {
        self.is_one_step = self.passed + self.failed == 0;
        if self.is_one_step && success {
            self.passed = 1;
        }
        if !success && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |sum, tally| Self {
            passed: sum.passed + tally.passed,
            failed: sum.failed + tally.failed,
            is_one_step: false,
        })
    }
}

/// Runs a step, passes on what it prints as it prints it, and counts.
pub(super) async fn run(mut command: Command) -> Result<Tally> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut step = command.spawn()?;
    let (out, err) = (step.stdout.take(), step.stderr.take());
    let (out, err) = tokio::try_join!(pass_on(out, std::io::stdout()), pass_on(err, std::io::stderr()))?;
    let status = step.wait().await?;
    Ok([out, err].into_iter().sum::<Tally>().close(status.success()))
}

async fn pass_on(from: Option<impl AsyncRead + Unpin>, mut to: impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(from) = from else { return Ok(tally) };
    let (mut from, mut line) = (BufReader::new(from), Vec::new());
    while from.read_until(b'\n', &mut line).await? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    Ok(tally)
}

/// The number right before `word`, 0 if there is none.
fn number_before(line: &str, word: &str) -> usize {
    let words: Vec<_> = line.split_whitespace().map(|word| word.trim_end_matches([',', ';'])).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> (usize, usize) {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line);
        }
        (tally.passed, tally.failed)
    }

    #[test]
    fn both_harnesses_are_understood() {
        let nextest =
            "     Summary [   0.021s] 9 tests run: 5 passed (1 slow), 3 failed, 1 timed out, 2 skipped";
        assert_eq!(tally(&[nextest]), (5, 4));
        assert_eq!(tally(&["     Summary [   0.021s] 1 test run: 1 passed, 0 skipped"]), (1, 0));
        let standard = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.0s";
        assert_eq!(tally(&[standard, standard]), (6, 2));
    }

    #[test]
    fn other_lines_do_not_count() {
        assert_eq!(
            tally(&["test tests::it_works ... ok", "12 passed, 1 failed", "   Compiling passed v0.1.0"]),
            (0, 0)
        );
    }

    #[test]
    fn a_step_without_tests_counts_as_one() {
        assert_eq!(Tally::default().close(true).to_string(), "1 passed, 0 failed");
        assert_eq!(Tally::default().close(false).to_string(), "0 passed, 1 failed");
    }

    #[test]
    fn a_step_that_fails_is_never_good() {
        let all_passed = Tally { passed: 7, ..Tally::default() };
        assert_eq!(all_passed.close(false).to_string(), "7 passed, 1 failed");
    }
}
