//! The configuration of the programs: everything that is wrong at once, and no secret in what is said about it.

use kernel_core::secret::ExposeSecret;
use tracker::program::Options;

const KEY: &str = "dGVzdCBrZXksIHByb3RlY3RzIG5vdGhpbmcgYXQgYWw=";

async fn read(variables: &[(&str, &str)]) -> Result<Options, String> {
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let var =
        move |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    Options::read(var).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_without_the_values() {
    let wrong = read(&[
        ("APP_ENV", "staging"),
        ("ALLOW_PLAIN_SECRETS", "true"),
        ("APP_KEY", "s3cret-key"),
        ("WORKER_DATABASE_URL", "postgres://worker:s3cret@localhost:s3cret/tracker"),
        ("LISTEN", "s3cret-nowhere"),
        ("LOG_FORMAT", "xml"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,s3cret-proxy"),
        ("METRICS_ADDR", "s3cret-nowhere"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "s3cret-collector"),
        ("SENTRY_DSN", "https://s3cret@sentry.example"),
        ("TRACES_SAMPLED", "s3cret"),
    ]);
    let wrong = wrong.await.unwrap_err();
    let names = ["APP_ENV", "APP_KEY", "APP_DATABASE_URL", "WORKER_DATABASE_URL", "LISTEN", "LOG_FORMAT"];
    let told = ["METRICS_ADDR", "OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN", "TRACES_SAMPLED"];
    for name in names.into_iter().chain(["TRUSTED_PROXIES"]).chain(told) {
        assert!(wrong.contains(&format!("- {name} ")), "{name}: {wrong}");
    }
    assert!(!wrong.contains("s3cret"), "{wrong}");
}

#[tokio::test]
async fn production_takes_secrets_from_files_and_refuses_plain_ones() {
    let url = "postgres://app:s3cret@localhost/tracker";
    let plain = [("APP_ENV", "production"), ("APP_KEY", KEY), ("APP_DATABASE_URL", url)];
    let refused = read(&plain).await.unwrap_err();
    let refusal =
        "APP_KEY is a plain environment variable, which production refuses; let APP_KEY_FILE name a file";
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
