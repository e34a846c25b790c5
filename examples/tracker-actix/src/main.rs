//! The issue tracker on actix-web: pages, API and worker in one process. `.env.example` describes its configuration.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tracker::program::{Arguments, Options, Program, hurried, stopped, work};

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "the program is what reads the environment, and hands it on")]
async fn main() -> anyhow::Result<ExitCode> {
    let Arguments { bootstrap, migrate, examine, stop_with_stdin } = Arguments::parse();
    let mut options = Options::read(|name| std::env::var(name).ok()).await?;
    if let Some(database) = bootstrap {
        std::io::stdout().lock().write_all(options.bootstrap(&database)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let telemetry = options.start_log()?;
    if migrate {
        options.migrate().await?;
        return Ok(ExitCode::SUCCESS);
    }
    if examine {
        return Ok(options.examine().await?);
    }
    let stop = stopped(stop_with_stdin)?;
    let Program { app, listener, metrics, worker } = Program::start(options).await?;
    let routes = kernel_actix::configure(app.clone());
    let serve = async { Ok(kernel_actix::serve(&app, listener, routes, stop.clone()).await?) };
    let work = async {
        work(worker, stop.clone()).await;
        Ok(())
    };
    let scrape = async {
        match metrics {
            Some(metrics) => Ok(kernel_actix::serve_metrics(&app, metrics, stop.clone()).await?),
            None => Ok(()),
        }
    };
    let program = hurried(&app, stop.clone(), async { tokio::try_join!(serve, work, scrape) });
    telemetry.around(Box::pin(program)).await.map(|_| ExitCode::SUCCESS)
}
