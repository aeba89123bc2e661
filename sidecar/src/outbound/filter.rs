//! What a rule does to heads: header edits, another host or path, a redirect. Names and values are made ready
//! when a table is built; a request without such a rule never comes here.

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, Version, header,
    request::Parts,
    uri::{Authority, PathAndQuery},
};
use weft_model::traffic::{self, Filter, HeaderEdit, PathEdit};

use super::mirror::{Copies, Mirror};
use crate::{body::ResponseBody, data::thread::Thread, forward::is_reserved};

/// The filters of a rule or of one of its backends.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    request: Vec<RequestEdit>,
    response: Vec<Edit>,
    redirect: Option<traffic::Redirect>,
    mirrors: Vec<Mirror>,
}

#[derive(Debug)]
enum RequestEdit {
    Headers(Edit),
    Host(Authority, HeaderValue),
    Path(PathEdit),
}

/// A [`HeaderEdit`] in HTTP's types.
#[derive(Debug, Default)]
struct Edit {
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Filters {
    pub(crate) fn new(filters: &[Filter]) -> Self {
        let mut made = Self::default();
        for filter in filters {
            match filter {
                Filter::RequestHeaders(edit) => made.request_headers(edit),
                Filter::ResponseHeaders(edit) => made.response.push(Edit::new(edit)),
                Filter::Redirect(redirect) => made.redirect = Some(redirect.clone()),
                Filter::Rewrite(rewrite) => {
                    made.request.extend(rewrite.host.as_deref().and_then(RequestEdit::host));
                    made.request.extend(rewrite.path.clone().map(RequestEdit::Path));
                }
                Filter::Mirror(mirror) => made.mirrors.push(Mirror::new(mirror)),
            }
        }
        made
    }

    /// Edits a head on its way there; `prefix` is the length of the path's prefix that matched.
    pub(crate) fn edit_request(&self, head: &mut Parts, mut prefix: Option<usize>) {
        for edit in &self.request {
            match edit {
                RequestEdit::Headers(edit) => edit.apply(&mut head.headers),
                RequestEdit::Host(authority, value) => set_host(head, authority, value),
                RequestEdit::Path(edit) => {
                    let path = edit.apply(head.uri.path(), prefix);
                    set_path(&mut head.uri, &path);
                    // What matched is gone.
                    prefix = None;
                }
            }
        }
    }

    /// Whether the path is another one after [`Filters::edit_request`].
    pub(crate) fn rewrites_path(&self) -> bool {
        self.request.iter().any(|edit| matches!(edit, RequestEdit::Path(_)))
    }

    /// Edits a head on its way back.
    pub(crate) fn edit_response(&self, headers: &mut HeaderMap) {
        self.response.iter().for_each(|edit| edit.apply(headers));
    }

    /// The answer, where the rule redirects.
    pub(crate) fn redirect(&self, head: &Parts, prefix: Option<usize>) -> Option<Response<ResponseBody>> {
        let redirect = self.redirect.as_ref()?;
        let mut response = Response::new(ResponseBody::Empty);
        *response.status_mut() = StatusCode::from_u16(redirect.status).unwrap_or(StatusCode::FOUND);
        if let Ok(location) = HeaderValue::try_from(location(redirect, head, prefix)) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        Some(response)
    }

    /// The copies of a request that are to be sent.
    pub(super) fn copies(&self, head: &Parts, thread: &Thread) -> Copies {
        if self.mirrors.is_empty() {
            return Copies::default();
        }
        Copies::take(&self.mirrors, head, &mut thread.rng.borrow_mut())
    }

    /// A host that is set among the headers is the host, however the version says it.
    fn request_headers(&mut self, edit: &HeaderEdit) {
        let hosts = edit.set.iter().filter(|(name, _)| **name == *header::HOST.as_str());
        self.request.extend(hosts.filter_map(|(_, value)| RequestEdit::host(value)));
        self.request.push(RequestEdit::Headers(Edit::new(edit)));
    }
}

impl RequestEdit {
    fn host(host: &str) -> Option<Self> {
        let authority = Authority::try_from(host).ok()?;
        Some(Self::Host(authority, HeaderValue::from_str(host).ok()?))
    }
}

impl Edit {
    /// Names that frame a message, or are the mesh's own, are not a rule's to change.
    fn new(edit: &HeaderEdit) -> Self {
        let name = |name: &str| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            name.filter(|name| !is_reserved(name))
        };
        let pairs = |pairs: &[(Box<str>, Box<str>)]| {
            let pairs = pairs.iter().filter_map(|(key, value)| {
                Some((name(key)?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
            });
            pairs.collect()
        };
        Self {
            set: pairs(&edit.set),
            add: pairs(&edit.add),
            remove: edit.remove.iter().filter_map(|key| name(key)).collect(),
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }
}

fn set_host(head: &mut Parts, authority: &Authority, value: &HeaderValue) {
    if head.version < Version::HTTP_2 {
        head.headers.insert(header::HOST, value.clone());
        return;
    }
    let mut parts = std::mem::take(&mut head.uri).into_parts();
    parts.scheme.get_or_insert(http::uri::Scheme::HTTP);
    parts.authority = Some(authority.clone());
    head.uri = Uri::from_parts(parts).unwrap_or_default();
}

/// A path that is none leaves the old one.
fn set_path(uri: &mut Uri, path: &str) {
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(target) = PathAndQuery::try_from(text) {
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = Some(target);
        *uri = Uri::from_parts(parts).unwrap_or_default();
    }
}

/// Always absolute, so that no path is taken for a host. A port is said where it is not the scheme's own; a
/// redirect to another scheme goes to that one's.
fn location(redirect: &traffic::Redirect, head: &Parts, prefix: Option<usize>) -> String {
    let (host, port) = host_of(head);
    let scheme = redirect.scheme.as_deref().unwrap_or("http");
    let port = redirect.port.or(if redirect.scheme.is_some() { None } else { port });
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = port.filter(|port| *port != usual).map_or_else(String::new, |port| format!(":{port}"));
    let host = redirect.host.as_deref().unwrap_or(host);
    let path = match &redirect.path {
        Some(edit) => edit.apply(head.uri.path(), prefix),
        None => head.uri.path().to_owned(),
    };
    let query = head.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("{scheme}://{host}{port}{path}{query}")
}

/// Host and port as the caller said them.
fn host_of(head: &Parts) -> (&str, Option<u16>) {
    let said = match head.uri.authority() {
        Some(authority) => authority.as_str(),
        None => head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
    };
    super::target::split_port(said)
}

#[cfg(test)]
mod tests;
