//! Requests to the Hub: which hosts see the token, which redirects are followed, how long is waited.

use super::redirect::{is_web, same_origin, shown, target};
use super::retry::Fault;
use super::{Hub, network};
use crate::{Error, Result};
use std::io::Read;
use ureq::http::header::{ACCEPT_ENCODING, AUTHORIZATION, LOCATION};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};
use ureq::{Agent, Body, Proxy};

/// The most redirects that lead anywhere.
const MOST_REDIRECTS: usize = 10;

/// The largest answer that is read into memory, bytes: a listing of some hundred thousand files.
pub(super) const ANSWER_LIMIT: u64 = 16 << 20;

/// How the whole of such an answer may exceed the longest wait for a part of it.
const ANSWER_STALLS: u32 = 6;

/// What is asked: the whole or the head alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// An answer to be read into memory.
    Answer,
    /// The body of a file, through every redirect.
    File,
    /// The head alone, and not of another host: a redirect to one is itself the answer.
    Head,
}

/// The end of a chain of redirects.
pub(super) struct Answer {
    /// Where it came from, or where it leads if it is a redirect to another host.
    pub(super) uri: Uri,
    /// Whether every address so far was the endpoint's own, `uri` included.
    pub(super) own: bool,
    /// The heads of all answers by the endpoint itself, the last one last.
    pub(super) heads: Vec<HeaderMap>,
    /// The last answer.
    pub(super) response: Response<Body>,
}

impl Answer {
    /// The value of a header of the last answer.
    pub(super) fn header(&self, name: impl ureq::http::header::AsHeaderName) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// A connection to the endpoint of a [`Hub`].
pub(super) struct Client {
    agent: Agent,
    endpoint: Uri,
    authorization: Option<HeaderValue>,
    answer_limit: std::time::Duration,
}

impl Client {
    pub(super) fn new(hub: &Hub) -> Result<Self> {
        let expected = "an address such as https://huggingface.co, without user, query or fragment";
        let wrong = || Error::mismatch("endpoint of the Hub (HF_ENDPOINT)", expected, format!("{:?}", hub.endpoint));
        let endpoint: Uri = hub.endpoint.parse().map_err(|_| wrong())?;
        if !is_web(&endpoint) || hub.endpoint.contains(['@', '?', '#']) {
            return Err(wrong());
        }
        let authorization = hub.token.as_ref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
                Error::mismatch("token of the Hub (HF_TOKEN)", "printable ASCII", "a character that no token has")
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        let patience = hub.patience;
        let config = Agent::config_builder()
            .user_agent(concat!("snellen/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            // A redirect decides who sees the token, so each is looked at.
            .max_redirects(0)
            .https_only(endpoint.scheme_str() == Some("https"))
            .proxy(if hub.proxy { Proxy::try_from_env() } else { None })
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_send_request(Some(patience.stall))
            .timeout_recv_response(Some(patience.stall))
            .timeout_per_read(Some(patience.stall))
            .build();
        Ok(Self {
            agent: config.into(),
            endpoint,
            authorization: authorization.transpose()?,
            answer_limit: patience.stall * ANSWER_STALLS,
        })
    }

    /// Whether requests carry a token.
    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Whether `uri` is at the endpoint's own scheme, host and port.
    pub(super) fn is_own(&self, uri: &Uri) -> bool {
        same_origin(&self.endpoint, uri)
    }

    /// Asks and follows. Any status but a redirect is an answer.
    pub(super) fn send(&self, ask: Ask, from: &Uri, headers: &[(HeaderName, &str)]) -> Result<Answer, Fault> {
        let mut uri = from.clone();
        let mut own = self.is_own(&uri);
        let mut heads = Vec::new();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.one(ask, &uri, own, headers).map_err(|error| fault(&uri, &error))?;
            if own {
                heads.push(response.headers().clone());
            }
            if !response.status().is_redirection() {
                return Ok(Answer { uri, own, heads, response });
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let Some(next) = location.and_then(|location| target(&uri, location)) else {
                let got = format!("expected an address to go to, got {} and {location:?}", response.status());
                return Err(network(shown(&uri), got).into());
            };
            // Once abroad there is no way back to the token.
            own = own && self.is_own(&next);
            uri = next;
            if ask == Ask::Head && !own {
                return Ok(Answer { uri, own, heads, response });
            }
        }
        Err(network(shown(from), format!("expected at most {MOST_REDIRECTS} redirects, got more")).into())
    }

    fn one(
        &self,
        ask: Ask,
        uri: &Uri,
        own: bool,
        headers: &[(HeaderName, &str)],
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = match ask {
            Ask::Head => self.agent.head(uri),
            Ask::Answer | Ask::File => self.agent.get(uri),
        };
        // Lengths are those of the file itself.
        request = request.header(ACCEPT_ENCODING, "identity");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(authorization) = self.authorization.as_ref().filter(|_| own) {
            request = request.header(AUTHORIZATION, authorization);
        }
        if ask == Ask::Answer {
            request = request.config().timeout_recv_body(Some(self.answer_limit)).build();
        }
        request.call()
    }
}

/// The body of an answer, at most [`ANSWER_LIMIT`] bytes.
pub(super) fn body(answer: Answer) -> Result<Vec<u8>, Fault> {
    let place = shown(&answer.uri);
    let mut bytes = Vec::new();
    let mut reader = answer.response.into_body().into_reader().take(ANSWER_LIMIT + 1);
    reader.read_to_end(&mut bytes).map_err(|error| Fault::passing(network(&place, error)))?;
    if bytes.len() as u64 > ANSWER_LIMIT {
        return Err(network(place, format!("expected at most {ANSWER_LIMIT} bytes, got more")).into());
    }
    Ok(bytes)
}

/// Connections that fail may do better later; certificates and addresses will not.
fn fault(uri: &Uri, error: &ureq::Error) -> Fault {
    let said = network(shown(uri), format!("expected an answer, got {error}"));
    match error {
        // What rustls says of a certificate.
        ureq::Error::Io(io) if io.kind() == std::io::ErrorKind::InvalidData => Fault::Final(said),
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Protocol(_) => Fault::passing(said),
        _ => Fault::Final(said),
    }
}
