//! What went through a proxy, over all its connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rewrite::{Rewrite, Unparsed};

/// Statements beyond this many bytes of text are counted and rewritten, but not listed.
const MAX_LISTED: usize = 64 << 20;
/// Unreadable statements beyond this number are not listed: the first few fail a proof already.
const MAX_UNPARSED: usize = 1_000;

/// What went over the wire, as the client sees it: nothing that the proxy itself added.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Connections opened.
    pub connections: u64,
    /// Messages from the client, but for those of log-in and farewell.
    pub frontend_messages: u64,
    /// Messages from the server.
    pub backend_messages: u64,
    /// Times the client asked for an answer: `Query`, `Sync`, `Flush`, function call, end of a copy.
    pub flushes: u64,
    /// Those of them sent while no answer was outstanding: pipelined ones share one round trip.
    pub round_trips: u64,
    /// `Query` and `Execute` messages.
    pub statements: u64,
    /// Bytes from clients.
    pub frontend_bytes: u64,
    /// Bytes to clients.
    pub backend_bytes: u64,
    /// Statements not listed, because the list was full.
    pub unlisted: u64,
}

/// A statement that went through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenStatement {
    /// As the client sent it.
    pub sql: String,
    /// How often it was run.
    pub count: u64,
    /// How often it was prepared.
    pub prepared: u64,
    /// As the server last got it, if that differs.
    pub rewritten: Option<String>,
}

/// The rewrite in force and its number.
struct Current {
    generation: u64,
    rewrite: Arc<dyn Rewrite>,
}

#[derive(Default)]
struct Entry {
    count: u64,
    prepared: u64,
    translation: Option<Translation>,
}

/// What a statement becomes under the rewrite of one generation.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    pub(super) generation: u64,
    pub(super) sql: Option<Arc<str>>,
}

#[derive(Default)]
struct Book {
    counts: Counts,
    statements: BTreeMap<String, Entry>,
    listed: usize,
    unparsed: Vec<Unparsed>,
}

/// How a statement came by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// It is prepared.
    Prepared,
    /// It is run.
    Run,
}

pub(super) struct Ledger {
    current: Mutex<Current>,
    book: Mutex<Book>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Ledger {
    pub(super) fn new(rewrite: Arc<dyn Rewrite>) -> Self {
        Self { current: Mutex::new(Current { generation: 1, rewrite }), book: Mutex::default() }
    }

    pub(super) fn set_rewrite(&self, rewrite: Arc<dyn Rewrite>) {
        let mut current = lock(&self.current);
        current.generation += 1;
        current.rewrite = rewrite;
    }

    pub(super) fn generation(&self) -> u64 {
        lock(&self.current).generation
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut lock(&self.book).counts);
    }

    /// Notes the statement and says what goes to the server.
    pub(super) fn translate(&self, sql: &str, by: Use) -> Translation {
        let (generation, rewrite) = {
            let current = lock(&self.current);
            (current.generation, Arc::clone(&current.rewrite))
        };
        let known = lock(&self.book)
            .statements
            .get(sql)
            .and_then(|entry| entry.translation.clone())
            .filter(|translation| translation.generation == generation);
        // Outside of the lock: reading a long statement must not hold up the other connections.
        let (translation, unparsed) = known.map_or_else(
            || {
                let done = rewrite.rewrite(sql);
                (Translation { generation, sql: done.sql.map(Into::into) }, done.unparsed)
            },
            |known| (known, Vec::new()),
        );
        self.note(sql, by, &translation, unparsed);
        translation
    }

    fn note(&self, sql: &str, by: Use, translation: &Translation, unparsed: Vec<Unparsed>) {
        let mut book = lock(&self.book);
        for statement in unparsed {
            if book.unparsed.len() < MAX_UNPARSED && !book.unparsed.contains(&statement) {
                book.unparsed.push(statement);
            }
        }
        if !book.statements.contains_key(sql) {
            let size = sql.len() + translation.sql.as_ref().map_or(0, |sql| sql.len()) + size_of::<Entry>();
            if book.listed + size > MAX_LISTED {
                book.counts.unlisted += 1;
                return;
            }
            book.listed += size;
            book.statements.insert(sql.to_owned(), Entry::default());
        }
        if let Some(entry) = book.statements.get_mut(sql) {
            match by {
                Use::Prepared => entry.prepared += 1,
                Use::Run => entry.count += 1,
            }
            entry.translation = Some(translation.clone());
        }
    }

    /// Reports a statement that is not even text.
    pub(super) fn unreadable(&self, sql: &[u8]) {
        let text = String::from_utf8_lossy(sql);
        let statement =
            Unparsed { mentions_tenant: true, ..Unparsed::new(&text, "it is not encoded as UTF-8") };
        let mut book = lock(&self.book);
        if book.unparsed.len() < MAX_UNPARSED {
            book.unparsed.push(statement);
        }
    }

    pub(super) fn statements(&self) -> Vec<SeenStatement> {
        let seen = |(sql, entry): (&String, &Entry)| SeenStatement {
            sql: sql.clone(),
            count: entry.count,
            prepared: entry.prepared,
            rewritten: entry.translation.as_ref().and_then(|to| to.sql.as_deref().map(str::to_owned)),
        };
        lock(&self.book).statements.iter().map(seen).collect()
    }

    pub(super) fn unparsed(&self) -> Vec<Unparsed> {
        lock(&self.book).unparsed.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        lock(&self.book).counts
    }

    pub(super) fn reset(&self) {
        let mut book = lock(&self.book);
        book.counts = Counts::default();
        book.statements.clear();
        book.listed = 0;
    }
}

/// A poisoned lock only means that a rewrite of the caller's own panicked elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
