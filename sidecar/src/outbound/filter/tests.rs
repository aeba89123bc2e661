//! Each filter on plain heads.

use weft_model::traffic::{Redirect, Rewrite};

use super::*;

fn head(version: Version, uri: &str, host: Option<&str>) -> Parts {
    let mut request = http::Request::get(uri).version(version);
    if let Some(host) = host {
        request = request.header("host", host);
    }
    request.body(()).unwrap().into_parts().0
}

fn h1(target: &str) -> Parts {
    head(Version::HTTP_11, target, Some("orders:8080"))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
    pairs.iter().map(|(name, value)| (Box::from(*name), Box::from(*value))).collect()
}

fn edit(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> HeaderEdit {
    let remove = remove.iter().map(|name| Box::from(*name)).collect();
    HeaderEdit { set: pairs(set), add: pairs(add), remove }
}

fn redirect() -> Redirect {
    Redirect { scheme: None, host: None, path: None, port: None, status: 302 }
}

fn location_of(redirect: Redirect, head: &Parts, prefix: Option<usize>) -> String {
    let response = Filters::new(&[Filter::Redirect(redirect)]).redirect(head, prefix).unwrap();
    response.headers()["location"].to_str().unwrap().to_owned()
}

#[test]
fn headers_are_set_then_added_then_removed() {
    let filters = Filters::new(&[Filter::RequestHeaders(edit(
        &[("a", "new")],
        &[("b", "2"), ("c", "1")],
        &["d", "c"],
    ))]);
    let mut head = h1("/");
    for (name, value) in [("a", "1"), ("a", "2"), ("b", "1"), ("d", "1")] {
        head.headers.append(name, value.parse().unwrap());
    }
    filters.edit_request(&mut head, None);
    let all = |name: &str| head.headers.get_all(name).iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!((all("a"), all("b")), (vec!["new"], vec!["1", "2"]));
    assert!(all("c").is_empty() && all("d").is_empty());
}

#[test]
fn what_frames_a_message_or_is_the_meshs_own_stays_as_it_is() {
    let names =
        ["content-length", "transfer-encoding", "connection", "weft-error", "weft-deadline", "upgrade"];
    let set: Vec<_> = names.iter().map(|name| (*name, "1")).collect();
    let filters = Filters::new(&[Filter::ResponseHeaders(edit(&set, &set, &["content-length"]))]);
    let mut headers = HeaderMap::new();
    headers.insert("content-length", "9".parse().unwrap());
    filters.edit_response(&mut headers);
    assert_eq!(headers.len(), 1);
    assert_eq!(headers["content-length"], "9");
}

#[test]
fn a_host_is_rewritten_in_the_way_of_the_version() {
    let rewrite = Rewrite { host: Some("other:81".into()), path: None };
    for filter in [Filter::Rewrite(rewrite), Filter::RequestHeaders(edit(&[("host", "other:81")], &[], &[]))]
    {
        let filters = Filters::new(&[filter]);
        let mut one = h1("/a?b");
        filters.edit_request(&mut one, None);
        assert_eq!(
            (one.uri.to_string(), &one.headers["host"]),
            ("/a?b".into(), &"other:81".parse::<HeaderValue>().unwrap())
        );
        let mut two = head(Version::HTTP_2, "http://orders/a?b", None);
        filters.edit_request(&mut two, None);
        assert_eq!(two.uri, "http://other:81/a?b");
        assert!(!two.headers.contains_key("host"));
    }
}

#[test]
fn a_path_is_rewritten_and_the_query_stays() {
    let rewrite = |path| Filters::new(&[Filter::Rewrite(Rewrite { host: None, path: Some(path) })]);
    let mut head = h1("/old/a?q=1");
    rewrite(PathEdit::Prefix("/new".into())).edit_request(&mut head, Some(4));
    assert_eq!(head.uri, "/new/a?q=1");
    let full = rewrite(PathEdit::Full("/x".into()));
    full.edit_request(&mut head, None);
    assert_eq!(head.uri, "/x?q=1");
    assert!(full.rewrites_path());
}

#[test]
fn a_location_is_absolute_and_keeps_what_is_not_said() {
    let head = h1("/a/b?q");
    assert_eq!(location_of(redirect(), &head, None), "http://orders:8080/a/b?q");
    let https = Redirect { scheme: Some("https".into()), ..redirect() };
    assert_eq!(location_of(https.clone(), &head, None), "https://orders/a/b?q");
    let port = |port| Redirect { port: Some(port), ..https.clone() };
    assert_eq!(location_of(port(443), &head, None), "https://orders/a/b?q");
    assert_eq!(location_of(port(80), &head, None), "https://orders:80/a/b?q");
    let host =
        Redirect { host: Some("elsewhere".into()), path: Some(PathEdit::Full("/".into())), ..redirect() };
    assert_eq!(location_of(host, &head, None), "http://elsewhere:8080/?q");
    let prefix = Redirect { path: Some(PathEdit::Prefix("/c".into())), ..redirect() };
    assert_eq!(location_of(prefix, &head, Some(2)), "http://orders:8080/c/b?q");
}

#[test]
fn no_path_of_a_caller_becomes_a_host() {
    assert_eq!(location_of(redirect(), &h1("//evil.example/"), None), "http://orders:8080//evil.example/");
}
