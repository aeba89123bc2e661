//! Who is let in and who may what, by RabbitMQ's texts.

use super::{
    decide::OpenConnections,
    edit::EditError,
    permission::{Action, DecisionCache, Resource},
    refused::Refused,
    *,
};

fn broker() -> Access {
    let mut access = Access::initial([1, 2, 3, 4]);
    let ann = User { password: Some(PasswordHash::make("secret", [5, 6, 7, 8])), ..User::new("ann") };
    access.put_user(ann).unwrap();
    access.put_vhost(VirtualHost::new("/prod")).unwrap();
    access
}

fn text(refused: Result<impl std::fmt::Debug, Refused>) -> String {
    refused.unwrap_err().to_string()
}

#[test]
fn the_right_password_lets_in_and_no_other() {
    let access = broker();
    assert_eq!(&*access.authenticate("ann", "secret", false).unwrap().name, "ann");
    for (user, password) in [("ann", "Secret"), ("bob", "secret"), ("Ann", "secret"), ("", "secret")] {
        let refused = access.authenticate(user, password, true).unwrap_err();
        assert_eq!(refused.to_string(), format!("user '{user}' - invalid credentials"));
        assert_eq!(refused.reply_code(), 403);
    }
}

#[test]
fn a_refused_client_is_told_nothing_of_the_reason() {
    let refused = broker().authenticate("nobody", "x", true).unwrap_err();
    assert_eq!(
        refused.client_text("PLAIN"),
        "Login was refused using authentication mechanism PLAIN. For details see the broker logfile."
    );
}

#[test]
fn a_blank_password_is_refused_even_where_there_is_none() {
    let mut access = broker();
    access.put_user(User::new("certified")).unwrap();
    let blank = access.authenticate("certified", "", true);
    assert_eq!(blank, Err(Refused::BlankPassword { user: "certified".into() }));
    let any = access.authenticate("certified", "x", true);
    assert_eq!(any, Err(Refused::Credentials { user: "certified".into() }));
    assert!(access.authenticate_proved("certified", false).is_ok());
    assert!(access.authenticate_proved("nobody", false).is_err());
}

#[test]
fn guest_comes_from_here_alone_and_a_wrong_password_does_not_tell_so() {
    let access = broker();
    assert!(access.authenticate("guest", "guest", true).unwrap().is_administrator());
    assert_eq!(
        text(access.authenticate("guest", "guest", false)),
        "user 'guest' can only connect via localhost"
    );
    assert_eq!(text(access.authenticate("guest", "x", false)), "user 'guest' - invalid credentials");
    let mut open = access;
    open.set_loopback_users([]);
    assert!(open.authenticate("guest", "guest", false).is_ok());
}

#[test]
fn a_vhost_is_entered_with_permissions() {
    let mut access = broker();
    assert_eq!(text(access.may_enter("ann", "/none")), "vhost /none not found");
    assert_eq!(text(access.may_enter("ann", "/prod")), "access to vhost '/prod' refused for user 'ann'");
    assert_eq!(access.may_enter("ann", "/prod").unwrap_err().reply_code(), 530);
    access.set_permission("ann", "/prod", Permission::new("", "", "").unwrap()).unwrap();
    assert_eq!(access.may_enter("ann", "/prod"), Ok(()));
    assert_eq!(access.vhosts_of("ann").map(|v| &*v.name).collect::<Vec<_>>(), ["/prod"]);
}

#[test]
fn limits_count_what_is_open() {
    let mut access = broker();
    let mut vhost = access.vhost("/").unwrap().clone();
    (vhost.limits.connections_max, vhost.limits.queues_max) = (Some(2), Some(1));
    access.put_vhost(vhost).unwrap();
    let mut guest = User::clone(access.user("guest").unwrap());
    (guest.limits.connections_max, guest.limits.channels_max) = (Some(0), Some(3));
    access.put_user(guest).unwrap();

    let open =
        |of_vhost, of_user| access.open_connection("guest", "/", OpenConnections { of_vhost, of_user });
    let full = "access to vhost '/' refused for user 'guest': connection limit (2) is reached";
    assert_eq!(text(open(2, 0)), full);
    let user_full = "Connection refused for user 'guest': user connection limit (0) is reached";
    assert_eq!(text(open(1, 0)), user_full);
    assert_eq!(access.open_channel("guest", 2), Ok(()));
    let channels =
        "number of channels opened for user 'guest' has reached the maximum allowed user limit of (3)";
    assert_eq!(text(access.open_channel("guest", 3)), channels);
    assert_eq!(access.add_queue("/", "q", 0), Ok(()));
    let queues = access.add_queue("/", "q", 1).unwrap_err();
    assert_eq!(queues.to_string(), "cannot declare queue 'q': queue limit in vhost '/' (1) is reached");
    assert_eq!(queues.reply_code(), 406);
}

#[test]
fn resources_are_refused_with_their_action() {
    let mut access = broker();
    let permission = Permission::new("^ann-", "^(ann-.*|amq\\.default)$", ".*").unwrap();
    access.set_permission("ann", "/", permission).unwrap();
    let check = |action, resource| access.check("ann", "/", action, resource);
    assert_eq!(check(Action::Configure, Resource::Queue("ann-q")), Ok(()));
    assert_eq!(check(Action::Write, Resource::Exchange("")), Ok(()));
    assert_eq!(check(Action::Read, Resource::Queue("anything")), Ok(()));
    let refused = check(Action::Configure, Resource::Queue("q")).unwrap_err();
    assert_eq!(refused.to_string(), "configure access to queue 'q' in vhost '/' refused for user 'ann'");
    assert_eq!(refused.reply_code(), 403);
    assert_eq!(
        text(check(Action::Configure, Resource::Exchange(""))),
        "configure access to exchange 'amq.default' in vhost '/' refused for user 'ann'"
    );
    assert!(access.check("ann", "/prod", Action::Read, Resource::Queue("q")).is_err());
}

#[test]
fn a_remembered_decision_ends_with_the_permission() {
    let mut access = broker();
    access.set_permission("ann", "/", Permission::new("", "x", "").unwrap()).unwrap();
    let mut cache = DecisionCache::new();
    let write = |access: &Access, cache: &mut DecisionCache| {
        access.check_cached("ann", "/", Action::Write, Resource::Exchange("x"), cache)
    };
    assert_eq!(write(&access, &mut cache), Ok(()));
    assert_eq!(write(&access, &mut cache), Ok(()));
    assert_eq!(cache.len(), 1);
    assert!(access.clear_permission("ann", "/"));
    assert!(write(&access, &mut cache).is_err());
}

#[test]
fn topics_are_open_until_a_permission_narrows_them() {
    let mut access = broker();
    let check = |access: &Access, key| access.check_topic("guest", "/", Action::Write, "amq.topic", key);
    assert_eq!(check(&access, "a.b"), Ok(()));
    let topic = TopicPermission::new("^{username}\\.", "", "guest", "/").unwrap();
    access.set_topic_permission("guest", "/", "amq.topic", topic).unwrap();
    assert_eq!(check(&access, "guest.b"), Ok(()));
    assert_eq!(
        text(check(&access, "a.b")),
        "write access to topic 'a.b' in exchange 'amq.topic' in vhost '/' refused for user 'guest'"
    );
    assert_eq!(access.check_topic("guest", "/", Action::Write, "other", "a.b"), Ok(()));
    assert!(access.clear_topic_permission("guest", "/", None));
    assert_eq!(check(&access, "a.b"), Ok(()));
}

#[test]
fn permissions_go_with_their_user_and_with_their_vhost() {
    let mut access = broker();
    let all = || Permission::new(".*", ".*", ".*").unwrap();
    access.set_permission("ann", "/", all()).unwrap();
    access.set_permission("ann", "/prod", all()).unwrap();
    assert!(access.delete_vhost("/") && !access.delete_vhost("/"));
    let left: Vec<_> = access.permissions().map(|(user, vhost, _)| (user, vhost)).collect();
    assert_eq!(left, [("ann", "/prod")]);
    assert!(access.delete_user("ann") && !access.delete_user("ann"));
    access.put_user(User::new("ann")).unwrap();
    assert!(access.may_enter("ann", "/prod").is_err());
}

#[test]
fn a_refused_edit_changes_nothing() {
    let mut access = broker();
    let before = (access.clone(), access.revision());
    let all = || Permission::new(".*", ".*", ".*").unwrap();
    let no_user = EditError::NoUser { user: "bob".into() };
    assert_eq!(access.set_permission("bob", "/", all()), Err(no_user));
    let no_vhost = EditError::NoVhost { vhost: "/x".into() };
    assert_eq!(access.set_permission("ann", "/x", all()), Err(no_vhost));
    for name in ["", "a\0b", &"a".repeat(256)] {
        assert_eq!(access.put_user(User::new(name)), Err(EditError::Name { what: "user" }));
        assert!(access.put_vhost(VirtualHost::new(name)).is_err());
    }
    assert!(!access.clear_permission("ann", "/prod") && !access.clear_global_parameter("x"));
    assert_eq!((access.clone(), access.revision()), before);
}
