//! Where a postgres URL points, and the same URL pointing at the proxy.

use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use url::Url;

use super::Error;

const DEFAULT_PORT: u16 = 5432;

/// The server a proxy forwards to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PgTarget {
    /// A server that listens on a TCP port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A server that listens on a unix socket.
    Unix {
        /// The socket itself, `…/.s.PGSQL.<port>`.
        path: PathBuf,
    },
}

impl PgTarget {
    /// Reads host and port from a postgres URL; a host that starts with `/` (percent-encoded, or as the
    /// parameter `host`) is the folder of a unix socket.
    ///
    /// # Errors
    ///
    /// When it is not a postgres URL.
    pub fn from_url(db_url: &str) -> Result<Self, Error> {
        let url = parse(db_url)?;
        let mut host = url.host_str().map(decode_host).transpose()?.unwrap_or_default();
        let mut port = url.port().unwrap_or(DEFAULT_PORT);
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "host" | "hostaddr" => host = value.into_owned(),
                "port" => port = value.parse().map_err(|_| Error::Url("the port is not a number".into()))?,
                _ => {}
            }
        }
        if host.is_empty() {
            host = "localhost".into();
        }
        if host.starts_with('/') {
            return Ok(Self::Unix { path: PathBuf::from(host).join(format!(".s.PGSQL.{port}")) });
        }
        Ok(Self::Tcp { host: host.trim_matches(['[', ']']).into(), port })
    }

    pub(super) async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            Self::Unix { path } => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The same URL with `127.0.0.1:port` in the place of its host, port and socket.
pub(super) fn through_port(db_url: &str, port: u16) -> Result<String, Error> {
    let mut url = parse(db_url)?;
    url.set_host(Some("127.0.0.1")).map_err(|error| Error::Url(error.to_string()))?;
    url.set_port(Some(port)).map_err(|()| Error::Url("it takes no port".into()))?;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| !matches!(key.as_ref(), "host" | "hostaddr" | "port"))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(url.into())
}

fn parse(db_url: &str) -> Result<Url, Error> {
    let url = Url::parse(db_url).map_err(|error| Error::Url(error.to_string()))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(Error::Url(format!("its scheme is {}, not postgres", url.scheme())));
    }
    Ok(url)
}

fn decode_host(host: &str) -> Result<String, Error> {
    percent_encoding::percent_decode_str(host)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Error::Url("the host is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::{PgTarget, through_port};

    #[test]
    fn tcp_host_and_port_are_read_and_replaced() {
        let url = "postgres://app:s%40crt@db.local:6432/tracker?application_name=x";
        assert_eq!(PgTarget::from_url(url).unwrap(), PgTarget::Tcp { host: "db.local".into(), port: 6432 });
        assert_eq!(
            through_port(url, 7).unwrap(),
            "postgres://app:s%40crt@127.0.0.1:7/tracker?application_name=x"
        );
    }

    #[test]
    fn a_socket_folder_is_read_from_host_or_parameter() {
        let socket = PgTarget::Unix { path: "/var/run/pg/.s.PGSQL.5433".into() };
        let encoded = "postgresql://app@%2Fvar%2Frun%2Fpg:5433/db";
        let parameter = "postgresql:///db?host=/var/run/pg&port=5433&user=app";
        assert_eq!(PgTarget::from_url(encoded).unwrap(), socket);
        assert_eq!(PgTarget::from_url(parameter).unwrap(), socket);
        assert_eq!(through_port(encoded, 7).unwrap(), "postgresql://app@127.0.0.1:7/db");
        assert_eq!(through_port(parameter, 7).unwrap(), "postgresql://127.0.0.1:7/db?user=app");
    }

    #[test]
    fn another_scheme_is_refused() {
        assert!(PgTarget::from_url("mysql://h/db").is_err());
        assert!(PgTarget::from_url("no url").is_err());
    }
}
