//! What can be planted in the nodes or the database.

use anyhow::Result;
use kernel_core::http::Counting;
use kernel_core::{Clock, Config};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// A mistake that a limiter could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Leases do not end.
    AfterExpiry,
    /// A refused request asks all the same.
    AskAlways,
    /// Nodes do not share.
    InProcess,
    /// What is left is read, and then what was read is written back, less what is taken.
    ReadThenWrite,
    /// What was taken once is spent twice.
    SpentTwice,
}

pub(super) const NAMES: &[&str] =
    &["in-process", "spent-twice", "after-expiry", "read-then-write", "ask-always"];

const SIGNATURE: &str = "kernel_core.take_rate(uuid, integer, bigint, bigint, timestamptz)";
const HEAD: &str = "CREATE FUNCTION kernel_core.take_rate(
        subject uuid, wanted integer, each_us bigint, most_us bigint, clock timestamptz
    ) RETURNS TABLE (got integer, whole_us bigint) LANGUAGE plpgsql SECURITY DEFINER AS";

const AFTER_EXPIRY: &str = "$$ BEGIN
    -- The nodes' clock stands still, so that nothing of theirs ends; the database's does not.
    RETURN QUERY SELECT * FROM kernel_core.sound_rate(subject, wanted, each_us, most_us, NULL);
END $$";

const READ_THEN_WRITE: &str = "$$ DECLARE
    moment bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
    before bigint := greatest(moment, (SELECT r.whole_at FROM kernel_core.rate_limit AS r WHERE r.id = subject));
BEGIN
    got := least(wanted, (moment + most_us - before) / each_us);
    whole_us := before + got * each_us - moment;
    IF got > 0 THEN
        -- As long as a second statement takes to arrive.
        PERFORM pg_sleep(0.001);
        INSERT INTO kernel_core.rate_limit AS r (id, whole_at, taken, expires_hour)
        VALUES (subject, before + got * each_us, got, 0)
        ON CONFLICT (id) DO UPDATE SET whole_at = excluded.whole_at;
    END IF;
    RETURN NEXT;
END $$";

const SPENT_TWICE: &str = "$$ BEGIN
    RETURN QUERY SELECT s.got * 2, s.whole_us FROM kernel_core.sound_rate(subject, wanted, each_us, most_us, clock) AS s;
END $$";

impl Fault {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "after-expiry" => Some(Self::AfterExpiry),
            "ask-always" => Some(Self::AskAlways),
            "in-process" => Some(Self::InProcess),
            "read-then-write" => Some(Self::ReadThenWrite),
            "spent-twice" => Some(Self::SpentTwice),
            _ => None,
        }
    }

    /// The fault as a setting, where it is one.
    pub(super) fn configure(self, config: &mut Config) {
        match self {
            Self::AfterExpiry => config.clock = Clock::manual(Clock::system().now()),
            Self::AskAlways => config.http.quotas.counting = Counting::Database,
            Self::InProcess => config.http.quotas.counting = Counting::Process,
            Self::ReadThenWrite | Self::SpentTwice => {}
        }
    }

    /// The fault as a function in the database, where it is one. The nodes have been built: they would refuse it.
    pub(super) async fn plant(self, admin: &mut PgConnection) -> Result<()> {
        let body = match self {
            Self::AfterExpiry => AFTER_EXPIRY,
            Self::ReadThenWrite => READ_THEN_WRITE,
            Self::SpentTwice => SPENT_TWICE,
            Self::AskAlways | Self::InProcess => return Ok(()),
        };
        admin.execute(AssertSqlSafe(format!("ALTER FUNCTION {SIGNATURE} RENAME TO sound_rate"))).await?;
        admin.execute(AssertSqlSafe(format!("{HEAD} {body}"))).await?;
        Ok(())
    }
}
