//! Alarms of memory and disk, as virtual hosts hear of them.

use std::time::Duration;

use super::{AMPLE, Running};
use crate::{
    access::vhost::VirtualHost,
    server::{Alarms, Watermarks},
    vhost::Blocked,
};

/// Waits until the alarms are looked at.
async fn alarm(running: &Running) {
    let wanted = Alarms { memory: true, disk: false };
    let mut standing = running.shared().standing();
    let stands = standing.wait_for(|standing| standing.alarms == wanted);
    let stands = tokio::time::timeout(Duration::from_secs(20), stands).await;
    assert!(stands.expect("it is looked at").is_ok());
}

#[tokio::test]
async fn a_virtual_host_that_opens_during_an_alarm_knows_of_it() {
    let running = Running::with(Watermarks { memory_bytes: 0, ..AMPLE });
    alarm(&running).await;
    running.shared().edit_access(|access| access.put_vhost(VirtualHost::new("late"))).unwrap().unwrap();
    running.shared().open_vhost("late").expect("it opens");
    for name in ["/", "late"] {
        let vhost = running.shared().vhost(name).expect("it runs");
        let blocked = vhost.with(|vhost| vhost.blocked()).await;
        assert_eq!(blocked, Ok(Some(Blocked::Memory)), "{name}");
    }
}
