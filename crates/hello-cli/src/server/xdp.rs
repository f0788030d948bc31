//! Answering in the drivers of interfaces (XDP): the option of `hello-server`, and what its errors lack.

use hello_net::{XdpError, XdpInterface};

use super::report::xdp;
use crate::output::Format;
use crate::process::error::causes;

/// The option for interfaces.
#[derive(Debug, clap::Args)]
pub struct XdpArgs {
    /// Answer in the driver of INTERFACE, too (XDP); repeat for several
    ///
    /// Plain requests are answered before they reach a socket, at a fraction of the CPU time. All
    /// others reach the sockets as usual. The rate limit applies to both, each with its own counts.
    /// Names greeted in the driver are not printed. Needs Linux 5.19, CAP_BPF, CAP_NET_ADMIN and
    /// CAP_PERFMON; the server gives these up once it listens.
    #[arg(long, value_name = "INTERFACE")]
    xdp: Vec<String>,
}

impl XdpArgs {
    /// Returns the names of the interfaces.
    pub(crate) fn interfaces(&self) -> Result<&[String], String> {
        let mut names = self.xdp.iter().enumerate();
        match names.find(|(position, name)| self.xdp[..*position].contains(name)) {
            Some((_, name)) => Err(format!("--xdp names {name} twice")),
            None => Ok(&self.xdp),
        }
    }

    /// Returns the names as they were given.
    pub(crate) fn names(&self) -> Vec<String> {
        self.xdp.clone()
    }
}

/// Returns the text of an error, with advice.
pub(super) fn advise(error: &XdpError) -> String {
    // Of the causes in between, each repeats the next; of a refused program, one is pages long.
    let cause = causes(error).skip(1).last().map(|cause| format!(": {cause}")).unwrap_or_default();
    let advice = match error {
        XdpError::Loopback(name) | XdpError::NotEthernet(name) => {
            format!("; the sockets answer without --xdp {name}")
        }
        XdpError::Busy(_) => "; stop what attached it".into(),
        _ => String::new(),
    };
    format!("{error}{cause}{advice}")
}

/// Reports each interface whose state has changed.
#[derive(Debug)]
pub struct InterfaceLog {
    format: Format,
    reported: Vec<XdpInterface>,
}

impl InterfaceLog {
    /// Has reported no interface yet.
    pub fn new(format: Format) -> Self {
        Self { format, reported: Vec::new() }
    }

    /// Returns a line for each interface that is not as reported last.
    pub fn lines(&mut self, now: Vec<XdpInterface>) -> Vec<String> {
        let is_new = |interface: &&XdpInterface| !self.reported.contains(interface);
        let new = now.iter().filter(is_new);
        let lines = new.map(|interface| xdp::interface(self.format, interface)).collect();
        self.reported = now;
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use clap::Parser;
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        xdp: XdpArgs,
    }

    #[test]
    fn interface_given_twice_is_an_error() {
        let interfaces = |names: &[&str]| {
            let options = names.iter().flat_map(|name| ["--xdp", name]);
            let args = Only::try_parse_from(["x"].into_iter().chain(options)).expect("good").xdp;
            args.interfaces().map(<[String]>::to_vec)
        };
        assert_eq!(interfaces(&[]), Ok(vec![]));
        assert_eq!(interfaces(&["a", "b"]), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(interfaces(&["a", "b", "a"]), Err("--xdp names a twice".into()));
    }

    #[test]
    fn error_has_its_last_cause_alone_and_says_what_to_do() {
        #[derive(Debug, Error)]
        #[error("a log of\nmany lines: {0}")]
        struct Rejected(#[source] io::Error);

        let why = || io::Error::other("why");
        let text = advise(&XdpError::Load(Rejected(why()).into()));
        assert!(text.starts_with("the kernel did not load the XDP program; "), "{text}");
        assert!(text.ends_with(" that allows bpf(2): why"), "{text}");
        let error = XdpError::Attach { interface: "eth0".into(), source: why() };
        assert_eq!(advise(&error), "cannot attach the XDP program to eth0: why");
        let error = XdpError::Loopback("lo".into());
        assert!(advise(&error).ends_with("; the sockets answer without --xdp lo"));
    }
}
