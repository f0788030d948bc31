use crate::cause::{Cause, CauseKind};

/// The different causes reported to a ledger, numbered, so that a probe's is two bytes. Their number
/// is bounded, because a forger of errors can name any number of reporters.
#[derive(Clone, Debug)]
pub(super) struct Causes {
    known: Vec<Cause>,
    max: usize,
}

impl Causes {
    /// Creates the causes without a reporter; number 0 is [`Cause::SILENT`]. There are never more than
    /// the probes that a window of this length remembers, within bounds of their own.
    pub(super) fn new(window: u32) -> Self {
        let without_reporter = [
            CauseKind::Silent,
            CauseKind::Refused,
            CauseKind::HostUnreachable,
            CauseKind::NetworkUnreachable,
            CauseKind::Prohibited,
            CauseKind::TooBig { mtu: None },
            CauseKind::TtlExceeded,
            CauseKind::ProtocolError,
        ];
        let known = without_reporter.map(|kind| Cause { kind, reporter: None });
        let max = usize::try_from(window).unwrap_or(MAX_CAUSES).clamp(MIN_CAUSES, MAX_CAUSES);
        Self { known: known.into(), max }
    }

    /// Returns the number of a cause. If there are too many, that of the same kind without a reporter.
    pub(super) fn number(&mut self, cause: Cause) -> u16 {
        let number = match self.position(cause) {
            Some(number) => number,
            None if self.known.len() < self.max => {
                self.known.push(cause);
                self.known.len() - 1
            }
            None => self.position(cause.without_details()).unwrap_or(0),
        };
        u16::try_from(number).unwrap_or(0)
    }

    fn position(&self, cause: Cause) -> Option<usize> {
        self.known.iter().position(|known| *known == cause)
    }

    /// Returns the cause with this number.
    pub(super) fn get(&self, number: u16) -> Cause {
        self.known.get(usize::from(number)).copied().unwrap_or(Cause::SILENT)
    }
}

/// The most different causes of a ledger with a short window, and of any.
const MIN_CAUSES: usize = 32;
const MAX_CAUSES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "two thousand causes, each compared with a thousand")]
    fn each_cause_has_its_number_until_there_are_too_many() {
        let mut causes = Causes::new(1 << 20);
        assert_eq!(causes.number(Cause::SILENT), 0);
        let forged = |host: u32| Cause {
            kind: CauseKind::TooBig { mtu: Some(host) },
            reporter: Some(host.to_be_bytes().into()),
        };
        for host in 0..2000 {
            let number = causes.number(forged(host));
            let expected = if host < 1016 {
                forged(host)
            } else {
                Cause { kind: CauseKind::TooBig { mtu: None }, reporter: None }
            };
            assert_eq!(causes.get(number), expected, "{host}");
        }
        let number = causes.number(forged(7));
        assert_eq!((causes.get(number), causes.known.len()), (forged(7), MAX_CAUSES));
        assert_eq!(causes.get(u16::MAX), Cause::SILENT);
    }

    #[test]
    fn short_window_has_few_causes() {
        let mut causes = Causes::new(4);
        for host in 0..100_u32 {
            let reporter = Some(host.to_be_bytes().into());
            causes.number(Cause { kind: CauseKind::Refused, reporter });
        }
        assert_eq!(causes.known.len(), MIN_CAUSES);
    }
}
