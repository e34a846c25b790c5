//! Stylesheet, script and icon, under names that change with their content.

use http::Method;
use http::header::{CACHE_CONTROL, HeaderValue};
use kernel_core::Error;
use kernel_core::http::{Access, Call, Path, Reply, Route, WithHeader};
use kernel_core::secret::sha256;

use crate::tracker::Tracker;

/// One file that pages refer to.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    /// The name with a part of the content's hash: `app.1f0a….css`.
    file: String,
    content_type: &'static str,
    content: &'static [u8],
}

/// Every file that pages refer to.
#[derive(Debug)]
pub(crate) struct Assets(Vec<Asset>);

impl Assets {
    pub(crate) fn new() -> Self {
        Self(vec![
            asset("app.css", "text/css; charset=utf-8", include_bytes!("../../static/app.css")),
            asset("tokens.css", "text/css; charset=utf-8", include_bytes!("../../static/tokens.css")),
            asset("app.js", "text/javascript; charset=utf-8", include_bytes!("../../static/app.js")),
            asset("palette.js", "text/javascript; charset=utf-8", include_bytes!("../../static/palette.js")),
            asset("suggest.js", "text/javascript; charset=utf-8", include_bytes!("../../static/suggest.js")),
            asset("theme.js", "text/javascript; charset=utf-8", include_bytes!("../../static/theme.js")),
            asset("issues.csv", "text/csv; charset=utf-8", include_bytes!("../../static/issues.csv")),
            asset("favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg")),
        ])
    }

    /// The path of a file; `None` when there is no such file.
    pub(crate) fn path(&self, name: &str) -> Option<String> {
        self.0.iter().find(|asset| asset.name == name).map(|asset| format!("/static/{}", asset.file))
    }
}

fn asset(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Asset {
    let first = sha256(content).first_chunk().copied().unwrap_or_default();
    let hash = format!("{:016x}", u64::from_be_bytes(first));
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    Asset { name, file: format!("{stem}.{hash}.{ending}"), content_type, content }
}

pub(super) fn route(tracker: &Tracker) -> Route {
    let (path, operation) = ("/static/{file}", "tracker.page.asset");
    Route::free(Method::GET, path, operation, Access::Public, tracker.clone(), file).page()
}

/// The content of a name never changes, so whoever has it need never ask again.
async fn file(tracker: Tracker, _: Call, Path(file): Path<String>) -> Result<WithHeader<Reply>, Error> {
    let assets = &tracker.pages.assets().0;
    let asset = assets.iter().find(|asset| asset.file == file).ok_or_else(Error::not_found)?;
    let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
    Ok(WithHeader(CACHE_CONTROL, forever, Reply::bytes(asset.content_type, asset.content)))
}
