//! An error as one line for a person. It knows nothing of any error: it reads the chain of causes.

use std::error::Error;

/// An error and its causes, each said once: many messages quote their cause themselves, before the remedy.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("the file: {source}; give another")]
        Quoted { source: io::Error },
        #[error("it does not start")]
        Bare { source: Box<Self> },
    }

    #[test]
    fn a_cause_that_is_quoted_is_not_said_again() {
        let quoted = Failure::Quoted { source: io::Error::other("gone") };
        assert_eq!(one_line(&quoted), "the file: gone; give another");
        let bare = Failure::Bare { source: Box::new(quoted) };
        assert_eq!(one_line(&bare), "it does not start: the file: gone; give another");
    }
}
