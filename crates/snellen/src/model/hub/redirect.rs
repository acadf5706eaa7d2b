//! Where an answer sends us, and whether that is still the Hub.

use ureq::http::Uri;

/// The address that `location` means in an answer from `base`: absolute or relative, over HTTP or HTTPS.
pub(super) fn target(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let absolute = location.split(['/', '?']).next().is_some_and(|head| head.contains(':'));
    let text = if absolute {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{}{location}", base.path())
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    text.parse().ok().filter(is_web)
}

/// Whether this is an address of a web server.
pub(super) fn is_web(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Whether both have one scheme, host and port: only then may one see the token of the other.
pub(super) fn same_origin(a: &Uri, b: &Uri) -> bool {
    let origin = |uri: &Uri| {
        let scheme = uri.scheme_str()?.to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        Some((scheme, uri.host()?.to_ascii_lowercase(), port))
    };
    origin(a).is_some() && origin(a) == origin(b)
}

/// The address for a message: without its query, which may hold a signature, and without a password.
pub(super) fn shown(uri: &Uri) -> String {
    let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}{}", uri.scheme_str().unwrap_or("?"), uri.host().unwrap_or("?"), uri.path())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn hub_redirects_are_read_as_a_browser_reads_them() {
        let base: Uri = "https://hub.example:8443/a/b?c=d".parse().unwrap();
        let cases = [
            ("https://cdn.example/x?y=z#f", Some("https://cdn.example/x?y=z")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("/x/y", Some("https://hub.example:8443/x/y")),
            ("x", Some("https://hub.example:8443/a/x")),
            ("?x", Some("https://hub.example:8443/a/b?x")),
            ("/x?to=http://other/", Some("https://hub.example:8443/x?to=http://other/")),
            ("file:///etc/passwd", None),
            ("ftp://x/y", None),
            ("javascript:x", None),
            ("https:///x", None),
        ];
        for (location, expected) in cases {
            assert_eq!(target(&base, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn hub_origins_differ_by_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://hub.example/x", "https://HUB.example:443/y"));
        for other in [
            "http://hub.example/",
            "https://hub.example:8443/",
            "https://hub.example.evil/",
            "https://cdn.hub.example/",
            "https://hub.example@evil.example/",
        ] {
            assert!(!same("https://hub.example/", other), "{other}");
        }
    }
}
