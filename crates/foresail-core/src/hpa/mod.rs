//! The Kubernetes HorizontalPodAutoscaler at v1.37, exactly.
