//! What is new in a person's trail, as their page is told it (server-sent events).

use crate::exit::Failure;
use crate::session::Session;
use reqwest::Response;
use serde_json::Value;

/// A stream that is open.
pub(crate) struct Feed {
    response: Response,
    read: Vec<u8>,
}

/// One event of it.
#[derive(PartialEq, Debug)]
pub(crate) struct News {
    /// `line` or `anchor`.
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl Feed {
    pub(crate) async fn open(session: &Session) -> Result<Self, Failure> {
        let path = format!("/v1/subjects/{}/feed", session.address());
        Ok(Self { response: session.open_stream(&path).await?, read: Vec::new() })
    }

    /// The next event. Waits for ever: the server comments on silence.
    pub(crate) async fn next(&mut self) -> Result<News, Failure> {
        loop {
            if let Some(block) = first_block(&mut self.read) {
                match news(&block)? {
                    Some(news) => return Ok(news),
                    None => continue,
                }
            }
            match self.response.chunk().await? {
                Some(bytes) => self.read.extend_from_slice(&bytes),
                None => return Err(Failure::new("the stream of the trail has ended")),
            }
        }
    }
}

/// Takes what stands before the first empty line.
fn first_block(read: &mut Vec<u8>) -> Option<String> {
    let end = read.windows(2).position(|pair| pair == b"\n\n")?;
    let block: Vec<u8> = read.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&block).into_owned())
}

/// An event, if the block is more than a comment.
fn news(block: &str) -> Result<Option<News>, serde_json::Error> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name));
        lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).next()
    };
    let (Some(kind), Some(data)) = (field("event:"), field("data:")) else { return Ok(None) };
    Ok(Some(News { kind: kind.to_owned(), data: serde_json::from_str(data)? }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_read_wherever_the_network_cuts_them() {
        let sent = b"retry: 300\n\n: still here\n\nevent: line\nid: 7\ndata: {\"index\":7}\n\nevent: anchor\ndata: {\"size\":8}\n\n";
        let mut found = Vec::new();
        let mut read = Vec::new();
        for byte in sent {
            read.push(*byte);
            while let Some(block) = first_block(&mut read) {
                found.extend(news(&block).unwrap());
            }
        }
        let news = |kind: &str, data| News { kind: kind.to_owned(), data };
        assert_eq!(
            found,
            [news("line", json!({ "index": 7 })), news("anchor", json!({ "size": 8 }))]
        );
        assert!(read.is_empty());
    }
}
