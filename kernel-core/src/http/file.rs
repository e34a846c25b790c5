//! Bodies as files: what is too large for memory lies in a temporary file that has no name.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::config::HttpConfig;
use super::input::{Incoming, Input};
use super::schema::InputShape;
use crate::error::{Error, ErrorKind};

/// How much of a body is held in memory, and written to its file at once.
const MEMORY_MAX: usize = 256 * 1024;
/// How much of a file is read at once.
const PIECE: u64 = 64 * 1024;
/// How many pieces wait for whoever keeps them before the client has to.
const BACKLOG: usize = 2;

/// A request's body, as an adapter hands it to [`App::call`](crate::App::call).
#[derive(Debug)]
pub enum Payload {
    /// All of it.
    Whole(Bytes),
    /// Piece by piece, for a route that reads a [`BodyFile`]. The chain asks for the first piece when it knows that the
    /// sender may call the route.
    Coming(Coming),
}

/// A body that has not arrived yet.
#[derive(Debug)]
pub struct Coming {
    pieces: mpsc::Receiver<Option<Bytes>>,
    broken: Option<oneshot::Receiver<Error>>,
}

/// Where the pieces of a body go in.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: mpsc::Sender<Option<Bytes>>,
    broken: oneshot::Sender<Error>,
}

impl From<Bytes> for Payload {
    fn from(whole: Bytes) -> Self {
        Self::Whole(whole)
    }
}

impl Payload {
    pub(crate) fn coming() -> (Pieces, Self) {
        let (into, pieces) = mpsc::channel(BACKLOG);
        let (broken, why) = oneshot::channel();
        (Pieces { pieces: into, broken }, Self::Coming(Coming { pieces, broken: Some(why) }))
    }

    /// Ends with the reason why the rest of the body cannot be read; never when all of it can.
    pub(crate) fn broken(&mut self) -> impl Future<Output = Error> + Send + use<> {
        let broken = match self {
            Self::Whole(_) => None,
            Self::Coming(coming) => coming.broken.take(),
        };
        async {
            match broken {
                Some(broken) => match broken.await {
                    Ok(why) => why,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        }
    }

    pub(crate) fn whole(&self) -> Option<&Bytes> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Coming(_) => None,
        }
    }
}

impl Pieces {
    /// Hands on a piece; `false` when nobody wants it any more.
    pub(crate) async fn send(&self, piece: Bytes) -> bool {
        self.pieces.send(Some(piece)).await.is_ok()
    }

    /// Says that the body is whole. One whose pieces merely end is not.
    pub(crate) async fn end(self) {
        // Whoever has gone does not care.
        let _ = self.pieces.send(None).await;
    }

    /// Says why there will be no more.
    pub(crate) fn break_off(self, why: Error) {
        // Whoever has gone does not care.
        let _ = self.broken.send(why);
    }
}

/// Where bodies are kept, and how many at once.
#[derive(Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
    places: Arc<Semaphore>,
}

/// A file that is being written.
struct Writing {
    file: File,
    place: OwnedSemaphorePermit,
}

impl Spool {
    pub(crate) fn new(config: &HttpConfig) -> Self {
        let places = Arc::new(Semaphore::new(config.spool_files));
        Self { directory: config.spool_directory.clone(), places }
    }

    /// Keeps a body until nobody has its [`BodyFile`] any more.
    pub(crate) async fn keep(&self, payload: Payload) -> Result<BodyFile, Error> {
        let mut pieces = match payload {
            Payload::Whole(whole) => return Ok(whole.into()),
            Payload::Coming(Coming { pieces, .. }) => pieces,
        };
        let (mut memory, mut writing, mut length) = (BytesMut::new(), None, 0);
        while let Some(piece) = pieces.recv().await.ok_or_else(broken_off)? {
            length += piece.len() as u64;
            memory.extend_from_slice(&piece);
            if memory.len() > MEMORY_MAX {
                writing = Some(self.write(writing, memory.split().freeze()).await?);
            }
        }
        let content = match writing {
            None => Content::Memory(memory.freeze()),
            Some(writing) => {
                let Writing { file, place } = self.write(Some(writing), memory.freeze()).await?;
                Content::File(Arc::new(Kept { file: Mutex::new(file), _place: place }))
            }
        };
        Ok(BodyFile { length, content })
    }

    /// Appends to the file, or begins it.
    async fn write(&self, writing: Option<Writing>, bytes: Bytes) -> Result<Writing, Error> {
        let (mut file, place) = if let Some(Writing { file, place }) = writing {
            (Some(file), place)
        } else {
            let place = self.places.clone().try_acquire_owned();
            (None, place.map_err(|full| unavailable(full).retry_after(Duration::from_secs(1)))?)
        };
        let directory = self.directory.clone();
        let written = spawn_blocking(move || {
            let mut file = file.take().map_or_else(|| tempfile::tempfile_in(directory), Ok)?;
            file.write_all(&bytes)?;
            Ok::<_, io::Error>(file)
        });
        let file = written.await.map_err(Error::internal)?.map_err(unavailable)?;
        Ok(Writing { file, place })
    }
}

/// A request's body as a file: in memory while it is small, else in a temporary file that is gone with its last reader.
///
/// A route whose handler reads one may have a [`body_limit`](super::Route::body_limit) far above what fits into memory
/// once per request: the body is taken from the client only when the sender is known to be allowed to call the route, and
/// the handler, with its transaction, begins when all of it is there. The body of a form is read as usual, up to
/// the app's usual limit.
#[derive(Debug, Clone)]
pub struct BodyFile {
    length: u64,
    content: Content,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    File(Arc<Kept>),
}

struct Kept {
    file: Mutex<File>,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::File(_) => "File",
        })
    }
}

impl From<Bytes> for BodyFile {
    fn from(whole: Bytes) -> Self {
        Self { length: whole.len() as u64, content: Content::Memory(whole) }
    }
}

impl BodyFile {
    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A piece of it from this byte on, of at most 64 KiB; empty at the end and beyond.
    ///
    /// # Errors
    /// `internal` when the file cannot be read.
    pub async fn read(&self, at: u64) -> Result<Bytes, Error> {
        let length = self.length.saturating_sub(at).min(PIECE);
        match &self.content {
            _ if length == 0 => Ok(Bytes::new()),
            Content::Memory(whole) => {
                let at = usize::try_from(at).map_err(Error::internal)?;
                Ok(whole.slice(at..at + usize::try_from(length).map_err(Error::internal)?))
            }
            Content::File(kept) => {
                let kept = kept.clone();
                let read = spawn_blocking(move || kept.read(at, length));
                read.await.map_err(Error::internal)?.map_err(Error::internal)
            }
        }
    }

    /// SHA-256 of all of it.
    pub(crate) async fn digest(&self) -> Result<[u8; 32], Error> {
        let (mut digest, mut at) = (Sha256::new(), 0);
        while at < self.length {
            let piece = self.read(at).await?;
            digest.update(&piece);
            at += piece.len() as u64;
        }
        Ok(digest.finalize().into())
    }
}

impl Kept {
    fn read(&self, at: u64, length: u64) -> io::Result<Bytes> {
        // Whoever panicked with the lock left nothing behind but the file's position, which is set here.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut piece)?;
        Ok(piece.into())
    }
}

impl Input for BodyFile {
    fn read(from: &Incoming) -> Result<Self, Error> {
        Ok(from.file())
    }

    fn describe(shape: &mut InputShape<'_>) {
        shape.file();
    }
}

fn broken_off() -> Error {
    Error::new(ErrorKind::Malformed, "malformed").because("the body broke off")
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable, "unavailable").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(files: usize) -> Spool {
        Spool::new(&HttpConfig { spool_files: files, ..HttpConfig::default() })
    }

    async fn kept(spool: &Spool, pieces: &[Bytes]) -> Result<BodyFile, Error> {
        let (into, payload) = Payload::coming();
        let feeding = async {
            for piece in pieces {
                into.send(piece.clone()).await;
            }
            into.end().await;
        };
        tokio::join!(spool.keep(payload), feeding).0
    }

    async fn whole(file: &BodyFile) -> Vec<u8> {
        let mut whole = Vec::new();
        while (whole.len() as u64) < file.length() {
            whole.extend_from_slice(&file.read(whole.len() as u64).await.unwrap());
        }
        whole
    }

    #[tokio::test]
    async fn a_body_comes_back_as_it_was_from_memory_and_from_disk() {
        let spool = spool(1);
        let piece: Bytes = (0..100_000).map(|byte: u32| (byte % 251) as u8).collect::<Vec<_>>().into();
        for count in [0, 1, 2, 3, 40] {
            let pieces = vec![piece.clone(); count];
            let file = kept(&spool, &pieces).await.unwrap();
            let wanted = pieces.concat();
            assert_eq!(whole(&file).await, wanted, "{count}");
            assert_eq!(file.digest().await.unwrap(), crate::secret::sha256(&wanted));
            assert!(file.read(file.length()).await.unwrap().is_empty());
            assert!(file.read(u64::MAX).await.unwrap().is_empty());
            assert_eq!(matches!(file.content, Content::File(_)), count > 2);
        }
    }

    #[tokio::test]
    async fn so_many_files_are_kept_at_once_and_no_more() {
        let spool = spool(1);
        let pieces = vec![Bytes::from(vec![0; 200_000]); 3];
        let first = kept(&spool, &pieces).await.unwrap();
        let refused = kept(&spool, &pieces).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unavailable, "unavailable"));
        assert!(kept(&spool, &pieces[..1]).await.is_ok(), "what fits into memory needs no file");
        let again = first.clone();
        drop(first);
        assert!(kept(&spool, &pieces).await.is_err(), "somebody may still read it");
        drop(again);
        assert!(kept(&spool, &pieces).await.is_ok());
    }

    #[tokio::test]
    async fn a_body_whose_pieces_merely_end_is_none() {
        let (into, payload) = Payload::coming();
        assert!(into.send(Bytes::from_static(b"half")).await);
        drop(into);
        assert_eq!(spool(1).keep(payload).await.unwrap_err().code(), "malformed");
    }

    #[tokio::test]
    async fn without_a_place_for_files_large_bodies_are_refused_for_now() {
        let config = HttpConfig { spool_directory: "/nonexistent".into(), ..HttpConfig::default() };
        let pieces = vec![Bytes::from(vec![0; 200_000]); 2];
        assert_eq!(kept(&Spool::new(&config), &pieces).await.unwrap_err().code(), "unavailable");
    }
}
