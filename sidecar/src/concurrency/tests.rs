//! Places and queue with a paused clock, and on threads that race.

use weft_model::policy::QueuePolicy;

use super::*;

fn limit(places: u32, length_max: u32, timeout: Duration) -> LimitPolicy {
    LimitPolicy {
        concurrency: Concurrency::Fixed(places),
        queue: QueuePolicy { length_max, timeout },
        connections_per_endpoint: None,
    }
}

const SECOND: Duration = Duration::from_secs(1);

async fn enter(limiter: &Arc<Limiter>, policy: &LimitPolicy) -> Result<Option<Place>, Full> {
    Limiter::enter(limiter, policy, &ResilienceMetrics::default()).await
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_nothing_is_counted() {
    let limiter = Arc::default();
    assert!(enter(&limiter, &LimitPolicy::default()).await.unwrap().is_none());
    assert_eq!(limiter.under_way.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn one_too_many_waits_for_its_time_and_one_more_than_the_queue_holds_not_at_all() {
    let (limiter, policy) = (Arc::default(), limit(1, 1, SECOND));
    let held = enter(&limiter, &policy).await.unwrap();
    let waits = {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { enter(&limiter, &policy).await.is_err() })
    };
    tokio::task::yield_now().await;
    let begun = tokio::time::Instant::now();
    assert!(enter(&limiter, &policy).await.is_err());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(waits.await.unwrap());
    assert_eq!(begun.elapsed(), SECOND);
    drop(held);
    assert!(enter(&limiter, &policy).await.is_ok());
    assert_eq!((limiter.waiting.load(SeqCst), limiter.under_way.load(SeqCst)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_in_the_order_of_coming() {
    let (limiter, policy) = (Arc::default(), limit(1, 100, SECOND));
    let held = enter(&limiter, &policy).await.unwrap();
    let served = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..50 {
        let (limiter, served) = (Arc::clone(&limiter), Arc::clone(&served));
        tasks.push(tokio::spawn(async move {
            let _place = enter(&limiter, &policy).await.unwrap();
            served.lock().push(number);
            tokio::task::yield_now().await;
        }));
        tokio::task::yield_now().await;
    }
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*served.lock(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_waiting_leaves_its_turn_to_the_next() {
    let (limiter, policy) = (Arc::default(), limit(1, 10, SECOND));
    let held = enter(&limiter, &policy).await.unwrap();
    let spawn = || {
        let limiter = Arc::clone(&limiter);
        tokio::spawn(async move { enter(&limiter, &policy).await.is_ok() })
    };
    let (first, second) = (spawn(), spawn());
    tokio::task::yield_now().await;
    drop(held);
    // It was woken, and is gone before it could take the place.
    first.abort();
    assert!(second.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_never_hold_more_places_than_there_are_and_none_is_lost() {
    let (limiter, policy) = (Arc::new(Limiter::default()), limit(3, 1_000, Duration::from_secs(30)));
    let most = Arc::new(AtomicU32::default());
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (limiter, most) = (Arc::clone(&limiter), Arc::clone(&most));
            tokio::spawn(async move {
                for _ in 0..200 {
                    let _place = enter(&limiter, &policy).await.unwrap();
                    most.fetch_max(limiter.under_way.load(SeqCst), SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        timeout(Duration::from_secs(30), task).await.expect("nobody is forgotten").unwrap();
    }
    assert!(most.load(SeqCst) <= 3);
    assert_eq!((limiter.waiting.load(SeqCst), limiter.under_way.load(SeqCst)), (0, 0));
}
