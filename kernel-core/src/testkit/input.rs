//! Reading the input of a route without an app and without a database.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use http::Request;

use crate::clock::Clock;
use crate::error::Error;
use crate::http::{BodyFile, CursorSeal, Incoming, Input, Reading};
use crate::secret::Keyring;

/// What a route that reads an `I` would take from this request. `params` are the values of its path. Forms are for pages
/// only.
///
/// ```
/// # use bytes::Bytes;
/// # use kernel_core::http::{Paged, Unfiltered};
/// # use kernel_core::testkit::read;
/// let request = |uri| http::Request::get(uri).body(Bytes::new()).expect("a sound request");
/// assert_eq!(read::<Paged<Unfiltered>>(request("/?limit=7"), &[], false)?.page.limit(), 7);
/// assert!(read::<Paged<Unfiltered>>(request("/?size=7"), &[], false).is_err());
/// # Ok::<(), kernel_core::Error>(())
/// ```
///
/// # Errors
/// What the caller of the route would hear.
pub fn read<I: Input>(request: Request<Bytes>, params: &[(&str, &str)], forms: bool) -> Result<I, Error> {
    let (head, body) = request.into_parts();
    let keyring = Keyring::fixed(Clock::manual(DateTime::UNIX_EPOCH), &[(1, [1; 32], DateTime::UNIX_EPOCH)]);
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let reading = Reading::of(I::describe);
    let file = reading.reads_file.then(|| BodyFile::from(body.clone()));
    let incoming = Incoming {
        head: Arc::new(head),
        params: params.collect(),
        body,
        file,
        takes_forms: forms,
        reading: Arc::new(reading),
        seal: CursorSeal::new(keyring, "test".to_owned()),
    };
    incoming.query()?;
    I::read(&incoming)
}
