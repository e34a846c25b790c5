//! Where a program finds its own secrets: files that an orchestrator mounts, the environment, or a manager.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use zeroize::Zeroizing;

/// What a secret may weigh: 64 KiB.
const MOST: u64 = 64 * 1024;

/// Why a secret cannot be had. It holds names and paths, never a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source does not say which of the two counts.
    #[error("{name} and {name}_FILE are both set; keep one")]
    Both {
        /// The secret.
        name: String,
    },
    /// No source looks for it under this name.
    #[error(
        "{name:?} is no name of a secret: letters, digits, dots, hyphens and underscores, and no dot first"
    )]
    Name {
        /// What was asked for.
        name: String,
    },
    /// It stands in the environment, which every child process and crash report inherits.
    #[error(
        "{name} is a plain environment variable, which is refused here; let {name}_FILE name a file that holds it"
    )]
    Plain {
        /// The secret.
        name: String,
    },
    /// A manager cannot be asked. The source must hold no secret.
    #[error("{name} cannot be had from its source")]
    Refused {
        /// The secret.
        name: String,
        /// What the source says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is there and cannot be read, is no text, or has more than 64 KiB.
    #[error("{name} cannot be read from {path}: {reason}")]
    Unreadable {
        /// The secret.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Knows secrets by name. A host's secrets manager is another implementation.
#[async_trait]
pub trait SecretSource: Send + Sync {
    /// The secret of this name; `None` where there is none, or an empty one.
    ///
    /// # Errors
    /// [`SourceError`].
    async fn get(&self, name: &str) -> Result<Option<SecretString>, SourceError>;
}

type Var = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The environment, as the host's `main` hands it over: `NAME_FILE` names a file that holds the secret `NAME`; `NAME`
/// itself is taken too, unless that is refused.
///
/// ```
/// # use kernel_core::secret::{EnvSecrets, ExposeSecret, SecretSource};
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let var = |name: &str| (name == "APP_KEY").then(|| "s3cret".to_owned());
/// let key = EnvSecrets::new(var).get("APP_KEY").await?.expect("it is set");
/// assert_eq!((key.expose_secret(), format!("{key:?}").contains("s3cret")), ("s3cret", false));
/// let refused = EnvSecrets::new(var).refusing_plain().get("APP_KEY").await.unwrap_err().to_string();
/// assert!(refused.starts_with("APP_KEY is a plain environment variable, which is refused here"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct EnvSecrets {
    var: Var,
    plain: bool,
}

impl fmt::Debug for EnvSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSecrets").field("plain", &self.plain).finish_non_exhaustive()
    }
}

impl EnvSecrets {
    /// The variables that `var` knows.
    pub fn new(var: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { var: Arc::new(var), plain: true }
    }

    /// Takes no secret that stands in the environment itself, only files that it names: for production.
    #[must_use]
    pub fn refusing_plain(mut self) -> Self {
        self.plain = false;
        self
    }

    fn set(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }
}

#[async_trait]
impl SecretSource for EnvSecrets {
    async fn get(&self, name: &str) -> Result<Option<SecretString>, SourceError> {
        check(name)?;
        let owned = || name.to_owned();
        match (self.set(name), self.set(&format!("{name}_FILE"))) {
            (Some(_), Some(_)) => Err(SourceError::Both { name: owned() }),
            (Some(_), None) if !self.plain => Err(SourceError::Plain { name: owned() }),
            (Some(value), None) => Ok(Some(value.into())),
            (None, Some(path)) => match read(name, Path::new(&path)).await {
                Ok(None) => Err(SourceError::Unreadable {
                    name: owned(),
                    path: path.into(),
                    reason: "there is nothing".to_owned(),
                }),
                found => found,
            },
            (None, None) => Ok(None),
        }
    }
}

/// A folder with one file per secret, as orchestrators mount them. A newline at the end of a file is not part of it.
#[derive(Debug, Clone)]
pub struct FileSecrets {
    folder: PathBuf,
}

impl FileSecrets {
    /// The files of this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

#[async_trait]
impl SecretSource for FileSecrets {
    async fn get(&self, name: &str) -> Result<Option<SecretString>, SourceError> {
        check(name)?;
        read(name, &self.folder.join(name)).await
    }
}

/// Several sources: the first that has a secret counts, and one that cannot say ends the search.
#[derive(Clone, Default)]
pub struct SecretSources(Vec<Arc<dyn SecretSource>>);

impl fmt::Debug for SecretSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretSources").field(&self.0.len()).finish()
    }
}

impl SecretSources {
    /// No source.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this one after those before it.
    #[must_use]
    pub fn with(mut self, source: impl SecretSource + 'static) -> Self {
        self.0.push(Arc::new(source));
        self
    }
}

#[async_trait]
impl SecretSource for SecretSources {
    async fn get(&self, name: &str) -> Result<Option<SecretString>, SourceError> {
        for source in &self.0 {
            if let Some(secret) = source.get(name).await? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }
}

/// No name leads out of a folder.
fn check(name: &str) -> Result<(), SourceError> {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && !name.starts_with('.') && name.chars().all(known) {
        return Ok(());
    }
    Err(SourceError::Name { name: name.to_owned() })
}

async fn read(name: &str, path: &Path) -> Result<Option<SecretString>, SourceError> {
    let unreadable = |reason: &dyn fmt::Display| SourceError::Unreadable {
        name: name.to_owned(),
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    match tokio::fs::metadata(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&error)),
        Ok(facts) if facts.len() > MOST => return Err(unreadable(&"more than 64 KiB")),
        Ok(_) => {}
    }
    let bytes = Zeroizing::new(tokio::fs::read(path).await.map_err(|error| unreadable(&error))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable(&"no text in UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok((!text.is_empty()).then(|| text.into()))
}
