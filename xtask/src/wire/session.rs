//! What one connection must remember so that a rewrite can be exchanged under it.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::frame::{Broken, MAX_STATEMENT};

const MAX_PREPARED: usize = 4 << 10;
const MAX_OUTSTANDING: usize = 64 << 10;

/// A statement as the client prepared it.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) sql: Bytes,
    pub(super) types: Bytes,
    /// The rewrite under which the server got it; nought if the server may not have it.
    pub(super) generation: u64,
}

/// An answer that the server owes.
#[derive(Debug)]
enum Owed {
    /// `ParseComplete`; with a name it answers the proxy and must not reach the client.
    Parse { hidden: Option<Bytes> },
    /// `CloseComplete`.
    Close { hidden: bool },
    /// `ReadyForQuery`.
    Ready { sync: bool },
}

/// Shared by the two directions of a connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    prepared: HashMap<Bytes, Prepared>,
    prepared_bytes: usize,
    owed: VecDeque<Owed>,
    ready_owed: usize,
    /// The client asked for an answer and has not got it.
    waiting: bool,
    /// It asked with a `Flush`, which any answer fulfils.
    flushed: bool,
}

impl Session {
    /// The client prepares a statement.
    pub(super) fn parse(&mut self, name: Bytes, prepared: Prepared) -> Result<(), Broken> {
        self.owe(Owed::Parse { hidden: None })?;
        self.forget(&name);
        let full = self.prepared.len() >= MAX_PREPARED;
        let size = prepared.sql.len() + prepared.types.len();
        if full || self.prepared_bytes + size > 4 * MAX_STATEMENT {
            return Err(Broken::Refused("the connection holds too many prepared statements".into()));
        }
        self.prepared_bytes += size;
        self.prepared.insert(name, prepared);
        Ok(())
    }

    /// The client closes a statement, or, without a name, a portal.
    pub(super) fn close(&mut self, name: Option<&Bytes>) -> Result<(), Broken> {
        if let Some(name) = name {
            self.forget(name);
        }
        self.owe(Owed::Close { hidden: false })
    }

    fn forget(&mut self, name: &Bytes) {
        if let Some(old) = self.prepared.remove(name) {
            self.prepared_bytes -= old.sql.len() + old.types.len();
        }
    }

    pub(super) fn prepared(&self, name: &Bytes) -> Option<Prepared> {
        self.prepared.get(name).cloned()
    }

    /// The proxy prepares the statement anew.
    pub(super) fn prepare_again(&mut self, name: &Bytes, generation: u64) -> Result<(), Broken> {
        self.owe(Owed::Close { hidden: true })?;
        self.owe(Owed::Parse { hidden: Some(name.clone()) })?;
        if let Some(prepared) = self.prepared.get_mut(name) {
            prepared.generation = generation;
        }
        Ok(())
    }

    /// The client asks for answers; true if that begins a round trip.
    pub(super) fn flush(&mut self, kind: u8) -> Result<bool, Broken> {
        if matches!(kind, b'Q' | b'S' | b'F') {
            self.owe(Owed::Ready { sync: kind == b'S' })?;
            self.ready_owed += 1;
        }
        self.flushed = kind == b'H';
        Ok(!std::mem::replace(&mut self.waiting, true))
    }

    fn owe(&mut self, answer: Owed) -> Result<(), Broken> {
        if self.owed.len() >= MAX_OUTSTANDING {
            return Err(Broken::Refused("too many messages without an answer".into()));
        }
        self.owed.push_back(answer);
        Ok(())
    }

    /// The server sent something.
    pub(super) fn answered(&mut self) {
        if self.flushed && self.ready_owed == 0 {
            self.waiting = false;
        }
    }

    /// The server sent `ParseComplete` or `CloseComplete`; true if the client must not see it.
    pub(super) fn complete(&mut self, kind: u8) -> bool {
        match (kind, self.owed.front()) {
            (b'1', Some(Owed::Parse { .. })) | (b'3', Some(Owed::Close { .. })) => {
                matches!(
                    self.owed.pop_front(),
                    Some(Owed::Parse { hidden: Some(_) } | Owed::Close { hidden: true })
                )
            }
            _ => false,
        }
    }

    /// The server is ready; whatever it still owed before, an error has made it skip.
    pub(super) fn ready(&mut self) {
        while let Some(answer) = self.owed.pop_front() {
            match answer {
                Owed::Ready { .. } => {
                    self.ready_owed -= 1;
                    break;
                }
                Owed::Parse { hidden: Some(name) } => {
                    if let Some(prepared) = self.prepared.get_mut(&name) {
                        prepared.generation = 0;
                    }
                }
                Owed::Parse { hidden: None } | Owed::Close { .. } => {}
            }
        }
        self.waiting = self.ready_owed > 0;
    }

    /// The server wants to be sent rows: it ignores a `Sync` that is under way already.
    pub(super) fn copying(&mut self) {
        if matches!(self.owed.front(), Some(Owed::Ready { sync: true })) {
            self.owed.pop_front();
            self.ready_owed -= 1;
        }
        self.waiting = false;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Prepared, Session};

    #[test]
    fn pipelined_requests_share_a_round_trip() {
        let mut session = Session::default();
        assert!(session.flush(b'S').unwrap());
        assert!(!session.flush(b'S').unwrap());
        session.ready();
        assert!(!session.flush(b'Q').unwrap());
        session.ready();
        session.ready();
        assert!(session.flush(b'Q').unwrap());
    }

    #[test]
    fn any_answer_fulfils_a_flush() {
        let mut session = Session::default();
        assert!(session.flush(b'H').unwrap());
        session.answered();
        assert!(session.flush(b'S').unwrap());
        session.answered();
        assert!(!session.flush(b'S').unwrap());
    }

    #[test]
    fn a_sync_sent_into_a_copy_is_not_answered() {
        let mut session = Session::default();
        assert!(session.flush(b'S').unwrap());
        session.copying();
        assert!(session.flush(b'c').unwrap());
        assert!(!session.flush(b'S').unwrap());
        session.ready();
        assert!(session.flush(b'Q').unwrap());
    }

    #[test]
    fn what_an_error_skipped_is_prepared_again() {
        let mut session = Session::default();
        let name = Bytes::from_static(b"s");
        let prepared = Prepared { sql: Bytes::new(), types: Bytes::new(), generation: 1 };
        session.parse(name.clone(), prepared).unwrap();
        assert!(!session.complete(b'1'));
        session.prepare_again(&name, 2).unwrap();
        session.flush(b'S').unwrap();
        assert!(session.complete(b'3'));
        session.ready();
        assert_eq!(session.prepared(&name).unwrap().generation, 0);
    }

    #[test]
    fn what_is_owed_and_held_is_bounded() {
        let mut session = Session::default();
        assert!((0..100_000).any(|_| session.flush(b'S').is_err()));
        let mut session = Session::default();
        let prepared = Prepared { sql: Bytes::new(), types: Bytes::new(), generation: 1 };
        let mut names = (0..10_000_u32).map(|n| Bytes::from(n.to_string()));
        assert!(names.any(|name| session.parse(name, prepared.clone()).is_err()));
    }
}
