//! The configuration of the programs: everything that is wrong at once, and no secret in what is said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use kernel_core::secret::ExposeSecret;
use sqlx::Executor;
use tracker::program::Options;

const KEY: &str = "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=";

/// The options of these variables; in development unless they say otherwise.
async fn read(variables: &[(&str, &str)]) -> Result<Options, String> {
    let named = variables.iter().any(|(name, _)| *name == "APP_ENV");
    let unnamed = if named { &[][..] } else { &[("APP_ENV", "development")] };
    exactly(&[unnamed, variables].concat()).await
}

async fn exactly(variables: &[(&str, &str)]) -> Result<Options, String> {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let var =
        move |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Options::read(var).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_without_the_values() {
    let wrong = read(&[
        ("APP_ENV", "test"),
        ("ALLOW_PLAIN_SECRETS", "true"),
        ("APP_KEY", "s3cret-key"),
        ("WORKER_DATABASE_URL", "postgres://worker:s3cret@localhost:s3cret/tracker"),
        ("LISTEN", "s3cret-nowhere"),
        ("LOG_FORMAT", "xml"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,s3cret-proxy"),
        ("PRODUCT_CONFIG", "/nowhere/product.config.toml"),
        ("SPOOL_DIRECTORY", "/s3cret-nowhere"),
        ("METRICS_ADDR", "s3cret-nowhere"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "s3cret-collector"),
        ("SENTRY_DSN", "https://s3cret@sentry.example"),
        ("TRACES_SAMPLED", "s3cret"),
        ("LOG", "s3cret=s3cret=s3cret"),
        ("PUBLIC_ORIGIN", "s3cret.example.com"),
        ("STOP_NOTICE_SECONDS", "5s"),
        ("DATABASE_CONNECTIONS", "0"),
        ("DATABASE_POOLER", "session"),
        ("DATABASE_ROLE_PREFIX", "s3cret'"),
    ]);
    let wrong = wrong.await.unwrap_err();
    let names = ["APP_ENV", "APP_KEY", "APP_DATABASE_URL", "WORKER_DATABASE_URL", "LISTEN", "LOG_FORMAT"];
    let told = ["METRICS_ADDR", "OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN", "TRACES_SAMPLED"];
    for name in names
        .into_iter()
        .chain(["TRUSTED_PROXIES", "SPOOL_DIRECTORY", "DATABASE_CONNECTIONS", "DATABASE_POOLER"])
        .chain(["STOP_NOTICE_SECONDS", "DATABASE_ROLE_PREFIX", "LOG", "PUBLIC_ORIGIN"])
        .chain(told)
    {
        assert!(wrong.contains(&format!("- {name} ")), "{name}: {wrong}");
    }
    assert!(wrong.contains("- PRODUCT_CONFIG: /nowhere/product.config.toml cannot be read: "), "{wrong}");
    assert!(!wrong.contains("s3cret"), "{wrong}");
}

#[tokio::test]
async fn more_than_all_requests_cannot_be_traced() {
    let needed = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    for (sampled, is_a_part) in [("0", true), ("0.25", true), ("1", true), ("1.01", false), ("NaN", false)] {
        let options = read(&[&needed[..], &[("TRACES_SAMPLED", sampled)]].concat()).await;
        assert_eq!(options.is_ok(), is_a_part, "{sampled}: {:?}", options.err());
    }
}

#[tokio::test]
async fn uploads_lie_where_the_installation_says() {
    let folder = std::env::temp_dir().join(format!("tracker-spool-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let named = folder.to_string_lossy().into_owned();
    let needed = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    let spool = async |more: &[(&str, &str)]| {
        read(&[&needed[..], more].concat()).await.map(|options| options.config.http.spool_directory)
    };
    assert_eq!(spool(&[]).await, Ok("/tmp".into()));
    assert_eq!(spool(&[("SPOOL_DIRECTORY", "")]).await, Ok("/tmp".into()));
    assert_eq!(spool(&[("SPOOL_DIRECTORY", &named)]).await, Ok(folder.clone()));
    std::fs::remove_dir(&folder).unwrap();
    let refused = spool(&[("SPOOL_DIRECTORY", &named)]).await.unwrap_err();
    assert!(refused.contains("- SPOOL_DIRECTORY cannot be read: there is no such directory"), "{refused}");
}

#[tokio::test]
async fn the_administrators_sql_is_about_the_installations_roles() {
    let needed = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    let sql = async |more: &[(&str, &str)]| {
        read(&[&needed[..], more].concat()).await.unwrap().bootstrap("the \"shop\"").unwrap()
    };
    let own = sql(&[("DATABASE_ROLE_PREFIX", "corner")]).await;
    assert!(own.contains("corner_migrate") && !own.contains("kernel_migrate"), "{own}");
    assert!(own.contains(r#""the ""shop""""#), "{own}");
    assert!(sql(&[]).await.contains("kernel_migrate"));
}

/// The variables of `.env.example`, each with its value and the comment right above it.
fn example() -> BTreeMap<String, (&'static str, String)> {
    let (mut variables, mut comment) = (BTreeMap::new(), String::new());
    for line in include_str!("../../../../.env.example").lines() {
        if let Some(said) = line.strip_prefix('#') {
            comment.push_str(said);
        } else if let Some((name, value)) = line.split_once('=') {
            let before = variables.insert(name.to_owned(), (value, std::mem::take(&mut comment)));
            assert!(before.is_none(), "{name} stands there twice");
        } else {
            comment.clear();
        }
    }
    variables
}

#[tokio::test]
async fn the_example_lists_exactly_the_variables_that_are_read() {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = asked.clone();
    let nothing = move |name: &str| {
        seen.lock().unwrap().insert(name.to_owned());
        None
    };
    Options::read(nothing).await.unwrap_err();
    let mut asked = std::mem::take(&mut *asked.lock().unwrap());
    // Only a secret may be in a file of its own.
    let secrets: BTreeSet<_> =
        asked.iter().filter_map(|name| name.strip_suffix("_FILE")).map(str::to_owned).collect();
    asked.retain(|name| !name.strip_suffix("_FILE").is_some_and(|name| secrets.contains(name)));

    let example = example();
    assert_eq!(example.keys().cloned().collect::<BTreeSet<_>>(), asked);
    for (name, (_, comment)) in &example {
        assert!(!comment.is_empty(), "{name} is not explained");
        assert_eq!(comment.trim().starts_with("Secret"), secrets.contains(name), "{name}: {comment}");
    }
}

#[tokio::test]
async fn the_example_tells_the_defaults() {
    let example = example();
    // A key that stood there would be used.
    assert_eq!(example["APP_KEY"].0, "");
    let filled = |name: &str, value: &'static str| if name == "APP_KEY" { KEY } else { value };
    let whole: Vec<_> =
        example.iter().map(|(name, (value, _))| (name.as_str(), filled(name, value))).collect();
    let is_needed = |name: &str| example[name].1.trim().starts_with("Secret, needed") || name == "APP_ENV";
    let needed: Vec<_> = whole.iter().copied().filter(|(name, _)| is_needed(name)).collect();
    let (whole, least) = (read(&whole).await.unwrap(), read(&needed).await.unwrap());
    assert_eq!(format!("{whole:?}"), format!("{least:?}"));
    for name in needed.iter().map(|(name, _)| *name) {
        let others: Vec<_> = needed.iter().copied().filter(|(other, _)| *other != name).collect();
        assert!(exactly(&others).await.unwrap_err().contains(&format!("- {name} is not set")), "{name}");
    }
}

#[tokio::test]
async fn the_version_is_the_programs_unless_the_installation_says_another() {
    let needed = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    let release = async |more: &[(&str, &str)]| {
        read(&[&needed[..], more].concat()).await.unwrap().config.telemetry.release
    };
    assert_eq!(release(&[]).await, concat!("tracker@", env!("CARGO_PKG_VERSION")));
    assert_eq!(release(&[("APP_VERSION", "1.4.0")]).await, "tracker@1.4.0");
}

#[tokio::test]
async fn connections_and_the_pooler_are_the_installations() {
    let needed = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    let read = async |more: &[(&str, &str)]| {
        let db = read(&[&needed[..], more].concat()).await.unwrap().db;
        (db.max_connections, db.statement_cache)
    };
    assert_eq!(read(&[]).await, (16, 100));
    assert_eq!(read(&[("DATABASE_CONNECTIONS", "4"), ("DATABASE_POOLER", "transaction")]).await, (4, 0));
}

#[tokio::test]
async fn staging_is_as_careful_with_secrets_as_production() {
    let url = "postgres://app:s3cret@localhost/tracker";
    let plain = [("APP_ENV", "staging"), ("APP_KEY", KEY), ("APP_DATABASE_URL", url)];
    let refused = read(&plain).await.unwrap_err();
    assert!(refused.contains("APP_KEY is a plain environment variable"), "{refused}");
}

#[tokio::test]
async fn who_forgets_the_environment_or_the_key_is_told() {
    let nowhere = [("APP_KEY", KEY), ("APP_DATABASE_URL", "postgres://app@localhost/tracker")];
    assert!(exactly(&nowhere).await.unwrap_err().contains("- APP_ENV is not set"));
    let documented = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let with = async |environment| {
        let url = ("APP_DATABASE_URL", "postgres://app@localhost/tracker");
        read(&[("APP_ENV", environment), ("APP_KEY", documented), url, ("ALLOW_PLAIN_SECRETS", "true")]).await
    };
    assert!(with("production").await.unwrap_err().contains("- APP_KEY cannot be read: it is no random key"));
    assert!(with("development").await.is_ok());
}

#[tokio::test]
async fn production_takes_secrets_from_files_and_refuses_plain_ones() {
    let url = "postgres://app:s3cret@localhost/tracker";
    let plain = [("APP_ENV", "production"), ("APP_KEY", KEY), ("APP_DATABASE_URL", url)];
    let refused = read(&plain).await.unwrap_err();
    let refusal =
        "APP_KEY is a plain environment variable, which is refused here; let APP_KEY_FILE name a file";
    assert!(refused.contains(refusal) && !refused.contains("s3cret") && !refused.contains(KEY), "{refused}");
    let allowed = read(&[&plain[..], &[("ALLOW_PLAIN_SECRETS", "true")]].concat()).await.unwrap();
    assert_eq!(allowed.db.app, url);

    let folder = std::env::temp_dir().join(format!("tracker-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("APP_DATABASE_URL"), format!("{url}\n")).unwrap();
    std::fs::write(folder.join("MIGRATE_DATABASE_URL"), format!("{url}\n")).unwrap();
    std::fs::write(folder.join("key"), format!("{KEY}\n")).unwrap();
    let (in_folder, key) =
        (folder.to_string_lossy().into_owned(), folder.join("key").to_string_lossy().into_owned());
    let mounted = [("APP_ENV", "production"), ("APP_KEY_FILE", &key), ("SECRETS_DIR", &in_folder)];
    let mounted = read(&mounted.map(|(name, value)| (name, value as &str))).await.unwrap();
    assert_eq!((mounted.db.app.as_str(), mounted.migrate.as_ref().unwrap().expose_secret()), (url, url));
    let shown = format!("{mounted:?}");
    assert!(!shown.contains("s3cret") && !shown.contains(KEY), "{shown}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_installation_can_be_examined_without_serving() {
    let kernel = crate::start().await;
    let logins = kernel.database.logins();
    let (db, migrate) = (logins.config(), logins.of(&kernel_core::testkit::roles().migrate));
    let variables = [
        ("APP_KEY", KEY.to_owned()),
        ("APP_KEY_ID", "test".to_owned()),
        ("APP_DATABASE_URL", db.app),
        ("WORKER_DATABASE_URL", db.worker.unwrap()),
        ("OPERATOR_DATABASE_URL", db.operator.unwrap()),
        ("MIGRATE_DATABASE_URL", migrate),
        ("DATABASE_ROLE_PREFIX", "kernel_test".to_owned()),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    read(&variables).await.unwrap().migrate().await.unwrap();
    let code = async || {
        let code = read(&variables).await.unwrap().examine().await.unwrap();
        format!("{code:?}")
    };
    let (sound, faulty) = (format!("{:?}", ExitCode::SUCCESS), format!("{:?}", ExitCode::FAILURE));
    assert_eq!(code().await, sound);
    let weaken = "ALTER TABLE tracker.issue DISABLE ROW LEVEL SECURITY";
    kernel.admin().await.execute(weaken).await.unwrap();
    assert_eq!(code().await, faulty);
}
