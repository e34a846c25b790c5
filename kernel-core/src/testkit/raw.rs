//! A connection that sends what no HTTP client would: broken heads, half bodies, two requests at once.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Answer;

/// A connection to a server, byte by byte.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    unread: BytesMut,
}

impl RawClient {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// The next final answer with its whole body. Its headers and body are as they came; how the body was framed is
    /// not told.
    ///
    /// # Errors
    /// When the server closes the connection before, or sends what is no HTTP.
    pub async fn answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let mut answer = self.head().await?;
        // «Go on» and the like come before the answer.
        while (100..200).contains(&answer.status) && answer.status != 101 {
            answer = self.head().await?;
        }
        if !(to_head || matches!(answer.status, 101 | 204 | 304)) {
            answer.body = self.body(&answer.headers).await?;
        }
        Ok(answer)
    }

    /// The next head, without what follows it.
    ///
    /// # Errors
    /// When the server closes the connection before, or sends what is no HTTP.
    pub async fn head(&mut self) -> io::Result<Answer> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 128];
            let mut response = httparse::Response::new(&mut headers);
            let parsed = response.parse(&self.unread).map_err(io::Error::other)?;
            if let httparse::Status::Complete(length) = parsed {
                let mut answer = Answer {
                    status: response.code.unwrap_or_default(),
                    headers: HeaderMap::new(),
                    body: Bytes::new(),
                };
                for header in response.headers.iter() {
                    let name = HeaderName::try_from(header.name).map_err(io::Error::other)?;
                    let value = HeaderValue::from_bytes(header.value).map_err(io::Error::other)?;
                    answer.headers.append(name, value);
                }
                self.unread.advance(length);
                return Ok(answer);
            }
            self.fill().await?;
        }
    }

    async fn body(&mut self, headers: &HeaderMap) -> io::Result<Bytes> {
        if headers.contains_key(TRANSFER_ENCODING) {
            let mut whole = BytesMut::new();
            loop {
                let piece = self.chunk().await?;
                if piece.is_empty() {
                    return Ok(whole.freeze());
                }
                whole.extend_from_slice(&piece);
            }
        }
        match headers.get(CONTENT_LENGTH) {
            Some(length) => {
                let length = length.to_str().map_err(io::Error::other)?.parse().map_err(io::Error::other)?;
                self.exactly(length).await
            }
            None => self.rest().await,
        }
    }

    /// The next piece of a chunked body; empty at its end.
    ///
    /// # Errors
    /// When the connection breaks off, or what comes is no chunk.
    pub async fn chunk(&mut self) -> io::Result<Bytes> {
        loop {
            let parsed = httparse::parse_chunk_size(&self.unread)
                .map_err(|error| io::Error::other(error.to_string()))?;
            if let httparse::Status::Complete((start, size)) = parsed {
                self.unread.advance(start);
                let piece = self.exactly(usize::try_from(size).map_err(io::Error::other)?).await?;
                self.exactly(2).await?;
                return Ok(piece);
            }
            self.fill().await?;
        }
    }

    /// As many bytes.
    ///
    /// # Errors
    /// When the connection breaks off before.
    pub async fn exactly(&mut self, length: usize) -> io::Result<Bytes> {
        while self.unread.len() < length {
            self.fill().await?;
        }
        Ok(self.unread.split_to(length).freeze())
    }

    /// Everything until the server closes the connection.
    ///
    /// # Errors
    /// When the connection is reset instead.
    pub async fn rest(&mut self) -> io::Result<Bytes> {
        while self.stream.read_buf(&mut self.unread).await? > 0 {}
        Ok(self.unread.split().freeze())
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
