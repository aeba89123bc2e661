//! Users, permissions and limits of definitions, in and out.

use super::*;
use crate::access::password::PasswordError;

fn definitions(document: Value) -> Definitions {
    serde_json::from_value(document).unwrap()
}

fn no_salt() -> [u8; SALT_BYTES] {
    [0; SALT_BYTES]
}

#[test]
fn an_import_works_and_comes_out_again() {
    let mut access = Access::empty();
    let document = definitions(json!({
        "users": [{
            "name": "ann",
            "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["monitoring", "team-a"],
            "limits": {"max-channels": 5}
        }],
        "vhosts": [{"name": "/prod", "description": "live", "tags": ["eu"], "default_queue_type": "quorum"}],
        "permissions": [{"user": "ann", "vhost": "/prod", "configure": "", "write": "^x$", "read": ".*"}],
        "topic_permissions":
            [{"user": "ann", "vhost": "/prod", "exchange": "amq.topic", "write": "^{username}", "read": ".*"}],
        "parameters":
            [{"vhost": "/prod", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 9}}],
        "global_parameters": [{"name": "cluster_name", "value": "weft"}]
    }));
    access.import(&document, no_salt).unwrap();
    assert!(access.authenticate("ann", "test12", false).is_ok());
    let vhost = access.vhost("/prod").unwrap();
    assert_eq!(vhost.default_queue_type, Some(QueueKind::Quorum));
    assert_eq!((vhost.limits.queues_max, &*vhost.description), (Some(9), "live"));

    let mut exported = Definitions::default();
    access.export(&mut exported);
    let mut again = Access::empty();
    again.import(&exported, no_salt).unwrap();
    assert_eq!(again, access);
    assert_eq!(exported.users, document.users);
    assert_eq!(exported.permissions, document.permissions);
    assert_eq!(exported.parameters, document.parameters);
}

#[test]
fn one_bad_entry_refuses_the_whole() {
    let mut access = Access::initial(no_salt());
    let before = access.clone();
    let cases = [
        json!({"users": [{"name": "a", "password": "x"}, {"name": "b"}]}),
        json!({"users": [{"name": "a", "password_hash": "%", "hashing_algorithm": "rabbit_password_hashing_sha256"}]}),
        json!({"users": [{"name": "a", "password_hash": "", "hashing_algorithm": "rot13"}]}),
        json!({"vhosts": [{"name": "/a"}, {"name": ""}]}),
        json!({"vhosts": [{"name": "/a", "default_queue_type": "heap"}]}),
        json!({"vhosts": [{"name": "/a"}],
            "permissions": [{"user": "guest", "vhost": "/a", "configure": "(", "write": "", "read": ""}]}),
        json!({"permissions": [{"user": "nobody", "vhost": "/", "configure": "", "write": "", "read": ""}]}),
        json!({"parameters": [{"vhost": "/", "component": "vhost-limits", "name": "limits", "value": 3}]}),
    ];
    for case in cases {
        assert!(access.import(&definitions(case.clone()), no_salt).is_err(), "{case}");
        assert_eq!(access, before, "{case}");
    }
}

#[test]
fn a_password_in_clear_is_hashed_with_the_salt() {
    let mut access = Access::empty();
    let document =
        definitions(json!({"users": [{"name": "a", "password": "s3cret"}, {"name": "b", "password": ""}]}));
    access.import(&document, || [9; SALT_BYTES]).unwrap();
    let hash = access.user("a").unwrap().password.clone();
    assert_eq!(hash, Some(PasswordHash::make("s3cret", [9; SALT_BYTES])));
    assert_eq!(access.user("b").unwrap().password, None);
}

#[test]
fn hashes_without_algorithm_are_md5_before_3_6() {
    /// base64 of the salt 01020304 and MD5 of it and `s3cret`.
    const MD5: &str = "AQIDBBvSnShWbk2TDnnqVDQxSwc=";
    let user = json!([{"name": "a", "password_hash": MD5, "tags": ""}]);
    let mut access = Access::empty();
    access.import(&definitions(json!({"rabbit_version": "3.5.7", "users": user})), no_salt).unwrap();
    assert!(access.authenticate("a", "s3cret", true).is_ok());
    let later = access.import(&definitions(json!({"rabbit_version": "3.6.0", "users": user})), no_salt);
    let source = PasswordError::Malformed { hashing: Hashing::Sha256 };
    assert_eq!(later, Err(EditError::Password { user: "a".into(), source }.into()));
}

#[test]
fn what_an_import_leaves_out_stays() {
    let mut access = Access::initial(no_salt());
    access.import(&definitions(json!({"vhosts": [{"name": "/", "tracing": true}]})), no_salt).unwrap();
    let vhost = access.vhost("/").unwrap();
    assert!(vhost.tracing);
    assert_eq!(&*vhost.description, "Default virtual host");
    assert!(access.may_enter("guest", "/").is_ok());
}

#[test]
fn parameters_of_others_are_left_in_an_export() {
    let shovel = json!({"vhost": "/", "component": "shovel", "name": "s", "value": {}});
    let mut document = definitions(json!({"parameters": [shovel]}));
    let mut access = Access::initial(no_salt());
    access.import(&document, no_salt).unwrap();
    access.export(&mut document);
    assert_eq!(document.parameters.len(), 1);
    assert_eq!(document.users[0].name, "guest");
}
