//! Advice for a process or a system that has run out of file descriptors.

use std::error::Error;
use std::io;

use super::error::causes;
use crate::sys;

/// Returns advice for an error caused by a lack of file descriptors; `None` for other errors.
pub fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let io_errors = causes(error).filter_map(<dyn Error>::downcast_ref::<io::Error>);
    io_errors.filter_map(sys::descriptor_advice).next()
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use crate::output::OutputError;
    use crate::process::exit::error_chain;

    #[test]
    fn only_errors_for_lack_of_descriptors_end_with_advice() {
        for (errno, advice) in [
            (Errno::MFILE, Some(": raise the limit on open files (`ulimit -n`)")),
            (Errno::NFILE, Some("(fs.file-max); a higher `ulimit -n` does not help")),
            (Errno::ACCESS, None),
        ] {
            let cause = io::Error::from(errno);
            let plain = format!("cannot write to standard output: {cause}");
            let text = error_chain(&OutputError::from(cause));
            let rest = text.strip_prefix(&plain);
            assert!(
                rest.is_some_and(|rest| rest.ends_with(advice.unwrap_or_default())
                    && rest.is_empty() == advice.is_none()),
                "{text}"
            );
        }
    }
}
