//! Accounts, credits and reservations: pure. A reservation has an id of its caller's choice, and reserving
//! the same id again changes nothing: that is what makes the call safe to retry at another replica.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Reservations remembered an account; the oldest is settled and forgotten when one more comes.
const RESERVATIONS_MAX: usize = 10_000;

/// What every replica starts with. A real one would keep this in a database that they share.
const ACCOUNTS: [(&str, u64); 3] = [("astronomy", 10_000_000), ("biology", 10_000_000), ("chemistry", 10)];

/// All accounts of one replica.
#[derive(Debug)]
pub(crate) struct Ledger {
    accounts: BTreeMap<String, Account>,
}

#[derive(Debug)]
struct Account {
    credits: u64,
    reserved: HashMap<String, u64>,
    order: VecDeque<String>,
}

/// Why nothing was reserved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No such account.
    Unknown,
    /// Not enough credit: so many are left.
    Short(u64),
    /// The id is taken by a reservation of another amount.
    Differs(u64),
}

impl Ledger {
    /// With the accounts of the example.
    pub(crate) fn seeded() -> Self {
        let account = |credits| Account { credits, reserved: HashMap::new(), order: VecDeque::new() };
        Self { accounts: ACCOUNTS.map(|(name, credits)| (name.to_owned(), account(credits))).into() }
    }

    /// Credits left.
    pub(crate) fn credits(&self, account: &str) -> Option<u64> {
        self.accounts.get(account).map(|account| account.credits)
    }

    /// Reserves, once an id; gives the credits left.
    pub(crate) fn reserve(&mut self, account: &str, id: &str, credits: u64) -> Result<u64, Refused> {
        let account = self.accounts.get_mut(account).ok_or(Refused::Unknown)?;
        match account.reserved.get(id) {
            Some(same) if *same == credits => return Ok(account.credits),
            Some(other) => return Err(Refused::Differs(*other)),
            None => {}
        }
        account.credits = account.credits.checked_sub(credits).ok_or(Refused::Short(account.credits))?;
        if account.order.len() >= RESERVATIONS_MAX
            && let Some(oldest) = account.order.pop_front()
        {
            account.reserved.remove(&oldest);
        }
        account.reserved.insert(id.to_owned(), credits);
        account.order.push_back(id.to_owned());
        Ok(account.credits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserving_the_same_id_again_costs_nothing() {
        let mut ledger = Ledger::seeded();
        assert_eq!(ledger.reserve("chemistry", "job-1", 4), Ok(6));
        assert_eq!(ledger.reserve("chemistry", "job-1", 4), Ok(6));
        assert_eq!(ledger.reserve("chemistry", "job-1", 5), Err(Refused::Differs(4)));
        assert_eq!(ledger.credits("chemistry"), Some(6));
    }

    #[test]
    fn an_account_cannot_go_below_nothing() {
        let mut ledger = Ledger::seeded();
        assert_eq!(ledger.reserve("chemistry", "job-1", 11), Err(Refused::Short(10)));
        assert_eq!(ledger.reserve("alchemy", "job-1", 1), Err(Refused::Unknown));
    }

    #[test]
    fn old_reservations_are_forgotten() {
        let mut ledger = Ledger::seeded();
        for number in 0..=RESERVATIONS_MAX {
            ledger.reserve("biology", &format!("job-{number}"), 1).unwrap();
        }
        let biology = &ledger.accounts["biology"];
        assert_eq!((biology.reserved.len(), biology.order.len()), (RESERVATIONS_MAX, RESERVATIONS_MAX));
        assert!(!biology.reserved.contains_key("job-0"));
    }
}
