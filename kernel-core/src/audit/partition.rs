//! The log's partitions: made ahead, and dropped when their time is over.

use std::time::Duration;

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};

use super::action::AUDIT_DROP;
use super::canon::Scheme;
use super::{AuditEntry, audit};
use crate::app::Config;
use crate::chore::{Chore, Pace};
use crate::db::{GlobalTx, Tx};
use crate::error::{Error, ErrorKind};
use crate::secret::Keyring;
use crate::store::audit_seal::{self as store, Head};

const EVERY: Duration = Duration::from_hours(6);
/// For how many months partitions are made ahead.
const AHEAD: i32 = 12;
/// How many heads are moved in one transaction.
const BATCH: i32 = 500;

pub(super) fn ahead() -> Chore {
    Chore::new("core.audit.partition", EVERY, (), make_ahead)
}

async fn make_ahead((): (), tx: &mut GlobalTx) -> Result<Pace, Error> {
    let now = tx.ctx().clock().manual_now();
    let beyond = store::rows_beyond(tx.conn()).await?;
    if beyond > 0 {
        tracing::error!(rows = beyond, "audit rows lie in no month's partition, but in the default one");
    }
    store::ensure_partitions(tx.conn(), AHEAD, now).await?;
    Ok(Pace::Rest)
}

/// What ends old partitions.
#[derive(Debug, Clone)]
struct Retention {
    scheme: Scheme,
    months: u32,
}

pub(super) fn retention(config: &Config, keyring: &Keyring) -> Chore {
    let scheme = Scheme::new(keyring, config.audit.fault);
    let retention = Retention { scheme, months: config.audit.retention_months };
    Chore::new("core.audit.retention", EVERY, retention, drop_oldest).limit(Duration::from_mins(10))
}

/// Drops the oldest partition when its time is over: first the chains get new floors, signed, some workspaces at a time;
/// when all have theirs, the rows go.
async fn drop_oldest(retention: Retention, tx: &mut GlobalTx) -> Result<Pace, Error> {
    let now = tx.ctx().now();
    let Some(month) = store::oldest_month(tx.conn()).await? else { return Ok(Pace::Rest) };
    let Some((end, due)) = end_of(month, retention.months) else { return Ok(Pace::Rest) };
    if now < due {
        return Ok(Pace::Rest);
    }
    let cutoff = store::first_id(tx.conn(), end).await?;
    if !store::is_sealed(tx.conn(), cutoff).await? {
        let why = format!("rows of {month} have no seal, so its partition stays");
        return Err(Error::new(ErrorKind::Conflict, "audit_unsealed").because(why));
    }
    // Heads move under the sealer's turn only, or one of the two would put back what the other has moved. It is tried again
    // when the sealer is done.
    if store::begin(tx.conn()).await?.is_none() {
        return Ok(Pace::Idle);
    }
    let floors = store::floors(tx.conn(), cutoff, BATCH).await?;
    if floors.is_empty() {
        store::drop_partition(tx.conn(), month).await?;
        let entry = AuditEntry::new(AUDIT_DROP).detail("month", month.format("%Y-%m").to_string());
        audit(tx, entry).await?;
        tracing::info!(%month, "a month of the audit log is dropped");
        return Ok(Pace::Again);
    }
    let (mut heads, mut gone) = (Vec::new(), Vec::new());
    for floor in floors {
        let workspace = floor.workspace_id;
        if !retention.scheme.knows_head(workspace, &floor.head) {
            let why = format!("the head of the audit log of {workspace} is not ours, so nothing is dropped");
            return Err(Error::new(ErrorKind::Internal, "audit_not_ours").because(why));
        }
        let mut head = Head {
            floor_seq: floor.new_seq,
            floor_hash: floor.new_hash,
            floor_id: cutoff,
            sealed_at: now,
            ..floor.head
        };
        head.code = retention.scheme.sign_head(workspace, &head).to_vec();
        gone.push((workspace, head.floor_seq));
        heads.push((workspace, head));
    }
    store::set_heads(tx.conn(), &heads, now).await?;
    store::drop_seals(tx.conn(), &gone).await?;
    Ok(Pace::Again)
}

/// When a month ends, and when the rows of it have been kept for so many months.
fn end_of(month: NaiveDate, kept: u32) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let end = month.checked_add_months(Months::new(1))?;
    let due = end.checked_add_months(Months::new(kept))?;
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    Some((midnight(end), midnight(due)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_kept_until_its_last_row_is_old_enough() {
        let (end, due) = end_of(NaiveDate::from_ymd_opt(2019, 12, 1).unwrap(), 84).unwrap();
        assert_eq!(end.to_rfc3339(), "2020-01-01T00:00:00+00:00");
        assert_eq!(due.to_rfc3339(), "2027-01-01T00:00:00+00:00");
    }
}
