//! Class 90: transactions of one channel.

use crate::amqp::method::define::class;

class! {
    'a;
    /// Methods of class `tx`.
    Tx = 90;

    /// `tx.select`.
    Select = 10, "tx.select" {}

    /// `tx.select-ok`.
    SelectOk = 11, "tx.select_ok" {}

    /// `tx.commit`.
    Commit = 20, "tx.commit" {}

    /// `tx.commit-ok`.
    CommitOk = 21, "tx.commit_ok" {}

    /// `tx.rollback`.
    Rollback = 30, "tx.rollback" {}

    /// `tx.rollback-ok`.
    RollbackOk = 31, "tx.rollback_ok" {}
}
