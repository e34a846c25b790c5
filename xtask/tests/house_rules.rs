//! Rules of the house that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE: usize = 600;

/// Where SQL may stand besides `store/` and `migrations/`, and why.
const SQL_ELSEWHERE: &[(&str, &str)] = &[
    ("kernel-core/src/db/begin.rs", "opening a transaction is one string, built in one function"),
    ("kernel-core/src/catalog.rs", "tells the host what to correct, in the words of SQL"),
    ("kernel-core/src/catalog/", "tells the host what to correct, in the words of SQL"),
    ("kernel-core/src/doctor/", "tells the host what to mend, in the words of SQL"),
    ("kernel-core/src/migration.rs", "applies the files of migrations/ and keeps their ledger"),
    ("kernel-core/src/migration/", "applies the files of migrations/ and keeps their ledger"),
    ("kernel-core/src/secure.rs", "writes the grants and policies of the tables it is given"),
    ("kernel-core/src/testkit/", "makes databases and logins on test servers"),
];

/// What a statement starts with; prose is not in capitals.
const STATEMENTS: &[&str] = &[
    "BEGIN",
    "SAVEPOINT ",
    "SET CONSTRAINTS ",
    "SELECT ",
    "INSERT INTO ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE ",
    "ALTER ",
    "DROP ",
    "GRANT ",
    "REVOKE ",
    "SET LOCAL ",
    "WITH ",
    "TRUNCATE ",
    "LOCK TABLE ",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

/// All files below `dir` that are part of the sources, with their path from the root and their text.
fn sources(dir: &Path) -> Vec<(String, String)> {
    let skipped = ["target", ".git", "node_modules", "migrations"];
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !skipped.contains(&name.as_str()) {
                found.extend(sources(&path));
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.push((path, text));
        }
    }
    found
}

fn all() -> Vec<(String, String)> {
    let all = sources(&root());
    assert!(all.iter().any(|(path, _)| path == "kernel-core/src/lib.rs"), "the sources were not found");
    all
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// The lines, numbered from 1, in which `is_wrong` finds something.
fn lines(text: &str, is_wrong: impl Fn(&str) -> bool) -> Vec<usize> {
    text.lines().enumerate().filter(|(_, line)| is_wrong(line)).map(|(index, _)| index + 1).collect()
}

/// Every place in the sources chosen by `concerns` where `is_wrong`, as `path:line`.
fn places(concerns: impl Fn(&str) -> bool, is_wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let concerned = all().into_iter().filter(|(path, _)| concerns(path));
    concerned
        .flat_map(|(path, text)| {
            lines(&text, &is_wrong).into_iter().map(|line| format!("{path}:{line}")).collect::<Vec<_>>()
        })
        .collect()
}

const NONE: [&str; 0] = [];

#[test]
fn modules_are_named_files() {
    let found: Vec<_> =
        all().into_iter().map(|(path, _)| path).filter(|path| path.ends_with("/mod.rs")).collect();
    assert_eq!(found, NONE, "write foo.rs beside foo/");
}

#[test]
fn files_are_short() {
    let long = all().into_iter().filter(|(path, text)| is_rust(path) && text.lines().count() > LONGEST_FILE);
    assert_eq!(
        long.map(|(path, _)| path).collect::<Vec<_>>(),
        NONE,
        "more than {LONGEST_FILE} lines: split by noun"
    );
}

#[test]
fn no_test_is_ignored() {
    let ignore = concat!("#[", "ignore");
    assert_eq!(
        places(is_rust, |line| line.trim_start().starts_with(ignore)),
        NONE,
        "mend the test or remove it"
    );
}

#[test]
fn examples_in_documents_are_compiled() {
    let is_document =
        |path: &str| is_rust(path) || Path::new(path).extension().is_some_and(|name| name == "md");
    let fences = [concat!("``", "`ignore"), concat!("``", "`rust,ignore"), concat!("``", "`rust, ignore")];
    let found = places(is_document, |line| fences.iter().any(|fence| line.contains(fence)));
    assert_eq!(found, NONE, "use no_run, or text for what is not Rust");
}

#[test]
fn nothing_is_put_off() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let found =
        places(|path| path.starts_with("kernel-"), |line| words.iter().any(|word| line.contains(word)));
    assert_eq!(found, NONE);
}

/// Whether a line of code holds the start of an SQL statement in a string.
fn holds_sql(line: &str) -> bool {
    let line = line.trim_start();
    let in_string = line.split('"').skip(1).any(|part| STATEMENTS.iter().any(|word| part.starts_with(word)));
    !line.starts_with("//") && in_string
}

/// The part of a file before its unit tests: those look at the database from outside.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |start| &text[..start])
}

fn may_hold_sql(path: &str) -> bool {
    let is_code = (path.starts_with("kernel-") || path.starts_with("examples/")) && path.contains("/src/");
    let is_store = path.contains("/store/") || path.ends_with("/store.rs");
    !is_code || is_store || SQL_ELSEWHERE.iter().any(|(place, _)| path.starts_with(place))
}

#[test]
fn sql_stands_under_store() {
    let mut found = Vec::new();
    for (path, text) in all().into_iter().filter(|(path, _)| is_rust(path) && !may_hold_sql(path)) {
        found.extend(lines(without_tests(&text), holds_sql).into_iter().map(|line| format!("{path}:{line}")));
    }
    assert_eq!(found, NONE, "move the statement to store/, or name the place in SQL_ELSEWHERE with a reason");
}

#[test]
fn places_with_leave_to_hold_sql_exist_and_use_it() {
    let all = all();
    for (place, reason) in SQL_ELSEWHERE {
        let mut below = all.iter().filter(|(path, _)| path.starts_with(place)).peekable();
        if below.peek().is_some() || !place.ends_with('/') {
            assert!(
                below.any(|(_, text)| !lines(text, holds_sql).is_empty()),
                "{place} needs no leave: {reason}"
            );
        }
    }
}

#[test]
fn the_search_for_sql_finds_statements_and_nothing_else() {
    assert!(holds_sql(r#"    sqlx::query("SELECT id FROM kernel_core.audit")"#));
    assert!(holds_sql(r##"    let text = r#"INSERT INTO x VALUES ($1)"#;"##));
    assert!(!holds_sql(r#"    // "SELECT id" would be wrong here"#));
    assert!(!holds_sql(r#"    error("select a plan first")"#));
    assert!(!holds_sql("    Statement::Select(select)"));
}
