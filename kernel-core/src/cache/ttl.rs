//! How long values are kept, and which may be kept for long.

use std::time::Duration;

use super::key::Tagged;

const HOUR: Duration = Duration::from_hours(1);
/// The database drops the version of a tag a day later.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// A time of at most an hour: for any value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(Duration);

/// A time of at most thirty days: for a value that has a tag, and so can be taken back, and is nobody's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongTtl(Duration);

/// A value cannot be kept for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value is kept for more than nothing and at most {most:?}, not for {0:?}", most = .1)]
pub struct TtlError(Duration, Duration);

impl Ttl {
    /// So long. Write it as a `const`: what does not fit then does not compile.
    ///
    /// # Panics
    /// For nothing, and for more than an hour; [`TryFrom`] takes what is configured.
    ///
    /// ```compile_fail
    /// use std::time::Duration;
    /// use kernel_core::cache::Ttl;
    /// const TOO_LONG: Ttl = Ttl::new(Duration::from_secs(3601));
    /// # let _ = TOO_LONG;
    /// ```
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        assert!(fits(duration, HOUR), "more than nothing, and at most an hour");
        Self(duration)
    }
}

impl LongTtl {
    /// So long. Write it as a `const`: what does not fit then does not compile.
    ///
    /// # Panics
    /// For nothing, and for more than thirty days; [`TryFrom`] takes what is configured.
    #[must_use]
    pub const fn new(duration: Duration) -> Self {
        assert!(fits(duration, LONGEST), "more than nothing, and at most thirty days");
        Self(duration)
    }
}

const fn fits(duration: Duration, most: Duration) -> bool {
    duration.as_millis() > 0 && duration.as_millis() <= most.as_millis()
}

impl TryFrom<Duration> for Ttl {
    type Error = TtlError;

    fn try_from(duration: Duration) -> Result<Self, TtlError> {
        if fits(duration, HOUR) { Ok(Self(duration)) } else { Err(TtlError(duration, HOUR)) }
    }
}

impl TryFrom<Duration> for LongTtl {
    type Error = TtlError;

    fn try_from(duration: Duration) -> Result<Self, TtlError> {
        if fits(duration, LONGEST) { Ok(Self(duration)) } else { Err(TtlError(duration, LONGEST)) }
    }
}

mod sealed {
    #[expect(unnameable_types, reason = "a sealed trait is one that nobody else can name")]
    pub trait Sealed {}
}

/// A time for which a value of the reach `R` may be kept.
///
/// ```compile_fail
/// use std::time::Duration;
/// use kernel_core::cache::{CacheKey, LongTtl, cached};
/// use kernel_core::{Error, TenantTx};
///
/// const DAY: LongTtl = LongTtl::new(Duration::from_hours(24));
///
/// async fn count(tx: &mut TenantTx) -> Result<i64, Error> {
///     // No tag, so nothing could take it back.
///     let key = CacheKey::new("shop.item.count");
///     cached(tx, &key, DAY, async |_: &mut TenantTx| Ok(0)).await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a value of this key is kept for an hour at most",
    label = "give the key a tag, or a `Ttl` here; a value of one actor is never kept for longer"
)]
pub trait Lasts<R>: sealed::Sealed + Send {
    /// How long.
    fn duration(self) -> Duration;
}

impl sealed::Sealed for Ttl {}
impl sealed::Sealed for LongTtl {}

impl<R> Lasts<R> for Ttl {
    fn duration(self) -> Duration {
        self.0
    }
}

impl Lasts<Tagged> for LongTtl {
    fn duration(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_refused_when_it_is_too_long() {
        let (none, hour) = (Duration::from_micros(999), Duration::from_hours(1));
        let more = hour + Duration::from_millis(1);
        assert_eq!(Ttl::try_from(hour), Ok(Ttl::new(hour)));
        assert!(Ttl::try_from(none).is_err() && LongTtl::try_from(none).is_err());
        let error = Ttl::try_from(more).unwrap_err().to_string();
        assert_eq!(error, "a value is kept for more than nothing and at most 3600s, not for 3600.001s");
        assert!(LongTtl::try_from(more).is_ok() && LongTtl::try_from(hour * 24 * 30).is_ok());
        assert!(LongTtl::try_from(hour * 24 * 30 + none * 2).is_err());
    }
}
