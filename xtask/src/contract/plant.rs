//! Routes that break the contract, each in one way that a check is there for.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use kernel_core::http::{
    Access, Body, Call, Created, Incoming, Input, InputShape, Json, NoContent, Output, OutputShape, Path,
    Query, Reply, Route,
};
use kernel_core::{Error, ErrorKind, Id, Noun, Pillar};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What can be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A handler fails on some input.
    ServerError,
    /// An answer has a status that the document does not know.
    UndocumentedStatus,
    /// An answer lacks a field that the document promises.
    MissingField,
    /// An answer is of another type than the document says.
    OtherType,
    /// A handler takes what the document forbids.
    TakesAnything,
    /// A handler refuses what the document allows.
    RefusesSound,
    /// A thing that was deleted is still there.
    Undead,
}

const ALL: [(&str, Fault); 7] = [
    ("server-error", Fault::ServerError),
    ("undocumented-status", Fault::UndocumentedStatus),
    ("missing-field", Fault::MissingField),
    ("other-type", Fault::OtherType),
    ("takes-anything", Fault::TakesAnything),
    ("refuses-sound", Fault::RefusesSound),
    ("undead", Fault::Undead),
];

/// The names on the command line.
pub(super) const NAMES: &[&str] = &[ALL[0].0, ALL[1].0, ALL[2].0, ALL[3].0, ALL[4].0, ALL[5].0, ALL[6].0];

impl Fault {
    /// The check that is there for it. That another one complains is not enough.
    pub(super) fn check(self) -> &'static str {
        match self {
            Self::ServerError => "not_a_server_error",
            Self::UndocumentedStatus => "status_code_conformance",
            Self::MissingField => "response_schema_conformance",
            Self::OtherType => "content_type_conformance",
            Self::TakesAnything => "negative_data_rejection",
            Self::RefusesSound => "positive_data_acceptance",
            Self::Undead => "use_after_free",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|(known, _)| *known == name).map(|(_, fault)| fault)
    }
}

#[derive(Debug, Deserialize, JsonSchema, garde::Validate)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// How many.
    #[garde(range(min = 1, max = 9))]
    #[schemars(range(min = 1, max = 9))]
    number: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Answer {
    number: i64,
    half: i64,
}

/// Names what is planted.
#[derive(Debug)]
enum PlantedNoun {}

impl Noun for PlantedNoun {
    const PREFIX: &'static str = "pln";
}

#[derive(Debug, Serialize, JsonSchema)]
struct Planted {
    id: Id<PlantedNoun>,
}

/// The planted routes: a list that is wrong, or a thing that can be made, seen and deleted.
pub(super) fn pillar(fault: Fault) -> Pillar {
    let (one, all, open) = ("/planted/{planted}", "/planted", Access::Public);
    let routes = if fault == Fault::Undead {
        vec![
            Route::free(Method::POST, all, "planted.create", open, (), create),
            Route::free(Method::GET, one, "planted.show", open, (), show),
            Route::free(Method::DELETE, one, "planted.delete", open, (), delete),
        ]
    } else {
        vec![Route::free(Method::GET, all, "planted.list", open, fault, list)]
    };
    Pillar::new("planted").routes(routes)
}

async fn list(fault: Fault, _: Call, Loose(asked): Loose) -> Result<Wrong, Error> {
    let asked = match asked {
        Err(_) if fault == Fault::TakesAnything => Asked { number: 1 },
        asked => asked?,
    };
    match fault {
        Fault::ServerError if asked.number > 4 => Err(Error::internal("planted")),
        Fault::RefusesSound if asked.number < 5 => Err(Error::new(ErrorKind::Invalid, "invalid")),
        _ => Ok(Wrong(fault)),
    }
}

async fn create((): (), call: Call, Body(_): Body<Asked>) -> Result<Created<Planted>, Error> {
    Ok(Created(Planted { id: call.ctx.new_id() }))
}

async fn show((): (), _: Call, Path(id): Path<Id<PlantedNoun>>) -> Result<Json<Planted>, Error> {
    Ok(Json(Planted { id }))
}

async fn delete((): (), _: Call, Path(_): Path<Id<PlantedNoun>>) -> Result<NoContent, Error> {
    Ok(NoContent)
}

/// A query that the chain would refuse, handed to the handler.
struct Loose(Result<Asked, Error>);

impl Input for Loose {
    fn read(from: &Incoming) -> Result<Self, Error> {
        let read = Query::<Asked>::read(from).and_then(|Query(asked)| {
            let sound = (1..=9).contains(&asked.number);
            if sound { Ok(asked) } else { Err(Error::new(ErrorKind::Malformed, "malformed")) }
        });
        Ok(Self(read))
    }

    fn describe(shape: &mut InputShape<'_>) {
        Query::<Asked>::describe(shape);
    }
}

/// An answer that is not the one that it is described as.
struct Wrong(Fault);

impl Output for Wrong {
    fn reply(self, _: &Parts) -> Result<Reply, Error> {
        let body = match self.0 {
            Fault::MissingField => r#"{"number":1}"#,
            _ => r#"{"number":1,"half":0}"#,
        };
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        let kind = if self.0 == Fault::OtherType { "text/plain" } else { "application/json" };
        response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
        if self.0 == Fault::UndocumentedStatus {
            *response.status_mut() = StatusCode::ACCEPTED;
        }
        Ok(Reply::Full(response))
    }

    fn describe(shape: &mut OutputShape<'_>) {
        Json::<Answer>::describe(shape);
    }
}
