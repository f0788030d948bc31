//! The options that set fields of the IP headers, by the names of ping, irtt and tc.

use std::num::NonZeroU8;

use clap::{Args, ValueEnum};
use hello_measure::{Dscp, Ecn, Mark};
use hello_net::{PacketOptions, PathMtuDiscovery};
use serde::Serialize;

use super::number;

/// The options of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Args)]
pub struct PacketArgs {
    /// Send packets with this DSCP: 0 to 63, ef, cs0 to cs7, af11 to af43, le or va
    ///
    /// The DSCP is the upper six bits of the TOS byte, which ping -Q takes whole: its 184 is 46 here,
    /// or ef. 0x2e is also 46.
    #[arg(long, short = 'Q', value_name = "DSCP", value_parser = parse_dscp)]
    dscp: Option<Dscp>,

    /// Send packets with this ECN codepoint: not-ect, ect0, ect1, ce, or its number
    #[arg(long, value_name = "ECN", value_parser = parse_ecn)]
    ecn: Option<Ecn>,

    /// Let packets take at most HOPS hops, from 1 to 255 [default: the system's, usually 64]
    #[arg(long, short, value_name = "HOPS", value_parser = number::positive::<NonZeroU8>)]
    ttl: Option<NonZeroU8>,

    /// Choose who may fragment packets, as ping -M [default: the system's choice]
    ///
    /// A packet that may not be fragmented and is longer than the known MTU is not sent. Only on
    /// Linux.
    #[arg(long, short = 'M', value_name = "MODE", value_enum)]
    pmtudisc: Option<PmtudiscArg>,

    /// Prohibit fragmentation, as -M do
    #[arg(long, conflicts_with = "pmtudisc")]
    dont_fragment: bool,
}

/// The modes of path MTU discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PmtudiscArg {
    /// Nobody: set DF, and send nothing longer than the path's MTU, which routers report
    Do,
    /// This host alone, once a router reported the path's MTU
    Want,
    /// This host and, over IPv4, routers: set no DF
    Dont,
    /// Nobody: set DF, ignore what routers report, and send nothing longer than the interface's MTU
    Probe,
}

impl PacketArgs {
    /// Returns the settings of a prober or a load generator.
    pub fn options(&self) -> PacketOptions {
        let mark = Mark { dscp: self.dscp.unwrap_or_default(), ecn: self.ecn.unwrap_or_default() };
        let mode = self.pmtudisc.or(self.dont_fragment.then_some(PmtudiscArg::Do));
        let path_mtu_discovery = mode.map(PathMtuDiscovery::from);
        PacketOptions { mark, ttl: self.ttl, path_mtu_discovery }
    }
}

/// The fields of a start line: the default mark is 0 and `not-ect`, what the system chooses is null.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PacketPlan {
    /// The DSCP, from 0 to 63.
    pub dscp: u8,
    /// The name of the ECN codepoint.
    pub ecn: &'static str,
    /// The number of hops that a packet may take.
    pub ttl: Option<NonZeroU8>,
    /// The mode of path MTU discovery.
    pub pmtudisc: Option<PmtudiscArg>,
}

impl From<PacketOptions> for PacketPlan {
    fn from(options: PacketOptions) -> Self {
        let PacketOptions { mark: Mark { dscp, ecn }, ttl, path_mtu_discovery } = options;
        let (dscp, ecn) = (dscp.value(), ecn.label());
        Self { dscp, ecn, ttl, pmtudisc: path_mtu_discovery.map(PmtudiscArg::from) }
    }
}

impl From<PmtudiscArg> for PathMtuDiscovery {
    fn from(mode: PmtudiscArg) -> Self {
        match mode {
            PmtudiscArg::Do => Self::Do,
            PmtudiscArg::Want => Self::Want,
            PmtudiscArg::Dont => Self::Dont,
            PmtudiscArg::Probe => Self::Probe,
        }
    }
}

impl From<PathMtuDiscovery> for PmtudiscArg {
    fn from(mode: PathMtuDiscovery) -> Self {
        match mode {
            PathMtuDiscovery::Do => Self::Do,
            PathMtuDiscovery::Want => Self::Want,
            PathMtuDiscovery::Dont => Self::Dont,
            PathMtuDiscovery::Probe => Self::Probe,
        }
    }
}

/// Parses a DSCP: a name, or a decimal or hexadecimal number.
fn parse_dscp(text: &str) -> Result<Dscp, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(dscp) = Dscp::from_name(&lower) {
        return Ok(dscp);
    }
    let number = match lower.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => lower.parse(),
    };
    let is_signed = lower.contains(['+', '-']);
    let number =
        number.ok().filter(|_| !is_signed).ok_or("not a DSCP: try ef, af41, 46 or 0x2e")?;
    match u8::try_from(number) {
        Ok(byte) => Dscp::new(byte).ok_or_else(|| {
            let Mark { dscp, ecn } = Mark::from_byte(byte);
            let name = dscp.to_string();
            let name = if name == dscp.value().to_string() {
                name
            } else {
                format!("{} ({name})", dscp.value())
            };
            let ecn = if ecn == Ecn::NotEct { String::new() } else { format!(" --ecn {ecn}") };
            format!(
                "must be between 0 and 63. As the TOS byte of ping -Q, {text} is --dscp {name}{ecn}"
            )
        }),
        Err(_) => Err("must be between 0 and 63".into()),
    }
}

/// Parses an ECN codepoint: its name, or its two bits as a number.
fn parse_ecn(text: &str) -> Result<Ecn, String> {
    let all = (0..4).map(Ecn::from_bits);
    let is_meant =
        |ecn: &Ecn| text.eq_ignore_ascii_case(ecn.label()) || text == ecn.bits().to_string();
    let found = { all }.find(is_meant);
    found
        .ok_or_else(|| "not an ECN codepoint: try not-ect (0), ect1 (1), ect0 (2) or ce (3)".into())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::output::json::to_line;

    #[derive(Debug, Parser)]
    struct Tool {
        #[command(flatten)]
        packet: PacketArgs,
    }

    fn parse(arguments: &[&str]) -> PacketOptions {
        Tool::parse_from([&["tool"], arguments].concat()).packet.options()
    }

    /// Returns the fields of a start line.
    fn line(arguments: &[&str]) -> String {
        to_line(&PacketPlan::from(parse(arguments)))
    }

    fn error(arguments: &[&str]) -> String {
        let error = Tool::try_parse_from([&["tool"], arguments].concat());
        error.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn dscp_is_a_name_or_a_number_up_to_63() {
        for (text, value) in [
            ("0", 0),
            ("46", 46),
            ("63", 63),
            ("0x2e", 46),
            ("0X2E", 46),
            ("ef", 46),
            ("EF", 46),
            ("cs0", 0),
            ("CS7", 56),
            ("af11", 10),
            ("af43", 38),
            ("le", 1),
            ("va", 44),
        ] {
            assert_eq!(parse_dscp(text).map(Dscp::value), Ok(value), "{text}");
        }
        for text in ["", "-1", "+1", "0x", "0x+1", "af14", "ef ", "4.0", "1k"] {
            assert_eq!(
                parse_dscp(text),
                Err("not a DSCP: try ef, af41, 46 or 0x2e".into()),
                "{text}"
            );
        }
        assert_eq!(parse_dscp("256"), Err("must be between 0 and 63".into()));
    }

    #[test]
    fn tos_byte_of_ping_gets_a_hint() {
        for (text, options) in [
            ("184", "--dscp 46 (ef)"),
            ("0xb8", "--dscp 46 (ef)"),
            ("186", "--dscp 46 (ef) --ecn ect0"),
            ("64", "--dscp 16 (cs2)"),
            ("255", "--dscp 63 --ecn ce"),
        ] {
            let error = parse_dscp(text).expect_err("too large");
            let expected = format!("As the TOS byte of ping -Q, {text} is {options}");
            assert!(error.ends_with(&expected), "{error}");
        }
    }

    #[test]
    fn ecn_is_a_name_or_its_bits() {
        for (text, ecn) in [
            ("not-ect", Ecn::NotEct),
            ("0", Ecn::NotEct),
            ("1", Ecn::Ect1),
            ("ect1", Ecn::Ect1),
            ("2", Ecn::Ect0),
            ("ECT0", Ecn::Ect0),
            ("3", Ecn::Ce),
            ("ce", Ecn::Ce),
        ] {
            assert_eq!(parse_ecn(text), Ok(ecn), "{text}");
        }
        for text in ["", "4", "ect", "ect2", "ect(0)", "00"] {
            parse_ecn(text).expect_err(text);
        }
    }

    #[test]
    fn options_are_those_of_the_packets_and_of_the_start_line() {
        assert_eq!(parse(&[]), PacketOptions::default());
        assert_eq!(line(&[]), r#"{"dscp":0,"ecn":"not-ect","ttl":null,"pmtudisc":null}"#);
        let all = ["-Q", "ef", "--ecn", "ect0", "-t", "9", "-M", "probe"];
        let expected = PacketOptions {
            mark: Mark::from_byte(0xba),
            ttl: NonZeroU8::new(9),
            path_mtu_discovery: Some(PathMtuDiscovery::Probe),
        };
        assert_eq!(parse(&all), expected);
        assert_eq!(line(&all), r#"{"dscp":46,"ecn":"ect0","ttl":9,"pmtudisc":"probe"}"#);
    }

    #[test]
    fn modes_have_the_names_of_ping() {
        for (name, mode) in [
            ("do", PathMtuDiscovery::Do),
            ("want", PathMtuDiscovery::Want),
            ("dont", PathMtuDiscovery::Dont),
            ("probe", PathMtuDiscovery::Probe),
        ] {
            assert_eq!(parse(&["-M", name]).path_mtu_discovery, Some(mode));
            assert!(line(&["-M", name]).ends_with(&format!(r#""pmtudisc":"{name}"}}"#)));
        }
        assert_eq!(parse(&["--dont-fragment"]), parse(&["-M", "do"]));
        assert!(error(&["--dont-fragment", "-M", "dont"]).contains("cannot be used with"));
        assert!(error(&["-M", "df"]).contains("[possible values: do, want, dont, probe]"));
    }

    #[test]
    fn ttl_is_from_1_to_255() {
        for text in ["0", "256"] {
            assert!(error(&["--ttl", text]).contains("must be between 1 and 255"), "{text}");
        }
        assert_eq!(parse(&["--ttl", "255"]).ttl, NonZeroU8::new(255));
    }
}
