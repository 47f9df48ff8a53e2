//! By which name a server may be asked: a page of another name, led here by its own name server,
//! must not read it.

use std::net::IpAddr;

/// Names of this machine itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The name in a `Host` header, without its port.
fn bare(host: &str) -> &str {
    if host.starts_with('[') {
        return host
            .find(']')
            .and_then(|end| host.get(..=end))
            .unwrap_or(host);
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

/// `true` where a server that listens on `bind` may be asked by this `Host` header.
#[must_use]
pub fn is_allowed(host: &str, bind: IpAddr, allowed: &[String]) -> bool {
    let name = bare(host.trim()).trim_end_matches('.');
    if name.is_empty() {
        return false;
    }
    let own = match bind {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    };
    let same = |known: &str| name.eq_ignore_ascii_case(known);
    (bind.is_loopback() && LOOPBACK.iter().any(|k| same(k)))
        || (!bind.is_unspecified() && same(&own))
        || allowed.iter().any(|known| same(bare(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_not_given_is_refused() {
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let given = ["foresail.example:443".to_owned()];
        for good in [
            "localhost",
            "localhost:8088",
            "127.0.0.1:8088",
            "[::1]:8088",
            "LOCALHOST.",
            "foresail.example",
        ] {
            assert!(is_allowed(good, loopback, &given), "{good}");
        }
        for bad in [
            "",
            ":8088",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1",
            "foresail.example.evil",
            "0",
        ] {
            assert!(!is_allowed(bad, loopback, &given), "{bad}");
        }
        let open: IpAddr = "0.0.0.0".parse().unwrap();
        assert!(!is_allowed("0.0.0.0", open, &[]));
        assert!(!is_allowed("localhost", open, &[]));
        assert!(is_allowed("foresail.example", open, &given));
    }
}
