//! `foresail manifests --aware`: what installs AWARE's distributed form, with its own words replaced.

use crate::firm::component::ComponentName;

/// Every file, in an order in which they can be applied.
const FILES: [&str; 5] = [
    include_str!("../../../../deploy/aware/rbac.yaml"),
    include_str!("../../../../deploy/aware/redis.yaml"),
    include_str!("../../../../deploy/aware/collector.yaml"),
    include_str!("../../../../deploy/aware/firm-server.yaml"),
    include_str!("../../../../deploy/aware/agent.yaml"),
];

/// The namespace that stands in the files.
pub(super) const NAMESPACE: &str = "foresail-aware";

/// All objects for this image, namespace and component; names are checked by whoever calls.
pub(super) fn documents(image: &str, namespace: &str, component: &ComponentName) -> Vec<String> {
    let ComponentName {
        namespace: of,
        name,
    } = component;
    // The longer ones first: what is put in must not be found again.
    let words = [
        (
            "image: image.invalid/foresail:0.1.0",
            format!("image: {image}"),
        ),
        ("--component=shop/web", format!("--component={of}/{name}")),
        ("resourceNames: [web]", format!("resourceNames: [{name}]")),
        (
            "name: foresail-aware-web",
            format!("name: foresail-aware-{name}"),
        ),
        ("namespace: shop", format!("namespace: {of}")),
        (
            "namespace: foresail-aware",
            format!("namespace: {namespace}"),
        ),
        ("  name: foresail-aware\n", format!("  name: {namespace}\n")),
        (".foresail-aware.svc", format!(".{namespace}.svc")),
    ];
    let mut all = Vec::new();
    for text in FILES {
        let lines = text.lines().filter(|line| {
            let line = line.trim_start();
            !line.starts_with("# Stands for an image") && !line.starts_with("# Set `shop`")
        });
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        let put = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        all.push(words.iter().fold(text, put));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_files_is_replaced() {
        let component = "prod/checkout".parse().unwrap();
        let all = documents("r.example/foresail:1", "learners", &component).join("---\n");
        for gone in [
            "image.invalid",
            "shop",
            "/web",
            "-web",
            "[web]",
            "namespace: foresail-aware",
        ] {
            assert!(!all.contains(gone), "{gone}");
        }
        for there in [
            "--component=prod/checkout",
            "redis://redis.learners.svc:6379",
            "resourceNames: [checkout]",
            "namespace: prod\n",
            "image: r.example/foresail:1\n",
        ] {
            assert!(all.contains(there), "{there}");
        }
    }
}
