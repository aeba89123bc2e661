//! A virtual host that panics.

use super::{Running, client::Client};
use crate::server::Ending;

#[tokio::test]
async fn a_virtual_host_that_panicked_is_down_and_can_be_started_again() {
    let running = Running::start();
    let mut client = Client::open(running.amqp).await;
    let vhost = running.shared().vhost("/").expect("it runs");
    assert_eq!(vhost.with(|_| panic!("as it should")).await, Err::<(), _>(Ending));
    assert_eq!(client.hear().await, None, "its clients are let go of");
    assert_eq!(vhost.with(|_| ()).await, Err(Ending));
    assert!(running.shared().vhost("/").is_none(), "it does not run");
    running.shared().open_vhost("/").expect("its log is free");
    let again = running.shared().vhost("/").expect("it runs again");
    assert_eq!(again.with(|_| ()).await, Ok(()));
    drop(Client::open(running.amqp).await);
}
