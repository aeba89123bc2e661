//! Exports come back whole, and what is not whole is refused.

use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::store::MemoryStore;

async fn put_one(store: &dyn Store, name: &str, value: impl Into<Bytes>) {
    let operation = Operation::Put { key: key(name), value: value.into(), lease: None };
    let committed = store.commit(Txn { guards: Vec::new(), operations: vec![operation] }).await;
    assert!(matches!(committed, Ok(Committed::At(_))), "{committed:?}");
}

fn key(name: &str) -> Arc<str> {
    format!("{KEY_PREFIX}test/default/{name}").into()
}

async fn values(store: &dyn Store) -> Vec<(Arc<str>, Bytes)> {
    let (_, entries) = snapshot(store).await.expect("the store is open");
    entries.into_values().map(|entry| (entry.key, entry.value)).collect()
}

async fn exported(store: &dyn Store) -> String {
    let mut out = Vec::new();
    export(store, &mut out).await.expect("it is exported");
    String::from_utf8(out).expect("JSON is UTF-8")
}

async fn imported(text: &str) -> Result<Arc<MemoryStore>, TransferError> {
    let store = MemoryStore::new();
    import(&*store, &mut text.as_bytes()).await?;
    Ok(store)
}

#[tokio::test]
async fn what_is_exported_comes_back() {
    let store = MemoryStore::new();
    put_one(&*store, "text", "naïve \"quoted\"\n").await;
    put_one(&*store, "binary", vec![0xff, 0x00, 0xfe]).await;
    put_one(&*store, "empty", "").await;
    put_one(&*store, "large", vec![0x80; 700_000]).await;
    put_one(&*store, "larger", vec![b'"'; 700_000]).await;
    for number in 0..300 {
        put_one(&*store, &number.to_string(), number.to_string()).await;
    }
    let copy = imported(&exported(&*store).await).await.expect("it is imported");
    assert_eq!(values(&*copy).await, values(&*store).await);
    assert_ne!(copy.id(), store.id());
}

#[tokio::test]
async fn lines_look_as_documented() {
    let store = MemoryStore::new();
    put_one(&*store, "a", "1").await;
    put_one(&*store, "a", "2").await;
    put_one(&*store, "b", vec![0xff]).await;
    let lease = store.grant(Duration::from_secs(60)).await.expect("a lease is granted");
    let leased = Operation::Put { key: key("held"), value: "x".into(), lease: Some(lease) };
    store.commit(Txn { guards: Vec::new(), operations: vec![leased] }).await.expect("it is written");
    let text = exported(&*store).await;
    let expected = [
        format!(r#"{{"weft_store":1,"id":"{}","revision":4}}"#, store.id()),
        r#"{"key":"/weft/1/test/default/a","value":"2","create_revision":1,"mod_revision":2}"#.to_owned(),
        r#"{"key":"/weft/1/test/default/b","base64":"/w==","create_revision":3,"mod_revision":3}"#.to_owned(),
        r#"{"keys":2,"leased":1}"#.to_owned(),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_export_beside_writers_is_the_store_at_one_revision() {
    const PAIRS: usize = PAGE_KEYS_MAX * 2;
    const WRITES: usize = 400;
    let store = MemoryStore::new();
    let put_pair = |number: usize, value: String| {
        let put = |side: &str| Operation::Put {
            key: key(&format!("{side}-{number:05}")),
            value: value.clone().into(),
            lease: None,
        };
        Txn { guards: Vec::new(), operations: vec![put("a"), put("z")] }
    };
    for number in 0..PAIRS {
        store.commit(put_pair(number, "0".to_owned())).await.expect("it is written");
    }
    // The two keys of a pair are pages apart, so that a list alone would find them out of step.
    let paging =
        Paging { store: Arc::clone(&store), writes: std::sync::atomic::AtomicUsize::new(0), put_pair };
    let copy = imported(&exported(&paging).await).await.expect("it is imported");
    let values = values(&*copy).await;
    let (a, z) = values.split_at(PAIRS);
    assert!(a.iter().zip(z).all(|(a, z)| a.1 == z.1), "both keys of each pair at one revision");
    assert!(a.iter().any(|(_, value)| value != "0"), "writers were at work");

    /// Writes before each page.
    struct Paging<F> {
        store: Arc<MemoryStore>,
        writes: std::sync::atomic::AtomicUsize,
        put_pair: F,
    }

    #[async_trait::async_trait]
    impl<F: Fn(usize, String) -> Txn + Send + Sync + 'static> Store for Paging<F> {
        fn id(&self) -> &str {
            self.store.id()
        }
        fn revision(&self) -> Revision {
            self.store.revision()
        }
        async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
            self.store.get(key).await
        }
        async fn range(
            &self,
            prefix: &str,
            after: Option<&str>,
            limit: usize,
        ) -> Result<crate::store::Page, StoreError> {
            for _ in 0..WRITES {
                let number = self.writes.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
                self.store.commit((self.put_pair)(number % PAIRS, number.to_string())).await?;
            }
            self.store.range(prefix, after, limit).await
        }
        async fn commit(&self, txn: Txn) -> Result<Committed, StoreError> {
            self.store.commit(txn).await
        }
        fn watch(&self, prefix: &str, from: Revision) -> Result<Box<dyn crate::store::Watch>, WatchError> {
            self.store.watch(prefix, from)
        }
        async fn grant(&self, ttl: Duration) -> Result<u64, StoreError> {
            self.store.grant(ttl).await
        }
        async fn keep_alive(&self, lease: u64) -> Result<(), StoreError> {
            self.store.keep_alive(lease).await
        }
        async fn revoke(&self, lease: u64) -> Result<(), StoreError> {
            self.store.revoke(lease).await
        }
    }
}

#[tokio::test]
async fn only_an_empty_store_takes_an_import() {
    let store = MemoryStore::new();
    put_one(&*store, "a", "1").await;
    let text = exported(&*store).await;
    let refused = import(&*store, &mut text.as_bytes()).await.expect_err("it has a key").to_string();
    assert!(refused.contains("/weft/1/test/default/a"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_noticed_wherever_it_ends() {
    let store = MemoryStore::new();
    put_one(&*store, "a", "1").await;
    put_one(&*store, "b", "2").await;
    let text = exported(&*store).await;
    for end in 0..text.len() {
        let cut = imported(text.get(..end).expect("it is ASCII")).await.map(|_| ());
        assert!(matches!(cut, Err(TransferError::CutOff { .. })), "after {end} bytes: {cut:?}");
    }
    let without_a_line: String =
        text.lines().filter(|line| !line.contains("/b")).map(|line| format!("{line}\n")).collect();
    let short = imported(&without_a_line).await.map(|_| ());
    assert!(matches!(short, Err(TransferError::CutOff { keys: 1 })), "{short:?}");
}

#[tokio::test]
async fn what_is_no_export_is_refused_by_line() {
    let header = "{\"weft_store\":1,\"id\":\"x\",\"revision\":1}\n";
    let key = |rest: &str| {
        format!("{header}{{\"key\":\"/weft/1/a\",\"create_revision\":1,\"mod_revision\":1{rest}}}\n")
    };
    let cases = [
        ("services:\n".to_owned(), 1, "expected"),
        (format!("{header}{{\"kex\":1}}\n"), 2, "unknown field `kex`"),
        (key(",\"value\":\"1\",\"ttl\":3"), 2, "unknown field `ttl`"),
        (key(""), 2, "neither `value` nor `base64`"),
        (key(",\"base64\":\"!\""), 2, "`base64`: Invalid"),
        (
            key(",\"value\":\"1\"").replace("/weft/1/a", "/etc/passwd") + "{\"keys\":1,\"leased\":0}\n",
            3,
            "is not a key",
        ),
    ];
    for (text, line, reason) in cases {
        match imported(&text).await.map(|_| ()) {
            Err(TransferError::BadLine { line: found, reason: because }) => {
                assert!(found == line && because.contains(reason), "line {found}: {because}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let newer = imported("{\"weft_store\":2,\"other\":true}\n").await.map(|_| ());
    assert!(matches!(newer, Err(TransferError::NewerFormat { found: 2 })), "{newer:?}");
}
