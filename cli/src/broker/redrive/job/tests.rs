//! Nothing is acknowledged that is not confirmed, and nothing is asked for that is not wanted.

use weft_broker::amqp::{
    properties::Properties,
    value::{FieldTable, FieldValue},
};

use super::*;

fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// A message that died in `queue`, and has come back so often.
fn dead(queue: &str, body: &str, came_back: i64) -> Message {
    let death = table(&[
        ("queue", FieldValue::text(queue)),
        ("exchange", FieldValue::text("shop")),
        ("reason", FieldValue::text("rejected")),
        ("routing-keys", FieldValue::Array(vec![FieldValue::text("new")])),
    ]);
    let headers = table(&[
        ("x-death", FieldValue::Array(vec![FieldValue::Table(death)])),
        ("x-delivery-count", FieldValue::I64(came_back)),
    ]);
    let properties = Properties { headers: Some(headers), ..Properties::default() }.encode();
    Message { exchange: "dlx".into(), routing_key: "dead".into(), properties, body: body.into() }
}

fn plan() -> Plan {
    Plan { queue: "dead".into(), user: "guest".into(), ..Plan::default() }
}

/// Asks for all, gets messages of `orders` with tags from 1, and sends each.
fn sent(job: &mut Job, bodies: &[&str]) -> Vec<Publication> {
    job.ask(Duration::ZERO);
    let messages = bodies.iter().zip(1..).map(|(body, tag)| (tag, dead("orders", body, 0)));
    let mut publications = Vec::new();
    for (tag, message) in messages {
        let publication = job.got(tag, message).unwrap();
        job.sent(&publication);
        publications.push(publication);
    }
    publications
}

fn back(publication: &Publication) -> Message {
    let Publication { exchange, routing_key, properties, body, .. } = publication.clone();
    Message { exchange, routing_key, properties, body }
}

#[test]
fn a_delivery_is_acknowledged_by_its_confirm() {
    let mut job = Job::new(plan(), 3);
    let publications = sent(&mut job, &["a", "b", "c"]);
    assert_eq!((publications[0].exchange.as_str(), publications[0].routing_key.as_str()), ("shop", "new"));
    assert!(!job.is_done());
    assert_eq!(job.settled(2, false, true), [2]);
    assert_eq!(job.settled(3, true, true), [1, 3]);
    assert!(job.settled(3, true, true).is_empty());
    assert!(job.is_done());
    assert_eq!((job.tally().total().redriven, job.held()), (3, 0));
}

#[test]
fn what_is_returned_or_not_taken_stays() {
    let mut job = Job::new(plan(), 3);
    let publications = sent(&mut job, &["a", "b", "c"]);
    job.returned(&back(&publications[1]));
    assert_eq!(job.settled(2, true, true), [1]);
    assert!(job.settled(3, false, false).is_empty());
    let total = job.tally().total();
    assert_eq!((total.redriven, total.unroutable, total.refused, job.held()), (1, 1, 1, 2));
}

#[test]
fn a_return_is_told_by_its_body_where_properties_are_written_anew() {
    let mut job = Job::new(plan(), 2);
    let publications = sent(&mut job, &["a", "b"]);
    job.returned(&Message { properties: vec![0, 0], ..back(&publications[1]) });
    assert_eq!(job.settled(2, true, true), [1]);
}

#[test]
fn a_return_that_cannot_be_told_leaves_all_that_is_under_way() {
    let mut job = Job::new(plan(), 2);
    let publications = sent(&mut job, &["a", "b"]);
    job.returned(&Message { body: b"other".to_vec(), ..back(&publications[1]) });
    assert!(job.settled(2, true, true).is_empty());
    assert_eq!(job.held(), 2);
}

#[test]
fn filters_and_unknown_origins_leave_messages_where_they_are() {
    let filters = vec!["queue=orders".parse().unwrap()];
    let mut job = Job::new(Plan { filters, ..plan() }, 3);
    assert_eq!(job.ask(Duration::ZERO), 3);
    assert!(job.got(1, dead("mails", "a", 0)).is_none());
    assert!(job.got(2, Message { properties: vec![0, 0], ..dead("orders", "b", 0) }).is_none());
    assert!(job.got(3, dead("orders", "c", 0)).is_some());
    assert_eq!((job.tally().without_origin, job.tally().total().filtered, job.held()), (1, 1, 2));
}

#[test]
fn no_more_is_asked_for_than_there_was_or_than_is_wanted() {
    let mut job = Job::new(plan(), 1_000);
    assert_eq!((job.ask(Duration::ZERO), job.ask(Duration::ZERO)), (WINDOW, 0));
    let mut job = Job::new(Plan { limit: Some(2), ..plan() }, 1_000);
    assert_eq!(job.ask(Duration::ZERO), 2);
    let publication = job.got(1, dead("orders", "a", 0)).unwrap();
    job.has_no_target(publication);
    assert_eq!(job.ask(Duration::ZERO), 1, "what stays does not count");
    let mut job = Job::new(plan(), 5);
    assert_eq!(job.ask(Duration::ZERO), 5);
    job.empty();
    (0..4).for_each(|_| job.empty());
    assert!(job.is_done());
}

#[test]
fn large_messages_come_a_few_at_a_time() {
    let mut job = Job::new(plan(), 1_000);
    assert_eq!(job.ask(Duration::ZERO), WINDOW);
    let large = "x".repeat(1 << 21);
    for tag in 1..=WINDOW {
        let publication = job.got(tag, dead("orders", &large, 0)).unwrap();
        job.sent(&publication);
    }
    assert_eq!(job.ask(Duration::ZERO), 0);
    job.settled(WINDOW, true, true);
    assert_eq!(job.ask(Duration::ZERO), 2);
}

#[test]
fn a_rate_lets_through_so_many_a_second() {
    let mut job = Job::new(Plan { rate: Some(10), ..plan() }, 1_000);
    assert_eq!(job.ask(Duration::ZERO), 1);
    assert_eq!(job.ask(Duration::from_millis(99)), 0);
    assert_eq!(job.ask(Duration::from_millis(100)), 1);
    assert_eq!(job.ask(Duration::from_secs(1)), 9);
}

#[test]
fn a_dry_run_counts_and_holds() {
    let mut job = Job::new(Plan { dry_run: true, rate: Some(1), ..plan() }, 2);
    assert_eq!(job.ask(Duration::ZERO), 2);
    for tag in 1..=2 {
        let publication = job.got(tag, dead("orders", "a", 0)).unwrap();
        job.would_send(publication);
    }
    assert!(job.is_done());
    assert_eq!((job.tally().total().redriven, job.held()), (2, 2));
}

#[test]
fn what_a_delivery_limit_could_take_is_returned_no_further() {
    let look = |force| {
        let mut job = Job::new(Plan { dry_run: true, force, ..plan() }, 1_000);
        job.ask(Duration::ZERO);
        let publication = job.got(1, dead("orders", "a", CAME_BACK_MAX)).unwrap();
        job.would_send(publication);
        job.halt()
    };
    assert_eq!((look(false), look(true)), (Some(Halt::CameBack), None));
    // On its way back it is not returned at all.
    let mut job = Job::new(plan(), 1);
    job.ask(Duration::ZERO);
    let publication = job.got(1, dead("orders", "a", CAME_BACK_MAX)).unwrap();
    job.sent(&publication);
    assert_eq!((job.settled(1, false, true), job.halt()), (vec![1], None));
}
