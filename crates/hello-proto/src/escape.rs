use core::fmt;

/// Shows untrusted bytes as ASCII in quotes, with other bytes escaped, at most [`MAX_SHOWN`] of them.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(MAX_SHOWN)];
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len() {
            len if len > MAX_SHOWN => write!(f, "... {len} bytes"),
            _ => Ok(()),
        }
    }
}

/// The most bytes shown.
const MAX_SHOWN: usize = 64;
