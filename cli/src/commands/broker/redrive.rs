//! `weft redrive`: dead letters back to where they came from, with its progress and its result for people and programs.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{columns::plain, queues::no_queue};
use crate::{
    args::{Destination, RedriveOptions, ResourceFormat},
    broker::{
        amqp::{Address, Amqp, Credentials},
        redrive::{
            self, Progress,
            job::{Halt, Job, Plan},
            tally::Counts,
        },
    },
    commands::Answer,
    output,
};

/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Redrives, and says what became of it.
pub(super) async fn run(options: &RedriveOptions) -> anyhow::Result<Answer> {
    let RedriveOptions { queue, vhost, login, .. } = options;
    let credentials = Credentials { user: &login.user, password: login.password(), vhost };
    let amqp = Amqp::connect(Address::find(options.amqp.as_deref()), credentials).await?;
    let mut shown = Shown::new();
    let job = tokio::select! {
        // What is done counts, also when it was done at the moment of the second Ctrl-C.
        biased;
        job = redrive::run(amqp, plan(options), interrupted(), |progress| shown.show(progress)) => job,
        () = interrupted_twice() => anyhow::bail!("interrupted: what had not been acknowledged is in its queue"),
    };
    shown.clear();
    let Some(job) = job? else { return no_queue(vhost, queue) };
    print(options, &job)?;
    let total = job.tally().total();
    let is_all = total.unroutable + total.refused + job.tally().without_origin == 0 && job.halt().is_none();
    Ok(is_all.into())
}

/// The first Ctrl-C ends it in order.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can interrupt, then.
        std::future::pending::<()>().await;
    }
}

/// The second one does not wait for a broker that says nothing.
async fn interrupted_twice() {
    interrupted().await;
    interrupted().await;
}

fn plan(options: &RedriveOptions) -> Plan {
    Plan {
        queue: options.queue.clone(),
        to_queue: options.to == Destination::Queue,
        filters: options.filters.clone(),
        rate: options.rate.map(Into::into),
        limit: options.limit,
        dry_run: options.dry_run,
        force: options.force,
        user: options.login.user.clone(),
    }
}

/// A line that is written over, where somebody looks.
struct Shown {
    is_terminal: bool,
    last: Option<Instant>,
}

impl Shown {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), last: None }
    }

    fn show(&mut self, progress: &Progress<'_>) {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= PROGRESS_INTERVAL);
        if self.is_terminal && is_due {
            output::progress(progress_line(progress));
            self.last = Some(Instant::now());
        }
    }

    fn clear(&self) {
        if self.last.is_some() {
            output::progress("");
        }
    }
}

fn progress_line(progress: &Progress<'_>) -> String {
    let job = progress.job;
    let done = if job.plan().dry_run { "looked at" } else { "redriven" };
    let count = if job.plan().dry_run { job.held() } else { job.tally().total().redriven };
    let waits =
        progress.blocked.map(|reason| format!("; the broker lets publishers wait: {}", plain(reason)));
    format!("{count} of {} {done}, {} stay{}", progress.waiting, job.held(), waits.unwrap_or_default())
}

fn print(options: &RedriveOptions, job: &Job) -> anyhow::Result<()> {
    match options.format {
        ResourceFormat::Json => return output::json(&value(options, job)),
        ResourceFormat::Yaml => {
            return output::line(serde_yaml::to_string(&value(options, job))?.trim_end());
        }
        ResourceFormat::Table | ResourceFormat::Wide => {}
    }
    if !job.tally().origins.is_empty() {
        output::table(&headings(options.dry_run), &rows(job))?;
        output::line("")?;
    }
    output::line(sum(options, job))?;
    if let Some(halt) = job.halt() {
        output::note(why(halt));
    }
    Ok(())
}

const fn headings(dry_run: bool) -> [&'static str; 7] {
    let first = if dry_run { "would go" } else { "redriven" };
    ["queue", "exchange", "died of", first, "filtered", "no route", "refused"]
}

fn rows(job: &Job) -> Vec<Vec<String>> {
    let row = |(place, counts): (&redrive::tally::Place, &Counts)| {
        let exchange = if place.exchange.is_empty() { "(default)" } else { &place.exchange };
        let mut row: Vec<String> = [&*place.queue, exchange, &*place.reason].map(plain).into();
        let Counts { redriven, filtered, unroutable, refused } = *counts;
        row.extend([redriven, filtered, unroutable, refused].map(|count| count.to_string()));
        row
    };
    job.tally().origins.iter().map(row).collect()
}

fn sum(options: &RedriveOptions, job: &Job) -> String {
    let Counts { redriven, filtered, unroutable, refused } = job.tally().total();
    let without_origin = job.tally().without_origin;
    let (done, queue) = (if options.dry_run { "would be redriven" } else { "redriven" }, &options.queue);
    if redriven + filtered + unroutable + refused + without_origin == 0 {
        return format!("{queue} has no messages");
    }
    let reasons = [
        (filtered, "a filter does not hold"),
        (unroutable, "no queue takes them at their origin (`--to queue` goes past the exchange)"),
        (refused, "the broker did not take them"),
        (without_origin, "they do not say where they came from"),
    ];
    let left = reasons.into_iter().filter(|(count, _)| *count > 0);
    let left: String = left.map(|(count, why)| format!("\n{count} left in {queue}: {why}")).collect();
    format!("{redriven} {done}{left}")
}

const fn why(halt: Halt) -> &'static str {
    match halt {
        Halt::Interrupted => "interrupted: what had not been confirmed is in its queue",
        Halt::CameBack => {
            "stopped: messages that stay have come back ten times, and a delivery limit of the queue would take them out after twenty; \
             raise it by a policy (`delivery-limit`), or go on with --force"
        }
        Halt::HeldTooLong => {
            "stopped: messages that stay cannot be held for longer than 25 minutes; run it again for the rest"
        }
    }
}

fn value(options: &RedriveOptions, job: &Job) -> Value {
    let (tally, total) = (job.tally(), job.tally().total());
    let origins = tally.origins.iter().map(|(place, counts)| {
        json!({
            "queue": place.queue,
            "exchange": place.exchange,
            "reason": place.reason,
            "redriven": counts.redriven,
            "filtered": counts.filtered,
            "unroutable": counts.unroutable,
            "refused": counts.refused,
        })
    });
    json!({
        "queue": options.queue,
        "vhost": options.vhost,
        "dry_run": options.dry_run,
        "redriven": total.redriven,
        "filtered": total.filtered,
        "unroutable": total.unroutable,
        "refused": total.refused,
        "without_origin": tally.without_origin,
        "stopped": job.halt().map(why),
        "origins": origins.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::broker::redrive::tally::{Fate, Place, Tally};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RedriveOptions,
    }

    fn options(arguments: &[&str]) -> RedriveOptions {
        Line::parse_from(["x", "dead"].iter().chain(arguments)).options
    }

    fn job(options: &RedriveOptions) -> Job {
        let mut tally = Tally::default();
        let place =
            |queue: &str| Place { queue: queue.into(), exchange: String::new(), reason: "expired".into() };
        tally.count(place("orders"), Fate::Redriven);
        tally.count(place("orders"), Fate::Redriven);
        tally.count(place("mails"), Fate::Unroutable);
        tally.without_origin = 4;
        Job::resumed(plan(options), tally)
    }

    #[test]
    fn the_result_is_counted_by_origin() {
        let options = options(&["--dry-run"]);
        let job = job(&options);
        let table = output::layout(&headings(true), &rows(&job));
        assert_eq!(
            table,
            "QUEUE   EXCHANGE   DIED OF  WOULD GO  FILTERED  NO ROUTE  REFUSED\n\
             mails   (default)  expired  0         0         1         0\n\
             orders  (default)  expired  2         0         0         0"
        );
        assert_eq!(
            sum(&options, &job),
            "2 would be redriven\n\
             1 left in dead: no queue takes them at their origin (`--to queue` goes past the exchange)\n\
             4 left in dead: they do not say where they came from"
        );
        let value = value(&options, &job);
        assert_eq!((&value["redriven"], &value["origins"][0]["queue"]), (&json!(2), &json!("mails")));
    }

    #[test]
    fn what_is_typed_is_what_is_planned() {
        let options =
            options(&["--to", "queue", "--rate", "50", "--filter", "reason=expired", "--limit", "3"]);
        let plan = plan(&options);
        assert!(plan.to_queue && !plan.dry_run);
        assert_eq!((plan.rate, plan.limit, plan.filters.len()), (Some(50), Some(3), 1));
    }
}
