use std::collections::BTreeMap;

use kernel_core::{ErrorKind, Fault, Flaw};

/// What can go wrong when someone says who they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More passwords wait to be hashed than can be hashed soon.
    #[error("too many passwords are waiting to be hashed")]
    Busy,
    /// The address and the password do not go together; which of the two is wrong is not told.
    #[error("the address and the password do not go together")]
    CredentialsRefused,
    /// Someone has signed up with this address.
    #[error("the address is taken")]
    EmailTaken,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy => ErrorKind::Unavailable,
            Self::CredentialsRefused => ErrorKind::Unauthenticated,
            Self::EmailTaken => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Busy => "auth.busy",
            Self::CredentialsRefused => "auth.credentials_refused",
            Self::EmailTaken => "auth.email_taken",
        }
    }

    fn fields(&self) -> BTreeMap<String, Flaw> {
        match self {
            Self::EmailTaken => BTreeMap::from([("email".to_owned(), "field.taken".into())]),
            _ => BTreeMap::new(),
        }
    }
}
