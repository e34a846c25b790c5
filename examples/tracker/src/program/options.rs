//! How the program is configured: settings from the environment, secrets from where it says that they are.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use kernel_core::http::{Environment, HttpConfig};
use kernel_core::product::ProductError;
use kernel_core::secret::{
    EnvSecrets, ExposeSecret, FileSecrets, SecretSource, SecretSources, SecretString, SourceError,
};
use kernel_core::telemetry::otlp::OtlpOptions;
use kernel_core::telemetry::sentry::SentryOptions;
use kernel_core::{Config, DbConfig, LocalKeys, Product, RoleNames, causes};
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;

use super::{Listeners, StartError};
use crate::log::RequestLog;
use crate::tracker::Settings;

/// What is wrong with one setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It is missing.
    #[error("{0} is not set; .env.example tells what it is for")]
    Missing(&'static str),
    /// It is a secret that cannot be had.
    #[error(transparent)]
    Secret(#[from] SourceError),
    /// It names a product's configuration that cannot be used.
    #[error("PRODUCT_CONFIG: {}", causes(.0))]
    Product(#[from] ProductError),
    /// It cannot be read.
    #[error("{name} cannot be read: {reason}")]
    Unreadable {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

pub(super) fn listed(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("\n- {error}")).collect()
}

/// How the program is configured, read from the variables and secrets that `.env.example` describes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which lines the log holds: `info`, `warn,kernel=debug`.
    pub log: String,
    /// Whether each of them is a JSON object.
    pub log_json: bool,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where Prometheus asks for metrics: an address that only it reaches.
    pub metrics: Option<SocketAddr>,
    /// Whom the program tells about itself.
    pub listeners: Listeners,
    /// The database's logins.
    pub db: DbConfig,
    /// The login that owns the schema, if the program is to migrate.
    pub migrate: Option<SecretString>,
    /// The configuration of the app.
    pub config: Config,
    /// The settings of the product.
    pub settings: Settings,
}

impl Options {
    /// Reads the variables that `var` knows, and the secrets where they say that those are.
    ///
    /// # Errors
    /// [`StartError::Configuration`], with everything that is wrong.
    pub async fn read(
        var: impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let mut reader = Reader::new(var);
        let environment = reader.environment;
        let listen = reader.parsed("LISTEN").unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 3000)));
        let metrics = reader.parsed("METRICS_ADDR");
        let listeners = reader.listeners().await;
        let traced = reader.sampled();
        let db = reader.db().await;
        let keys = reader.keys().await;
        let migrate = reader.secret("MIGRATE_DATABASE_URL").await;
        let proxies = reader.proxies();
        let version = reader.var("APP_VERSION");
        let notice =
            reader.parsed("STOP_NOTICE_SECONDS").map(|seconds: u16| Duration::from_secs(seconds.into()));
        let log = reader.log();
        let log_json = match reader.var("LOG_FORMAT").as_deref() {
            None => environment.is_served(),
            Some("json") => true,
            Some("text") => false,
            Some(_) => reader.wrong("LOG_FORMAT", "it is neither text nor json", false),
        };
        let public_origin = reader.origin();
        let spool = reader.directory("SPOOL_DIRECTORY");
        let product = reader.product().await;
        let (Some(keys), true) = (keys, reader.errors.is_empty()) else {
            return Err(StartError::Configuration(reader.errors));
        };
        let mut config = Config::new(keys);
        config.http.public_origin = public_origin;
        config.http.trusted_proxies = proxies;
        config.http.timeouts.notice = notice;
        config.http.spool_directory = spool.unwrap_or(config.http.spool_directory);
        config.telemetry.traced = traced;
        config.telemetry.release = format!("tracker@{}", version.as_deref().unwrap_or(VERSION));
        let kept =
            (environment == Environment::Development).then(|| RequestLog::new(&config.telemetry.redaction));
        let mut settings = Settings { environment, log: kept, ..Settings::default() };
        settings.product = product.unwrap_or(settings.product);
        Ok(Self { log, log_json, listen, metrics, listeners, db, migrate, config, settings })
    }
}

/// Which version of the product this is, unless the installation knows better.
const VERSION: &str = env!("CARGO_PKG_VERSION");

type Var = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads settings, and remembers what was wrong with them.
struct Reader {
    var: Var,
    secrets: SecretSources,
    environment: Environment,
    errors: Vec<ConfigError>,
}

impl Reader {
    fn new(var: impl Fn(&str) -> Option<String> + Clone + Send + Sync + 'static) -> Self {
        let mut reader = Self {
            var: Box::new(var.clone()),
            secrets: SecretSources::new(),
            environment: Environment::Production,
            errors: Vec::new(),
        };
        reader.environment = match reader.var("APP_ENV").as_deref() {
            Some("development") => Environment::Development,
            Some("staging") => Environment::Staging,
            Some("production") => Environment::Production,
            Some(_) => {
                let reason = "it is neither development nor staging nor production";
                reader.wrong("APP_ENV", reason, Environment::Production)
            }
            // Taken for either, an installation that has forgotten it would be wrong half of the time.
            None => {
                reader.errors.push(ConfigError::Missing("APP_ENV"));
                Environment::Production
            }
        };
        let plain = match reader.var("ALLOW_PLAIN_SECRETS").as_deref() {
            None => reader.environment == Environment::Development,
            Some("true") => true,
            Some("false") => false,
            Some(_) => reader.wrong("ALLOW_PLAIN_SECRETS", "it is neither true nor false", false),
        };
        let env = EnvSecrets::new(var);
        reader.secrets = reader.secrets.with(if plain { env } else { env.refusing_plain() });
        if let Some(folder) = reader.var("SECRETS_DIR") {
            reader.secrets = reader.secrets.with(FileSecrets::new(folder));
        }
        reader
    }

    fn var(&self, name: &str) -> Option<String> {
        (self.var)(name).filter(|value| !value.is_empty())
    }

    /// Notes what is wrong, and goes on with something so that the rest is looked at too.
    fn wrong<T>(&mut self, name: &'static str, reason: impl ToString, instead: T) -> T {
        self.errors.push(unreadable(name, reason));
        instead
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.var(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => self.wrong(name, error, None),
        }
    }

    fn proxies(&mut self) -> Vec<IpNet> {
        let text = self.var("TRUSTED_PROXIES").unwrap_or_default();
        let mut networks = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.trim().parse() {
                Ok(network) => networks.push(network),
                Err(error) => self.wrong("TRUSTED_PROXIES", error, ()),
            }
        }
        networks
    }

    /// A directory that is there.
    fn directory(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = PathBuf::from(self.var(name)?);
        if path.is_dir() { Some(path) } else { self.wrong(name, "there is no such directory", None) }
    }

    async fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        match self.secrets.get(name).await {
            Ok(secret) => secret,
            Err(error) => {
                self.errors.push(error.into());
                None
            }
        }
    }

    async fn needed(&mut self, name: &'static str) -> Option<SecretString> {
        let before = self.errors.len();
        let secret = self.secret(name).await;
        if secret.is_none() && self.errors.len() == before {
            self.errors.push(ConfigError::Missing(name));
        }
        secret
    }

    /// The logins of the database. A URL that is none is told without its text, which holds a password.
    async fn db(&mut self) -> DbConfig {
        let text = |secret: SecretString| secret.expose_secret().to_owned();
        let mut db = DbConfig::new(self.needed("APP_DATABASE_URL").await.map(text).unwrap_or_default());
        db.worker = self.secret("WORKER_DATABASE_URL").await.map(text);
        db.operator = self.secret("OPERATOR_DATABASE_URL").await.map(text);
        let urls = [
            ("APP_DATABASE_URL", Some(&db.app).filter(|url| !url.is_empty())),
            ("WORKER_DATABASE_URL", db.worker.as_ref()),
            ("OPERATOR_DATABASE_URL", db.operator.as_ref()),
        ];
        for (name, url) in urls {
            if url.is_some_and(|url| url.parse::<PgConnectOptions>().is_err()) {
                self.errors.push(unreadable(name, "it is no URL of a PostgreSQL database"));
            }
        }
        if let Some(prefix) = self.var("DATABASE_ROLE_PREFIX") {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if prefix.len() <= 40 && prefix.bytes().all(plain) {
                db.roles = RoleNames::prefixed(&prefix);
            } else {
                let not_plain = "it is not up to 40 lower-case letters, digits and underscores";
                self.wrong("DATABASE_ROLE_PREFIX", not_plain, ());
            }
        }
        db.max_connections = self.parsed("DATABASE_CONNECTIONS").map_or(db.max_connections, NonZeroU32::get);
        match self.var("DATABASE_POOLER").as_deref() {
            None => {}
            Some("transaction") => db.statement_cache = 0,
            Some(_) => self.wrong("DATABASE_POOLER", "it is not transaction, which is the one mode", ()),
        }
        db
    }

    /// Which part of the requests is traced.
    fn sampled(&mut self) -> f64 {
        let sampled = self.parsed("TRACES_SAMPLED").unwrap_or(1.0);
        let is_a_part = (0.0..=1.0).contains(&sampled);
        if is_a_part { sampled } else { self.wrong("TRACES_SAMPLED", "it does not lie between 0 and 1", 1.0) }
    }

    /// Which lines the log holds.
    fn log(&mut self) -> String {
        let log = self.var("LOG").unwrap_or_else(|| "info".to_owned());
        if EnvFilter::try_new(&log).is_ok() {
            return log;
        }
        self.wrong("LOG", "it is no filter such as info or warn,kernel=info", log)
    }

    /// Where people reach the program.
    fn origin(&mut self) -> Option<String> {
        let origin = self.var("PUBLIC_ORIGIN")?;
        let mut http = HttpConfig::default();
        http.public_origin = Some(origin);
        if http.problems().is_empty() {
            return http.public_origin;
        }
        self.wrong("PUBLIC_ORIGIN", "it is no origin; write https://host or https://host:port", None)
    }

    /// Brand, features and plans, if they are not those that the program carries.
    async fn product(&mut self) -> Option<Arc<Product>> {
        let file = self.var("PRODUCT_CONFIG")?;
        match Product::load(Path::new(&file)).await {
            Ok(product) => Some(Arc::new(product)),
            Err(error) => {
                self.errors.push(error.into());
                None
            }
        }
    }

    /// A collector of OpenTelemetry, and Sentry.
    async fn listeners(&mut self) -> Listeners {
        let otlp = self.var("OTEL_EXPORTER_OTLP_ENDPOINT");
        let headers = self.secret("OTEL_EXPORTER_OTLP_HEADERS").await.unwrap_or_default();
        let otlp = otlp.and_then(|endpoint| match OtlpOptions::new(&endpoint, "tracker") {
            Ok(options) => Some(options),
            Err(error) => self.wrong("OTEL_EXPORTER_OTLP_ENDPOINT", error, None),
        });
        let otlp = otlp.and_then(|options| match options.headers(headers.expose_secret()) {
            Ok(options) => Some(options),
            Err(error) => self.wrong("OTEL_EXPORTER_OTLP_HEADERS", error, None),
        });
        let environment = self.environment.name();
        let sentry = self.secret("SENTRY_DSN").await.filter(|dsn| !dsn.expose_secret().is_empty());
        let sentry = sentry.and_then(|dsn| match SentryOptions::new(dsn.expose_secret()) {
            Ok(options) => Some(options.environment(environment)),
            Err(error) => self.wrong("SENTRY_DSN", error, None),
        });
        Listeners { otlp, sentry }
    }

    /// The key that wraps, and those that did before it.
    async fn keys(&mut self) -> Option<LocalKeys> {
        let key_id = self.var("APP_KEY_ID").unwrap_or_else(|| "1".to_owned());
        let key = self.needed("APP_KEY").await;
        if self.environment.is_served() && key.as_ref().is_some_and(is_a_placeholder) {
            return self.wrong(
                "APP_KEY",
                "it is no random key; make one with `openssl rand -base64 32`",
                None,
            );
        }
        let older = self.secret("APP_KEYS_OLDER").await;
        let keys = match LocalKeys::new(key_id, key?.expose_secret()) {
            Ok(keys) => keys,
            Err(error) => return self.wrong("APP_KEY", error, None),
        };
        match keys.and_all_older(older.unwrap_or_default().expose_secret()) {
            Ok(keys) => Some(keys),
            Err(error) => self.wrong("APP_KEYS_OLDER", error, None),
        }
    }
}

/// Whether a key is one that documents show, all of one letter: everybody knows it.
fn is_a_placeholder(key: &SecretString) -> bool {
    let letters = key.expose_secret().trim_end_matches('=').as_bytes();
    letters.iter().all(|letter| letters.first() == Some(letter))
}

#[expect(clippy::needless_pass_by_value, reason = "errors and literals read better without an ampersand")]
pub(super) fn unreadable(name: &'static str, reason: impl ToString) -> ConfigError {
    ConfigError::Unreadable { name, reason: reason.to_string() }
}
