//! What a wrapped application is told: variables, and `$PORT` in its command. Pure.

use std::{collections::HashSet, net::SocketAddr};

use weft_model::{
    mesh_file::PORT_PLACEHOLDER,
    name::{Label, ServiceName},
};

/// What is called directly, for every proxy-aware client.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";

/// The facts that the variables are made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Where the application has to listen; `None` for one that only calls.
    pub app: Option<SocketAddr>,
    /// The sidecar's outbound listener.
    pub outbound: SocketAddr,
    /// The fixed local ports, as bound.
    pub upstreams: &'a [(ServiceName, SocketAddr)],
    /// Services of this namespace go by their bare name.
    pub namespace: &'a Label,
    /// Whether to be its HTTP proxy.
    pub proxy: bool,
    /// Variables that are set already: their values stay.
    pub set: &'a HashSet<String>,
}

/// Names and values to add.
pub fn variables(facts: &Facts<'_>) -> Vec<(String, String)> {
    let url = format!("http://{}", facts.outbound);
    let mut added = Vec::new();
    if let Some(app) = facts.app {
        added.push(("PORT".to_owned(), app.port().to_string()));
    }
    if facts.proxy {
        added.extend(
            [("http_proxy", &url), ("HTTP_PROXY", &url)].map(|(name, url)| (name.into(), url.clone())),
        );
        added.push(("no_proxy".into(), NO_PROXY.into()));
    }
    let upstreams = facts.upstreams.iter();
    added
        .extend(upstreams.map(|(service, at)| (upstream_variable(service, facts.namespace), at.to_string())));
    added.retain(|(name, _)| !facts.set.contains(name));
    // Whatever stood in it was for us: the address to listen on, which may have been port 0.
    added.push(("WEFT_OUTBOUND".into(), url));
    added
}

/// The command with `$PORT` replaced wherever it stands as a whole word.
pub fn command(words: &[String], app: Option<SocketAddr>) -> Vec<String> {
    let Some(app) = app else { return words.to_vec() };
    words.iter().map(|word| with_port(word, app.port())).collect()
}

/// `WEFT_UPSTREAM_ORDERS`, or `WEFT_UPSTREAM_ORDERS_SHOP` for one of another namespace.
fn upstream_variable(service: &ServiceName, own: &Label) -> String {
    let name = if service.namespace == *own {
        service.name.to_string()
    } else {
        format!("{}_{}", service.name, service.namespace)
    };
    format!("WEFT_UPSTREAM_{}", name.to_ascii_uppercase().replace('-', "_"))
}

fn with_port(word: &str, port: u16) -> String {
    let mut pieces = word.split(PORT_PLACEHOLDER);
    let mut whole = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let longer_name = piece.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let port = if longer_name { PORT_PLACEHOLDER.to_owned() } else { port.to_string() };
        whole.push_str(&port);
        whole.push_str(piece);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(set: &[&str], proxy: bool) -> Vec<(String, String)> {
        let upstreams = [("orders", 7000), ("user-data.shop", 7001)]
            .map(|(name, port)| (name.parse().unwrap(), SocketAddr::from(([127, 0, 0, 1], port))));
        variables(&Facts {
            app: Some("127.0.0.1:8080".parse().unwrap()),
            outbound: "127.0.0.1:4140".parse().unwrap(),
            upstreams: &upstreams,
            namespace: &"default".parse().unwrap(),
            proxy,
            set: &set.iter().map(ToString::to_string).collect(),
        })
    }

    fn value<'a>(told: &'a [(String, String)], name: &str) -> Option<&'a str> {
        told.iter().find(|(told, _)| told == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn an_application_learns_its_port_its_proxy_and_its_upstreams() {
        let told = told(&[], true);
        for (name, expected) in [
            ("PORT", "8080"),
            ("WEFT_OUTBOUND", "http://127.0.0.1:4140"),
            ("http_proxy", "http://127.0.0.1:4140"),
            ("HTTP_PROXY", "http://127.0.0.1:4140"),
            ("no_proxy", "localhost,127.0.0.1,::1"),
            ("WEFT_UPSTREAM_ORDERS", "127.0.0.1:7000"),
            ("WEFT_UPSTREAM_USER_DATA_SHOP", "127.0.0.1:7001"),
        ] {
            assert_eq!(value(&told, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn values_already_set_stay() {
        let told = told(&["PORT", "http_proxy", "WEFT_OUTBOUND"], true);
        assert_eq!(value(&told, "PORT"), None);
        assert_eq!(value(&told, "http_proxy"), None);
        assert!(value(&told, "HTTP_PROXY").is_some());
        assert_eq!(value(&told, "WEFT_OUTBOUND"), Some("http://127.0.0.1:4140"), "it is ours to say");
    }

    #[test]
    fn without_the_proxy_only_its_variables_are_left_out() {
        let told = told(&[], false);
        assert!(["http_proxy", "HTTP_PROXY", "no_proxy"].iter().all(|name| value(&told, name).is_none()));
        assert!(value(&told, "WEFT_UPSTREAM_ORDERS").is_some());
    }

    #[test]
    fn the_port_is_put_into_the_command_where_it_stands_as_a_word() {
        let words = ["serve", "--at=:$PORT", "$PORTAL", "$PORT/$PORT"].map(String::from);
        let app = Some("127.0.0.1:80".parse().unwrap());
        assert_eq!(command(&words, app), ["serve", "--at=:80", "$PORTAL", "80/80"]);
    }
}
