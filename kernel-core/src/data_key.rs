//! Data keys: made once per installation, wrapped by the provider, known to every process before any seals with them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretBox;
use tokio::time::timeout;

use crate::audit::action::{DATA_KEY_REWRAP, DATA_KEY_ROTATE};
use crate::audit::{AuditEntry, audit};
use crate::ctx::Ctx;
use crate::db::{Db, DbError, GlobalTx, Tx};
use crate::error::{ErrorKind, Fault};
use crate::secret::{DataKey, KeyError, KeyProvider, Keyring, Keys, Place, Wrapped};
use crate::store::data_key::{self as table, Row};

/// How old a process's knowledge of the data keys may be.
const REFRESH: TimeDelta = TimeDelta::minutes(5);
/// When it is tried again after a refusal.
const SETBACK: TimeDelta = TimeDelta::seconds(15);
/// A key seals only from so long after it was made: twice as long as others may not know it, for clocks that differ.
const DELAY: TimeDelta = TimeDelta::minutes(10);
/// How long the provider may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the data keys cannot be had or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataKeyError {
    /// The database refused, or who asked is not staff.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The provider refused.
    #[error("the data key {number}: {source}")]
    Provider {
        /// The data key.
        number: i32,
        /// What the provider says.
        source: KeyError,
    },
    /// The table has no key, although one was just written to it.
    #[error(
        "kernel_core.data_key stays empty, although a key was written to it: a trigger or a policy hides it"
    )]
    Unseen,
}

impl Fault for DataKeyError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Database(error) => Fault::kind(error),
            Self::Provider { source: KeyError::Unavailable(_), .. } => ErrorKind::Unavailable,
            Self::Provider { .. } | Self::Unseen => ErrorKind::Internal,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Database(error) => Fault::code(error),
            Self::Provider { source: KeyError::Unavailable(_), .. } => "unavailable",
            Self::Provider { .. } | Self::Unseen => "internal",
        }
    }
}

/// A data key, as staff see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataKeyStatus {
    /// Its number, by which sealed values name it.
    pub number: i32,
    /// Which of the provider's keys wraps it.
    pub key_id: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it seals.
    pub sealing_from: DateTime<Utc>,
    /// Whether it is the one that seals now.
    pub sealing: bool,
}

/// The data keys of a new process. The first process of an installation makes the first one; of two that start at once,
/// one does.
pub(crate) async fn load(
    db: &Db,
    provider: Arc<dyn KeyProvider>,
    ctx: &Ctx,
) -> Result<Keyring, DataKeyError> {
    let mut rows = read(db, ctx).await?;
    if rows.is_empty() {
        let row = make(&*provider, ctx, 1, TimeDelta::zero()).await?;
        db.global(ctx, async |tx: &mut GlobalTx| table::insert(tx.conn(), &row).await.map_err(DbError::from))
            .await?;
        rows = read(db, ctx).await?;
    }
    if rows.is_empty() {
        return Err(DataKeyError::Unseen);
    }
    let keys = unwrapped(&*provider, &rows, &Keys::new()).await?;
    let keyring = Keyring::new(provider, ctx.clock().clone(), keys);
    keyring.set(None, REFRESH);
    Ok(keyring)
}

async fn read(db: &Db, ctx: &Ctx) -> Result<Vec<Row>, DbError> {
    db.apart(&ctx.reading(), async |tx: &mut GlobalTx| table::list(tx.conn()).await.map_err(DbError::from))
        .await
}

async fn make(
    provider: &dyn KeyProvider,
    ctx: &Ctx,
    number: i32,
    delay: TimeDelta,
) -> Result<Row, DataKeyError> {
    let key = SecretBox::init_with(|| ctx.entropy().bytes::<32>());
    let wrapped = wrap(provider, number, &key).await?;
    let created_at = ctx.now();
    let Wrapped { key_id, bytes } = wrapped;
    Ok(Row { number, wrapped: bytes, key_id, created_at, sealing_from: created_at + delay })
}

async fn wrap(
    provider: &dyn KeyProvider,
    number: i32,
    key: &SecretBox<[u8; 32]>,
) -> Result<Wrapped, DataKeyError> {
    let place = Place::DataKey { number }.bytes();
    let wrapped = patiently(provider.wrap(&place, key)).await;
    wrapped.map_err(|source| DataKeyError::Provider { number, source })
}

async fn unwrap(provider: &dyn KeyProvider, row: &Row) -> Result<SecretBox<[u8; 32]>, DataKeyError> {
    let wrapped = Wrapped { key_id: row.key_id.clone(), bytes: row.wrapped.clone() };
    let place = Place::DataKey { number: row.number }.bytes();
    let key = patiently(provider.unwrap(&place, &wrapped)).await;
    key.map_err(|source| DataKeyError::Provider { number: row.number, source })
}

async fn patiently<T>(work: impl Future<Output = Result<T, KeyError>>) -> Result<T, KeyError> {
    let slow = |_| KeyError::Unavailable(format!("it took more than {PATIENCE:?}").into());
    timeout(PATIENCE, work).await.map_err(slow)?
}

/// The keys of these rows; the provider is asked about those only that are not known yet.
async fn unwrapped(provider: &dyn KeyProvider, rows: &[Row], known: &Keys) -> Result<Keys, DataKeyError> {
    let mut keys = Keys::new();
    for row in rows {
        let key = match known.get(&row.number) {
            Some(key) => key.sealing_from(row.sealing_from),
            None => DataKey::new(unwrap(provider, row).await?, row.sealing_from),
        };
        keys.insert(row.number, Arc::new(key));
    }
    Ok(keys)
}

impl Keyring {
    /// Reads the table again if that is due. A refusal is logged, and the process goes on with the keys that it has.
    pub(crate) async fn refresh_if_due(&self, db: &Db) {
        if !self.is_due() {
            return;
        }
        let _held = self.shared.refreshing.lock().await;
        if self.is_due()
            && let Err(error) = self.read_again(db).await
        {
            self.set(None, SETBACK);
            tracing::warn!(error = crate::error::causes(&error), "the data keys cannot be read");
        }
    }

    /// Reads the table again.
    pub(crate) async fn refresh(&self, db: &Db) -> Result<(), DataKeyError> {
        let _held = self.shared.refreshing.lock().await;
        self.read_again(db).await
    }

    async fn read_again(&self, db: &Db) -> Result<(), DataKeyError> {
        let ctx = self.ctx();
        let rows = read(db, &ctx).await?;
        let keys = unwrapped(&*self.shared.provider, &rows, &self.keys()).await?;
        self.set(Some(keys), REFRESH);
        Ok(())
    }

    fn ctx(&self) -> Ctx {
        Ctx::system("data_keys", &self.shared.clock, &crate::entropy::Entropy::system())
    }

    /// Makes a data key, and returns its number.
    pub(crate) async fn rotate(&self, db: &Db, ctx: &Ctx) -> Result<i32, DataKeyError> {
        staff(ctx)?;
        let newest = read(db, ctx).await?.last().map_or(0, |row| row.number);
        let row = make(&*self.shared.provider, ctx, newest + 1, DELAY).await?;
        db.global(ctx, async |tx: &mut GlobalTx| {
            // Another process that makes the same one at the same time has done what was asked for.
            if table::insert(tx.conn(), &row).await.map_err(DbError::from)? {
                audit(tx, AuditEntry::new(DATA_KEY_ROTATE).detail("number", row.number)).await?;
            }
            Ok::<_, DbError>(())
        })
        .await?;
        self.refresh(db).await?;
        Ok(row.number)
    }

    /// Wraps every data key with the provider's present key, and returns how many were not yet.
    pub(crate) async fn rewrap(&self, db: &Db, ctx: &Ctx) -> Result<u32, DataKeyError> {
        staff(ctx)?;
        let mut rewrapped = 0;
        for row in read(db, ctx).await? {
            let key = unwrap(&*self.shared.provider, &row).await?;
            let wrapped = wrap(&*self.shared.provider, row.number, &key).await?;
            if wrapped.key_id == row.key_id {
                continue;
            }
            let written = db
                .global(ctx, async |tx: &mut GlobalTx| {
                    let written = table::rewrap(tx.conn(), row.number, &row.wrapped, &wrapped).await?;
                    if written {
                        audit(tx, AuditEntry::new(DATA_KEY_REWRAP).detail("number", row.number)).await?;
                    }
                    Ok::<_, DbError>(written)
                })
                .await?;
            rewrapped += u32::from(written);
        }
        Ok(rewrapped)
    }

    /// All data keys.
    pub(crate) async fn list(&self, db: &Db, ctx: &Ctx) -> Result<Vec<DataKeyStatus>, DataKeyError> {
        staff(ctx)?;
        self.refresh(db).await?;
        let sealing = self.sealing();
        let rows = read(db, ctx).await?.into_iter().map(|row| DataKeyStatus {
            number: row.number,
            key_id: row.key_id,
            created_at: row.created_at,
            sealing_from: row.sealing_from,
            sealing: row.number == sealing,
        });
        Ok(rows.collect())
    }
}

fn staff(ctx: &Ctx) -> Result<(), DbError> {
    if ctx.is_operator() { Ok(()) } else { Err(DbError::NotStaff) }
}
