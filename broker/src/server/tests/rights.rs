//! Rights that change while a broker runs.

use std::sync::mpsc::sync_channel;

use super::Running;
use crate::{access::user::User, server::host::Command};

#[tokio::test]
async fn new_rights_reach_a_virtual_host_that_is_too_busy_to_take_commands() {
    let running = Running::start();
    let vhost = running.shared().vhost("/").expect("it runs");
    let (held, is_held) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let hold = Box::new(move |_: &mut _| {
        held.send(()).expect("the test waits");
        let _dropped = released.recv();
    });
    assert!(vhost.commands.try_send(Command::Call(hold)).is_ok());
    is_held.recv().expect("its thread is held");
    while vhost.commands.try_send(Command::Call(Box::new(|_| {}))).is_ok() {}
    let edit = |access: &mut crate::access::Access| {
        let mut guest = User::clone(access.user("guest").expect("guest is there"));
        guest.limits.channels_max = Some(0);
        access.put_user(guest)
    };
    running.shared().edit_access(edit).expect("it is saved").expect("a user");
    drop(release);
    let visitor = running.visitor();
    let visit = vhost.with(move |vhost| vhost.visit(visitor, false, 0)).await;
    assert!(visit.expect("it runs").is_err(), "the new limit holds");
}
