//! Who asks: basic authentication (RFC 7617), and what tags allow. RabbitMQ: "Management Plugin: access and
//! permissions".

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::answer::Failure;
use crate::access::{Access, UserRef};

/// Bytes of an `Authorization` header at most.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// As RabbitMQ 4 says it.
const NOT_AUTHORISED: &str = "Not_Authorized";

/// The user of a request that may use the API at all.
pub(super) fn enter(access: &Access, header: Option<&[u8]>, from: IpAddr) -> Result<UserRef, Failure> {
    let (name, password) = header.and_then(credentials).ok_or(Failure::Login(NOT_AUTHORISED))?;
    let user = access.authenticate(&name, &password, from.to_canonical().is_loopback());
    let user = user.map_err(|refused| {
        tracing::warn!(%from, %refused, "a login at the management API is refused");
        Failure::Login(NOT_AUTHORISED)
    })?;
    if !user.may_manage() {
        tracing::warn!(%from, user = &*user.name, "a user without a management tag is refused");
        return Err(Failure::Login(NOT_AUTHORISED));
    }
    Ok(user)
}

/// User and password; the first colon parts them.
fn credentials(header: &[u8]) -> Option<(String, String)> {
    if header.len() > HEADER_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, rest) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Whether a user sees a virtual host: its own, or as a monitor all.
pub(super) fn sees(access: &Access, user: &UserRef, vhost: &str) -> bool {
    user.may_monitor() || access.permission(&user.name, vhost).is_some()
}

/// Only administrators go on.
pub(super) fn administrator(user: &UserRef) -> Result<(), Failure> {
    allowed(user.is_administrator(), "Not administrator user")
}

/// Only monitors and administrators go on.
pub(super) fn monitor(user: &UserRef) -> Result<(), Failure> {
    allowed(user.may_monitor(), "Not monitor user")
}

/// Only policymakers and administrators go on.
pub(super) fn policymaker(user: &UserRef) -> Result<(), Failure> {
    allowed(user.may_make_policies(), "User not authorised to access object")
}

/// Only who has permissions in a virtual host goes on; one that is not there is missing for all.
pub(super) fn member(access: &Access, user: &UserRef, vhost: &str) -> Result<(), Failure> {
    let is_in = access.permission(&user.name, vhost).is_some() || access.vhost(vhost).is_none();
    allowed(is_in, "User not authorised to access object")
}

fn allowed(is_allowed: bool, reason: &str) -> Result<(), Failure> {
    if is_allowed { Ok(()) } else { Err(Failure::Denied(reason.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{
        password::PasswordHash,
        permission::Permission,
        user::{Tag, User},
    };

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn header(user: &str, password: &str) -> Vec<u8> {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes()
    }

    #[test]
    fn the_first_colon_parts_user_and_password() {
        let read = credentials(&header("ann", "a:b"));
        assert_eq!(read, Some(("ann".to_owned(), "a:b".to_owned())));
        assert_eq!(credentials(b"Bearer x"), None);
        assert_eq!(credentials(b"Basic !!"), None);
        assert_eq!(credentials(b"basic YTpi"), Some(("a".to_owned(), "b".to_owned())));
    }

    #[test]
    fn guest_comes_from_the_loopback_alone() {
        let access = Access::initial([1; 4]);
        let guest = header("guest", "guest");
        assert!(enter(&access, Some(&guest), LOOPBACK).is_ok());
        let far = enter(&access, Some(&guest), "10.0.0.1".parse().unwrap());
        assert!(matches!(far, Err(Failure::Login(_))));
        assert!(matches!(enter(&access, None, LOOPBACK), Err(Failure::Login(_))));
        assert!(matches!(enter(&access, Some(&header("guest", "x")), LOOPBACK), Err(Failure::Login(_))));
    }

    #[test]
    fn a_tag_opens_the_door_and_permissions_the_virtual_hosts() {
        let mut access = Access::initial([1; 4]);
        let mut add = |name: &str, tags: Vec<Tag>| {
            let password = Some(PasswordHash::make("p", [2; 4]));
            access.put_user(User { password, tags, ..User::new(name) }).unwrap();
        };
        add("app", Vec::new());
        add("mgmt", vec![Tag::Management]);
        add("mon", vec![Tag::Monitoring]);
        assert!(matches!(enter(&access, Some(&header("app", "p")), LOOPBACK), Err(Failure::Login(_))));
        let mgmt = enter(&access, Some(&header("mgmt", "p")), LOOPBACK).unwrap();
        assert!(!sees(&access, &mgmt, "/"));
        access.set_permission("mgmt", "/", Permission::new("", "", "").unwrap()).unwrap();
        assert!(sees(&access, &mgmt, "/") && administrator(&mgmt).is_err() && monitor(&mgmt).is_err());
        let mon = Arc::clone(access.user("mon").unwrap());
        assert!(sees(&access, &mon, "/") && monitor(&mon).is_ok() && policymaker(&mon).is_err());
    }
}
