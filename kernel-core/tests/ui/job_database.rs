//! A job does not get at what its transactions are opened with.
//!
//! error[E0616]: field `db` of struct `Run` is private

use kernel_core::WorkerDb;
use kernel_core::job::Run;

pub struct Note {
    pub db: WorkerDb,
}

pub fn raid(note: &Note, run: &Run) -> WorkerDb {
    let _ = run.ctx();
    note /* not: run */ .db.clone()
}
