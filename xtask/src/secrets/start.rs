//! What a program shows of its configuration, and what it says when it does not start.

use anyhow::{Context, Result, ensure};
use kernel_core::testkit::TestKernel;
use kernel_core::{Config, Db, DbConfig, LocalKeys};
use tracker::program::{Options, Program};

use super::canary::{Canaries, draw};

/// Each text that is shown, and where.
pub(super) async fn shown(
    kernel: &TestKernel,
    config: &Config,
    canaries: &mut Canaries,
    short: bool,
) -> Result<Vec<(String, String)>> {
    let logins = kernel.database.logins();
    let ctx = kernel.app.system("secrets");
    let mut shown = vec![
        ("Debug of Config".to_owned(), format!("{config:?} {config:#?}")),
        ("Debug of DbConfig".to_owned(), format!("{:?}", logins.config())),
        (
            "Debug of App".to_owned(),
            format!("{:?} {:?} {:?} {ctx:?}", kernel.app, kernel.app.db(), kernel.database),
        ),
        ("Debug of Logins".to_owned(), format!("{logins:?}")),
    ];
    let key = draw("0123456789abcdef0123456789abcdef");
    canaries.add("a key that is none", key.as_bytes());
    let refused = LocalKeys::new("k", &key);
    ensure!(refused.is_err(), "a key that is none is taken");
    shown.push(("an unusable key".to_owned(), format!("{refused:?}")));
    for (what, url) in urls(&logins.config().app, canaries, short) {
        let mut db = DbConfig::new(url.as_str());
        db.roles = kernel_core::testkit::roles();
        let outcome = match Db::new(&db) {
            Ok(db) => match kernel_core::App::builder(db, config.clone()).build().await {
                Ok(_) => "started".to_owned(),
                Err(problems) => format!("{problems} {problems:?}"),
            },
            Err(error) => format!("{error:?} {}", kernel_core::causes(&error)),
        };
        ensure!(outcome != "started", "an app starts with {what}");
        shown.push((format!("a start with {what}"), outcome));
        shown.push((format!("the product's start with {what}"), Box::pin(product(&url, canaries)).await?));
    }
    Ok(shown)
}

/// URLs that are wrong in one way each, with a password of their own in every one.
fn urls(right: &str, canaries: &mut Canaries, short: bool) -> Vec<(&'static str, String)> {
    let password = draw("dbpassword");
    canaries.add("the password in a wrong URL", password.as_bytes());
    let place = right.split_once('@').map_or("localhost/x", |(_, place)| place).to_owned();
    let mut urls = vec![
        ("a wrong password", format!("postgres://kernel_test_app:{password}@{place}")),
        ("a wrong port", format!("postgres://app:{password}@localhost:{password}/x")),
    ];
    if !short {
        // A pool asks for as long as it waits for a connection.
        urls.push(("a wrong host", format!("postgres://app:{password}@no-such-host.invalid/x")));
        urls.push(("no server", format!("postgres://app:{password}@localhost:1/x")));
    }
    urls
}

/// What the example product says of a configuration in which everything is wrong, and what it shows of one that is right.
async fn product(url: &str, canaries: &mut Canaries) -> Result<String> {
    let (key, owner) = (draw("appkey"), draw("owner"));
    canaries.add("the product's key", key.as_bytes());
    canaries.add("the password of the schema's owner", owner.as_bytes());
    let migrate = format!("postgres://owner:{owner}@localhost:1/x");
    let (wrong, right) = (url.to_owned(), kernel_core::Entropy::system().bytes::<32>());
    canaries.add("the product's right key", &right);
    let right = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(right)
    };
    let mut said = String::new();
    for (app_env, app_key) in [("production", &key), ("development", &key), ("development", &right)] {
        let (app_env, app_key, wrong, migrate) =
            (app_env.to_owned(), app_key.clone(), wrong.clone(), migrate.clone());
        let read = Options::read(move |name| match name {
            "APP_ENV" => Some(app_env.clone()),
            "APP_KEY" => Some(app_key.clone()),
            "APP_KEYS_OLDER" => Some(format!("old:{app_key}x")).filter(|_| app_key.starts_with("appkey")),
            "APP_DATABASE_URL" | "WORKER_DATABASE_URL" => Some(wrong.clone()),
            "MIGRATE_DATABASE_URL" => Some(migrate.clone()),
            _ => None,
        });
        let shown = match read.await {
            Ok(options) => {
                let shown = format!("{options:?}");
                let unmigrated = options.clone().migrate().await.err().context("the product migrates")?;
                let failed = Program::start(options).await.err().context("the product starts")?;
                let causes = [&unmigrated, &failed].map(|error| kernel_core::causes(error));
                format!("{shown} {unmigrated:?} {failed:?} {}", causes.join(" "))
            }
            Err(error) => format!("{error} {error:?}"),
        };
        said.push_str(&shown);
    }
    Ok(said)
}
