//! The health state machine of one check and of an instance: results and a time in, transitions out.
