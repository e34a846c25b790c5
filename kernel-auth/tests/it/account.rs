use kernel_auth::Auth;
use kernel_core::hook::{Hook, SignUp};
use kernel_core::testkit::{Answer, Client, TestKernel};
use kernel_core::{Error, GlobalTx, Pillar};
use serde_json::json;

pub(crate) const SIGN_UP: &str = "/api/v1/auth/sign-up";
pub(crate) const LOG_IN: &str = "/api/v1/auth/log-in";

pub(crate) async fn kernel() -> TestKernel {
    TestKernel::start(|app| app.with(Auth::default())).await
}

pub(crate) async fn sign_up(client: &mut Client, email: &str) -> Answer {
    client.post(SIGN_UP, &json!({ "name": "Ada", "email": email, "password": "correct horse battery" })).await
}

pub(crate) async fn log_in(client: &mut Client, email: &str, password: &str) -> Answer {
    client.post(LOG_IN, &json!({ "email": email, "password": password })).await
}

#[tokio::test]
async fn signing_up_signs_in_and_stores_no_secret_in_clear() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    let answer = sign_up(&mut client, "Ada@Example.com").await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let me = client.get("/api/v1/me").await;
    assert_eq!((me.status, me.json()["user"]["email"].as_str()), (200, Some("Ada@Example.com")));

    let cookie = client.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let mut admin = kernel.admin().await;
    let rows: Vec<String> = sqlx::query_scalar(
        r#"SELECT to_jsonb(u)::text FROM kernel_auth."user" u UNION ALL SELECT to_jsonb(s)::text FROM kernel_auth.session s"#,
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| !row.contains("correct horse") && !row.contains(&cookie)), "{rows:?}");
}

#[tokio::test]
async fn an_address_is_taken_whatever_its_case() {
    let kernel = kernel().await;
    assert_eq!(sign_up(&mut Client::new(&kernel.app), "ada@example.com").await.status, 201);
    let again = sign_up(&mut Client::new(&kernel.app), " ADA@example.com").await;
    assert_eq!((again.status, again.code().as_str()), (422, "invalid"), "a space is no part of an address");
    let again = sign_up(&mut Client::new(&kernel.app), "ADA@example.com").await;
    assert_eq!((again.status, again.code().as_str()), (409, "auth.email_taken"));
    assert!(again.json()["error"]["fields"]["email"].is_string());
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_look_alike() {
    let kernel = kernel().await;
    sign_up(&mut Client::new(&kernel.app), "ada@example.com").await;
    let bare = |answer: Answer| {
        let mut json = answer.json();
        json["error"]["request_id"].take();
        (answer.status, json)
    };
    let unknown =
        bare(log_in(&mut Client::new(&kernel.app), "eve@example.com", "correct horse battery").await);
    let wrong = bare(log_in(&mut Client::new(&kernel.app), "ada@example.com", "wrong horse battery").await);
    assert_eq!(unknown, wrong);
    assert_eq!(wrong.1["error"]["code"], "auth.credentials_refused");
    let right = log_in(&mut Client::new(&kernel.app), "Ada@example.com", "correct horse battery").await;
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn input_that_breaks_a_rule_names_its_field() {
    let kernel = kernel().await;
    let mut client = Client::new(&kernel.app);
    let body = json!({ "name": "", "email": "nobody", "password": "short" });
    let answer = client.post(SIGN_UP, &body).await;
    assert_eq!(answer.status, 422);
    let fields = answer.json()["error"]["fields"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields, ["email", "name", "password"]);
    let body =
        json!({ "name": "A", "email": "a@example.com", "password": "x".repeat(300), "is_admin": true });
    let answer = client.post(SIGN_UP, &body).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let long = log_in(&mut client, "a@example.com", &"x".repeat(300)).await;
    assert_eq!(long.status, 422, "nothing that long is hashed");
}

struct Refusing;

#[async_trait::async_trait]
impl Hook<GlobalTx, SignUp> for Refusing {
    async fn run(&self, _: &mut GlobalTx, _: &SignUp) -> Result<(), Error> {
        Err(Error::not_found())
    }
}

#[tokio::test]
async fn a_hook_that_fails_undoes_the_sign_up() {
    let product = || Pillar::new("product").on_signup(Refusing);
    let kernel = TestKernel::start(|app| app.with(Auth::default()).with(product())).await;
    let mut client = Client::new(&kernel.app);
    assert_eq!(sign_up(&mut client, "ada@example.com").await.status, 404);
    let mut admin = kernel.admin().await;
    let counts: (i64, i64, i64) = sqlx::query_as(
        r#"SELECT (SELECT count(*) FROM kernel_auth."user"), (SELECT count(*) FROM kernel_core.outbox),
                  (SELECT count(*) FROM kernel_core.audit_unsealed)"#,
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert_eq!(counts, (0, 0, 0));
}

#[tokio::test]
async fn more_log_ins_than_can_be_hashed_soon_are_refused_before_hashing() {
    let settings = || {
        let mut settings = kernel_auth::Settings::default();
        (settings.hashing, settings.waiting) = (1, 2);
        settings
    };
    let mut config = kernel_core::testkit::config();
    config.http.quotas.auth = config.http.quotas.address;
    let kernel = TestKernel::with(config, |app| app.with(Auth::new(settings()))).await;
    let attempts = (0..12).map(|n| {
        let mut client = Client::new(&kernel.app);
        async move { log_in(&mut client, &format!("u{n}@example.com"), "correct horse battery").await }
    });
    let answers = futures_util::future::join_all(attempts).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(
        !busy.is_empty() && busy.len() < 12,
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    assert!(busy.iter().all(|answer| answer.headers.contains_key("retry-after")));
}
