//! Passwords: hashed off the async threads, a few at a time.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use kernel_core::Ctx;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::Error;

/// How much work an Argon2id hash is, for whoever logs in and for whoever guesses.
#[derive(Debug, Clone)]
pub(crate) struct HashCost(Params);

impl Default for HashCost {
    /// 19 MiB and two passes on one lane, the least that OWASP's Password Storage Cheat Sheet recommends.
    fn default() -> Self {
        Self(Params::DEFAULT)
    }
}

impl HashCost {
    /// The least that Argon2 allows.
    #[cfg(feature = "testkit")]
    pub(crate) const LEAST: Self =
        match Params::new(Params::MIN_M_COST, Params::MIN_T_COST, Params::MIN_P_COST, None) {
            Ok(params) => Self(params),
            Err(_) => panic!("Argon2 refuses its own minimum"),
        };

    /// A hash of this cost whose digest no password is known to have.
    fn decoy(&self) -> String {
        let (memory, passes, lanes) = (self.0.m_cost(), self.0.t_cost(), self.0.p_cost());
        format!(
            "$argon2id$v=19$m={memory},t={passes},p={lanes}$c2FsdHNhbHRzYWx0c2FsdA\
             $G6Z0ClqmqVJ7YmFjb2ZmZWUgYnJlYWsgbm93IQAAAAA"
        )
    }
}

/// Hashes passwords, at most as many at once as there are slots; a bounded number more may wait.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    cost: HashCost,
    /// A hash of nothing anyone knows, verified for unknown addresses so that they take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(slots: usize, queue: usize, cost: HashCost) -> Self {
        let queue = Arc::new(Semaphore::new(slots + queue));
        let decoy = Arc::from(cost.decoy());
        Self { slots: Arc::new(Semaphore::new(slots)), queue, cost, decoy }
    }

    pub(crate) async fn hash(&self, ctx: &Ctx, password: String) -> Result<String, kernel_core::Error> {
        let salt: [u8; 16] = ctx.entropy().bytes();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.0.clone());
        self.work(password, move |password| {
            let hash = argon2.hash_password_with_salt(password, &salt);
            hash.map(|hash| hash.to_string()).map_err(|error| kernel_core::Error::internal(error.to_string()))
        })
        .await?
    }

    /// Whether `password` is the one that was hashed. Without a hash it does the same work and says no.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, kernel_core::Error> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.decoy.as_ref().to_owned());
        self.work(password, move |password| {
            let parsed =
                PasswordHash::new(&hash).map_err(|error| kernel_core::Error::internal(error.to_string()))?;
            Ok(Argon2::default().verify_password(password, &parsed).is_ok() && known)
        })
        .await?
    }

    async fn work<T: Send + 'static>(
        &self,
        password: String,
        work: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> Result<T, kernel_core::Error> {
        let password = Zeroizing::new(password);
        let place = self.queue.clone().try_acquire_owned().map_err(|_| {
            kernel_core::Error::from(Error::Busy).retry_after(std::time::Duration::from_secs(2))
        })?;
        let slot = self.slots.clone().acquire_owned().await.map_err(kernel_core::Error::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held until the hash is done, even when nobody waits for it any more.
            let _held = (place, slot);
            work(password.as_bytes())
        });
        done.await.map_err(kernel_core::Error::internal)
    }
}
