//! Networks on the command line.

use std::net::IpAddr;

use hello_net::IpNet;

/// Parses a network: an address with a prefix length, or an address alone.
pub(crate) fn parse(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet =
        text.parse().map_err(|_| "not a network: try 192.0.2.0/24 or 2001:db8::/32".to_owned())?;
    match network.trunc() {
        whole if whole == network => Ok(network),
        whole => Err(format!("host bits are set: did you mean {whole}?")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_a_prefix_or_an_address() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
        ] {
            assert_eq!(parse(text).map(|network| network.to_string()).as_deref(), Ok(network));
        }
    }

    #[test]
    fn invalid_networks_are_rejected_with_examples() {
        for text in ["", "x", "192.0.2.0/33", "192.0.2/24", "2001:db8::/129", "192.0.2.0/"] {
            let error = parse(text).expect_err(text);
            assert_eq!(error, "not a network: try 192.0.2.0/24 or 2001:db8::/32");
        }
        let error = parse("192.0.2.7/24").expect_err("bits are set");
        assert_eq!(error, "host bits are set: did you mean 192.0.2.0/24?");
    }
}
