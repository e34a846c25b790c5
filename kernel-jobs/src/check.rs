//! What the doctor asks of the queue: does work pile up, and has any failed for good?

use async_trait::async_trait;
use kernel_core::doctor::{Check, Verdict};
use kernel_core::{Error, OperatorTx, Tx};

use crate::store;

/// Jobs that failed for good, and that nobody has looked at.
pub(crate) struct Dead;
/// Jobs that have been due for minutes.
pub(crate) struct Late;
/// Events that nobody has relayed for minutes.
pub(crate) struct Unrelayed;

#[async_trait]
impl Check for Dead {
    async fn examine(&self, tx: &mut OperatorTx) -> Result<Verdict, Error> {
        let kinds = store::backlog::dead(tx.conn()).await?;
        let problems: Vec<_> =
            kinds.into_iter().map(|(kind, count)| format!("{count} of {kind} failed for good")).collect();
        Ok(Verdict::of(&problems, "look into the log for their ids, mend the cause, and enqueue them anew"))
    }
}

#[async_trait]
impl Check for Late {
    async fn examine(&self, tx: &mut OperatorTx) -> Result<Verdict, Error> {
        let late = store::backlog::late(tx.conn()).await?;
        let problem = (late > 0).then(|| format!("{late} job(s) have been due for five minutes or longer"));
        Ok(Verdict::of(problem.as_slice(), "see that workers run, know every kind of job, and are enough"))
    }
}

#[async_trait]
impl Check for Unrelayed {
    async fn examine(&self, tx: &mut OperatorTx) -> Result<Verdict, Error> {
        let waiting = store::backlog::unrelayed(tx.conn()).await?;
        let problem =
            (waiting > 0).then(|| format!("{waiting} event(s) have waited for five minutes or longer"));
        Ok(Verdict::of(
            problem.as_slice(),
            "see that a worker runs; its log tells what keeps it from relaying",
        ))
    }
}
