//! `cargo xtask prove client`: a TypeScript client out of the OpenAPI document, compiled strictly and used.
//!
//! Nothing of the client is written by hand: `openapi-typescript` makes the types of the document that a running program
//! serves, `openapi-fetch` calls through them. `xtask/client/use.ts` signs up, founds a workspace and works in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use kernel_core::testkit::left_out;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::browser::{database, quietly};
use crate::cargo;
use crate::dev::Product;
use crate::outcome::Outcome;
use crate::prove::Options;

/// The document calls a field by another name than the API.
const RENAMED_FIELD: &str = "renamed-field";
/// The document leaves a route out.
const UNLISTED_ROUTE: &str = "unlisted-route";
/// The document says that an answer's field may be missing.
const OPTIONAL_FIELD: &str = "optional-field";

/// What the compiler must notice when it is planted in the document.
pub const FAULTS: &[&str] = &[RENAMED_FIELD, UNLISTED_ROUTE, OPTIONAL_FIELD];

/// Makes the client of what each framework serves, and uses it there.
///
/// # Errors
///
/// When a program or its database cannot be started.
pub async fn run(options: Options) -> Result<Outcome> {
    let folder = match tools().await {
        Ok(folder) => folder,
        Err(error) => {
            left_out("prove client", &format!("{error:#}"));
            return Ok(Outcome::new().value("left_out", 1));
        }
    };
    let server = options.postgres().await?;
    let mut outcome = Outcome::new();
    for framework in if options.short { &["axum"][..] } else { &["axum", "actix"] } {
        let product = Product::of(framework);
        product.build().await?;
        let logins = database(server.options(), &format!("client_{framework}")).await?;
        let running = product.start(&logins, None, "warn").await?;
        let mut document = document(&running.url).await?;
        plant(&mut document, &options)?;
        let operations = count(&document);
        let used = used(&folder, &document, &running.url).await?;
        drop(running);
        outcome = match used {
            Ok(figures) => judge(outcome, framework, operations, &figures),
            Err(reason) => outcome.require(false, format!("{framework}: {reason}")),
        };
    }
    Ok(outcome)
}

fn judge(outcome: Outcome, framework: &'static str, operations: usize, figures: &Value) -> Outcome {
    let figure = |name: &str| figures[name].as_u64().unwrap_or_default();
    let (calls, issues) = (figure("calls"), figure("issues"));
    outcome
        .value(framework, format!("{operations}operations/{calls}calls/{issues}issues"))
        .require(operations >= 30, format!("{framework}: the document lists {operations} operations only"))
        .require(calls >= 9 && issues == 3, format!("{framework}: the client did not reach its end"))
}

/// Node with the packages of the client.
async fn tools() -> Result<PathBuf> {
    let folder = cargo::target_dir()?.join("client");
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json", "tsconfig.json", "use.ts"] {
        std::fs::copy(cargo::workspace_dir().join("xtask/client").join(file), folder.join(file))?;
    }
    if !folder.join("node_modules/typescript/bin/tsc").exists() {
        quietly("npm", &["ci", "--no-audit", "--no-fund", "--ignore-scripts"], &folder).await?;
    }
    Ok(folder)
}

/// The document that the program serves.
async fn document(origin: &str) -> Result<Value> {
    let address = origin.strip_prefix("http://").context("the program serves http")?;
    let stream = TcpStream::connect(address).await.context("the program does not answer")?;
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
    let request = http::Request::get("/api/v1/openapi.json").header("host", address);
    let ask = async {
        let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        ensure!(answer.status() == 200, "the document is answered with {}", answer.status());
        Ok(answer.into_body().collect().await?.to_bytes())
    };
    let bytes = tokio::select! {
        bytes = ask => bytes?,
        ended = connection => { ended?; anyhow::bail!("the program closed the connection") }
    };
    Ok(serde_json::from_slice(&bytes)?)
}

fn count(document: &Value) -> usize {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.filter_map(|(_, operations)| operations.as_object()).map(serde_json::Map::len).sum()
}

fn plant(document: &mut Value, options: &Options) -> Result<()> {
    let object = |value: &mut Value, path: &str| -> Result<serde_json::Map<String, Value>> {
        let found = value.pointer_mut(path).and_then(|found| found.as_object_mut());
        found.map(std::mem::take).with_context(|| format!("the document has no {path}"))
    };
    let issues = "/api/v1/w/{workspace}/projects/{project}/issues";
    if options.plants(RENAMED_FIELD) {
        let path = "/components/schemas/NewIssue/properties";
        let mut fields = object(document, path)?;
        let title = fields.remove("title").context("an issue has no title")?;
        fields.insert("heading".to_owned(), title);
        document["components"]["schemas"]["NewIssue"]["properties"] = fields.into();
        document["components"]["schemas"]["NewIssue"]["required"] = serde_json::json!(["heading"]);
    }
    if options.plants(UNLISTED_ROUTE) {
        let mut paths = object(document, "/paths")?;
        paths.remove(issues).context("the document lists no issues")?;
        document["paths"] = paths.into();
    }
    if options.plants(OPTIONAL_FIELD) {
        document["components"]["schemas"]["Project"]["required"] = serde_json::json!([]);
    }
    Ok(())
}

/// The figures of the client's use, or why it does not compile or reach its end.
async fn used(folder: &Path, document: &Value, origin: &str) -> Result<Result<Value, String>> {
    std::fs::write(folder.join("openapi.json"), serde_json::to_vec(document)?)?;
    // What has a default may be left out of a request; outputs of the same name are described apart.
    let types = ["node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "schema.d.ts"];
    let steps: [&[&str]; 3] = [
        &[&types[..], &["--default-non-nullable=false"]].concat(),
        &["node_modules/typescript/bin/tsc", "--project", "."],
        &["out/use.js", origin],
    ];
    let mut last = String::new();
    for step in steps {
        let mut command = cargo::child("node");
        let output =
            command.args(step).current_dir(folder).output().await.context("node cannot be started")?;
        let (said, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            let all = format!("{said}{complaints}");
            let first = all.lines().find(|line| line.contains("rror")).unwrap_or("it says nothing");
            return Ok(Err(format!("{}: {}", step[0], first.trim())));
        }
        said.lines().last().unwrap_or_default().clone_into(&mut last);
    }
    Ok(Ok(serde_json::from_str(&last).context("the client's figures cannot be read")?))
}
