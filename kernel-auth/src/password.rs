//! Passwords: hashed off the async threads, a few at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use kernel_core::Ctx;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::Error;

/// Hashes passwords, at most as many at once as there are slots; a bounded number more may wait.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    /// A hash of nothing anyone knows, verified for unknown addresses so that they take the same time.
    decoy: Arc<str>,
}

impl Passwords {
    pub(crate) fn new(slots: usize, queue: usize, decoy: &str) -> Self {
        let queue = Arc::new(Semaphore::new(slots + queue));
        Self { slots: Arc::new(Semaphore::new(slots)), queue, decoy: Arc::from(decoy) }
    }

    pub(crate) async fn hash(&self, ctx: &Ctx, password: String) -> Result<String, kernel_core::Error> {
        let salt: [u8; 16] = ctx.entropy().bytes();
        self.work(password, move |password| {
            let hash = Argon2::default().hash_password_with_salt(password, &salt);
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
