//! Why there was no answer.

/// What there was instead of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Whether the network said that nothing listens there.
    pub refused: bool,
    /// Whether an answer came too late.
    pub late: bool,
    /// Whether something else came.
    pub strange: bool,
    /// Whether there was any error.
    pub errors: bool,
}

impl Instead {
    /// Says it.
    pub fn say(self) -> &'static str {
        match self {
            Self { refused: true, .. } => "no answer: refused (nothing listens there)",
            Self { late: true, .. } => "no answer in time",
            Self { strange: true, .. } => "no answer to us, but something else",
            Self { errors: true, .. } => "no answer, but errors",
            Self { errors: false, .. } => "no answer and no error: silent",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_most_is_said() {
        let mut instead = Instead::default();
        assert_eq!(instead.say(), "no answer and no error: silent");
        instead.errors = true;
        assert_eq!(instead.say(), "no answer, but errors");
        instead.strange = true;
        assert_eq!(instead.say(), "no answer to us, but something else");
        instead.late = true;
        assert_eq!(instead.say(), "no answer in time");
        instead.refused = true;
        assert_eq!(instead.say(), "no answer: refused (nothing listens there)");
    }
}
