//! The list is whole, and the page that is made of it current.

use super::*;

#[test]
fn every_reason_is_told_once_with_its_mend() {
    for (place, r) in REASONS.iter().enumerate() {
        let name = format!("{} {}", r.condition, r.reason);
        let again = REASONS[..place]
            .iter()
            .any(|o| (o.condition, o.reason) == (r.condition, r.reason));
        assert!(!again, "{name} stands twice");
        assert!(CONDITIONS.iter().any(|(c, _)| *c == r.condition), "{name}");
        assert!(matches!(r.status, "True" | "False"), "{name}");
        assert!(r.meaning.ends_with('.') && r.meaning.len() <= 120, "{name}");
        let worries = !is_well(r.condition, r.status);
        assert!(!worries || r.mend.ends_with('.'), "{name} lacks a mend");
        // What the API takes as a reason.
        assert!(
            r.reason.chars().all(|c| c.is_ascii_alphanumeric()),
            "{name}"
        );
    }
}

/// Source: pkg/controller/podautoscaler of Kubernetes 1.37; these reasons are an HPA's own.
#[test]
fn reasons_that_an_hpa_has_are_among_them() {
    use foresail_core::hpa::Failure;
    let all = [
        Failure::Resource,
        Failure::ContainerResource,
        Failure::Pods,
        Failure::Object,
        Failure::External,
        Failure::InvalidType,
        Failure::SelectorEmpty,
        Failure::SelectorInvalid,
        Failure::SelectorAmbiguous,
    ];
    for failure in all {
        let reason = failure.condition_reason();
        assert!(find("ScalingActive", reason).is_some(), "{reason}");
    }
}

#[test]
fn the_page_of_the_documents_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/conditions.md");
    if std::env::var_os("FORESAIL_BLESS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page(), "run it with FORESAIL_BLESS=1");
}
