//! A user's limit of channels.

use super::{Running, client::Client};
use crate::{
    access::user::User,
    amqp::{
        frame::FrameKind,
        method::{Channel, Method, channel},
    },
};

const OPEN_OK: Option<(FrameKind, (u16, u16))> = Some((FrameKind::Method, (20, 11)));
const CONNECTION_CLOSE: Option<(FrameKind, (u16, u16))> = Some((FrameKind::Method, (10, 50)));

async fn open(client: &mut Client, number: u16) -> Option<(FrameKind, (u16, u16))> {
    client.say(number, &Method::Channel(Channel::Open(channel::Open {}))).await;
    client.hear().await
}

#[tokio::test]
async fn the_channels_of_all_connections_of_a_user_count_together() {
    let running = Running::start();
    let edit = |access: &mut crate::access::Access| {
        let mut guest = User::clone(access.user("guest").expect("guest is there"));
        guest.limits.channels_max = Some(2);
        access.put_user(guest)
    };
    running.shared().edit_access(edit).expect("it is saved").expect("a user");
    let (mut one, mut other) = (Client::open(running.amqp).await, Client::open(running.amqp).await);
    assert_eq!(open(&mut one, 1).await, OPEN_OK);
    assert_eq!(open(&mut other, 1).await, OPEN_OK);
    assert_eq!(open(&mut other, 2).await, CONNECTION_CLOSE, "two of two are open");
    assert_eq!(open(&mut one, 2).await, OPEN_OK, "those of the other went with it");
}
