//! `foresail manifests`: everything that installs the controller, as one YAML text.
//!
//! It is the kustomize base with its own words replaced line by line, so that the reasons in it stay;
//! `tests/install.rs` compares it with what Helm makes of the chart.

use std::io::Write;

use anyhow::{Result, bail};
use clap::Args;
use http::Uri;

use crate::cli::manifests_aware;
use crate::exit::Code;
use crate::firm::component::ComponentName;

/// The CRD.
const CRD: &str = include_str!("../../../../deploy/kustomize/crd/crd.yaml");

/// Objects of the controller's own namespace.
const OWN: [&str; 5] = [
    include_str!("../../../../deploy/kustomize/base/namespace.yaml"),
    include_str!("../../../../deploy/kustomize/base/account.yaml"),
    OWN_ROLE,
    include_str!("../../../../deploy/kustomize/base/deployment.yaml"),
    include_str!("../../../../deploy/kustomize/base/service.yaml"),
];
const NETWORK: &str = include_str!("../../../../deploy/kustomize/base/network.yaml");
const DISRUPTION: &str = include_str!("../../../../deploy/kustomize/base/disruption.yaml");

/// Rights in the controller's own namespace.
pub(crate) const OWN_ROLE: &str = include_str!("../../../../deploy/kustomize/base/own.yaml");

/// Rights in what is watched: to decide, to write replicas, to raise an HPA's floor, to
/// resize pods.
pub(crate) const READ: &str = include_str!("../../../../deploy/kustomize/base/read.yaml");
pub(crate) const SCALE: &str = include_str!("../../../../deploy/kustomize/base/scale.yaml");
pub(crate) const HPA_FLOOR: &str = include_str!("../../../../deploy/kustomize/hpa-floor/role.yaml");
pub(crate) const VERTICAL: &str = include_str!("../../../../deploy/kustomize/vertical/role.yaml");

/// The longest name of a namespace.
/// Source: RFC 1123, a label of a name.
const NAME_BYTES_MAX: usize = 63;

/// Print what installs the controller into a cluster, for kubectl apply --server-side -f -
#[derive(Args, Debug)]
pub struct ManifestsArgs {
    /// The image with its digest or tag, such as REGISTRY/foresail@sha256:…
    #[arg(long, value_name = "IMAGE", required_unless_present = "only_crd")]
    image: Option<String>,
    /// Namespace of the controller itself
    #[arg(long, short, value_name = "NS", default_value = "foresail")]
    namespace: String,
    /// Watch this namespace, by Roles alone (may be repeated) [default: the whole cluster]
    #[arg(long, value_name = "NS")]
    watch_namespace: Vec<String>,
    /// Grant no right to write any workload; objects get no further than Shadow
    #[arg(long, conflicts_with_all = ["hpa_floor", "vertical"])]
    shadow: bool,
    /// Grant the right to raise minReplicas of HPAs
    #[arg(long)]
    hpa_floor: bool,
    /// Grant the right to resize pods while they run
    #[arg(long)]
    vertical: bool,
    /// Prometheus, in the namespace `monitoring`
    #[arg(long, value_name = "URL")]
    prometheus_url: Option<String>,
    /// Allow http to Prometheus
    #[arg(long, requires = "prometheus_url")]
    plain_http: bool,
    /// Replicas of the controller; one leads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=10))]
    replicas: u8,
    /// Leave the CRD out
    #[arg(long)]
    no_crd: bool,
    /// Print the CRD alone
    #[arg(long, conflicts_with = "no_crd")]
    only_crd: bool,
    /// Print AWARE's distributed form instead: Redis, collector, server and agent, in namespace
    /// foresail-aware where no other is named
    #[arg(long, requires = "component", conflicts_with_all = ["watch_namespace", "shadow", "hpa_floor", "vertical", "prometheus_url", "no_crd", "only_crd"])]
    aware: bool,
    /// The Deployment that AWARE's agent scales, NAMESPACE/NAME
    #[arg(long, value_name = "NAME", requires = "aware")]
    component: Option<ComponentName>,
}

/// Runs the command.
///
/// # Errors
/// Where a name, the image or the address is none.
pub fn run(args: &ManifestsArgs, out: &mut dyn Write) -> Result<Code> {
    let text = if let (true, Some(component)) = (args.aware, &args.component) {
        let image = image(args.image.as_deref().unwrap_or_default())?;
        check_name(&args.namespace)?;
        let namespace = match args.namespace.as_str() {
            "foresail" => manifests_aware::NAMESPACE,
            other => other,
        };
        manifests_aware::documents(&image, namespace, component).join("---\n")
    } else if args.only_crd {
        CRD.to_owned()
    } else {
        let documents = documents(args)?;
        documents.join("---\n")
    };
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        out,
        "# Foresail {version}: kubectl apply --server-side -f -"
    )?;
    out.write_all(text.as_bytes())?;
    Ok(Code::Done)
}

/// All objects, in an order in which they can be applied.
fn documents(args: &ManifestsArgs) -> Result<Vec<String>> {
    let image = image(args.image.as_deref().unwrap_or_default())?;
    for name in args.watch_namespace.iter().chain([&args.namespace]) {
        check_name(name)?;
    }
    let prometheus = match &args.prometheus_url {
        Some(url) => Some(port_of(url, args.plain_http)?),
        None => None,
    };
    let mut all = Vec::new();
    if !args.no_crd {
        all.push(CRD.to_owned());
    }
    let [namespace, account, own, deployment, service] =
        OWN.map(|text| in_namespace(text, &args.namespace));
    all.extend([namespace, account]);
    let mut rights = vec![READ];
    if !args.shadow {
        rights.push(SCALE);
    }
    if args.hpa_floor {
        rights.push(HPA_FLOOR);
    }
    if args.vertical {
        rights.push(VERTICAL);
    }
    for text in rights {
        let text = in_namespace(text, &args.namespace);
        if args.watch_namespace.is_empty() {
            all.push(text);
        } else {
            let watched = distinct(&args.watch_namespace);
            all.extend(watched.into_iter().map(|name| as_role(&text, name)));
        }
    }
    all.push(own);
    all.push(controller(&deployment, &image, args));
    all.push(service);
    if args.replicas > 1 {
        all.push(in_namespace(DISRUPTION, &args.namespace));
    }
    let network = in_namespace(NETWORK, &args.namespace);
    all.push(network + &prometheus.map_or(String::new(), peer));
    Ok(all)
}

/// The names without repetition, in their order.
fn distinct(names: &[String]) -> Vec<&str> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(&name.as_str()) {
            seen.push(name);
        }
    }
    seen
}

/// The Deployment as it is told.
fn controller(deployment: &str, image: &str, args: &ManifestsArgs) -> String {
    let mut more: Vec<String> = distinct(&args.watch_namespace)
        .into_iter()
        .map(|name| format!("--watch-namespace={name}"))
        .collect();
    if let Some(url) = &args.prometheus_url {
        more.push(format!("--prometheus-url={url}"));
        more.extend(args.plain_http.then(|| "--plain-http".to_owned()));
    }
    let mut text = String::new();
    for line in deployment.lines() {
        match line.trim_start() {
            "# Stands for an image that does not exist: set yours." => continue,
            "- --max-mode=auto" if args.shadow => text.push_str("        - --max-mode=shadow"),
            "replicas: 2" => text.push_str(&format!("  replicas: {}", args.replicas)),
            words if words.starts_with("image: ") => {
                text.push_str(&format!("        image: {}", quoted(image)));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
        if line.trim_start() == "- --log-format=json" {
            for word in &more {
                text.push_str(&format!("        - {}\n", quoted(word)));
            }
        }
    }
    text
}

/// A text as YAML takes it whatever is in it: a string of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text with another namespace of the controller.
fn in_namespace(text: &str, namespace: &str) -> String {
    let is_namespace = text.contains("\nkind: Namespace\n");
    let line = |line: &str| match line {
        "  namespace: foresail" => format!("  namespace: {}\n", quoted(namespace)),
        "  name: foresail" if is_namespace => format!("  name: {}\n", quoted(namespace)),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// A ClusterRole with its binding as a Role of one namespace.
fn as_role(text: &str, namespace: &str) -> String {
    let text = text.replace("kind: ClusterRole", "kind: Role");
    let mut out = String::new();
    let mut in_metadata = false;
    for line in text.lines() {
        out.push_str(line);
        out.push('\n');
        if in_metadata {
            out.push_str(&format!("  namespace: {}\n", quoted(namespace)));
        }
        in_metadata = line == "metadata:";
    }
    out
}

/// The NetworkPolicy's way out to Prometheus.
fn peer(port: u16) -> String {
    format!(
        "  # Prometheus.
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: monitoring
    ports:
    - port: {port}
"
    )
}

/// The image, if it is one with a tag or digest: what `latest` is changes under a running controller.
fn image(text: &str) -> Result<String> {
    let letter = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let last = text.rsplit('/').next().unwrap_or("");
    let is_pinned = match last.split_once('@') {
        Some((name, digest)) => {
            let hash = digest.strip_prefix("sha256:").unwrap_or("");
            !name.is_empty() && hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit())
        }
        None => last
            .split_once(':')
            .is_some_and(|(name, tag)| !name.is_empty() && !tag.is_empty()),
    };
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !text.chars().all(letter) || !is_pinned {
        bail!(
            "--image {text:?}: name an image with its digest or tag, such as \
             registry.example/foresail@sha256:… (64 digits) or registry.example/foresail:0.1.0"
        );
    }
    Ok(text.to_owned())
}

fn check_name(name: &str) -> Result<()> {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.starts_with(letter)
        && name.ends_with(letter)
        && name.chars().all(|c| letter(c) || c == '-');
    if !good {
        bail!(
            "{name:?} is no name of a namespace: lower-case letters, digits and dashes, at most {NAME_BYTES_MAX}, \
             and no dash at either end"
        );
    }
    Ok(())
}

/// The port that an address names; http only where it is allowed.
fn port_of(url: &str, plain: bool) -> Result<u16> {
    let refuse = |why: &str| {
        anyhow::anyhow!(
            "--prometheus-url {url:?}: {why}; give one such as https://prometheus.monitoring:9090"
        )
    };
    let parsed: Uri = url.parse().map_err(|_| refuse("is no address"))?;
    let authority = parsed.authority().ok_or_else(|| refuse("names no host"))?;
    if authority.as_str().contains('@') {
        // Not shown: there may be a password in it.
        bail!(
            "--prometheus-url must not hold a name or password; a bearer token comes from a file"
        );
    }
    let usual = match parsed.scheme_str() {
        Some("http") if !plain => {
            return Err(refuse(
                "is http, which others on the way can read and change: use https, or --plain-http",
            ));
        }
        Some("http") => 80,
        Some("https") => 443,
        _ => return Err(refuse("is neither http nor https")),
    };
    match authority.as_str().rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((_, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(refuse("has no port of 1 to 65535")),
        },
        _ => Ok(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_needs_a_digest_or_a_tag() {
        let digest = format!("r.example:5000/a/foresail@sha256:{}", "0a".repeat(32));
        for good in [
            digest.as_str(),
            "foresail:0.1.0",
            "r.example:5000/foresail:1",
        ] {
            assert_eq!(image(good).unwrap(), good);
        }
        let short = "r.example/foresail@sha256:abc";
        for bad in [
            "",
            "foresail",
            "r.example:5000/foresail",
            short,
            "a b:1",
            "-a:1",
            "a:1\nb: 2",
            "a:",
        ] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_port_of_prometheus_is_found() {
        let port = |url: &str| port_of(url, true).ok();
        assert_eq!(port("http://prometheus.monitoring:9090/prefix"), Some(9090));
        assert_eq!(port("https://prometheus.example"), Some(443));
        assert_eq!(port("http://[fd00::1]"), Some(80));
        assert_eq!(port("http://[fd00::1]:81"), Some(81));
        for bad in [
            "prometheus:9090",
            "ftp://a",
            "http://a:0",
            "http://a:",
            "http://a:99999",
            "",
            "http://a b",
        ] {
            assert_eq!(port(bad), None, "{bad:?}");
        }
        assert!(port_of("http://a:9090", false).is_err());
        let told = port_of("http://me:secret@a:9090", true)
            .unwrap_err()
            .to_string();
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn names_of_namespaces_are_checked() {
        for good in ["a", "shop-1", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a\n", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
