//! Outlier accrual: consecutive failures of an endpoint in, an ejection out.
